"""CPU time of the wire per chunk, against a bare loop that trusts the server.

Run it with `python benchmarks/wire.py`. Both loops read the same bytes in the same process, in turns, and the median
of their ratios is what counts: the bar is 1.6.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import msgspec

from vig_notebook.wire.accumulate import CompletionBuilder
from vig_notebook.wire.chat import decode_chunk
from vig_notebook.wire.sse import EventStreamDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNKS = 50_000
ROUNDS = 9
BAR = 1.6
# How many events one read of the socket brings: a slow server, a proxy that gathers, a replay.
EVENTS_PER_READ = (1, 4, 64)

TEMPLATES = {
    "usual": (
        '{"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1718000000,'
        '"model":"vigthoria-creative-v2","choices":[{"index":0,"delta":{"content":" word%d"},'
        '"logprobs":null,"finish_reason":null}]}'
    ),
    "short": '{"choices":[{"delta":{"content":"In%d"}}]}',
    "Cyrillic": (
        '{"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1718000000,'
        '"model":"vigthoria-creative-v2","choices":[{"index":0,"delta":{"content":" слово%d"},'
        '"logprobs":null,"finish_reason":null}]}'
    ),
}


class BareDelta(msgspec.Struct):
    """Only what the bare loop reads."""

    content: str | None = None


class BareChoice(msgspec.Struct):
    """Only what the bare loop reads."""

    delta: BareDelta
    index: int = 0
    finish_reason: str | None = None


class BareChunk(msgspec.Struct):
    """Only what the bare loop reads."""

    choices: list[BareChoice]
    id: str | None = None
    model: str | None = None


def read_bare(reads: list[bytes]) -> str:
    """The least that gives the text of a stream that has no surprises."""
    pieces = []
    buffer = b""
    for data in reads:
        *events, buffer = (buffer + data).split(b"\n\n")
        for event in events:
            chunk = msgspec.json.decode(event.removeprefix(b"data: "), type=BareChunk)
            content = chunk.choices[0].delta.content
            if content:
                pieces.append(content)
    return "".join(pieces)


def read_ours(reads: list[bytes]) -> str:
    """The same through the rooms of the wire."""
    decoder, builder = EventStreamDecoder(lenient=True), CompletionBuilder()
    for data in reads:
        texts = decoder.feed_usual(data)
        if texts is not None:
            for _ in builder.add_usual(iter(texts)):
                pass
        else:
            for event in decoder.feed(data):
                builder.add(decode_chunk(event.data, event=event.event))
    return builder.text


def cpu_s(read: Callable[[list[bytes]], str], reads: list[bytes]) -> float:
    """CPU seconds of one run."""
    start = time.process_time()
    read(reads)
    return time.process_time() - start


def main() -> None:
    """Print a line for each sort of stream."""
    for name, template in TEMPLATES.items():
        events = [b"data: %s\n\n" % (template % i).encode() for i in range(CHUNKS)]
        for count in EVENTS_PER_READ:
            reads = [b"".join(events[i : i + count]) for i in range(0, CHUNKS, count)]
            assert read_bare(reads) == read_ours(reads)
            pairs = [(cpu_s(read_bare, reads), cpu_s(read_ours, reads)) for _ in range(ROUNDS)]
            bare, ours = (statistics.median(times) / CHUNKS * 1e6 for times in zip(*pairs, strict=True))
            ratio = statistics.median(ours / bare for bare, ours in pairs)
            verdict = "ok" if ratio <= BAR else f"over {BAR}"
            print(f"{name:8} {count:2} a read: bare {bare:.2f} us, ours {ours:.2f} us, ratio {ratio:.2f} {verdict}")


if __name__ == "__main__":
    main()
