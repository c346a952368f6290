"""Our client against the real model."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.local.test_smollm2 import STORY, pytestmark
from vig_notebook.client import Client
from vig_notebook.errors import BadRequest
from vig_notebook.wire.chat import ChatRequest, Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vig_notebook.local import LocalServer

__all__ = ["pytestmark"]


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[Client]:
    endpoint = await server.start("SmolLM2-135M", context_size=2048)
    async with Client(endpoint=endpoint) as made:
        yield made


def request(text: str, max_tokens: int, **extra: object) -> ChatRequest:
    messages = [Message(role="user", content=text)]
    return ChatRequest(
        messages=messages, temperature=0, max_tokens=max_tokens, extra={"return_progress": True, **extra}
    )


async def test_answers_one_after_the_other_are_whole(client: Client) -> None:
    for _ in range(3):
        completion = await client.complete(request("Name a fruit.", 8))
        assert completion.text
        assert completion.finish_reason in ("stop", "length")
        assert completion.usage is not None
        assert completion.model == "SmolLM2-135M"


async def test_twelve_calls_are_all_answered(client: Client) -> None:
    completions = await asyncio.gather(*(client.complete(request(f"Say {number}.", 2)) for number in range(12)))
    assert all(completion.text for completion in completions)


async def test_long_prompt_is_read_before_the_first_text(client: Client) -> None:
    completion = await client.complete(request("word " * 100 + "\nName a fruit.", 4, ignore_eos=True))
    assert completion.text
    assert completion.timings.first_token_s is not None


async def test_leaving_the_stream_frees_the_slot(client: Client) -> None:
    free = []
    for _ in range(3):
        async with client.stream(request(STORY, 500, ignore_eos=True)) as stream:
            count = 0
            async for _chunk in stream:
                count += 1
                if count == 8:
                    break
        started = time.monotonic()
        # Four slots: the next answer alone would not tell, but beside a story it would be half as fast.
        await client.complete(request("Name a fruit.", 2))
        free.append(time.monotonic() - started)
    assert min(free) < 2.0, free


async def test_prompt_too_long_is_a_bad_request_with_the_servers_words(client: Client) -> None:
    with pytest.raises(BadRequest) as caught:
        await client.complete(request("word " * 5000, 4))
    assert caught.value.status == 400
    assert "exceeds the available context size (2048 tokens)" in str(caught.value)


async def test_models_names_the_one(client: Client) -> None:
    assert await client.models() == ["SmolLM2-135M"]
