"""The decoder against the standard: the WPT format tests by name, and the law that no cut matters."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vig_notebook.errors import TooLarge
from vig_notebook.wire.sse import EventStreamDecoder, ServerSentEvent, encode

E = ServerSentEvent

# name of the WPT test (eventsource/NAME.any.js), the body, the events that it expects
WPT: list[tuple[str, bytes, list[ServerSentEvent]]] = [
    ("format-bom", b"\xef\xbb\xbfdata:1\n\ndata:2\n\n", [E(data="1"), E(data="2")]),
    ("format-bom-2", b"\xef\xbb\xbf\xef\xbb\xbfdata:1\n\ndata:2\n\ndata:3\n\n", [E(data="2"), E(data="3")]),
    (
        "format-comments",
        b"data:1\n:" + b"x" * 4096 + b"\n:\ndata:2\n:" + b"\0" + b"x" * 2048 + b"\ndata:3\n:data:fail\n:\ndata:4\n\n",
        [E(data="1\n2\n3\n4")],
    ),
    (
        "format-data-before-final-empty-line",
        b"retry:1000\ndata:test1\n\nid:test\ndata:test2",
        [E(data="test1", retry=1000)],
    ),
    ("format-field-data", b"data:\n\ndata\ndata\n\ndata:test\n\n", [E(data=""), E(data="\n"), E(data="test")]),
    ("format-field-event", b"event:test\ndata:x\n\ndata:x\n\n", [E("test", "x"), E(data="x")]),
    ("format-field-event-empty", b"event: \ndata:data\n\n", [E(data="data")]),
    ("format-field-id", b"id: \xe2\x80\xa6\ndata:1\n\ndata:2\n\n", [E(data="1", id="…"), E(data="2", id="…")]),
    (
        "format-field-id-2",
        b"id: a\ndata:1\n\nid\ndata:2\n\ndata:3\n\n",
        [E(data="1", id="a"), E(data="2"), E(data="3")],
    ),
    ("format-field-id-3", b"id:1\ndata:1\n\nid:\n\ndata:2\n\n", [E(data="1", id="1"), E(data="2")]),
    ("format-field-id-null", b"id: a\0b\ndata:1\n\nid:\0\ndata:2\n\n", [E(data="1"), E(data="2")]),
    (
        "format-field-parsing",
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\r"
        b"data:\r\n data:32\ndata:4\n\n",
        [E(data="\0\n 2\n1\n3\n\n4")],
    ),
    ("format-field-retry", b"retry:03000\ndata:x\n\n", [E(data="x", retry=3000)]),
    ("format-field-retry-bogus", b"retry:3000\nretry:1000x\ndata:x\n\n", [E(data="x", retry=3000)]),
    ("format-field-retry-empty", b"retry\ndata:test\n\n", [E(data="test")]),
    (
        "format-field-unknown",
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n",
        [E(data="test\n")],
    ),
    ("format-leading-space", b"data:\ttest\rdata: \ndata:test\n\n", [E(data="\ttest\n\ntest")]),
    ("format-newlines", b"data:test\r\ndata\ndata:test\r\n\r", [E(data="test\n\ntest")]),
    ("format-null-character", b"data:\0\n\n\n\n", [E(data="\0")]),
    ("format-utf-8", b"data:ok\xe2\x80\xa6\n\n", [E(data="ok…")]),
    (
        "event-data",
        b"data:msg\ndata:msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nid:\n\ndata\n\ndata:end\n\n",
        [E(data="msg\nmsg"), E(data=""), E(data="end")],
    ),
]

# Beside WPT: what servers of language models send, and what only hurts when it is cut.
OURS: list[tuple[str, bytes, list[ServerSentEvent]]] = [
    ("LF CR is two ends", b"data:1\n\rdata:2\n\r", [E(data="1"), E(data="2")]),
    ("CR only", b"data:1\rdata:2\r\rdata:3\r\r", [E(data="1\n2"), E(data="3")]),
    ("CRLF only", b"data: 1\r\n\r\ndata: 2\r\n\r\n", [E(data="1"), E(data="2")]),
    ("CR, then CRLF", b"data:1\r\r\ndata:2\r\n\r\n", [E(data="1"), E(data="2")]),
    (
        "no other line ends",
        "data:a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\n".encode(),
        [E(data="a\u2028b\u2029c\x85d\x0be\x0cf\x1cg")],
    ),
    ("a bad byte", b"data: a\xffb\n\n", [E(data="a\ufffdb")]),
    ("a cut sequence before a line end", b"data: a\xe2\x80\n\n", [E(data="a\ufffd")]),
    ("an overlong sequence", b"data: \xc0\xaf\n\n", [E(data="\ufffd\ufffd")]),
    ("a surrogate in UTF-8", b"data: \xed\xa0\xbd\n\n", [E(data="\ufffd\ufffd\ufffd")]),
    ("a bad comment", b":\xff\ndata: 1\n\n", [E(data="1")]),
    (
        "a BOM later is a character",
        b"data: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: \xef\xbb\xbf3\n\n",
        [E(data="1"), E(data="\ufeff3")],
    ),
    ("half a BOM", b"\xef\xbbdata: 1\n\ndata: 2\n\n", [E(data="2")]),
    ("a type does not stick to a block without data", b"event: a\n\ndata: 1\n\n", [E(data="1")]),
    ("a retry of a block without data", b"retry: 5\n\ndata: 1\n\ndata: 2\n\n", [E(data="1", retry=5), E(data="2")]),
    ("a retry of zero", b"retry: 0\ndata: 1\n\n", [E(data="1", retry=0)]),
    ("a retry below zero", b"retry: -5\ndata: 1\n\n", [E(data="1")]),
    ("a retry of other digits", "retry: \u0663\ndata: 1\n\n".encode(), [E(data="1")]),
    ("a retry beyond reason", b"retry: " + b"9" * 5000 + b"\ndata: 1\n\n", [E(data="1", retry=10**15)]),
    ("a comment and a blank line after an id", b"id: 1\n: hi\n\ndata: 2\n\n", [E(data="2", id="1")]),
    ("an id without its blank line", b"data: 1\n\nid: 9\n", [E(data="1")]),
    ("several in one read", b"data: 1\n\ndata: 2\n\ndata: 3\n\n", [E(data="1"), E(data="2"), E(data="3")]),
    ("many blank lines", b"data: 1\n\n\ndata: 2\n\n\n\n", [E(data="1"), E(data="2")]),
    ("other fields between", b"data: 1\n\n:x\n\ndata: 2\n\n", [E(data="1"), E(data="2")]),
    ("no space after the colon", b"data: 1\n\ndata:2\n\n", [E(data="1"), E(data="2")]),
    ("without an error field", b'error: {"x":1}\n\n{"y":2}\n\ndata: 1\n\n', [E(data="1")]),
    ("nothing", b"", []),
]

CASES = [pytest.param(body, events, id=name) for name, body, events in WPT + OURS]

PIECES = [
    *(b"data", b"data:", b"data: ", b"event", b"event: x", b"id", b"id:", b"id: 7", b"retry:", b"retry: 15", b": c"),
    *(b"\r\n", b"\n", b"\r", b"\n\n", b"\n\n", b"\r\n\r\n", b" ", b"\0", b"\xef\xbb\xbf", b"\xe2", b"\x80", b"\xa6"),
    *(b"\xf0\x9f", b"\x98\x80", b"\xff", b"a", b"1", b"data: x\n\n", b"{", b"error: ", b"\xe2\x80\xa8"),
]
STREAMS = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join) | st.binary(max_size=60)


def feed_all(pieces: list[bytes], *, lenient: bool = False, cap: int = 10_000) -> tuple[list[ServerSentEvent], str]:
    """The events of a cut stream and what its end leaves, and the cap that ended it."""
    decoder = EventStreamDecoder(lenient=lenient, max_line_bytes=cap, max_event_bytes=cap)
    events: list[ServerSentEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += [E("flushed", decoder.last_event_id), *decoder.flush()]
    except TooLarge as error:
        return events, error.cap
    return events, ""


def feed_each(decoder: EventStreamDecoder, pieces: list[bytes]) -> list[ServerSentEvent]:
    return [event for piece in pieces for event in decoder.feed(piece)]


def cut_at(body: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[a:b] for a, b in pairwise(ends)]


@pytest.mark.parametrize(("body", "events"), CASES)
def test_feed_whole_body_gives_its_events(body: bytes, events: list[ServerSentEvent]) -> None:
    assert EventStreamDecoder().feed(body) == events


@pytest.mark.parametrize(("body", "events"), CASES)
def test_feed_byte_by_byte_gives_the_same_events(body: bytes, events: list[ServerSentEvent]) -> None:
    decoder = EventStreamDecoder()
    assert [event for i in range(len(body)) for event in decoder.feed(body[i : i + 1])] == events


@pytest.mark.parametrize(("body", "events"), [case for case in CASES if len(case.values[0]) < 200])  # type: ignore[arg-type]
def test_feed_cut_anywhere_gives_the_same_events(body: bytes, events: list[ServerSentEvent]) -> None:
    for place in range(len(body) + 1):
        decoder = EventStreamDecoder()
        assert decoder.feed(body[:place]) + decoder.feed(b"") + decoder.feed(body[place:]) == events


@given(body=STREAMS, places=st.lists(st.integers(0, 200), max_size=8), lenient=st.booleans())
def test_feed_any_cut_changes_nothing(body: bytes, places: list[int], *, lenient: bool) -> None:
    assert feed_all(cut_at(body, places), lenient=lenient) == feed_all([body], lenient=lenient)


@given(body=STREAMS, places=st.lists(st.integers(0, 200), max_size=8), cap=st.integers(1, 20))
def test_feed_any_cut_reaches_the_same_cap(body: bytes, places: list[int], cap: int) -> None:
    assert feed_all(cut_at(body, places), cap=cap) == feed_all([body], cap=cap)


def test_feed_usual_gives_the_data_of_one_line_events() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(b"data: 0\n\nda") == [E(data="0")]
    assert decoder.feed_usual(b"ta: 1\n\ndata: 2\n\ndata: 3") == ["1", "2"]
    assert decoder.feed(b"\n\n") == [E(data="3")]
    assert decoder.feed_usual(b"data: \xff\n\ndata: \n\ndat") == ["\ufffd", ""]


@pytest.mark.parametrize(
    "data",
    [
        *(b"data: 1", b"data: 1\n", b"data: 1\r\n\r\n", b"data:1\n\n", b"data: 1\n\n\n\n", b"\n\n"),
        *(b"data: 1\n\n{}\n", b"data: 1\n\nerror: 2\n", b"data: 1\n\ndata: 2\n"),
        *(b"data: 1\ndata: 2\n\n", b": c\n\ndata: 1\n\n", b"data: 1\n\nid: 7\ndata: 2\n\n", b"data: %d\n\n" % 10**99),
    ],
)
def test_feed_usual_reads_nothing_of_what_is_otherwise(data: bytes) -> None:
    decoder, other = (EventStreamDecoder(max_line_bytes=99, lenient=True) for _ in range(2))
    assert decoder.feed(b"data: 0\n\n") == other.feed(b"data: 0\n\n") == [E(data="0")]
    assert decoder.feed_usual(data) is None
    with suppress(TooLarge):
        assert decoder.feed(data) == other.feed(data)
    assert decoder.pending_data == other.pending_data


def test_feed_gives_an_event_at_its_blank_line_and_not_later() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(b"data: 1\r\n\r") == [E(data="1")]
    assert decoder.feed(b"\ndata: 2\n") == []
    assert decoder.feed(b"\n") == [E(data="2")]


def test_reconnection_time_and_last_event_id_stay() -> None:
    decoder = EventStreamDecoder()
    assert (decoder.reconnection_time_ms, decoder.last_event_id) == (None, "")
    decoder.feed(b"retry: 2500\nid: 4\ndata: 1\n\ndata: 2\n\nid: 5\n")
    assert (decoder.reconnection_time_ms, decoder.last_event_id) == (2500, "4")


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: [DONE]", [E(data="[DONE]")]),
        (b"data: [DONE]\n", [E(data="[DONE]")]),
        (b"id: 3\nevent: x\ndata: a\ndata: b", [E("x", "a\nb", "3")]),
        (b"data: a\xe2\x80", [E(data="a\ufffd")]),
        (b"data: 1\n\n", []),
        (b": comment", []),
        (b"\xef\xbb", []),
        (b"", []),
    ],
)
def test_flush_gives_what_no_blank_line_ended(body: bytes, events: list[ServerSentEvent]) -> None:
    decoder = EventStreamDecoder()
    decoder.feed(body)
    assert decoder.flush() == events
    assert decoder.flush() == []


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"data: [DONE]", "[DONE]"),
        (b"data:[DONE]", "[DONE]"),
        (b"data: [DONE]\n", "[DONE]"),
        (b"data: [DONE]\nid: 4", "[DONE]"),
        (b"data: a\ndata: b", "a\nb"),
        (b"data: a\ndata: b\ndata", None),
        (b"data: " + b"x" * 100, None),
        (b"data", ""),
        (b"dat", None),
        (b"data: [DONE]\n\n", None),
        (b"", None),
    ],
)
def test_pending_data_is_what_has_come_of_a_short_event(body: bytes, data: str | None) -> None:
    decoder = EventStreamDecoder()
    decoder.feed(body)
    assert decoder.pending_data == data


def test_stray_text_is_the_first_lines_that_are_nothing_in_the_format() -> None:
    decoder = EventStreamDecoder(lenient=True)
    decoder.feed(b": c\nid: 1\nretry: x\nevent\ndata: 1\n\nBad Gateway\n\n{}\ndat")
    assert decoder.stray_text == "Bad Gateway\n{}\n"
    decoder.feed(b"\n" + b"x" * 5_000 + b"\n" + b"y\n")
    assert decoder.stray_text == "Bad Gateway\n{}\n" + "x" * 2_000 + "\n"


def test_lenient_gives_error_lines_and_bare_json_in_their_place() -> None:
    decoder = EventStreamDecoder(lenient=True)
    body = b'data: 1\n\nerror: {"code":500}\n\n{"error":"x"}\nid: 3\ndata: 2\nerror:y\ndata: 3\n\nfoo: 1\n'
    assert decoder.feed(body) == [
        E(data="1"),
        E("error", '{"code":500}'),
        E(data='{"error":"x"}'),
        E("error", "y"),
        E(data="2\n3", id="3"),
    ]


def test_lenient_flush_gives_bare_json_without_its_line_end() -> None:
    decoder = EventStreamDecoder(lenient=True)
    assert decoder.feed(b'{"error":"x"}') == []
    assert decoder.flush() == [E(data='{"error":"x"}')]


# --- caps


def test_feed_endless_line_is_too_large_at_its_cap() -> None:
    decoder = EventStreamDecoder(max_line_bytes=1_000_000)
    piece = b"data: " + b"x" * 65_530
    with pytest.raises(TooLarge) as caught:
        feed_each(decoder, [piece] * 10_000)
    assert caught.value.cap == "max_line_bytes"
    assert str(caught.value) == (
        "The answer was stopped because a line of the stream is too long: more than 1,000,000 bytes"
        " (max_line_bytes). A server that streams text has no need of it; raise the limit only for one you trust."
    )


def test_feed_long_line_in_one_read_gives_the_events_before_it_first() -> None:
    decoder = EventStreamDecoder(max_line_bytes=20)
    assert decoder.feed(b"data: 1\n\ndata: " + b"x" * 20 + b"\n\ndata: 2\n\n") == [E(data="1")]
    for call in (lambda: decoder.feed(b""), decoder.flush):
        with pytest.raises(TooLarge, match="max_line_bytes"):
            call()


def test_feed_long_event_before_whole_ones_gives_what_was_before_it() -> None:
    decoder = EventStreamDecoder(max_event_bytes=31, lenient=True)
    decoder.feed(b"data: 12345678901234\ndata: 12345678901234")
    assert decoder.feed(b"5\n{}\ndata: 1\n\ndata: 2\n\ndata") == [E(data="{}")]
    with pytest.raises(TooLarge, match="max_event_bytes"):
        decoder.feed(b"data: 3\n\n")


def test_feed_line_of_exactly_the_cap_is_read() -> None:
    assert EventStreamDecoder(max_line_bytes=8).feed(b"data: 12\n\n") == [E(data="12")]


def test_feed_endless_event_is_too_large_at_its_cap() -> None:
    decoder = EventStreamDecoder(max_event_bytes=100)
    with pytest.raises(TooLarge) as caught:
        feed_each(decoder, ["data: éé\n".encode()] * 100)
    assert caught.value.cap == "max_event_bytes"
    assert "the data of an event is too long: more than 100 bytes (max_event_bytes)" in str(caught.value)


def test_flush_event_over_its_cap_is_too_large() -> None:
    decoder = EventStreamDecoder(max_event_bytes=10)
    decoder.feed(b"data: 1234567890")
    with pytest.raises(TooLarge, match="max_event_bytes"):
        decoder.flush()


def test_feed_caps_count_anew_for_each_event() -> None:
    decoder = EventStreamDecoder(max_event_bytes=8, max_line_bytes=40)
    events = [event for _ in range(50) for event in decoder.feed(b"data: 12\ndata: 34\n\n")]
    assert events == [E(data="12\n34")] * 50


def cpu_s(size: int, *, step: int) -> float:
    """CPU time of one long line, `step` bytes a read."""
    decoder, piece = EventStreamDecoder(), b"x" * step
    start = time.process_time()
    for _ in range(size // step):
        decoder.feed(piece)
    decoder.feed(b"\n")
    return time.process_time() - start


def test_feed_byte_by_byte_takes_linear_time() -> None:
    once = min(cpu_s(10_000, step=1) for _ in range(3))
    assert min(cpu_s(40_000, step=1) for _ in range(2)) < 10 * once


# --- encode


def test_encode_writes_only_what_is_set() -> None:
    assert encode(E(data="x")) == b"data: x\n\n"
    assert encode(E("a", "x\ny", "7", 10)) == b"event: a\nid: 7\nretry: 10\ndata: x\ndata: y\n\n"
    assert encode(E(data="a\r\nb\rc")) == b"data: a\ndata: b\ndata: c\n\n"
    assert encode(E(data="\ud83d")) == "data: \ufffd\n\n".encode()


@pytest.mark.parametrize("event", [E("a\nb"), E("a\rb"), E(id="a\nb"), E(id="\0")])
def test_encode_what_would_be_read_otherwise_is_refused(event: ServerSentEvent) -> None:
    with pytest.raises(ValueError, match="must be one line"):
        encode(event)


NO_LINE_END = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=8)
EVENTS = st.builds(
    E,
    event=NO_LINE_END.filter(bool),
    data=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20),
    id=NO_LINE_END.filter(bool),
    retry=st.none() | st.integers(0, 10**14),
)


@settings(max_examples=60)
@given(st.lists(EVENTS, max_size=4))
def test_encode_is_decoded_to_the_same(events: list[ServerSentEvent]) -> None:
    assert EventStreamDecoder().feed(b"".join(map(encode, events))) == events
