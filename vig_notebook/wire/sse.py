"""Server-sent events after the HTML standard, sections 9.2.5 and 9.2.6: bytes in, events out.

The rules that are kept here:

1. UTF-8 with replacement; one leading byte order mark is dropped.
2. CRLF, LF and CR end a line, nothing else does.
3. A blank line dispatches. `:` begins a comment. A value loses one leading space.
4. `event` sets the type, `data` adds a line, `id` without a NUL sets the id, `retry` of ASCII digits
   sets the reconnection time. Every other name is ignored (but see `lenient`).
5. A block without data makes no event, and its type does not stick; its id and its retry do.
6. What the end of the stream leaves undispatched is thrown away, unless `flush` is asked for it.

Any cut of the bytes gives the same events, and no byte is looked at again for another cut.
"""

from __future__ import annotations

from typing import Final

from vig_notebook.errors import TooLarge
from vig_notebook.wire.event import ServerSentEvent, encode

__all__ = ["EventStreamDecoder", "ServerSentEvent", "encode"]

_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
# Fits in 64 bits, and is 31,688 years: a longer row of digits has no other meaning.
_LONGEST_RETRY_MS: Final = 10**15
# Of what is no event stream the begin is enough to see what it is.
_MOST_STRAY: Final = 2_000
# `pending_data` is for sentinels such as "data: [DONE]"; a longer line is not joined for it.
_LONGEST_SENTINEL_BYTES: Final = 64


