"""Every stall ends at its limit, and nothing that goes on is ended (SAFETY 3, figures 4, 5 and 22)."""

from __future__ import annotations

import asyncio
import gzip
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.client.conftest import CHUNKED, DONE, FINISH, HEAD, LIMIT_S, Close, Repeat, Sleep, Stall, chat, event
from vig_notebook.client import Client
from vig_notebook.client.watchdog import CONFIRM_S, LATE_S, Watchdog
from vig_notebook.errors import TimedOut, TooLarge, Truncated, VigthoriaError
from vig_notebook.settings import Endpoint, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import ScriptedServer, Step

NOTHING = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'

STALLS: dict[str, tuple[Step, ...]] = {
    "before the headers": (Stall(),),
    "in the headers": (HEAD[:30], Stall()),
    "before the first byte": (HEAD, Stall()),
    "after text": (HEAD + event("a"), Stall()),
    "endless comments": (HEAD + event("a"), Repeat(b": keep-alive\n\n", 0.02)),
    "endless comments from the start": (HEAD, Repeat(b": keep-alive\n\n", 0.02)),
    "endless keep-alive data": (HEAD + event("a"), Repeat(b"data: : keepalive\n\n", 0.02)),
    "endless empty deltas": (HEAD + event("a"), Repeat(NOTHING, 0.02)),
    "endless pings": (HEAD + event("a"), Repeat(b"event: ping\ndata: {}\n\n", 0.02)),
    "endless usage": (HEAD + event("a"), Repeat(b'data: {"choices":[],"usage":{"total_tokens":1}}\n\n', 0.02)),
    "a byte each 0.2 s": (HEAD + event("a") + b"data: ", Repeat(b"x", 0.2)),
    "comments without a pause": (HEAD + event("a"), Repeat(b": flood\n" * 1000, 0.001)),
    "empty lines without a pause": (HEAD + event("a"), Repeat(b"\n" * 8000, 0.001)),
    "a broken chunk header": (CHUNKED + b"4\r\n: a\n\r\n", Sleep(0.02), b"zz\r\n", Stall()),
}  # fmt: skip


class LostTime:
    """Counts how long the loop stood still because the machine was busy with others, and what that may cost.

    What this thread itself was busy with is no excuse. A timer that is late makes the watchdog ask again.

    Attributes:
        seconds: By how much a limit may act later for it.
    """

    TICK_S = 0.005

    def __init__(self) -> None:
        self.seconds = 0.0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> LostTime:
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _wait(self) -> None:
        self._due, self._cpu_s = time.monotonic() + self.TICK_S, time.thread_time()
        self._timer = self._loop.call_later(self.TICK_S, self._tick)

    def _tick(self) -> None:
        late_s = time.monotonic() - self._due - (time.thread_time() - self._cpu_s)
        self.seconds += max(0.0, late_s)
        if late_s > LATE_S - self.TICK_S:
            self.seconds += CONFIRM_S
        self._wait()


@pytest.mark.parametrize("steps", STALLS.values(), ids=STALLS)
async def test_stall_ends_at_its_limit(
    steps: tuple[Step, ...], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*steps)
    async with make_client(first_byte_timeout_s=0.4, idle_timeout_s=0.4) as client:
        with LostTime() as lost:
            begun = time.monotonic()
            with pytest.raises(VigthoriaError) as caught:
                await client.complete(chat())
            taken_s = time.monotonic() - begun
    assert taken_s - lost.seconds < 0.9
    assert caught.value.kind in {"timeout", "truncated"}
    assert caught.value.completion is not None
    await asyncio.wait_for(server.closed.get(), LIMIT_S)


