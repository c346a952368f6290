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
from typing import TYPE_CHECKING, cast

from vig_notebook.engine import engine
from vig_notebook.wire.chat import Message

if TYPE_CHECKING:
    from vig_notebook.run import Run

__all__ = ["Chat", "Turn", "named_chat", "named_chats"]


@dataclass(slots=True, eq=False)
class Turn:
    """One question and its answer.

    Attributes:
        prompt: What was asked.
        parent: The turn before, or None at the beginning.
        run: The run that answers; None for an answer that was loaded.
        loaded: The text of an answer that was loaded.
        children: The turns that follow, oldest first.
    """

    prompt: str
    parent: Turn | None = None
    run: Run | None = None
    loaded: str = ""
    children: list[Turn] = field(default_factory=list)

    @property
    def answer(self) -> str:
        """The text of the answer so far; never waits."""
        return self.run.text_so_far if self.run is not None else self.loaded

    @property
    def path(self) -> list[Turn]:
        """The turns from the beginning to this one."""
        turns: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.parent
        return turns[::-1]

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


@dataclass(slots=True, eq=False)
class Chat:
    """A named conversation; its turns run one after another.

    Attributes:
        name: The name that `--chat NAME` gives, unique in a kernel.
        system: The system prompt, or None.
        roots: The first turns.
        current: The last turn of the current path, or None while empty.
    """

    name: str
    system: str | None = None
    roots: list[Turn] = field(default_factory=list)
    current: Turn | None = None

    @property
    def turns(self) -> list[Turn]:
        """The turns of the current path, oldest first."""
        return self.current.path if self.current is not None else []

    def add(self, prompt: str, *, parent: Turn | None = None, branch: bool = False) -> Turn:
        """Add a turn and make it current.

        Args:
            prompt: What is asked.
            parent: With `branch`, the turn it follows; None begins anew.
            branch: Follow `parent` and not the current turn.
        """
        before = parent if branch else self.current
        turn = Turn(prompt, parent=before)
        (before.children if before is not None else self.roots).append(turn)
        self.current = turn
        return turn

    def to_messages(self) -> list[Message]:
        """The current path as messages, the system prompt first."""
        system = [Message(role="system", content=self.system)] if self.system else []
        return system + [message for turn in self.turns for message in turn.messages()]

    def reset(self) -> None:
        """Forget every turn; the system prompt stays."""
        self.roots.clear()
        self.current = None


def named_chat(name: str) -> Chat:
    """The conversation of this name in this kernel, made when first asked for."""
    chat = engine().kept.setdefault(f"chat {name}", Chat(name))
    return cast("Chat", chat)


def named_chats() -> list[Chat]:
    """Every conversation of this kernel that has a name, oldest first."""
    return [kept for kept in engine().kept.values() if isinstance(kept, Chat)]
