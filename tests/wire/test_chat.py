"""Chunks in every shape that servers were seen to send, and in those that only an enemy would."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from vig_notebook.errors import ProtocolError, ServerReportedError
from vig_notebook.wire import chat
from vig_notebook.wire.chat import (
    ChatCompletionChunk,
    Choice,
    Delta,
    FunctionCall,
    ToolCall,
    Usage,
    decode_chunk,
    is_done,
)


def chunk_of(delta: object, **choice: object) -> str:
    return json.dumps({"choices": [{"delta": delta, **choice}]})


def delta_of(delta: object) -> Delta:
    return decode_chunk(chunk_of(delta)).choices[0].delta


def content_of(data: str) -> str | None:
    return decode_chunk(data).choices[0].delta.content


def test_all_is_sorted() -> None:
    assert list(chat.__all__) == sorted(chat.__all__)


# --- the usual shapes


def test_decode_chunk_of_the_tutorial_is_text_of_choice_0() -> None:
    chunk = decode_chunk('{"choices":[{"delta":{"content":"In"}}]}')
    assert chunk == ChatCompletionChunk([Choice(0, Delta("In"))])


def test_decode_chunk_full_has_every_member() -> None:
    data = (
        '{"id":"c1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"f",'
        '"service_tier":"t","choices":[{"index":1,"delta":{"role":"assistant","content":"x"},'
        '"logprobs":null,"finish_reason":"stop"}],"usage":{"completion_tokens":2,"prompt_tokens":1,'
        '"total_tokens":3,"cost":0.5}}'
    )
    for chunk in (decode_chunk(data), decode_chunk(data.encode())):
        assert chunk.choices == [Choice(1, Delta("x", role="assistant"), "stop")]
        assert (chunk.id, chunk.model, chunk.created) == ("c1", "m", 17)
        assert (chunk.system_fingerprint, chunk.service_tier) == ("f", "t")
        assert chunk.extra == {}
        assert chunk.usage is not None
        assert chunk.usage.to_dict()["cost"] == 0.5


def test_decode_chunk_of_unknown_members_keeps_them_the_same_otherwise() -> None:
    plain = decode_chunk('{"id":"c","choices":[{"delta":{"content":"x"}}]}')
    extra = decode_chunk('{"id":"c","choices":[{"delta":{"content":"x"}}],"attribution":{"by":"V"},"extra":1}')
    assert extra.choices == plain.choices
    assert extra.extra == {"attribution": {"by": "V"}, "extra": 1}


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"role": "assistant"}, Delta(role="assistant")),
        ({"role": "assistant", "content": None}, Delta(role="assistant")),
        ({"content": ""}, Delta("")),
        (None, Delta()),
        ({}, Delta()),
        ({"content": None, "refusal": "No"}, Delta(refusal="No")),
        ({"content": [{"type": "text", "text": "a"}, "b", {"type": "image"}, 5, {"text": 7}]}, Delta("ab")),
        ({"content": {"type": "text", "text": "a"}}, Delta("a")),
        ({"content": [{"thinking": [{"text": "t"}]}, {"text": "a"}]}, Delta("a", "t")),
        ({"reasoning": "r"}, Delta(reasoning="r")),
        ({"reasoning_content": "r"}, Delta(reasoning="r")),
        ({"reasoning_content": "r", "reasoning": "r"}, Delta(reasoning="r")),
        ({"reasoning_content": "", "reasoning": "r"}, Delta(reasoning="r")),
        ({"reasoning_content": "", "content": "x"}, Delta("x", "")),
        ({"reasoning_content": None, "reasoning": None, "content": "x"}, Delta("x")),
        ({"reasoning_details": [{"text": "a"}, {"summary": "b"}, {"data": "=="}]}, Delta(reasoning="ab")),
        ({"reasoning": "ab", "reasoning_details": [{"text": "ab"}]}, Delta(reasoning="ab")),
        ({"reasoning_details": [], "content": "x"}, Delta("x")),
        ({"reasoning_details": 5, "content": "x"}, Delta("x")),
        ({"content": "x", "role": 5}, Delta("x", role="5")),
    ],
)
def test_decode_chunk_delta_is_read(delta: object, expected: Delta) -> None:
    assert delta_of(delta) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"index": 1, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}},
            ToolCall(1, "a", "function", FunctionCall("f", "{")),
        ),
        ({"index": 0, "function": {"arguments": "}"}}, ToolCall(0, function=FunctionCall(None, "}"))),
        ({"id": "a", "function": {"name": "f"}}, ToolCall(-1, "a", None, FunctionCall("f"))),
        ({"index": None, "function": None}, ToolCall(-1)),
        ({"index": 0, "function": {"arguments": None}}, ToolCall(0)),
        ({"index": 0, "function": {"arguments": {"x": "é"}}}, ToolCall(0, function=FunctionCall(None, '{"x": "é"}'))),
    ],
)
def test_decode_chunk_tool_call_is_read(call: dict[str, Any], expected: ToolCall) -> None:
    assert delta_of({"tool_calls": [call]}).tool_calls == [expected]


def test_decode_chunk_of_the_old_function_call_is_a_tool_call() -> None:
    delta = delta_of({"function_call": {"name": "f", "arguments": "{}"}})
    assert delta.tool_calls == [ToolCall(0, function=FunctionCall("f", "{}"))]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("eos_token", "eos_token"),
        ("error", "error"),
        ("", None),
        ("null", None),
        (None, None),
    ],
)
def test_decode_chunk_finish_reason_is_a_word_or_none(reason: str | None, expected: str | None) -> None:
    assert decode_chunk(chunk_of({"content": "x"}, finish_reason=reason)).choices == [Choice(0, Delta("x"), expected)]


@pytest.mark.parametrize(
    "data",
    ["", " ", "null", '""', ": keepalive", "{}", '{"choices":[]}', '{"choices":null}', '{"choices":[null]}'],
)
def test_decode_chunk_sign_of_life_is_empty(data: str) -> None:
    assert decode_chunk(data) == ChatCompletionChunk()


@pytest.mark.parametrize("event", ["ping", "heartbeat", "keepalive", "keep-alive"])
def test_decode_chunk_event_that_is_a_sign_of_life_is_empty(event: str) -> None:
    assert decode_chunk("whatever", event=event) == ChatCompletionChunk()


def test_decode_chunk_other_event_name_is_read_as_a_message() -> None:
    assert decode_chunk('{"choices":[{"delta":{"content":"x"}}]}', event="delta").choices == [Choice(0, Delta("x"))]


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "text": "x", "finish_reason": None},
        {"message": {"role": "assistant", "content": "x"}},
        {"delta": {}, "message": {"content": "x"}},
        {"delta": None, "text": "x"},
    ],
)
def test_decode_chunk_message_or_text_for_delta_is_the_same(choice: dict[str, Any]) -> None:
    assert content_of(json.dumps({"choices": [choice]})) == "x"


def test_decode_chunk_whole_completion_is_one_chunk() -> None:
    message = {"role": "assistant", "content": "whole"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "choices": [choice], "usage": {"total_tokens": 9}}
    chunk = decode_chunk(json.dumps(whole))
    assert chunk.choices == [Choice(0, Delta("whole", role="assistant"), "stop")]
    assert chunk.usage == Usage.from_dict({"total_tokens": 9})
    assert chunk.object == "chat.completion"


@pytest.mark.parametrize(
    ("indices", "expected"),
    [((1, 0), [1, 0]), ((None, None), [0, 1]), ((0, 0), [0, 1]), ((-1, 2**40), [0, 1]), ((2.0, "x"), [2, 1])],
)
def test_decode_chunk_choices_have_an_index_of_their_own(indices: tuple[object, ...], expected: list[int]) -> None:
    choices = [{"index": index, "delta": {"content": "x"}} for index in indices]
    assert [choice.index for choice in decode_chunk(json.dumps({"choices": choices})).choices] == expected


def test_decode_chunk_choices_without_an_index_have_their_place() -> None:
    chunk = decode_chunk('{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}')
    assert [choice.index for choice in chunk.choices] == [0, 1]


@pytest.mark.parametrize("usage", [None, [], "many", 5])
def test_decode_chunk_usage_that_is_no_object_is_none(usage: object) -> None:
    assert decode_chunk(json.dumps({"choices": [], "usage": usage})).usage is None


def test_decode_chunk_members_of_other_types_are_words_and_numbers() -> None:
    chunk = decode_chunk('{"id":5,"model":{"x":1},"created":17.9,"service_tier":true,"choices":[]}')
    assert (chunk.id, chunk.model, chunk.created, chunk.service_tier) == ("5", None, 17, None)
    assert decode_chunk('{"created":"now"}').created is None


def test_is_done_is_the_sentinel_only() -> None:
    assert is_done("[DONE]")
    assert is_done(" [DONE]\r")
    assert not is_done('{"content":"[DONE]"}')
    assert not is_done("")


# --- usage


@pytest.mark.parametrize(
    ("sent", "count"),
    [(12, 12), (12.0, 12), (0, 0), (12.5, None), (-1, None), (True, None), ("12", None), (None, None), (2**63, None)],
)
def test_usage_count_is_a_whole_number_or_none(sent: object, count: int | None) -> None:
    usage = Usage.from_dict({"completion_tokens": sent})
    assert usage.completion_tokens == count
    assert usage.to_dict() == {"completion_tokens": sent}


def test_usage_made_by_hand_gives_what_is_known() -> None:
    usage = Usage(1, total_tokens=3)
    assert usage.to_dict() == {"prompt_tokens": 1, "total_tokens": 3}
    assert usage == Usage.from_dict({"prompt_tokens": 1, "total_tokens": 3})
    assert usage != Usage(1)
    assert usage != 1
    assert hash(usage) == hash(Usage(1, total_tokens=3))
    assert repr(usage) == "Usage(prompt_tokens=1, completion_tokens=None, total_tokens=3)"
    assert pickle.loads(pickle.dumps(usage)) == copy.deepcopy(usage) == usage  # noqa: S301 - its own bytes


def test_usage_to_dict_is_a_copy() -> None:
    usage = Usage(1)
    usage.to_dict()["prompt_tokens"] = 2
    assert usage.to_dict() == {"prompt_tokens": 1}


# --- errors inside a 200

ERRORS: list[tuple[str, str, str | None, int | None]] = [
    ('{"error":{"message":"Bad","code":429}}', "Bad", "429", 429),
    ('{"error":{"message":"Bad","code":"429"}}', "Bad", "429", 429),
    ('{"error":{"message":"Bad","type":"server_error","code":null}}', "Bad", "server_error", None),
    ('{"error":{"message":"Bad","type":"x","param":null,"code":"rate"},"choices":[]}', "Bad", "rate", None),
    ('{"error":{"message":"Bad"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}', "Bad", None, None),
    ('{"error":"Bad"}', "Bad", None, None),
    ('{"error":{"error":{"message":"Bad","code":500}}}', "Bad", "500", 500),
    ('{"error":{"message":{"message":"Bad"}}}', "Bad", None, None),
    ('{"error":["Bad",{"message":"Worse"},null]}', "Bad; Worse", None, None),
    ('{"error":true,"message":"Bad","code":500}', "Bad", "500", 500),
    ('{"error":500}', "it gave no message", "500", 500),
    ('{"error":{}}', "it gave no message", None, None),
    ('{"error":""}', "it gave no message", None, None),
    ('{"errors":[{"message":"Bad"}]}', "Bad", None, None),
    ('{"object":"error","message":"Bad","type":"BadRequestError","code":400}', "Bad", "400", 400),
    ('{"type":"error","error":{"type":"overloaded_error","message":"Bad"}}', "Bad", "overloaded_error", None),
    ('{"detail":"Bad"}', "Bad", None, None),
    ('{"detail":[{"loc":["body"],"msg":"Bad","type":"missing"}]}', "Bad", None, None),
    ('{"success":false,"error":{"message":"Bad"}}', "Bad", None, None),
    ('{"success":false,"message":"Bad"}', "Bad", None, None),
    ('{"success":false}', "it gave no message", None, None),
    ('{"message":"Bad","code":"x"}', "Bad", "x", None),
    ('{"error":{"message":"a\\u001b[31mb\\u0000\\n\\u202ec"}}', "ab c", None, None),
    ('{"error":{"message":"Bad","code":true,"status":503}}', "Bad", "503", 503),
    ('{"error":{"message":"Bad","code":1301,"status":99}}', "Bad", "1301", None),
    ('{"error":{"message":"Bad","code":2.5}}', "Bad", None, None),
    ('{"error":{"message":NaN,"x":1}}', "it gave no message", None, None),
    ('{"error":{"error":{"error":{"error":{"error":{"error":{"code":1}}}}}}}', "it gave no message", None, None),
]


@pytest.mark.parametrize(("data", "message", "code", "status"), ERRORS)
def test_decode_chunk_error_in_any_shape_is_raised(
    data: str, message: str, code: str | None, status: int | None
) -> None:
    with pytest.raises(ServerReportedError) as caught:
        decode_chunk(data)
    error = caught.value
    assert (error.seen.removesuffix(f" (code {code})"), error.code, error.status) == (message, code, status)
    assert error.server_message == (None if message == "it gave no message" else message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"message":"Bad","code":500}', "Bad"),
        ('{"error":{"message":"Bad"}}', "Bad"),
        ('"Bad"', "Bad"),
        ("Bad", "Bad"),
        ('["Bad"]', "Bad"),
        ("{Bad", "{Bad"),
        ("", "it gave no message"),
        ("{}", "it gave no message"),
        ("[" * 100_000, "[" * 499 + "…"),
        (b"B\xff", "B\ufffd"),
    ],
)
def test_decode_chunk_event_error_is_an_error_whatever_it_holds(data: str | bytes, message: str) -> None:
    with pytest.raises(ServerReportedError) as caught:
        decode_chunk(data, event="error")
    assert caught.value.seen.removesuffix(" (code 500)") == message


def test_server_reported_error_is_a_sentence() -> None:
    with pytest.raises(ServerReportedError) as caught:
        decode_chunk('{"error":{"message":"No GPU left.","code":"oom"}}')
    assert str(caught.value) == (
        "The server reported an error instead of going on with the answer: No GPU left. (code oom)."
        " What had arrived is kept; ask again, or change what the message names."
    )


def test_server_message_is_at_most_500_characters() -> None:
    with pytest.raises(ServerReportedError) as caught:
        decode_chunk(json.dumps({"error": {"message": "x" * 5000}}))
    assert len(caught.value.server_message or "") == 500


@pytest.mark.parametrize(
    "data",
    [
        '{"error":null,"choices":[{"delta":{"content":"x"}}]}',
        '{"error":{},"choices":[{"delta":{"content":"x"}}]}',
        '{"error":"","choices":[{"delta":{"content":"x"}}]}',
        '{"error":false,"choices":[{"delta":{"content":"x"}}]}',
        '{"success":true,"choices":[{"delta":{"content":"x"}}]}',
        '{"message":"ok","choices":[{"delta":{"content":"x"}}]}',
    ],
)
def test_decode_chunk_of_no_error_beside_an_answer_is_the_answer(data: str) -> None:
    assert content_of(data) == "x"


@pytest.mark.parametrize("data", ['{"error":null}', '{"error":false}', '{"error":0}', '{"type":"ping"}', '{"x":[]}'])
def test_decode_chunk_of_nothing_is_empty(data: str) -> None:
    assert decode_chunk(data).choices == []


# --- hostile JSON


@pytest.mark.parametrize(
    "member",
    [
        '"logprobs":NaN',
        '"logprobs":[-Infinity,Infinity]',
        '"logprobs":1e999',
        '"logprobs":123456789012345678901234567890',
        '"logprobs":' + "1" * 5000,
        '"logprobs":-' + "1" * 5000,
        '"logprobs":"a\tb\x01"',
        '"logprobs":"\\ud83d"',
        '"logprobs":"\ud83d"',
        '"logprobs":1,"logprobs":2',
        '"logprobs":' + "[" * 60 + "]" * 60,
    ],
)
@pytest.mark.parametrize("lenient_only", [False, True])
def test_decode_chunk_odd_json_beside_the_text_is_read(member: str, *, lenient_only: bool) -> None:
    top = ',"attribution":NaN' if lenient_only else ""
    assert content_of(f'{{"choices":[{{"delta":{{"content":"x"}},{member}}}]{top}}}') == "x"


def test_decode_chunk_extra_can_always_be_written_again() -> None:
    chunk = decode_chunk(
        '{"a":NaN,"b":1e999,"c":'
        + "1" * 5000
        + ',"d":"\\ud83d","e":{"\\ude00":[Infinity]},"f":2.5,"g":10000000000000000000000}'
    )
    assert json.loads(json.dumps(chunk.extra, allow_nan=False).encode()) == {
        "a": None,
        "b": None,
        "c": None,
        "d": "\ufffd",
        "e": {"\ufffd": [None]},
        "f": 2.5,
        "g": 10**22,
    }


def test_decode_chunk_duplicate_keys_the_last_wins() -> None:
    assert content_of('{"choices":[{"delta":{"content":"a","content":"b"}}]}') == "b"


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        ("[DONE]x", "it is not JSON, it begins '[DONE]x'"),
        ('{"choices":[{"delta":{"content":"a', "it is not JSON, it begins"),
        ('{"choices":[{"delta":{"content":"adata: {"choices":[]}', "it is not JSON"),
        ('{"choices":[]}{"choices":[]}', "it is not JSON"),
        ("<html>", "it is not JSON, it begins '<html>'"),
        ("5", "it is not a JSON object, it begins '5'"),
        ("NaN", ""),
        ("[]", "it is not a JSON object"),
        ('"text"', "it is not a JSON object"),
        ("[" * 200_000, "it is nested too deeply"),
        ('{"a":' + "[" * 200_000, "it is nested too deeply"),
        ('{"a":' + "[" * 100 + "]" * 100 + "}", "it is nested too deeply"),
        ('{"usage":{"a":' + "[" * 100 + "]" * 100 + "}}", "it is nested too deeply"),
        ('{"choices":{}}', "choices is of type dict"),
        ('{"choices":5}', "choices is of type int"),
        ('{"choices":["x"]}', "choices[] is of type str"),
        ('{"choices":[{"delta":"x"}]}', "delta is of type str"),
        ('{"choices":[{"delta":{"content":5}}]}', "content is of type int"),
        ('{"choices":[{"delta":{"refusal":true}}]}', "refusal is of type bool"),
        ('{"choices":[{"delta":{"reasoning":5}}]}', "reasoning is of type int"),
        ('{"choices":[{"delta":{"tool_calls":{}}}]}', "tool_calls is of type dict"),
        ('{"choices":[{"delta":{"tool_calls":[5]}}]}', "tool_calls[] is of type int"),
        ('{"choices":[{"delta":{"tool_calls":[{"function":"f"}]}}]}', "function is of type str"),
        ('{"choices":[{"text":5}]}', "text is of type int"),
        ('{"choices":[{"delta":{},"finish_reason":5}]}', "finish_reason is of type int"),
    ],
)
def test_decode_chunk_of_no_sense_is_a_protocol_error(data: str, seen: str) -> None:
    if data == "NaN":
        assert decode_chunk(data) == ChatCompletionChunk()
        return
    for form in (data, data.encode()):
        with pytest.raises(ProtocolError) as caught:
            decode_chunk(form)
        assert caught.value.seen.startswith(seen)
        assert len(str(caught.value)) < 400


def test_protocol_errors_are_sentences() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_chunk("<html>\x1b[31m")
    assert str(caught.value) == (
        "The server's answer could not be read: it is not JSON, it begins '<html>'."
        " A proxy may have cut or changed it; check the base URL, then ask again."
    )
    with pytest.raises(ProtocolError) as caught:
        decode_chunk('{"choices":5}')
    assert str(caught.value) == (
        "The server's answer could not be read: choices is of type int."
        " Check that the base URL is the one of an OpenAI-compatible server."
    )


def test_decode_chunk_bytes_that_are_no_utf8_are_replaced() -> None:
    assert decode_chunk(b'{"choices":[{"delta":{"content":"a\xff"}}]}').choices[0].delta.content == "a\ufffd"
