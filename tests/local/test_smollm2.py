"""The real model, over its own wire. Run when it is installed: python -m vig_notebook.local install."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.local.test_process import ends_within, parent
from vig_notebook.local import installed
from vig_notebook.local.model import bundled_weights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vig_notebook.local import LocalServer
    from vig_notebook.settings import Endpoint

pytestmark = [
    pytest.mark.local,
    pytest.mark.skipif(
        not installed() or bundled_weights() is None,
        reason="the local model is not installed (python -m vig_notebook.local install)",
    ),
]

STORY = "Write a long story about a ship and its captain."


@pytest.fixture
async def endpoint(server: LocalServer) -> Endpoint:
    return await server.start("SmolLM2-135M", context_size=2048)


@pytest.fixture
async def http(endpoint: Endpoint) -> AsyncIterator[aiohttp.ClientSession]:
    assert endpoint.api_key is not None
    headers = {"Authorization": f"Bearer {endpoint.api_key.reveal()}"}
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        yield session


@asynccontextmanager
async def asked(
    http: aiohttp.ClientSession, endpoint: Endpoint, messages: str | list[dict[str, str]], **members: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    body = {"messages": messages, "stream": True, "temperature": 0, **endpoint.parameters, **members}
    response = await http.post(f"{endpoint.base_url}/chat/completions", json=body)
    try:
        yield response
    finally:
        response.close()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


async def until_slots_are_free(http: aiohttp.ClientSession, endpoint: Endpoint, limit_s: float) -> float:
    """Seconds until no slot is at work."""
    started = time.monotonic()
    async with asyncio.timeout(limit_s):
        while True:
            async with http.get(endpoint.base_url.removesuffix("/v1") + "/slots") as response:
                slots = await response.json()
            if not any(slot["is_processing"] for slot in slots):
                return time.monotonic() - started


async def test_markdown_streams_in_pieces(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    pieces = []
    prompt = "Write a Markdown list of three fruits."
    async with asked(http, endpoint, prompt, max_tokens=30) as response:
        assert response.content_type == "text/event-stream"
        async for event in events(response):
            if event["choices"] and (piece := event["choices"][0]["delta"].get("content")):
                pieces.append(piece)
    assert len(pieces) >= 5
    assert any(line.lstrip().startswith(("*", "-", "1.")) for line in "".join(pieces).splitlines())


async def test_wire_is_as_it_is_written_down(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    async with asked(http, endpoint, STORY, max_tokens=3, stream_options={"include_usage": True}) as response:
        seen = [event async for event in events(response)]
    assert seen[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert set(seen[0]["prompt_progress"]) == {"total", "cache", "processed", "time_ms"}
    assert seen[-2]["choices"] == [{"finish_reason": "length", "index": 0, "delta": {}}]
    assert seen[-1]["choices"] == []
    assert seen[-1]["usage"]["completion_tokens"] == 3
    assert seen[-1]["timings"]["predicted_per_second"] > 0
    assert {event["model"] for event in seen} == {"SmolLM2-135M"}


async def test_chat_of_three_turns_reads_only_what_is_new(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    messages: list[dict[str, str]] = []
    counts: list[tuple[int, int]] = []
    for turn in ("My name is Ada.", "I like the sea.", "What is my name?"):
        messages.append({"role": "user", "content": turn})
        text = ""
        async with asked(http, endpoint, messages, max_tokens=10, stream_options={"include_usage": True}) as response:
            async for event in events(response):
                if event["choices"]:
                    text += event["choices"][0]["delta"].get("content") or ""
                else:
                    usage = event["usage"]
                    counts.append((usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]))
        assert text
        messages.append({"role": "assistant", "content": text})
    (first, _), (second, second_known), (third, third_known) = counts
    assert first < second < third
    assert second_known >= first - 1
    assert third_known >= second - 1


async def test_three_at_once_are_answered_side_by_side(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    begun = asyncio.Barrier(3)

    async def one(number: int) -> int:
        async with asked(http, endpoint, f"{STORY} It has {number} masts.", max_tokens=10) as response:
            stream = events(response)
            count = 0
            async for event in stream:
                if event["choices"] and event["choices"][0]["delta"].get("content"):
                    count += 1
                    if count == 1:
                        await begun.wait()  # none is over before all have begun
        return count

    async with asyncio.timeout(20):
        assert await asyncio.gather(*map(one, (2, 3, 4))) == [10, 10, 10]


async def test_stop_while_it_writes_frees_the_slot(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    took = []
    for _ in range(3):
        async with asked(http, endpoint, STORY, max_tokens=1000, ignore_eos=True) as response:
            count = 0
            async for event in events(response):
                count += bool(event["choices"] and event["choices"][0]["delta"].get("content"))
                if count == 5:
                    break
        took.append(await until_slots_are_free(http, endpoint, limit_s=5))
    assert min(took) <= 0.2, took


async def test_stop_while_it_reads_the_prompt_frees_the_slot(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    took = []
    for number in range(3):
        prompt = f"{number} " + "word " * 1200
        async with asked(http, endpoint, prompt, max_tokens=5) as response:
            async for event in events(response):
                if event.get("prompt_progress", {}).get("processed", 0) > 0:
                    assert event["prompt_progress"]["processed"] < event["prompt_progress"]["total"]
                    break
        took.append(await until_slots_are_free(http, endpoint, limit_s=5))
    # The whole prompt takes 8 s; a busy machine takes longer than 0.2 s for a batch or two.
    assert min(took) <= 1.0, took


async def test_prompt_too_long_is_an_error_with_numbers(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    async with asked(http, endpoint, "word " * 5000) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == 2048
    assert "exceeds the available context size (2048 tokens)" in error["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/slots", "/metrics", "/props", "/tokenize"])
async def test_nobody_without_the_key_is_served(endpoint: Endpoint, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(endpoint.base_url.removesuffix("/v1") + path) as reply:
        assert reply.status == 401


async def test_no_page_of_another_origin_may_read(http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    headers = {"Origin": "https://evil.example"}
    async with http.get(f"{endpoint.base_url}/models", headers=headers) as reply:
        assert reply.headers.get("Access-Control-Allow-Origin", "") == ""


async def test_it_listens_on_the_loopback_address_only(server: LocalServer, endpoint: Endpoint) -> None:
    port = int(endpoint.base_url.rpartition(":")[2].removesuffix("/v1"))
    lines = await asyncio.to_thread(Path("/proc/net/tcp").read_text)
    listening = [line.split()[1] for line in lines.splitlines() if f":{port:04X} 00000000:0000 0A" in line]
    assert listening == [f"0100007F:{port:04X}"]


def test_killed_parent_leaves_no_process_while_it_loads_or_serves() -> None:
    weights = bundled_weights()
    assert weights is not None
    for moment in ("loading", "loaded"):
        with parent(weights, moment) as process:
            assert process.stdout is not None
            pid = int(process.stdout.readline())
            process.kill()
            assert ends_within(pid, 2.0), moment


def test_import_starts_and_loads_nothing() -> None:
    code = "import sys, vig_notebook.local as room; room.installed(); print('xllamacpp' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert result.stdout.strip() == "False"
