from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.demo.conftest import LIMIT_S, content, request
from vig_notebook.demo import DemoServer
from vig_notebook.demo.models import MODELS
from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from tests.demo.conftest import Caller


async def test_models_are_listed_with_a_description(caller: Caller) -> None:
    async with caller.session.get(f"{caller.server.base_url}/models") as response:
        reply = await response.json()
    assert reply["object"] == "list"
    assert [model["id"] for model in reply["data"]] == list(MODELS)
    assert all(model["object"] == "model" and model["description"] for model in reply["data"])


async def test_chat_whole_reply_has_the_apis_shape(caller: Caller) -> None:
    reply = await caller.reply("Write a haiku about rain", model="vigthoria-creative-v2")
    assert reply["object"] == "chat.completion"
    assert reply["id"].startswith("chatcmpl-")
    assert reply["model"] == "vigthoria-creative-v2"
    [choice] = reply["choices"]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] > 5


async def test_chat_stream_gives_role_text_finish_and_done(caller: Caller) -> None:
    chunks = await caller.chunks("Write a poem about the sea")
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1] == "[DONE]"
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert {chunk["object"] for chunk in chunks[:-1]} == {"chat.completion.chunk"}
    assert "usage" not in chunks[0]
    assert content(chunks) == await caller.text("Write a poem about the sea")
    assert len(chunks) > 40


async def test_chat_stream_with_usage_ends_with_a_chunk_of_it(caller: Caller) -> None:
    chunks = await caller.chunks(stream_options={"include_usage": True})
    assert chunks[-2]["choices"] == []
    assert all(chunk["usage"] is None for chunk in chunks[:-2])
    assert chunks[-2]["usage"] == (await caller.reply())["usage"]


async def test_chat_max_tokens_cut_the_answer(caller: Caller) -> None:
    limits: list[dict[str, Any]] = [{"max_tokens": 5}, {"max_completion_tokens": 5}]
    for limit in limits:
        reply = await caller.reply(**limit)
        assert reply["choices"][0]["finish_reason"] == "length"
        assert reply["usage"]["completion_tokens"] == 5
    chunks = await caller.chunks(max_tokens=5)
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert len(chunks) == 1 + 5 + 1 + 1


async def test_chat_max_tokens_count_the_reasoning(caller: Caller) -> None:
    reply = await caller.reply(model="demo-reasoning", max_tokens=5)
    message = reply["choices"][0]["message"]
    assert message["content"] == ""
    assert message["reasoning_content"]
    assert reply["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}


async def test_chat_stop_sequence_ends_the_answer_before_it(caller: Caller) -> None:
    whole = await caller.text()
    reply = await caller.reply(stop=["nowhere to be found", "##"])
    text = reply["choices"][0]["message"]["content"]
    assert text == whole.split("##")[0]
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert await caller.text(stop=whole[20:24]) == whole[: whole.index(whole[20:24])]
    assert await caller.text(stop="") == whole


async def test_chat_stop_at_the_start_leaves_the_role(caller: Caller) -> None:
    chunks = await caller.chunks(stop=">")
    assert content(chunks) == ""
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1] == "[DONE]"


async def test_chat_several_choices_interleave_and_differ(caller: Caller) -> None:
    chunks = await caller.chunks("Write a poem about the sea", n=3)
    texts = [content(chunks, index) for index in range(3)]
    assert len(set(texts)) > 1
    order = [chunk["choices"][0]["index"] for chunk in chunks[:9]]
    assert order == [0, 1, 2] * 3
    reply = await caller.reply("Write a poem about the sea", n=3)
    assert [choice["message"]["content"] for choice in reply["choices"]] == texts


async def test_chat_seed_is_echoed(caller: Caller) -> None:
    assert (await caller.reply(seed=7))["seed"] == 7
    assert (await caller.chunks(seed=7))[0]["seed"] == 7
    assert "seed" not in await caller.reply()


async def test_chat_reasoning_comes_before_the_answer(caller: Caller) -> None:
    chunks = await caller.chunks("Explain tides", model="demo-reasoning")
    members = [next(iter(chunk["choices"][0]["delta"]), "") for chunk in chunks[1:-2]]
    assert members == sorted(members, reverse=True)
    assert "tides" in content(chunks, member="reasoning_content")
    assert "tides" in content(chunks)


async def test_chat_json_model_gives_an_object_and_nothing_else(caller: Caller) -> None:
    assert isinstance(json.loads(content(await caller.chunks(model="demo-json"))), dict)
    for kind in ("json_object", "json_schema"):
        assert isinstance(json.loads(await caller.text(response_format={"type": kind})), dict)


async def test_chat_json_schema_names_the_keys(caller: Caller) -> None:
    schema: dict[str, Any] = {"schema": {"properties": {"title": {}, "age": {}}}}
    text = await caller.text(response_format={"type": "json_schema", "json_schema": schema})
    assert list(json.loads(text)) == ["title", "age"]


