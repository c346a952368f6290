"""Chat completions on the wire: the request, and the chunks of the answer."""

from __future__ import annotations

from typing import Final

import msgspec

from vig_notebook.wire.chunk import ChatCompletionChunk, Choice, Delta, FunctionCall, ToolCall, Usage
from vig_notebook.wire.lenient import decode_leniently
from vig_notebook.wire.reported import read_reported, server_reported_error
from vig_notebook.wire.request import ChatRequest, Message

__all__ = [
    "ChatCompletionChunk",
    "ChatRequest",
    "Choice",
    "Delta",
    "FunctionCall",
    "Message",
    "ToolCall",
    "Usage",
    "decode_chunk",
    "decode_usual",
    "is_done",
]

# Named events that only say that the connection lives; their data is of any form.
_SIGNS_OF_LIFE: Final = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})


def decode_chunk(data: str | bytes, *, event: str = "message") -> ChatCompletionChunk:
    """The chunk in the data of one event; an empty chunk for a sign of life.

    A whole `chat.completion`, as a server sends that does not stream, is one chunk too. Text may end in
    half a surrogate pair: `CompletionBuilder.add` puts that right.

    Args:
        data: The event's data, not `[DONE]`: see `is_done`.
        event: The event's type. "error" makes whatever the data is an error.

    Raises:
        ServerReportedError: the server says that it failed; in its words, with its code.
        ProtocolError: the data is not JSON, or nothing that an answer can be made of.
    """
    if event != "message":
        if event == "error":
            raise server_reported_error(read_reported(_as_text(data)))
        if event in _SIGNS_OF_LIFE:
            return ChatCompletionChunk()
    try:
        return decode_usual(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return decode_leniently(_as_text(data))


def is_done(data: str) -> bool:
    """Whether the data of an event is the sentinel at the end of an answer; some write it as JSON, in quotes."""
    return data.strip().strip('"') == "[DONE]"


def _as_text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def _decode_unknown_type(_: type, value: object) -> Usage:
    return Usage.from_dict(value)


decode_usual: Final = msgspec.json.Decoder(ChatCompletionChunk, dec_hook=_decode_unknown_type).decode
"""The chunk in data of the usual shape, for the path of every token.

Raises `msgspec.DecodeError`, `UnicodeError` or `RecursionError` for every other shape, which is what
`decode_chunk` is for.
"""
