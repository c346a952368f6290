"""Tries: only before the first byte, as the server asks, visible and stoppable (SAFETY 3, figure 7)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

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
    Stall,
    answer,
    chat,
    event,
)
from vig_notebook.client.retries import asked_wait_s, backoff_s, is_worth_retrying
from vig_notebook.errors import ConnectFailed, Truncated, VigthoriaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import ScriptedServer, Step
    from vig_notebook.client import Client

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SOON = "Retry-After: 0.01"
WHOLE = HEAD + event("ok") + DONE


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(NOW - timedelta(days=1), usegmt=True)}, 0.0),
        ({"retry-after": "Wed, 01 Jan 2025 00:00:07"}, 7.0),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 400}, 1e9),
        ({"retry-after-ms": "9" * 9000}, 1e9),
        ({"retry-after": "\u0663"}, None),
        ({"retry-after": "Wed, 99 Jan 2025 00:00:07 GMT"}, None),
    ],
)
def test_retry_after_of_every_form(headers: dict[str, str], wait_s: float | None) -> None:
    assert asked_wait_s(headers, now=NOW) == wait_s


@pytest.mark.parametrize(
    ("status", "word", "worth"),
    [
        (408, "", True), (409, "", True), (429, "", True), (500, "", True), (503, "", True), (529, "", True),
        (400, "", False), (401, "", False), (404, "", False), (307, "", False),
        (429, "false", False), (400, "true", True), (500, "maybe", True),
    ],
)  # fmt: skip
def test_status_is_worth_retrying(status: int, word: str, worth: bool) -> None:
    assert is_worth_retrying(status, {"x-should-retry": word}) is worth


def test_backoff_doubles_up_to_eight_seconds_and_is_spread() -> None:
    for attempt, longest in enumerate([0.5, 1, 2, 4, 8, 8, 8]):
        waits = [backoff_s(attempt, None) for _ in range(50)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert max(waits) - min(waits) > longest / 5


def test_backoff_is_never_shorter_than_asked_and_spread() -> None:
    waits = [backoff_s(0, 2.0) for _ in range(50)]
    assert min(waits) >= 2.0
    assert max(waits) - min(waits) > 0.2
    assert max(waits) < 2.6


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_refusal_that_may_pass_is_tried_again(
    status: int, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer(f"{status} No", b"", SOON), Close()).play(WHOLE, Close())
    waits: list[tuple[float, VigthoriaError]] = []
    async with make_client(max_retries=2) as client:
        async with client.stream(chat(), on_wait=lambda *wait: waits.append(wait)) as chunks:
            assert [chunk.choices[0].delta.content async for chunk in chunks] == ["ok"]
        timings = chunks.completion().timings
    ((wait_s, error),) = waits
    assert error.status == status
    assert error.retry_after_s == 0.01
    assert server.requests[1].at - server.requests[0].at >= 0.01
    assert timings.retry_wait_s == pytest.approx(wait_s, abs=0.3)


async def test_three_tries_and_no_more(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("429 No", b"", SOON), Close())
    async with make_client(max_retries=2) as client:
        with pytest.raises(VigthoriaError) as caught:
            await client.complete(chat())
    assert caught.value.kind == "rate_limit"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "steps",
    [
        (answer("400 No"), Close()),
        (answer("401 No"), Close()),
        (answer("500 No", b"", "X-Should-Retry: false"), Close()),
        (HEAD + event("a"), Close()),
        (HEAD + b": hello\n\n", Reset()),
        (HEAD, Close()),
        (CHUNKED + b"1\r\n:\r\n", Close()),
        (b"hello\r\n\r\n", Close()),
    ],
)
async def test_what_is_tried_once(
    steps: tuple[Step, ...], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*steps)
    async with make_client(max_retries=2) as client:
        with pytest.raises(VigthoriaError):
            await client.complete(chat())
    assert len(server.requests) == 1


@pytest.mark.parametrize("steps", [(Close(),), (Reset(),), (CHUNKED, Close()), (HEAD[:20], Close())])
async def test_connection_that_breaks_before_the_first_byte_is_tried_again(
    steps: tuple[Step, ...], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*steps).play(WHOLE, Close())
    async with make_client(max_retries=1) as client:
        assert (await client.complete(chat())).text == "ok"
    assert len(server.requests) == 2


async def test_retries_switched_off(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("429 No", b"", SOON), Close())
    async with make_client(max_retries=0) as client:
        with pytest.raises(VigthoriaError):
            await client.complete(chat())
    assert len(server.requests) == 1


async def test_long_wait_is_given_up_at_once_and_said(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer("429 No", b"slow down", "Retry-After: 600"), Close())
    async with make_client(max_retries=2) as client:
        with pytest.raises(VigthoriaError) as caught:
            await client.complete(chat())
    assert len(server.requests) == 1
    assert caught.value.retry_after_s == 600
    assert "The server asks to wait 600 s; more than 120 s are not waited" in str(caught.value)


async def test_wait_beyond_the_total_limit_is_not_begun(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer("429 No", b"", "Retry-After: 60"), Close())
    async with make_client(max_retries=2, total_timeout_s=5.0) as client:
        with pytest.raises(VigthoriaError) as caught:
            await client.complete(chat())
    assert caught.value.kind == "rate_limit"


async def test_cancel_in_the_wait_ends_at_once(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("429 No", b"", "Retry-After: 60"), Close())
    waiting = asyncio.Event()

    async def ask(client: Client) -> None:
        async with client.stream(chat(), on_wait=lambda *_: waiting.set()):
            pass

    async with make_client(max_retries=2) as client:
        task = asyncio.create_task(ask(client))
        await asyncio.wait_for(waiting.wait(), LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 0.2)


async def test_pooled_connection_that_the_server_closed_is_replaced_without_a_wait(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    body = event("a") + FINISH + DONE
    server.play(answer("200 OK", body, "Content-Type: text/event-stream"), KeepOpen())
    server.play(Reset()).play(WHOLE, Close())
    waits: list[object] = []
    async with make_client(max_retries=1) as client:
        await client.complete(chat())
        async with client.stream(chat(), on_wait=lambda *wait: waits.append(wait)) as chunks:
            assert [chunk.choices[0].delta.content async for chunk in chunks] == ["ok"]
    assert waits == []
    assert server.connections == 2


async def test_nobody_listens_is_tried_again_then_said(
    make_client: Callable[..., Client], server: ScriptedServer
) -> None:
    server.port = 1
    waits: list[float] = []
    async with make_client(max_retries=1) as client:
        with pytest.raises(ConnectFailed, match="refuses the connection: no server listens there"):
            async with client.stream(chat(), on_wait=lambda wait_s, _: waits.append(wait_s)):
                pass
    assert len(waits) == 1


async def test_limit_that_ran_out_is_not_tried_again(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(Stall())
    async with make_client(max_retries=2, first_byte_timeout_s=0.1) as client:
        with pytest.raises(VigthoriaError) as caught:
            await client.complete(chat())
    assert caught.value.kind == "timeout"
    assert len(server.requests) == 1


async def test_text_was_shown_is_never_tried_again(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(HEAD + event("a"), Reset()).play(WHOLE, Close())
    async with make_client(max_retries=2) as client:
        with pytest.raises(Truncated):
            await client.complete(chat())
    assert len(server.requests) == 1
