"""llmock, which breaks its streams on demand, and judges its clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.peers.conftest import serving
from vig_notebook.client import Client
from vig_notebook.errors import (
    AuthError,
    BadRequest,
    Overloaded,
    ProtocolError,
    RateLimited,
    ServerError,
    TimedOut,
    Truncated,
    VigthoriaError,
)
from vig_notebook.settings import Endpoint, Limits
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = ChatRequest(messages=[{"role": "user", "content": "Tell me a story"}], model="gpt-4o")


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = ["-h", "127.0.0.1", "-p", "{port}", "--response-style", "varied", "--stream-chunk-delay-ms", "5"]
    with serving(programs / "llmock", "serve", *options, folder=tmp_path_factory.mktemp("llmock")) as address:
        yield address


def told(server: str, what: str, **body: Any) -> None:
    """Tell the server something about what comes."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/_llmock/{what}", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=5).close()


def queue(server: str, *behaviors: dict[str, Any]) -> None:
    """Make the next requests meet these faults."""
    told(server, "scenario", behaviors=list(behaviors))


def client(server: str, **numbers: float) -> Client:
    limits = Limits(**({"max_retries": 0} | numbers))  # type: ignore[arg-type]
    return Client(endpoint=Endpoint(base_url=f"{server}/v1"), limits=limits)


async def failure(server: str, **numbers: float) -> VigthoriaError:
    async with client(server, **numbers) as asked:
        try:
            await asked.complete(WORDS)
        except VigthoriaError as error:
            return error
    raise AssertionError("nothing failed")


async def test_answer_is_whole_and_counted(server: str) -> None:
    async with client(server) as asked:
        completion = await asked.complete(WORDS)
        assert await asked.models()
    assert completion.text
    assert completion.finish_reason == "stop"
    assert completion.output_tokens_are_exact
    assert completion.delta_count > 3


async def test_tool_call_is_kept(server: str) -> None:
    call = {"name": "get_weather", "arguments": {"city": "Paris"}}
    queue(server, {"type": "reply", "tool_calls": [call]})
    async with client(server) as asked:
        completion = await asked.complete(WORDS)
    assert completion.finish_reason == "tool_calls"
    assert "Paris" in str(completion.tool_calls)


@pytest.mark.parametrize("kind", ["truncate", "disconnect"])
async def test_stream_that_is_cut_is_truncated_and_keeps_its_text(server: str, kind: str) -> None:
    queue(server, {"type": "stream_fault", "kind": kind, "after_chunks": 3})
    error = await failure(server)
    assert isinstance(error, Truncated)
    assert error.completion is not None
    assert error.completion.text


async def test_chunk_that_is_no_json_is_a_protocol_error(server: str) -> None:
    queue(server, {"type": "stream_fault", "kind": "malformed", "after_chunks": 3})
    error = await failure(server)
    assert isinstance(error, ProtocolError)
    assert error.completion is not None
    assert error.completion.text


async def test_stall_ends_at_the_limit(server: str) -> None:
    queue(server, {"type": "stream_fault", "kind": "stall", "after_chunks": 3, "stall_seconds": 20})
    begun = time.monotonic()
    error = await failure(server, idle_timeout_s=0.5)
    assert isinstance(error, TimedOut)
    assert time.monotonic() - begun < 1.5
    assert error.completion is not None
    assert error.completion.text


async def test_first_token_that_is_slow_is_measured_or_ends_at_the_limit(server: str) -> None:
    queue(server, {"type": "slow_first_token", "seconds": 0.4}, {"type": "slow_first_token", "seconds": 20})
    async with client(server) as asked:
        completion = await asked.complete(WORDS)
    assert completion.timings.first_token_s is not None
    assert completion.timings.first_token_s >= 0.4
    assert isinstance(await failure(server, first_byte_timeout_s=0.3, idle_timeout_s=0.3), TimedOut)


async def test_rate_limit_is_waited_for_as_long_as_it_says(server: str) -> None:
    queue(server, {"type": "fail", "status": 429, "retry_after": 1})
    waits: list[float] = []
    async with client(server, max_retries=1) as asked:
        async with asked.stream(WORDS, on_wait=lambda wait_s, _: waits.append(wait_s)) as stream:
            async for _ in stream:
                pass
        assert stream.completion().text
    assert len(waits) == 1
    assert 1 <= waits[0] < 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequest), (401, AuthError), (429, RateLimited), (500, ServerError), (503, Overloaded)],
)
async def test_status_is_told_with_the_words_of_the_server(
    server: str, status: int, kind: type[VigthoriaError]
) -> None:
    queue(server, {"type": "fail", "status": status, "message": "so it is"})
    error = await failure(server)
    assert type(error) is kind
    assert error.server_message == "so it is"


def test_verdict_on_this_client_finds_no_fault(server: str) -> None:
    told(server, "reset")
    faults: list[dict[str, Any]] = [
        {"type": "fail", "status": 429, "retry_after": 1},
        {"type": "fail", "status": 500},
        {"type": "fail", "status": 400},
    ]  # not a cut stream: it takes a client that does not ask again for one that took half an answer for a whole
    asyncio.run(through(server, faults))
    with urllib.request.urlopen(f"{server}/_llmock/verdict", timeout=5) as reply:
        verdict = json.load(reply)
    assert verdict["findings"] == [], verdict


async def through(server: str, faults: list[dict[str, Any]]) -> None:
    """Ask once for each fault, as a person's settings do: with two more tries."""
    async with client(server, max_retries=2) as asked:
        for number, fault in enumerate(faults):
            told(server, "scenario", behaviors=[fault])
            request = ChatRequest(messages=[{"role": "user", "content": f"story {number}"}], model="gpt-4o")
            with contextlib.suppress(VigthoriaError):
                await asked.complete(request)
