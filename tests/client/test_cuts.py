"""The law of the wire, for the whole client: where the reads end says nothing of what the answer is."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.client.conftest import HEAD, Sleep
from tests.client.test_streams import ROWS, Row
from vig_notebook.client.foreign import Place
from vig_notebook.client.stream import ChatStream
from vig_notebook.client.watchdog import Watchdog
from vig_notebook.errors import VigthoriaError
from vig_notebook.settings import Limits

SHORT = 4_000
"""Longer bodies are of one large text, and would only cost time here."""


class Reads:
    """An exchange whose reads give what a test wants, and then the end."""

    place = Place("http://any:1", None)
    status, request_id, content_type, is_framed = 200, None, "", False
    queue_s = retry_wait_s = connect_s = elapsed_s = 0.0

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)
        self.watchdog = Watchdog(asyncio.get_running_loop(), place="any", total_timeout_s=None)

    async def open(self) -> None:
        pass

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def close(self, *, whole: bool) -> None:
        self.watchdog.close()


async def answer(pieces: list[bytes]) -> tuple[Any, ...]:
    """What a caller is given: the text piece by piece, the completion, the error."""
    given_out, failed = "", None
    exchange: Any = Reads(pieces)
    stream = ChatStream(lambda: exchange, Limits())
    try:
        async with stream as chunks:
            async for chunk in chunks:
                given_out += "".join(choice.delta.content or "" for choice in chunk.choices if not choice.index)
    except VigthoriaError as error:
        failed = (error.kind, error.server_message, error.code)
    completion = stream.completion()
    return given_out, failed, completion.choices, completion.usage, completion.model, completion.extra


def body(row: Row) -> bytes:
    """All that is sent, without the head; b"" where more than bytes is sent."""
    steps = [step for step in row.steps if not isinstance(step, Sleep)]
    whole = b"".join(step for step in steps if isinstance(step, bytes))
    is_plain = all(isinstance(step, bytes) for step in steps) and whole.startswith(HEAD)
    return whole[len(HEAD) :] if is_plain else b""


BODIES = [body(row) for row in ROWS if 0 < len(body(row)) < SHORT]


@given(data=st.sampled_from(BODIES), places=st.lists(st.integers(0, SHORT), max_size=8))
@example(data=b'data: {"choices":[]}\n\n', places=[2])
def test_any_cut_gives_the_same_answer(data: bytes, places: list[int]) -> None:
    ends = [0, *sorted(place % len(data) for place in places), len(data)]
    pieces = [data[start:end] for start, end in pairwise(ends) if end > start]
    assert asyncio.run(answer(pieces)) == asyncio.run(answer([data]))


def test_a_byte_a_read_gives_the_same_answer() -> None:
    async def compare() -> None:
        for data in BODIES:
            assert await answer([data[at : at + 1] for at in range(len(data))]) == await answer([data])

    assert len(BODIES) > 100
    asyncio.run(compare())