async def test_timeouts_say_what_to_do(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(HEAD + event("a"), Stall())
    async with make_client(idle_timeout_s=0.1) as client:
        with pytest.raises(TimedOut) as caught:
            await client.complete(chat())
    assert str(caught.value) == (
        f"Nothing new from 127.0.0.1:{server.port} for 0.1 s. "
        "The text so far is kept. Try again, or give idle_timeout_s more."
    )


async def test_connecting_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    endpoint = Endpoint(base_url="http://slow.example:1/v1")
    async with Client(endpoint=endpoint, limits=Limits(connect_timeout_s=0.1)) as client:
        with pytest.raises(TimedOut, match=r"No connection to slow\.example:1 within 0\.1 s"):
            await client.complete(chat())


async def test_total_limit_ends_a_stream_that_goes_on(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD, Repeat(event("a"), 0.02))
    async with make_client(total_timeout_s=0.3) as client:
        with pytest.raises(TimedOut, match=r"not whole within 0\.3 s") as caught:
            await client.complete(chat())
    assert caught.value.completion is not None
    assert caught.value.completion.text.startswith("aa")


async def test_slow_stream_with_content_goes_on(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    steps: list[Step] = [step for _ in range(6) for step in (event("a"), Sleep(0.15))]
    server.play(HEAD, *steps, DONE, Close())
    async with make_client(idle_timeout_s=0.4) as client:
        assert (await client.complete(chat())).text == "aaaaaa"


async def test_slow_reader_is_no_silence(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(HEAD + event("a"), Sleep(0.5), event("b") + DONE, Close())
    got = []
    async with make_client(idle_timeout_s=0.3) as client, client.stream(chat()) as chunks:
        async for chunk in chunks:
            got.append(chunk.choices[0].delta.content)
            await asyncio.sleep(0.6)
    assert got == ["a", "b"]


@pytest.mark.parametrize("when", ["before the first byte", "mid-stream"])
async def test_blocked_loop_is_no_timeout(
    when: str, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    pieces = [step for _ in range(4) for step in (event("a"), Sleep(0.05))]
    server.play(*([Sleep(0.2)] if when == "before the first byte" else []), HEAD, *pieces, DONE, Close())
    async with make_client(idle_timeout_s=0.3, first_byte_timeout_s=0.3) as client:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 1.0)
        assert (await client.complete(chat())).text == "aaaa"


async def test_loop_that_stands_still_again_and_again_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.client.watchdog.MAX_CONFIRMATIONS", 3)
    loop = asyncio.get_running_loop()
    dog = Watchdog(loop, place="x", total_timeout_s=None)
    dog.begin("idle", 0.05)
    over = False

    def block() -> None:
        time.sleep(0.06)
        if not over:
            loop.call_soon(block)

    loop.call_soon(block)
    dog.enter()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert dog.take_expiry(asyncio.current_task()) is not None
    dog.close()
    over = True


async def test_cancellation_by_two_is_not_a_timeout() -> None:
    dog = Watchdog(asyncio.get_running_loop(), place="x", total_timeout_s=0.01)

    async def wait() -> TimedOut | None:
        task = asyncio.current_task()
        assert task is not None
        dog.enter()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task.cancel()  # somebody else, at the same moment
            return dog.take_expiry(task)
        raise AssertionError("nobody cancelled")

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        assert await task is None
    dog.close()


@pytest.mark.parametrize("rest", [b": ping\n\n", b"data: {}\n\n" + FINISH, event("")])
async def test_nothing_new_after_the_finish_is_the_end(
    rest: bytes, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a") + FINISH, Repeat(rest, 0.02))
    async with make_client(finish_grace_s=0.2) as client:
        begun = time.monotonic()
        assert (await client.complete(chat())).finish_reason == "stop"
    assert 0.2 <= time.monotonic() - begun < 0.8


async def test_text_that_goes_on_after_a_finish_reason_is_not_cut(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    more = [step for _ in range(4) for step in (Sleep(0.05), event("c"))]
    server.play(HEAD + event("a"), Sleep(0.02), FINISH + event("b"), *more, DONE, Close())
    async with make_client(finish_grace_s=0.1) as client:
        assert (await client.complete(chat())).text == "abcccc"


@pytest.mark.parametrize("reason", ["", ',"finish_reason":"stop"'])
async def test_text_that_follows_a_finish_reason_alone_is_waited_for_anew(
    reason: str, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"c"}%b}]}\n\n' % reason.encode()
    more = [step for _ in range(8) for step in (Sleep(0.05), piece)]
    server.play(HEAD + event("a"), Sleep(0.02), FINISH, *more, Close())
    async with make_client(finish_grace_s=0.25) as client:
        assert (await client.complete(chat())).text == "a" + 8 * "c"


async def test_second_choice_is_waited_for(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    second = b'data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
    server.play(HEAD + event("a") + FINISH, Sleep(0.5), second, Stall())
    async with make_client(finish_grace_s=0.1) as client:
        completion = await client.complete(chat(n=2))
    assert [choice.text for choice in completion.choices] == ["a", "b"]


async def test_one_choice_of_two_is_not_the_whole(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(HEAD + event("a") + FINISH, Close())
    async with make_client() as client:
        with pytest.raises(Truncated) as caught:
            await client.complete(chat(n=2))
    assert caught.value.completion is not None
    assert caught.value.completion.text == "a"


async def test_one_choice_of_two_is_the_whole_when_the_server_ends_it(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    body = event("a") + FINISH
    server.play(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), Close())
    async with make_client() as client:
        completion = await client.complete(chat(n=2))
    assert [choice.text for choice in completion.choices] == ["a"]


def choice(index: int) -> bytes:
    return event("a").replace(b'"index":0', b'"index":%d' % index)


CAPS: dict[str, tuple[str, tuple[Step, ...]]] = {
    "line": ("max_line_bytes", (HEAD, Repeat(b"x" * 60_000))),
    "event": ("max_event_bytes", (HEAD, Repeat(b"data: " + b"x" * 60_000 + b"\n"))),
    "text": ("max_text_bytes", (HEAD, Repeat(event("x" * 1000)))),
    "choices": ("max_choices", (HEAD, *map(choice, range(200)), Stall())),
    "json": ("max_event_bytes", (HEAD + b"{", Repeat(b" " * 60_000))),
}  # fmt: skip


@pytest.mark.parametrize(("cap", "steps"), CAPS.values(), ids=CAPS)
async def test_cap_is_named(
    cap: str, steps: tuple[Step, ...], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*steps)
    caps = {"max_line_bytes": 200_000, "max_event_bytes": 300_000, "max_text_bytes": 100_000}
    async with make_client(**caps) as client:
        with pytest.raises(TooLarge) as caught:
            await client.complete(chat())
    assert caught.value.cap == cap
    assert cap in str(caught.value)
    assert caught.value.completion is not None


def bomb() -> bytes:
    head = HEAD.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
    return head + gzip.compress(b"x" * 100_000_000, compresslevel=1)


FLOODS: dict[str, tuple[Step, ...]] = {
    "text": (HEAD, Repeat(event("x" * 1000) * 50)),
    "line": (HEAD, *[b"x" * 1_000_000] * 600),
    "gzip bomb": (bomb(), Stall()),
    "error body": (b"HTTP/1.1 500 No\r\n\r\n", *[b"x" * 1_000_000] * 100),
}


@pytest.mark.parametrize("steps", FLOODS.values(), ids=FLOODS)
async def test_flood_is_capped_in_memory(
    steps: tuple[Step, ...], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*steps)
    tracemalloc.start()
    lags = [0.0]
    loop = asyncio.get_running_loop()

    def tick(planned: float) -> None:
        lags.append(loop.time() - planned)
        if lags:
            timers[0] = loop.call_later(0.01, tick, loop.time() + 0.01)

    timers = [loop.call_later(0.01, tick, loop.time() + 0.01)]
    try:
        async with make_client() as client:
            with pytest.raises(VigthoriaError):
                await client.complete(chat())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        timers[0].cancel()
        tracemalloc.stop()
    assert peak < 64 * 2**20
    assert max(lags) < 1.0 if sys.gettrace() else 0.5
