"""What servers answer besides an event stream: a whole JSON reply, lines of JSON, an HTML page, a list of models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal

from vig_notebook.client.refusals import page_title
from vig_notebook.errors import ProtocolError, TooLarge
from vig_notebook.wire.lenient_json import loads
from vig_notebook.wire.reported import Reported, find_reported
from vig_notebook.wire.sse import EventStreamDecoder, ServerSentEvent
from vig_notebook.wire.text import well_formed

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.client.foreign import Place
    from vig_notebook.settings import Limits

__all__ = ["AnswerBody", "model_names"]

DONE: Final = ServerSentEvent(data="[DONE]")

EARLY_BYTES: Final = 64 * 1024
"""A JSON reply up to this size is tried each time that it may be whole: a server may hold the connection."""

LATE_TRIES: Final = 3
"""A longer one is tried while the bytes of all tries are at most this many times those of the reply."""

HEAD_BYTES: Final = 20_000
"""Enough of an HTML page to have its title."""

_BOM: Final = b"\xef\xbb\xbf"

Kind = Literal["unknown", "stream", "json", "html"]


class AnswerBody:
    """The bytes of a 2xx answer, as events, whatever the answer is.

    An event stream is one from its first byte on. JSON is collected: a whole reply is one event and
    `[DONE]`, lines of JSON are an event each. HTML is an error. The first byte decides, because
    content types are often wrong.

    Args:
        limits: The caps.
        place: The server, for sentences.
        content_type: What the server says that it is.

    Attributes:
        feed: Takes the next bytes, gives the events that they complete. `EventStreamDecoder.feed`
            itself, once the answer is known to be a stream.
        feed_usual: The same in the short form of `EventStreamDecoder.feed_usual`.
    """

    __slots__ = (
        "_content_type",
        "_decoder",
        "_head",
        "_kind",
        "_limits",
        "_place",
        "_tried_bytes",
        "feed",
        "feed_usual",
    )

    def __init__(self, limits: Limits, *, place: Place, content_type: str) -> None:
        self._limits = limits
        self._place = place
        self._content_type = content_type
        self._decoder = EventStreamDecoder(
            max_line_bytes=limits.max_line_bytes, max_event_bytes=limits.max_event_bytes, lenient=True
        )
        self._head = bytearray()
        self._tried_bytes = 0
        self._kind: Kind = "unknown"
        self.feed: Callable[[bytes], list[ServerSentEvent]] = self._feed_head
        self.feed_usual: Callable[[bytes], list[str] | None] = _not_yet

    @property
    def ends_in_done(self) -> bool:
        """Whether the bytes so far end in `data: [DONE]`, though no line end has come."""
        return self._decoder.pending_data == DONE.data

    def flush(self) -> list[ServerSentEvent]:
        """The events that the end of the body completes."""
        if self._kind == "html":
            raise self._page()
        if self._kind != "json":
            return self._decoder.flush()
        return self.whole_reply() or [*self._decoder.feed(bytes(self._head)), *self._decoder.flush()]

    def whole_reply(self) -> list[ServerSentEvent]:
        """The events of a body that is one JSON value; none, if it is not, or not yet."""
        if self._kind != "json":
            return []
        value = _json(self._head)
        values = value if isinstance(value, list) else [value]
        events = [ServerSentEvent(data=_text(value)) for value in values if isinstance(value, dict)]
        return [*events, DONE] if any(map(_has_choices, values)) else events

    def misfit(self) -> ProtocolError | None:
        """Why there was no answer in it, if it was no event stream at all."""
        if self._kind == "json":
            text = self._head.decode("utf-8", "replace") if _json(self._head) is not None else ""
        else:
            text = self._decoder.stray_text
        if not text:
            return None
        return ProtocolError(
            f"{self._place.label} answered 200, but with no answer of a model",
            seen=self._place.words(f"{self._content_type or 'no content type'}: {text}"),
            advice="Check that the base URL is the one of an OpenAI-compatible server.",
        )

    def _feed_head(self, data: bytes) -> list[ServerSentEvent]:
        """Take the first bytes, until it is known what they begin."""
        self._head += data
        if self._kind == "unknown":
            self._kind = _kind(self._head)
        if self._kind == "json":
            return self._feed_json()
        if self._kind == "html" and (len(self._head) > HEAD_BYTES or b"</title" in self._head.lower()):
            raise self._page()
        if self._kind == "stream" or len(self._head) > HEAD_BYTES:
            return self._go_on_as_stream()
        return []

    def _feed_json(self) -> list[ServerSentEvent]:
        if len(self._head) > self._limits.max_event_bytes:
            self._head.clear()
            raise TooLarge(
                "The answer was stopped because its JSON is too long",
                cap="max_event_bytes",
                seen=f"more than {self._limits.max_event_bytes:,} bytes (max_event_bytes)",
            )
        if self._is_worth_trying() and (value := _json(self._head)) is not None:
            return self._go_on_as_stream() if _is_chunk(value) else self.whole_reply()
        if len(self._head) > EARLY_BYTES:
            return []
        line, end, _ = self._head.partition(b"\n")
        return self._go_on_as_stream() if end and isinstance(_json(line), dict) else []

    def _is_worth_trying(self) -> bool:
        """Whether the JSON may be whole, and was not parsed in vain too often: that work must stay linear."""
        size = len(self._head)
        if bytes(self._head[-20:].rstrip()[-1:]) not in {b"}", b"]"}:
            return False
        if size <= EARLY_BYTES:
            return True
        is_worth = self._tried_bytes + size <= LATE_TRIES * size
        self._tried_bytes += size * is_worth
        return is_worth

    def _go_on_as_stream(self) -> list[ServerSentEvent]:
        self._kind = "stream"
        self.feed, self.feed_usual = self._decoder.feed, self._decoder.feed_usual
        head = bytes(self._head)
        self._head.clear()
        return self._decoder.feed(head)

    def _page(self) -> ProtocolError:
        title = page_title(self._head.decode("utf-8", "replace"))
        return ProtocolError(
            f"{self._place.label} answered 200, but with a web page",
            seen=self._place.words(title),
            advice="Check the base URL; a proxy or a log-in page may stand before the server.",
        )


def _not_yet(_data: bytes) -> None:
    """What is not known to be a stream has no usual form."""


def _kind(head: bytearray) -> Kind:
    if len(head) < len(_BOM) and _BOM.startswith(head):
        return "unknown"
    first = bytes(head.removeprefix(_BOM).lstrip()[:1])
    kinds: dict[bytes, Kind] = {b"": "unknown", b"{": "json", b"[": "json", b"<": "html"}
    return kinds.get(first, "stream")


def _json(body: bytes | bytearray) -> object:
    """The value of a body, or None."""
    try:
        value: object = loads(body.decode("utf-8", "replace").lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return value


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _has_choices(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("choices"), list) and bool(value["choices"])


def _is_chunk(value: object) -> bool:
    """Whether it is one piece of an answer, to be followed by others."""
    if not isinstance(value, dict) or not _has_choices(value):
        return False
    first = value["choices"][0]
    return isinstance(first, dict) and "delta" in first


def model_names(body: bytes) -> list[str] | Reported:
    """The names in a list of models of any shape; when it is no such list, what the server says instead.

    Shapes: `{"data": [{"id"}]}`, `{"models": [{"name"}]}`, a list of either, a list of names, an
    object whose members are named after the models.
    """
    value = entries = _json(body)
    if isinstance(value, dict):
        entries = next((value[name] for name in ("data", "models") if value.get(name) is not None), None)
    if isinstance(entries, dict):
        entries = list(entries)
    if isinstance(entries, list):
        return list(dict.fromkeys(name for name in map(_model_name, entries) if name))
    return (find_reported(value) if isinstance(value, dict) else None) or Reported()


def _model_name(entry: object) -> str | None:
    if isinstance(entry, dict):
        entry = next((entry[name] for name in ("id", "name", "model") if entry.get(name)), None)
    return well_formed(entry) if isinstance(entry, str) else None
