"""A server-sent event, and its bytes (HTML standard, 9.2.5)."""

from __future__ import annotations

from msgspec import Struct

from vig_notebook.wire.text import well_formed

__all__ = ["ServerSentEvent", "encode"]


class ServerSentEvent(Struct, frozen=True, gc=False):
    """One event of a stream.

    Attributes:
        event: The type; "message" when the stream named none.
        data: The lines of data, joined by LF.
        id: The last event id of the stream at this event; "" when there is none.
        retry: The reconnection time in milliseconds, when the stream has set one since the event
            before this one; None otherwise.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


def encode(event: ServerSentEvent) -> bytes:
    """The bytes of one event, for a server. CR and CRLF in the data become LF.

    A decoder gives the same event back, but for two things that the format cannot say: the id ""
    (left out, so that an earlier id goes on) and the halves of a surrogate pair (U+FFFD).

    Raises:
        ValueError: `event` or `id` holds a line end, or `id` a NUL: a reader would not see it so.
    """
    if any(char in event.event + event.id for char in "\r\n") or "\0" in event.id:
        raise ValueError("The type and the id of an event must be one line, the id without NUL")
    lines = [f"event: {event.event}"] if event.event != "message" else []
    if event.id:
        lines.append(f"id: {event.id}")
    if event.retry is not None:
        lines.append(f"retry: {event.retry}")
    data = event.data.replace("\r\n", "\n").replace("\r", "\n")
    lines += [f"data: {line}" for line in data.split("\n")]
    return well_formed("\n".join([*lines, "", ""])).encode()