async def test_chat_long_model_gives_the_size_of_the_figures(caller: Caller) -> None:
    reply = await caller.reply(model="demo-long")
    assert 20_000 <= reply["usage"]["completion_tokens"] < 20_400
    size = len(reply["choices"][0]["message"]["content"].encode())
    assert 108_000 < size < 118_000


async def test_chat_content_in_parts_and_without_model_is_understood(caller: Caller) -> None:
    parts = [{"type": "text", "text": "Write a haiku about rain"}, {"type": "image_url", "image_url": {"url": "x"}}]
    body = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": None}], "unknown": 1}
    async with caller.session.post(caller.url, json=body) as response:
        reply = await response.json()
    assert reply["model"] == "demo"
    assert "ain" in reply["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "param", "sentence"),
    [
        ({"temperature": 2.5}, "temperature", "Invalid value for 'temperature': Expected `float` <= 2.0."),
        ({"temperature": -1}, "temperature", "Invalid value for 'temperature': Expected `float` >= 0.0."),
        ({"temperature": "hot"}, "temperature", "Invalid value for 'temperature': Expected `float | null`, got `str`."),
        ({"top_p": 1.1}, "top_p", "Invalid value for 'top_p': Expected `float` <= 1.0."),
        ({"max_tokens": 0}, "max_tokens", "Invalid value for 'max_tokens': Expected `int` >= 1."),
        ({"n": 17}, "n", "Invalid value for 'n': Expected `int` <= 16."),
        ({"stop": ["a"] * 5}, "stop", "Invalid value for 'stop': Expected `array` of length <= 4."),
        ({"messages": []}, "messages", "Invalid value for 'messages': Expected `array` of length >= 1."),
        (
            {"messages": [{"role": "boss"}]},
            "messages",
            "Invalid value for 'messages[0].role': Invalid enum value 'boss'.",
        ),
        ({"messages": [{}]}, "messages", "Invalid value for 'messages[0]': Object missing required field `role`."),
    ],
)
async def test_chat_wrong_value_is_a_400_that_names_it(
    caller: Caller, body: dict[str, Any], param: str, sentence: str
) -> None:
    status, error = await caller.refused(**body)
    assert (status, error["param"], error["message"]) == (400, param, sentence)
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_value")


async def test_chat_missing_messages_are_a_400_that_names_them(caller: Caller) -> None:
    status, error = await caller.refused({"model": "demo"})
    assert (status, error["param"]) == (400, "messages")
    status, error = await caller.refused([])
    assert (status, error["param"]) == (400, None)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":' + b"[" * 100_000])
async def test_chat_no_json_is_a_400(caller: Caller, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with caller.session.post(caller.url, data=body, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "invalid_json"


async def test_requests_are_counted(caller: Caller) -> None:
    await caller.reply()
    await caller.refused(model="demo-401")
    assert (caller.server.requests, caller.server.closed_early) == (2, 0)


async def test_stop_in_mid_stream_cuts_it_and_is_no_hang_up() -> None:
    server = DemoServer(pace=20)
    await server.start()
    headers = {"Authorization": f"Bearer {server.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{server.base_url}/chat/completions", json=request("Explain rain", stream=True)) as response,
    ):
        await asyncio.wait_for(response.content.readany(), LIMIT_S)
        await asyncio.wait_for(server.stop(), 2)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(response.read(), LIMIT_S)
    assert server.closed_early == 0
    assert server.base_url == ""


async def test_stop_twice_or_before_start_does_nothing() -> None:
    server = DemoServer(pace=0)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_start_again_gives_a_server_that_answers() -> None:
    server = DemoServer(pace=0)
    for _ in range(2):
        await server.start()
        headers = {"Authorization": f"Bearer {server.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{server.base_url}/models") as response,
        ):
            assert response.status == 200
        await server.stop()


async def test_start_on_a_taken_port_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = DemoServer(pace=0, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await server.start()
    await server.stop()


async def test_endpoint_says_what_a_client_needs(server: DemoServer) -> None:
    endpoint = server.endpoint
    assert endpoint.base_url == server.base_url
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    assert (endpoint.kind, endpoint.default_model) == ("demo", "demo")
    assert endpoint.limits.max_concurrency == 24
    assert endpoint.api_key is not None
    assert endpoint.api_key.reveal() == server.token
    assert server.token not in repr(endpoint)


def test_token_is_another_for_each_server() -> None:
    assert DemoServer(pace=0).token != DemoServer(pace=0).token


@pytest.mark.parametrize("pace", ["fast", "-1", "nan", "inf"])
def test_pace_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, pace: str) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", pace)
    with pytest.raises(ConfigError) as caught:
        DemoServer()
    assert str(caught.value) == (
        f"VIG_DEMO_PACE cannot be used: it is {pace!r}. Give tokens per second; 0 is as fast as it goes."
    )
    with pytest.raises(ConfigError, match="The pace cannot be used"):
        DemoServer(pace=-1)


def test_pace_is_the_arguments_then_the_environments_then_the_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DemoServer()._pace == 40
    monkeypatch.setenv("VIG_DEMO_PACE", "7.5")
    assert DemoServer()._pace == 7.5
    assert DemoServer(pace=3)._pace == 3
