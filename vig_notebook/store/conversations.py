"""Conversations outlive the kernel: `--chat NAME` goes on where the log says that it was."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from vig_notebook.chats import Past, Turn, named_chat
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.run import RunState
from vig_notebook.settings import Endpoint
from vig_notebook.store.current import run_log
from vig_notebook.store.outcomes import past_of
from vig_notebook.wire.chat import ChatRequest
from vig_notebook.wire.completion import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vig_notebook.chats import Chat
    from vig_notebook.store.log import Store
    from vig_notebook.store.records import Record

__all__ = ["GOES_ON", "continue_chat", "forget_chat", "fork_chat"]

GOES_ON: Final = "goes_on"
"""Label of the first run of a conversation that was taken from the log; its value is the number of turns."""


def continue_chat(name: str, *, anew: bool = False) -> tuple[Chat, int]:
    """Give the conversation of this name; one that this kernel does not know goes on where the log has it.

    Waits for the log, once for each name: not for the streaming thread. A log that cannot be read has none. While
    answers are replayed every conversation begins anew: the notebook is run from its top.

    Args:
        name: Its name.
        anew: Take nothing from the log.

    Returns:
        The conversation, and how many turns were taken from the log just now.
    """
    chat = named_chat(name)
    looked = cast("set[str]", engine().kept.setdefault("chats that were looked up", set()))
    if name in looked or chat.roots:
        return chat, 0
    looked.add(name)
    if anew or run_log().replaying.mode != "off":
        return chat, 0
    return chat, _restore(chat)


def fork_chat(name: str, chat: Chat) -> None:
    """Begin a conversation anew as a copy of another; turns of that one which still stream are copied as well.

    Raises:
        ConfigError: There is no such conversation, here or in the log.
    """
    known = f"chat {name}" in engine().kept
    source, _ = continue_chat(name)
    if not source.turns or source is chat:
        if not known:
            del engine().kept[f"chat {name}"]
        raise ConfigError(
            f"The conversation {name!r} cannot be copied",
            seen="it is the same one" if source is chat else "it has no turn, neither here nor in the run log",
            advice="Give --fork the name of another one; %vigthoria lists those of this kernel.",
        )
    chat.reset()
    chat.system = source.system
    for turn in source.turns:
        chat.add(turn.prompt, run=turn.run, source=turn.source).past = turn.past


def forget_chat(name: str) -> bool:
    """Begin a conversation anew, here and in the log, which keeps what there was under another name.

    Returns:
        Whether there was one.
    """
    chat, restored = continue_chat(name)
    with suppress(ConfigError):  # what cannot be read cannot be gone on with
        restored += run_log().store.set_chat_aside(name)
    had_turns = bool(chat.roots or restored)
    chat.reset()
    return had_turns


def _restore(chat: Chat) -> int:
    try:
        messages = run_log().store.chat_messages(chat.name)
        known = _answers(run_log().store, chat.name, count=len(messages) // 2)
    except ConfigError:
        return 0
    if messages and messages[0].get("role") == "system":
        chat.system = chat.system or str(messages[0]["content"])
    for question, answer in _pairs(messages):
        before = chat.current
        turn = Turn(question, parent=before, past=known.get((question, answer)) or _bare(question, answer))
        (before.children if before else chat.roots).append(turn)
        chat.current = turn
    if chat.current is not None:
        chat.select(chat.current)
    return len(chat.turns)


def _pairs(messages: Sequence[dict[str, object]]) -> Iterator[tuple[str, str]]:
    """Questions with their answers."""
    question = ""
    for message in messages:
        text = _text(message.get("content"))
        if message.get("role") == "user":
            question = text
        elif message.get("role") == "assistant" and question:
            yield question, text
            question = ""


def _answers(store: Store, name: str, *, count: int) -> dict[tuple[str, str], Past]:
    """What is known of the answers of a conversation, by question and answer."""
    records: list[Record] = store.search(chat=name, limit=2 * count + 1) if count else []
    return {(record.prompt or "", record.text): past_of(record) for record in records}


def _bare(question: str, answer: str) -> Past:
    """An answer of which nothing but its text is known."""
    return Past(
        id="",
        request=ChatRequest([{"role": "user", "content": question}]),
        endpoint=Endpoint(base_url="", name="the run log"),
        state=RunState.DONE,
        completion=Completion(text=answer),
    )


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return str(content or "")
