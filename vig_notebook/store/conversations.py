"""Conversations outlive the kernel: `--chat NAME` goes on where the log says that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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

__all__ = ["continue_chat"]


def continue_chat(name: str, *, anew: bool = False) -> tuple[Chat, int]:
    """Give the conversation of this name; one that this kernel does not know goes on where the log has it.

    Waits for the log, once for each name: not for the streaming thread. A log that cannot be read has none.

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
    return chat, 0 if anew else _restore(chat)


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
