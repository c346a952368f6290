"""Pace, faults and hang-ups, over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.demo.conftest import LIMIT_S, Caller, content, request
from vig_notebook.demo import DemoServer
from vig_notebook.demo.models import Tempo, tempo_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def test_tempo_first_token_then_pace() -> None:
    tempo = tempo_of("demo", 40)
    assert [tempo.due_s(token) for token in (0, 1, 40)] == [0.25, 0.275, 1.25]


def test_tempo_slow_and_long_models_have_their_own() -> None:
    assert tempo_of("demo-slow", 40) == Tempo(first_token_s=2.0, pace_tokens_per_s=8)
    assert tempo_of("demo-long", 40).pace_tokens_per_s == 1_000


@pytest.mark.parametrize("model", ["demo", "demo-slow", "demo-long"])
def test_tempo_pace_0_waits_for_nothing(model: str) -> None:
    assert tempo_of(model, 0).due_s(20_000) == 0


@pytest.fixture
async def paced() -> AsyncIterator[Caller]:
    """A client of a server that writes 50 tokens a second."""
    server = DemoServer(pace=50)
    await server.start()
    headers = {"Authorization": f"Bearer {server.token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session:
        yield Caller(session, server)
    await server.stop()


async def test_stream_comes_token_by_token_at_its_pace(paced: Caller) -> None:
    clock = asyncio.get_running_loop().time
    start = clock()
    times = []
    async with paced.session.post(paced.url, json=request("Write a haiku about rain", stream=True)) as response:
        assert clock() - start < 0.2, "the headers come at once"
        async for line in response.content:
            if line.startswith(b"data: {"):
                times.append(clock() - start)
    assert times[0] >= 0.24
    assert len({round(time, 2) for time in times}) >= 8
    assert times[-1] >= 0.25 + (len(times) - 3) / 50


async def test_whole_reply_comes_when_its_last_token_is_due(paced: Caller) -> None:
    clock = asyncio.get_running_loop().time
    start = clock()
    reply = await paced.reply("What is 2 + 2?")
    assert clock() - start >= 0.25 + reply["usage"]["completion_tokens"] / 50


async def test_hang_up_in_mid_stream_is_seen_at_once(paced: Caller) -> None:
    async with paced.session.post(paced.url, json=request("Explain rain", stream=True)) as response:
        await response.content.readany()
    closed = asyncio.get_running_loop().time()
    await asyncio.wait_for(paced.server.wait_closed_early(), 1)
    assert asyncio.get_running_loop().time() - closed < 0.5
    assert (paced.server.requests, paced.server.closed_early) == (1, 1)


async def test_hang_up_before_the_first_token_is_seen(paced: Caller) -> None:
    async with paced.session.post(paced.url, json=request("Explain rain", stream=True)):
        pass
    await asyncio.wait_for(paced.server.wait_closed_early(), 1)


async def test_hang_up_while_a_whole_reply_is_awaited_is_seen(paced: Caller) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(paced.reply("Explain rain"), 0.1)
    await asyncio.wait_for(paced.server.wait_closed_early(), 1)
    assert paced.server.requests == 1


async def test_hang_up_of_a_client_that_does_not_read_is_seen(caller: Caller) -> None:
    port = int(caller.server.base_url.split(":")[2].split("/")[0])
    body = json.dumps(request("Explain rain", model="demo-long", stream=True, n=16)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {caller.server.token}\r\nContent-Length: {len(body)}\r\n"
    kind = "Content-Type: application/json\r\n\r\n"
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}{kind}".encode() + body)
    await reader.readline()
    writer.transport.abort()
    await asyncio.wait_for(caller.server.wait_closed_early(), LIMIT_S)


async def test_many_hang_ups_are_all_seen(caller: Caller) -> None:
    for _ in range(30):
        async with caller.session.post(
            caller.url, json=request("Explain rain", model="demo-stall", stream=True)
        ) as got:
            await got.content.readany()
    await asyncio.wait_for(caller.server.wait_closed_early(30), LIMIT_S)
    await caller.reply()
    assert caller.server.closed_early == 30


@pytest.mark.parametrize(("model", "status"), [("demo-401", 401), ("demo-429", 429), ("demo-500", 500)])
@pytest.mark.parametrize("stream", [True, False])
async def test_fault_status_has_an_error_body(caller: Caller, model: str, status: int, *, stream: bool) -> None:
    seen, error = await caller.refused(model=model, stream=stream)
    assert seen == status
    assert model in error["message"]


async def test_fault_429_says_when_to_try_again_each_time(caller: Caller) -> None:
    for _ in range(3):
        async with caller.session.post(caller.url, json=request("x", model="demo-429")) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "2")


async def test_fault_html_is_a_page_with_status_200(caller: Caller) -> None:
    async with caller.session.post(caller.url, json=request("x", model="demo-html", stream=True)) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "demo-html" in await response.text()


async def read_until_error(response: aiohttp.ClientResponse) -> tuple[bytes, Exception]:
    """What comes, and what then goes wrong; silence of 0.2 s is a TimeoutError."""
    got = b""
    while True:
        try:
            got += await asyncio.wait_for(response.content.readany(), 0.2)
        except (aiohttp.ClientPayloadError, TimeoutError) as error:
            return got, error


@pytest.mark.parametrize("stream", [True, False])
async def test_fault_cut_ends_the_connection_in_mid_answer(caller: Caller, *, stream: bool) -> None:
    body = request("Explain rain", model="demo-cut", stream=stream)
    async with caller.session.post(caller.url, json=body) as response:
        got, error = await read_until_error(response)
    assert isinstance(error, aiohttp.ClientPayloadError)
    assert b"rain" in got
    assert b'finish_reason":"stop' not in got
    assert b"[DONE]" not in got
    assert caller.server.closed_early == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_fault_stall_falls_silent_until_the_client_leaves(caller: Caller, *, stream: bool) -> None:
    body = request("Explain rain", model="demo-stall", stream=stream)
    async with caller.session.post(caller.url, json=body) as response:
        got, error = await read_until_error(response)
    assert isinstance(error, TimeoutError)
    assert b"rain" in got
    await asyncio.wait_for(caller.server.wait_closed_early(), 1)


async def test_fault_error_reports_it_inside_the_stream(caller: Caller) -> None:
    chunks = await caller.chunks(model="demo-error")
    assert "rain" in content(chunks)
    assert "demo-error" in chunks[-1]["error"]["message"]
    assert "demo-error" in (await caller.reply(model="demo-error"))["error"]["message"]
