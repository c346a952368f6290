"""Named conversations: a tree of turns, of which one path is current.

```
            ┌─ "shorter, please" ── …
"a poem" ───┤
            └─ "in French"  ← current
```

A turn that ended with nothing is left out of what is sent next, its question too; a stopped or failed turn
that has some text keeps it. So no turn that went wrong can poison the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from vig_notebook.engine import engine
from vig_notebook.settings import mask
from vig_notebook.wire.chat import Message

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from vig_notebook.chats.past import Past
    from vig_notebook.run import Run

__all__ = ["Chat", "Context", "Outcome", "Turn", "named_chat", "named_chats"]

Outcome: TypeAlias = "Run | Past"
"""An answer, by its run or as it was loaded."""

CHARACTERS_A_TOKEN = 4
"""A rule of thumb for English, for the part of a context that no server has counted."""


@dataclass(slots=True, eq=False)
class Turn:
    """One question and its answer.

    Attributes:
        prompt: What was asked.
        parent: The turn before, or None at the beginning.
        run: The run that answers; None for an answer that was loaded.
        past: The answer that was loaded, or None.
        source: The prompt as it was typed, its variables not filled in; empty when it was sent as typed.
        children: The turns that follow, oldest first.
        shown: Which of the children was last on the current path.
    """

    prompt: str
    parent: Turn | None = field(default=None, repr=False)
    run: Run | None = None
    past: Past | None = None
    source: str = ""
    children: list[Turn] = field(default_factory=list, repr=False)
    shown: Turn | None = field(default=None, repr=False)

    @property
    def outcome(self) -> Outcome | None:
        """What answers or answered; None for a question that has no answer."""
        return self.run if self.run is not None else self.past

    @property
    def answer(self) -> str:
        """The text of the answer so far; never waits."""
        return self.outcome.text_so_far if self.outcome is not None else ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.outcome is None or self.outcome.state.ended

    @property
    def path(self) -> list[Turn]:
        """The turns from the beginning to this one."""
        turns: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.parent
        return turns[::-1]

    @property
    def leaf(self) -> Turn:
        """The end of the path through this turn that was last shown."""
        turn = self
        while turn.children:
            turn = turn.shown or turn.children[-1]
        return turn

    def masked(self, text: str) -> str:
        """A text of this turn without keys, that of the server which answered among them."""
        key = self.outcome.endpoint.api_key if self.outcome is not None else None
        return mask(text) if key is None else mask(text, key)

    def messages_before(self) -> list[Message]:
        """What the model is told before this turn's question: every earlier turn that has an answer."""
        return [message for turn in self.path[:-1] for message in turn.messages()]

    def messages(self) -> list[Message]:
        """Question and answer of this turn, or nothing when no answer came."""
        if not self.answer.strip():
            return []
        return [
            Message(role="user", content=self.prompt),
            Message(role="assistant", content=self.answer),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How long a conversation is for the model.

    Attributes:
        tokens: What the next question is put after.
        exact: Whether the server counted them; else they are estimated from the characters.
    """

    tokens: int
    exact: bool


class Listener(Protocol):
    """Whoever shows a conversation. Called on any thread, after each change; must be quick."""

    def __call__(self) -> object:
        """Take note that the conversation has changed."""


@dataclass(slots=True, eq=False)
class Chat:
    """A named conversation; its turns run one after another.

    Attributes:
        name: The name that `--chat NAME` gives, unique in a kernel.
        system: The system prompt, or None.
        roots: The first turns.
        current: The last turn of the current path, or None while empty.
        listeners: Who wants to know of changes.
    """

    name: str
    system: str | None = None
    roots: list[Turn] = field(default_factory=list)
    current: Turn | None = None
    listeners: list[Listener] = field(default_factory=list, repr=False)

    @property
    def turns(self) -> list[Turn]:
        """The turns of the current path, oldest first."""
        return self.current.path if self.current is not None else []

    @property
    def running(self) -> list[Run]:
        """The runs of its turns that have not ended, on whatever branch and from whatever door."""
        found, waiting = [], list(self.roots)
        while waiting:
            turn = waiting.pop()
            waiting += turn.children
            if turn.run is not None and not turn.run.state.ended:
                found.append(turn.run)
        return found

    @property
    def messages(self) -> list[dict[str, object]]:
        """The current path as dicts, the system prompt first."""
        return [message.to_dict() for message in self.to_messages()]

    @property
    def context(self) -> Context:
        """How many tokens the next question is put after."""
        last = self.current.outcome if self.current is not None and self.current.answer.strip() else None
        usage = last.completion.usage if last is not None and last.state.ended else None
        if usage is not None and usage.prompt_tokens is not None and usage.completion_tokens is not None:
            return Context(tokens=usage.prompt_tokens + usage.completion_tokens, exact=True)
        characters = sum(len(str(message.content)) for message in self.to_messages())
        return Context(tokens=-(-characters // CHARACTERS_A_TOKEN), exact=False)

    def add(
        self, prompt: str, *, parent: Turn | None = None, branch: bool = False, run: Run | None = None, source: str = ""
    ) -> Turn:
        """Add a turn and make it current.

        Args:
            prompt: What is asked.
            parent: With `branch`, the turn it follows; None begins anew.
            branch: Follow `parent` and not the current turn.
            run: The run that answers.
            source: The prompt as it was typed, where that is something else.
        """
        before = parent if branch else self.current
        turn = Turn(prompt, parent=before, run=run, source=source)
        self.siblings(turn).append(turn)
        self.select(turn)
        return turn

    def siblings(self, turn: Turn) -> list[Turn]:
        """The turns that follow the same turn as this one, oldest first; this one is among them."""
        return turn.parent.children if turn.parent is not None else self.roots

    def select(self, turn: Turn) -> None:
        """Make the path through this turn the current one, down to the end that was last shown."""
        self.current = turn.leaf
        path = self.current.path
        for before, after in pairwise(path):
            before.shown = after
        self.tell()

    def to_messages(self) -> list[Message]:
        """The current path as messages, the system prompt first."""
        system = [Message(role="system", content=self.system)] if self.system else []
        return system + [message for turn in self.turns for message in turn.messages()]

    def to_dataframe(self) -> pd.DataFrame:
        """The current path as a table, one turn a row: texts, parameters that were sent, tokens, times, state.

        Raises:
            ConfigError: pandas is not installed.
        """
        from vig_notebook.chats.table import table

        return table(self)

    def save(self, path: str | Path) -> None:
        """Write the whole tree as JSON. What looks like a key is masked; no server's key is in it.

        Raises:
            OSError: The file cannot be written.
        """
        from vig_notebook.chats.files import save

        save(self, path)

    def load(self, path: str | Path) -> None:
        """Take the turns and the system prompt of a file in place of what is here; the name stays.

        Raises:
            ConfigError: The file is no conversation.
            OSError: The file cannot be read.
        """
        from vig_notebook.chats.files import load

        load(self, path)
        self.tell()

    def reset(self) -> None:
        """Forget every turn; the system prompt stays."""
        self.roots.clear()
        self.current = None
        self.tell()

    def tell(self) -> None:
        """Tell the listeners that something has changed."""
        for listener in tuple(self.listeners):
            listener()


def named_chat(name: str) -> Chat:
    """The conversation of this name in this kernel, made when first asked for."""
    chat = engine().kept.setdefault(f"chat {name}", Chat(name))
    return cast("Chat", chat)


def named_chats() -> list[Chat]:
    """Every conversation of this kernel that has a name, oldest first."""
    return [kept for kept in engine().kept.values() if isinstance(kept, Chat)]
