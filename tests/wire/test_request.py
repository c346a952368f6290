"""What is sent, and what is refused before it is."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.wire.chat import ChatRequest, Message

USER = {"role": "user", "content": "Hi"}


def test_to_body_smallest_request_has_what_a_stream_needs() -> None:
    assert ChatRequest([USER]).to_body() == {
        "messages": [USER],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_to_body_full_request_has_every_member() -> None:
    request = ChatRequest(
        messages=[Message("system", "Be brief", name="s"), {**USER, "unknown": 1}],
        model="m",
        temperature=0,
        top_p=0.5,
        max_tokens=7,
        seed=-1,
        stop=("a", "b"),
        n=2,
        extra={"logit_bias": {"5": 1}},
    )
    assert json.loads(request.encode()) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief", "name": "s"}, {**USER, "unknown": 1}],
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 7,
        "seed": -1,
        "stop": ["a", "b"],
        "n": 2,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logit_bias": {"5": 1},
    }


def test_to_body_extra_wins_and_none_takes_out() -> None:
    extra = {"model": "x", "stream_options": None, "stream": False, "stop": "s"}
    body = ChatRequest([USER], model="m", stop="t", extra=extra).to_body()
    assert body == {"model": "x", "messages": [USER], "stream": False, "stop": "s"}


def test_to_body_gives_a_new_dict_each_time() -> None:
    request = ChatRequest([USER])
    request.to_body()["messages"][0]["role"] = "changed"
    assert request.to_body()["messages"] == [USER]


def test_to_body_numbers_of_numpy_are_plain() -> None:
    request = ChatRequest([USER], temperature=np.float64(0.5), max_tokens=np.int64(3), top_p=np.float32(1.0))  # type: ignore[arg-type]
    body = json.loads(request.encode())
    assert (body["temperature"], body["max_tokens"], body["top_p"]) == (0.5, 3, 1.0)


def test_message_keeps_content_null_beside_tool_calls() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = Message("assistant", tool_calls=[call])
    assert message.to_dict() == {"role": "assistant", "content": None, "tool_calls": [call]}
    ChatRequest([USER, message, Message("tool", "4", tool_call_id="1"), {**USER, "content": [{"type": "text"}]}])


def test_replace_checks_again() -> None:
    request = ChatRequest([USER], model="")
    assert msgspec.structs.replace(request, model="m").to_body()["model"] == "m"
    with pytest.raises(ConfigError):
        msgspec.structs.replace(request, n=0)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"messages": "Hi"}, "messages must be a list of messages: it is str."),
        ({"messages": None}, "messages must be a list of messages: it is None."),
        ({"messages": []}, "There is no message to send. Give at least one, with role and content."),
        ({"messages": ["Hi"]}, "messages[0] must be a Message or a dict with role and content: it is str."),
        ({"messages": [USER, {}]}, 'messages[1] role must be a text such as "user": it is None.'),
        ({"messages": [{"role": ""}]}, 'messages[0] role must be a text such as "user": it is str.'),
        ({"messages": [{"role": "user"}]}, "messages[0] content must be a text: it is None."),
        ({"messages": [Message("user")]}, "messages[0] content must be a text: it is None."),
        ({"messages": [Message("user", 5)]}, "messages[0] content must be a text or a list of parts: it is 5."),  # type: ignore[arg-type]
        ({"model": 5}, "model must be a text: it is 5."),
        ({"temperature": "hot"}, "temperature must be a number: it is str."),
        ({"temperature": True}, "temperature must be a number: it is True."),
        ({"top_p": float("nan")}, "top_p must be a number: it is nan."),
        ({"max_tokens": 0}, "max_tokens must be a whole number above 0: it is 0."),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number above 0: it is 1.5."),
        ({"n": -1}, "n must be a whole number above 0: it is -1."),
        ({"seed": "x"}, "seed must be a whole number: it is str."),
        ({"stop": 5}, "stop must be a text or a list of texts: it is 5."),
        ({"stop": ["a", 5]}, "stop must be a text or a list of texts: it is list."),
        ({"extra": {1: 2}}, "extra must be a dict whose keys are texts: it is dict."),
        ({"extra": "x"}, "extra must be a dict whose keys are texts: it is str."),
    ],
)
def test_request_of_wrong_sort_is_refused_with_a_sentence(members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ChatRequest(**{"messages": [USER], **members})
    assert str(caught.value) == sentence


def test_encode_half_a_surrogate_pair_is_replaced() -> None:
    body = json.loads(ChatRequest([{"role": "user", "content": "a\ud83d"}]).encode())
    assert body["messages"][0]["content"] == "a\ufffd"


def test_encode_what_is_no_json_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    for value in (SimpleNamespace(), deep):
        with pytest.raises(ConfigError, match=r"^The request cannot be written as JSON: .*Put only texts"):
            ChatRequest([USER], extra={"x": value}).encode()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"top_k": float("nan")}, "top_k must be a finite number: it is nan."),
        ({"a": {"b": [1.5, float("inf")]}}, "a.b[1] must be a finite number: it is inf."),
        ({"a": (float("-inf"),)}, "a[0] must be a finite number: it is -inf."),
    ],
)
def test_encode_what_is_not_finite_is_refused_by_name(extra: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ChatRequest([USER], extra=extra).encode()
    assert str(caught.value) == sentence


def test_request_shows_its_parameters_and_not_the_prompt() -> None:
    messages = [{"role": "user", "content": "canary"}]
    request = ChatRequest(messages=messages, model="m", temperature=0, stop="canary", extra={"suffix": "canary"})
    assert repr(request) == "ChatRequest(messages='<1>', model='m', temperature=0, extra='<suffix>')"
    assert "canary" not in str(dict(request.__rich_repr__()))


def test_of_puts_members_into_their_fields_and_the_rest_into_extra() -> None:
    request = ChatRequest.of([USER], {"n": 2, "stop": "x", "seed": None, "top_k": 5}, model="m")
    assert request == ChatRequest([USER], "m", n=2, stop="x", extra={"top_k": 5})


def test_of_messages_among_the_members_is_refused() -> None:
    with pytest.raises(ConfigError, match="messages is no parameter"):
        ChatRequest.of([USER], {"messages": [USER]})
