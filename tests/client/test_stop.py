"""Leaving early closes the socket at once; a whole answer keeps it; nothing is left behind (figures 9, 21, 23)."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.client.conftest import (
    CHUNKED,
    DONE,
    FINISH,
    HEAD,
    LIMIT_S,
    Close,
    KeepOpen,
    Reset,
    Sleep,
    Stall,
    answer,
    chat,
    event,
)
from tests.conftest import open_sockets
from vig_notebook.client import Client
from vig_notebook.errors import ConfigError, Truncated, VigthoriaError
from vig_notebook.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import ScriptedServer, Step

WHOLE = answer("200 OK", event("ok") + FINISH + DONE, "Content-Type: text/event-stream")


async def read_forever(client: Client, begun: asyncio.Event) -> None:
    async with client.stream(chat()) as chunks:
        async for _ in chunks:
            begun.set()


async def test_hundred_stops_close_the_socket_at_once(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a"), Stall())
    delays = []
    async with make_client() as client:
        for _ in range(100):
            begun = asyncio.Event()
            task = asyncio.create_task(read_forever(client, begun))
            await asyncio.wait_for(begun.wait(), LIMIT_S)
            stopped = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            delays.append(await asyncio.wait_for(server.closed.get(), LIMIT_S) - stopped)
    assert sorted(delays)[94] <= 0.1


@pytest.mark.parametrize("steps", [(Stall(),), (HEAD[:20], Stall()), (HEAD, Stall())])
async def test_cancel_before_the_first_byte_closes_the_socket(
    steps: tuple[Any, ...], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*steps)
    async with make_client() as client:
        task = asyncio.create_task(client.complete(chat()))
        await asyncio.wait_for(server.asked.wait(), LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.get(), 0.5)


async def test_break_closes_a_socket_that_a_fork_has_as_well(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a"), Stall())
    async with make_client() as client, client.stream(chat()) as chunks:
        await anext(chunks)
        response: Any = chunks._exchange._response  # type: ignore[union-attr]
        with response.connection.transport.get_extra_info("socket").dup():
            await chunks.__aexit__(None, None, None)
            await asyncio.wait_for(server.closed.get(), LIMIT_S)


async def test_break_closes_the_socket_and_keeps_the_text(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a") + event("b"), Stall())
    async with make_client() as client:
        async with client.stream(chat()) as chunks:
            async for _ in chunks:
                break
        await asyncio.wait_for(server.closed.get(), 0.5)
        assert chunks.completion().text == "a"
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_cancel_from_outside_wins_over_the_watchdog(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a"), Stall())
    async with make_client(idle_timeout_s=0.1) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.complete(chat())


async def test_watchdog_leaves_no_cancellation_behind(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a"), Stall())
    async with make_client(idle_timeout_s=0.1) as client:
        with pytest.raises(VigthoriaError):
            await client.complete(chat())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_iterating_without_opening_is_an_error(make_client: Callable[..., Client]) -> None:
    async with make_client() as client:
        stream: Any = client.stream(chat())
        assert stream.completion().text == ""
        with pytest.raises(RuntimeError, match="open the stream first"):
            await anext(stream)


async def test_iterating_after_an_error_ends(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(HEAD + event("a"), Close())
    async with make_client() as client, client.stream(chat()) as chunks:
        await anext(chunks)
        with pytest.raises(Truncated):
            await anext(chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_whole_answers_share_a_connection(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(WHOLE, KeepOpen())
    async with make_client() as client:
        for _ in range(5):
            assert (await client.complete(chat())).timings.connect_s is not None
    assert server.connections == 1


async def test_end_that_comes_a_moment_after_done_keeps_the_connection(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    data = event("ok") + DONE
    server.play(CHUNKED + b"%x\r\n%b\r\n" % (len(data), data), Sleep(0.05), b"0\r\n\r\n", KeepOpen())
    async with make_client() as client:
        await client.complete(chat())
        await asyncio.sleep(0.15)
        await client.complete(chat())
        assert server.connections == 1


async def test_end_that_does_not_come_closes_the_connection(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(CHUNKED + b"%x\r\n%b\r\n" % (len(DONE), DONE), Stall())
    async with make_client() as client:
        await client.complete(chat())
        await asyncio.wait_for(server.closed.get(), 1.0)


async def test_closing_the_client_closes_what_still_drains(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(CHUNKED + b"%x\r\n%b\r\n" % (len(DONE), DONE), Stall())
    async with make_client() as client:
        await client.complete(chat())
    await asyncio.wait_for(server.closed.get(), 0.2)


async def test_closing_the_client_cuts_its_streams(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(HEAD + event("a"), Stall())
    client = make_client()
    begun = asyncio.Event()
    task = asyncio.create_task(read_forever(client, begun))
    await asyncio.wait_for(begun.wait(), LIMIT_S)
    await client.aclose()
    with pytest.raises(VigthoriaError):
        await asyncio.wait_for(task, 1.0)
    with pytest.raises(ConfigError, match="This client is closed"):
        await client.complete(chat())


async def test_closing_twice_and_unused(make_client: Callable[..., Client]) -> None:
    client = make_client()
    await client.aclose()
    await client.aclose()


def test_client_of_another_loop_is_an_error() -> None:
    client = Client("http://127.0.0.1:1/v1", limits=Limits(max_retries=0))

    async def ask() -> None:
        with pytest.raises(VigthoriaError):
            await client.complete(chat())

    async def ask_elsewhere() -> None:
        with pytest.raises(ConfigError, match="belongs to another event loop"):
            await client.complete(chat())

    with asyncio.Runner() as first:
        first.run(ask())
        asyncio.run(ask_elsewhere())
        first.run(client.aclose())


def test_no_server_is_chosen_is_an_error() -> None:
    with pytest.raises(ConfigError, match="Set VIGTHORIA_API_KEY or VIGTHORIA_BASE_URL"):
        Client()


async def test_numbers_come_before_the_limits() -> None:
    client = Client("http://127.0.0.1:1/v1", idle_timeout_s=1.0, limits=Limits(idle_timeout_s=2.0, max_retries=1))
    assert (client.limits.idle_timeout_s, client.limits.max_retries) == (1.0, 1)


async def test_thousand_requests_at_once_share_few_connections(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(WHOLE, KeepOpen())
    async with make_client(max_concurrency=20, connect_timeout_s=2.0) as client:
        answers = await asyncio.gather(*(client.complete(chat()) for _ in range(1000)))
    assert {completion.text for completion in answers} == {"ok"}
    assert server.connections <= 20
    assert max(completion.timings.queue_s or 0 for completion in answers) > 0


async def test_waiting_for_a_connection_has_no_limit_of_its_own(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a"), Sleep(0.5), DONE, Close()).play(WHOLE, Close())
    async with make_client(max_concurrency=1, connect_timeout_s=0.1) as client:
        first, second = await asyncio.gather(client.complete(chat()), client.complete(chat()))
    assert (first.text, second.text) == ("a", "ok")


async def test_two_hundred_cycles_leave_nothing(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    scripts: list[tuple[Step, ...]] = [
        (WHOLE, KeepOpen()),
        (HEAD + event("a"), Stall()),
        (HEAD + event("a"), Close()),
        (Reset(),),
        (answer("500 No"), Close()),
    ]
    for turn in range(200):
        server.play(*scripts[turn % 5])
    tasks = asyncio.all_tasks()
    sockets = open_sockets()
    async with make_client() as client:
        for _ in range(200):
            try:
                async with client.stream(chat()) as chunks:
                    await anext(chunks)
            except (VigthoriaError, StopAsyncIteration):
                pass
    for _ in range(server.connections):
        await asyncio.wait_for(server.closed.get(), LIMIT_S)
    await asyncio.wait(asyncio.all_tasks() - tasks, timeout=LIMIT_S) if asyncio.all_tasks() - tasks else None
    gc.collect()
    assert open_sockets() - sockets == set()


async def test_timings_and_request_are_those_of_the_stream(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(
        HEAD.replace(b"Connection", b"X-Request-Id: req_1\r\nConnection"),
        Sleep(0.1),
        event("a"),
        Sleep(0.1),
        DONE,
        Close(),
    )
    async with make_client("sk-some-key-1234") as client, client.stream(chat(temperature=0.5)) as chunks:
        await anext(chunks)
        assert chunks.completion().timings.total_s is None
        async for _ in chunks:
            pass
    done = chunks.completion()
    assert (chunks.status, chunks.request_id, done.request_id) == (200, "req_1", "req_1")
    timings = done.timings
    assert timings.total_s is not None
    assert timings.first_token_s is not None
    assert 0.1 <= timings.first_token_s < timings.total_s - 0.05
    heard = server.requests[0]
    assert heard.header("authorization") == "Bearer sk-some-key-1234"
    assert heard.header("accept") == "text/event-stream"
    assert heard.header("accept-encoding") == "identity"
    assert (heard.header("user-agent") or "").startswith("vig-notebook")
    assert b'"stream":true' in heard.body.replace(b" ", b"")
    assert b"vigthoria-creative-v2" in heard.body


async def test_no_key_no_authorization(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(WHOLE, Close())
    async with make_client() as client:
        await client.complete(chat(model="m"))
    assert server.requests[0].header("authorization") is None
    assert b'"model":"m"' in server.requests[0].body.replace(b" ", b"")