class EventStreamDecoder:
    """Turns the bytes of one stream into events. One decoder for one response.

    Args:
        max_line_bytes: The longest line, without its end.
        max_event_bytes: The most data of one event, with an LF after each line.
        lenient: Let two things that the standard ignores be events too, in their place in the
            stream: a line `error: …` (an event of type "error", as llama.cpp of 2025 sent) and a
            line that begins with `{` (an event of type "message": JSON that a server wrote without
            `data:`). They leave the event that is being read untouched.
    """

    def __init__(
        self,
        *,
        max_line_bytes: int = 4 * 1024 * 1024,
        max_event_bytes: int = 4 * 1024 * 1024,
        lenient: bool = False,
    ) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._smallest_cap = min(max_line_bytes, max_event_bytes)
        self._lenient = lenient
        self._begun = False
        self._after_cr = False
        # Nothing is left over from the bytes before but, at most, the begin of the first line of an event.
        self._idle = False
        self._pending = bytearray()
        self._events: list[ServerSentEvent] = []
        self._data: list[str] = []
        self._data_bytes = 0
        self._counted_lines = 0
        self._only_data = True
        self._type = ""
        self._id = ""
        self._last_event_id = ""
        self._retry: int | None = None
        self._reconnection_time_ms: int | None = None
        self._too_large: TooLarge | None = None
        self._stray = ""

    @property
    def last_event_id(self) -> str:
        """The last event id as of the last blank line; "" when there is none."""
        return self._last_event_id

    @property
    def reconnection_time_ms(self) -> int | None:
        """The last `retry` of the stream in milliseconds; None when it set none."""
        return self._reconnection_time_ms

    @property
    def stray_text(self) -> str:
        """The first lines that are nothing in an event stream: what came, when it is none; "" when all is."""
        return self._stray

    @property
    def pending_data(self) -> str | None:
        """The data of the event that is being read, if the stream ended here and it is short.

        For a sentinel that no line end follows (`data: [DONE]` and then silence). None when there
        is no data yet, when it is longer than a sentinel, and in an event of type "error".
        """
        if len(self._pending) > _LONGEST_SENTINEL_BYTES or len(self._data) > 1 or self._type == "error":
            return None
        line = self._pending.decode("utf-8", "replace")
        name, _, value = line.partition(":")
        if name != "data":
            return self._data[0] if self._data else None
        return "\n".join([*self._data, value.removeprefix(" ")])

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete, in the order of the stream.

        Raises:
            TooLarge: a line or the data of an event is longer than its cap; `cap` names it. Events
                before it are given first: then the next call raises. Close the connection.
        """
        texts = self.feed_usual(data)
        if texts is None:
            return self._feed_any(data)
        return [ServerSentEvent("message", text, self._last_event_id) for text in texts]

    def feed_usual(self, data: bytes) -> list[str] | None:
        r"""The data of the events that these bytes complete, if each is one line `data: …` and a blank one.

        Nearly all that servers send is, and is read here at a third of the cost. None for everything
        else; then nothing has been read, and `feed` must be called with the same bytes.
        """
        end = data.rfind(b"\n\n") + 2
        if end < 2 or not self._idle or _CR in data:
            return None
        rest = data[end:]
        if b"\n" in rest:  # a line of the event after them is among it
            return None
        whole = bytes(self._pending) + data[:end] if self._pending else data[:end] if rest else data
        if len(whole) > self._smallest_cap or len(rest) > self._smallest_cap:
            return None
        # No LF is ever part of a longer sequence of UTF-8: to decode many lines or one is the same.
        text = whole.decode("utf-8", "replace")
        values = text[6:-2]
        texts = values.split("\n\ndata: ")
        if text[:6] != "data: " or values.count("\n") != 2 * len(texts) - 2:
            return None
        self._pending[:] = rest
        return texts

    def _feed_any(self, data: bytes) -> list[ServerSentEvent]:
        if self._too_large is not None:
            raise self._too_large
        if not self._begun or self._after_cr or _CR in data:
            data = self._with_line_feeds_only(data)
        events: list[ServerSentEvent] = []
        self._events = events
        end = data.rfind(b"\n") + 1
        if end:
            complete = data if end == len(data) else data[:end]
            if self._pending:
                complete = bytes(self._pending) + complete
                self._pending.clear()
            self._read(complete)
        if end != len(data) and self._too_large is None:
            self._hold(data[end:])
        if self._too_large is not None and not events:
            raise self._too_large
        may_go_on = self._begun and not self._after_cr and self._too_large is None
        self._idle = may_go_on and self._only_data and not self._data
        return events

    def flush(self) -> list[ServerSentEvent]:
        """What the end of the stream leaves: the event that no blank line ended, if there is one.

        The standard throws it away. A client of a language model calls this once, after the last
        byte, because servers leave out the end of `data: [DONE]`, and a last event whose JSON is
        whole is whole; whether it is, the caller must look at.

        Raises:
            TooLarge: as in `feed`.
        """
        if self._too_large is not None:
            raise self._too_large
        self._idle = False
        self._events = []
        self._read_lines([self._pending.decode("utf-8", "replace"), ""])
        self._pending.clear()
        if self._too_large is not None:
            raise self._too_large
        return self._events

    def _with_line_feeds_only(self, data: bytes) -> bytes:
        """Drop the byte order mark, write every line end as LF, and remember a CR at the end."""
        if not self._begun:
            data = bytes(self._pending) + data
            self._pending[:] = b""
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._pending += data
                return b""
            self._begun = True
            data = data.removeprefix(_BOM)
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, piece: bytes) -> None:
        """Keep a line whose end has not come yet."""
        if len(self._pending) + len(piece) > self._max_line_bytes:
            self._refuse("max_line_bytes", self._max_line_bytes, "a line of the stream")
        else:
            self._pending += piece

    def _read(self, complete: bytes) -> None:
        """Read lines, each of which has its end."""
        if len(complete) > self._max_line_bytes:
            complete = self._up_to_long_line(complete)
        lines = str(complete, "utf-8", "replace").split("\n")
        lines.pop()
        self._read_lines(lines)

    def _read_lines(self, lines: list[str]) -> None:
        data = self._data
        for line in lines:
            if not line:
                # A flood of blank lines or of comments must not cost a call each.
                if data or not self._only_data:
                    self._dispatch()
            elif line[0] != ":":
                self._read_field(line)
                self._count_data()
                if self._data_bytes > self._max_event_bytes:
                    self._refuse("max_event_bytes", self._max_event_bytes, "the data of an event")
                    return

    def _read_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._type = value
                self._only_data = False
            case "id" if "\0" not in value:
                self._id = value
                self._only_data = False
            case "retry" if value.isascii() and value.isdigit():
                self._set_retry(value.lstrip("0"))
            case "error" if self._lenient:
                self._events.append(ServerSentEvent("error", value, self._last_event_id))
            case "id" | "retry":
                pass
            case _:
                self._read_stray(line)

    def _read_stray(self, line: str) -> None:
        """A line that is nothing in the format."""
        if self._lenient and line.startswith("{"):
            self._events.append(ServerSentEvent("message", line, self._last_event_id))
        if len(self._stray) < _MOST_STRAY and not "data:".startswith(line):
            self._stray += f"{line[:_MOST_STRAY]}\n"

    def _set_retry(self, digits: str) -> None:
        short = len(digits) < len(str(_LONGEST_RETRY_MS))
        self._retry = self._reconnection_time_ms = int(digits or "0") if short else _LONGEST_RETRY_MS
        self._only_data = False

    def _dispatch(self) -> None:
        self._last_event_id = self._id
        if self._data:
            name, data = self._type or "message", "\n".join(self._data)
            self._events.append(ServerSentEvent(name, data, self._last_event_id, self._retry))
            self._retry = None
            self._data.clear()
            self._data_bytes = self._counted_lines = 0
        self._type = ""
        self._only_data = self._retry is None

    def _count_data(self) -> None:
        """Count the lines of data that came since the last count."""
        for line in self._data[self._counted_lines :]:
            self._data_bytes += (len(line) if line.isascii() else len(line.encode())) + 1
        self._counted_lines = len(self._data)
        # The count has to be set back when the event is over.
        self._only_data = False

    def _up_to_long_line(self, complete: bytes) -> bytes:
        """The lines before the first one that is longer than its cap; all, if none is."""
        start = 0
        while start < len(complete):
            end = complete.index(b"\n", start)
            if end - start > self._max_line_bytes:
                self._refuse("max_line_bytes", self._max_line_bytes, "a line of the stream")
                break
            start = end + 1
        return complete[:start]

    def _refuse(self, cap: str, limit: int, what: str) -> None:
        """Remember to raise: the events before this are given first."""
        self._too_large = TooLarge(
            f"The answer was stopped because {what} is too long",
            cap=cap,
            seen=f"more than {limit:,} bytes ({cap})",
            advice="A server that streams text has no need of it; raise the limit only for one you trust.",
        )
