"""Chunks put together: by index, by call, with halves joined, under caps."""

from __future__ import annotations

import gc
import json
import pickle
import random
import sys
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vig_notebook.errors import ServerReportedError, TooLarge, VigthoriaError
from vig_notebook.wire import accumulate
from vig_notebook.wire.accumulate import Completion, CompletionBuilder, CompletionChoice, Timings
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
from vig_notebook.wire.sse import EventStreamDecoder, ServerSentEvent


def text_chunk(content: str, index: int = 0, finish_reason: str | None = None) -> ChatCompletionChunk:
    return ChatCompletionChunk([Choice(index, Delta(content), finish_reason)])


def call_chunk(index: int, call_id: str | None, name: str | None, arguments: str) -> ChatCompletionChunk:
    call = ToolCall(index, call_id, "function", FunctionCall(name, arguments))
    return ChatCompletionChunk([Choice(0, Delta(tool_calls=[call]))])


def built(*chunks: ChatCompletionChunk) -> CompletionBuilder:
    builder = CompletionBuilder()
    for chunk in chunks:
        builder.add(chunk)
    return builder


def put(builder: CompletionBuilder, data: str) -> ChatCompletionChunk:
    """Put data to the answer as the client does when the stream is under way."""
    for chunk in builder.add_usual(iter([data])):
        return chunk
    return builder.add(decode_chunk(data))


def put_one(builder: CompletionBuilder, piece: str, *, member: str = "content", usual: bool) -> None:
    """Put a piece to the answer, by either of the two ways."""
    if usual:
        put(builder, json.dumps({"choices": [{"delta": {member: piece}}]}))
    else:
        builder.add(ChatCompletionChunk([Choice(0, Delta(**{member: piece}))]))  # type: ignore[arg-type]


def contents(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index)


def test_all_is_sorted() -> None:
    assert list(accumulate.__all__) == sorted(accumulate.__all__)


def test_completion_of_nothing_is_empty() -> None:
    builder = CompletionBuilder()
    assert builder.completion() == Completion()
    assert builder.text == ""
    assert not builder.finished


def test_completion_has_what_the_stream_said() -> None:
    usage = Usage(1, 2, 3)
    builder = built(
        ChatCompletionChunk([Choice(0, Delta(role="assistant"))], id="c", model="m", system_fingerprint="f"),
        text_chunk("In"),
        ChatCompletionChunk([Choice(0, Delta(reasoning="hm", refusal="no"))]),
        text_chunk(" é"),
        text_chunk("", finish_reason="stop"),
        ChatCompletionChunk(usage=usage, id="other", model="other", extra={"attribution": "V"}),
        ChatCompletionChunk(usage=None),
    )
    timings = Timings(first_token_s=1.0, total_s=2.0)
    completion = builder.completion(timings, request_id="r")
    first = CompletionChoice(text="In é", reasoning="hm", refusal="no", finish_reason="stop")
    assert completion == Completion(
        text="In é",
        reasoning="hm",
        refusal="no",
        finish_reason="stop",
        choices=(first,),
        usage=usage,
        id="c",
        model="m",
        request_id="r",
        extra={"system_fingerprint": "f", "attribution": "V"},
        timings=timings,
        delta_count=3,
    )
    assert str(completion) == builder.text == "In é"
    assert pickle.loads(pickle.dumps(completion)) == completion  # noqa: S301 - its own bytes


def test_completion_is_a_snapshot() -> None:
    builder = built(text_chunk("a"))
    before = builder.completion()
    builder.add(text_chunk("b"))
    assert (before.text, builder.text, builder.completion().text) == ("a", "ab", "ab")


def test_finished_needs_a_reason_of_every_choice_or_done() -> None:
    builder = built(text_chunk("a"), text_chunk("b", 1))
    assert not builder.finished
    builder.add(text_chunk("", 1, "stop"))
    assert not builder.finished
    builder.add(text_chunk("", 0, "length"))
    assert builder.finished
    assert [choice.finish_reason for choice in builder.completion().choices] == ["length", "stop"]
    half = built(text_chunk("a"))
    assert half.mark_done() is None
    assert half.finished


def test_text_after_the_finish_reason_still_counts() -> None:
    assert built(text_chunk("a", finish_reason="stop"), text_chunk("b")).text == "ab"


def test_choices_interleave_by_index_whatever_their_order() -> None:
    builder = CompletionBuilder()
    builder.add(ChatCompletionChunk([Choice(2, Delta("c")), Choice(0, Delta("a"))]))
    builder.add(text_chunk("b", 1))
    builder.add(ChatCompletionChunk([Choice(0, Delta("A")), Choice(2, Delta("C"))]))
    assert [(c.index, c.text) for c in builder.completion().choices] == [(0, "aA"), (1, "b"), (2, "cC")]
    assert builder.text == "aA"
    assert built(text_chunk("x", 3)).text == "x"


def test_usage_last_one_with_members_wins() -> None:
    builder = built(ChatCompletionChunk(usage=Usage(1)), ChatCompletionChunk(usage=Usage(2)))
    builder.add(ChatCompletionChunk(usage=Usage()))
    assert builder.completion().usage == Usage(2)


def test_extra_last_value_wins_and_size_is_capped() -> None:
    builder = built(
        ChatCompletionChunk(extra={"a": 1, "n": None}),
        ChatCompletionChunk(extra={"a": 2}),
        ChatCompletionChunk(extra={"a": 2, "big": "x" * 70_000}),
        ChatCompletionChunk(extra={"b": 10**30}),
    )
    assert builder.completion().extra == {"a": 2, "b": 10**30}


def test_finish_reason_error_is_raised_with_the_text_kept() -> None:
    builder = built(text_chunk("a"))
    with pytest.raises(ServerReportedError) as caught:
        builder.add(text_chunk("b", finish_reason="error"))
    assert str(caught.value) == (
        'The server reported an error instead of going on with the answer: the finish reason is "error" (code error).'
        " What had arrived is kept; ask again, or change what the message names."
    )
    assert builder.text == "ab"


# --- tool calls


def calls_of(*chunks: ChatCompletionChunk) -> list[tuple[int, str | None, str | None, str]]:
    calls = built(*chunks).completion().tool_calls
    return [(call.index, call.id, call.function.name, call.function.arguments) for call in calls]


def test_tool_call_arguments_are_joined_by_index() -> None:
    assert calls_of(
        call_chunk(1, "b", "g", ""),
        call_chunk(0, "a", "f", '{"x"'),
        call_chunk(1, None, None, "[]"),
        call_chunk(0, None, None, ":1}"),
    ) == [(0, "a", "f", '{"x":1}'), (1, "b", "g", "[]")]


def test_tool_call_without_index_is_told_by_id_name_and_order() -> None:
    assert calls_of(
        call_chunk(-1, "a", "f", "{"),
        call_chunk(-1, None, None, "}"),
        call_chunk(-1, "b", "g", "["),
        call_chunk(-1, "a", None, " "),
        call_chunk(-1, None, None, "]"),
        call_chunk(-1, None, "h", "()"),
    ) == [(0, "a", "f", "{} "), (1, "b", "g", "[]"), (2, None, "h", "()")]


def test_tool_call_other_id_at_the_same_index_is_another_call() -> None:
    assert calls_of(call_chunk(0, "a", "f", "{}"), call_chunk(0, "b", "g", "[]"), call_chunk(0, "a", None, " ")) == [
        (0, "a", "f", "{} "),
        (1, "b", "g", "[]"),
    ]


def test_tool_call_pieces_of_calls_that_are_all_numbered_0_go_to_the_last() -> None:
    assert calls_of(
        call_chunk(0, "a", "f", "{"),
        call_chunk(0, None, None, "}"),
        call_chunk(0, "b", "g", "["),
        call_chunk(0, None, None, "]"),
    ) == [(0, "a", "f", "{}"), (1, "b", "g", "[]")]


def test_tool_calls_take_linear_time() -> None:
    def cpu_s(count: int) -> float:
        start = time.process_time()
        built(*(call_chunk(index, f"id{index}", "f", "\ud83d") for index in range(count))).mark_done()
        return time.process_time() - start

    gc.disable()  # a collection takes as long as everything else that is alive in this process
    try:
        once = min(cpu_s(500) for _ in range(3))
        assert min(cpu_s(4000) for _ in range(2)) < 20 * once
    finally:
        gc.enable()


def test_tool_call_piece_gets_the_index_of_its_call() -> None:
    builder = built(call_chunk(3, "a", "f", ""))
    chunk = builder.add(call_chunk(-1, "a", None, "x"))
    assert chunk.choices[0].delta.tool_calls == [ToolCall(3, "a", "function", FunctionCall(None, "x"))]


def test_tool_call_first_piece_without_index_and_name_begins_one() -> None:
    assert calls_of(call_chunk(-1, None, None, "x")) == [(0, None, None, "x")]


def test_tool_calls_are_of_their_choice() -> None:
    call = ToolCall(0, "a", None, FunctionCall("f", "x"))
    other = ToolCall(0, "b", None, FunctionCall("g", "y"))
    chunk = ChatCompletionChunk([Choice(0, Delta(tool_calls=[call])), Choice(1, Delta(tool_calls=[other]))])
    completion = built(chunk).completion()
    assert [choice.tool_calls for choice in completion.choices] == [(call,), (other,)]


# --- halves of surrogate pairs


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a\ud83d", "\ude00b"], "a😀b"),
        (["\ud83d", "\ude00"], "😀"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["\ud83d", "b"], "\ufffdb"),
        (["\ude00b"], "\ufffdb"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"),
        (["a\ud83d"], "a\ufffd"),
        (["x", "é", "a\ud83d", "\ude00", "b"], "xéa😀b"),
    ],
)
@pytest.mark.parametrize("end", ["finish_reason", "[DONE]"])
def test_halves_are_joined_in_deltas_and_text_alike(pieces: list[str], text: str, end: str) -> None:
    for member in ("content", "reasoning", "refusal"):
        builder = CompletionBuilder()
        given = [builder.add(decode_chunk(json.dumps({"choices": [{"delta": {member: piece}}]}))) for piece in pieces]
        if end == "[DONE]":
            given += [chunk for chunk in [builder.mark_done()] if chunk is not None]
        else:
            given.append(builder.add(decode_chunk('{"choices":[{"delta":{},"finish_reason":"stop"}]}')))
        joined = "".join(getattr(chunk.choices[0].delta, member) or "" for chunk in given)
        completion = builder.completion()
        kept = {"content": completion.text, "reasoning": completion.reasoning, "refusal": completion.refusal}
        assert joined == kept[member] == text
        assert joined.encode()


def test_halves_in_arguments_are_joined_and_ended() -> None:
    builder = built(call_chunk(0, "a", "f", '"\ud83d'), call_chunk(0, None, None, '\ude00"\ud83d'))
    rest = builder.mark_done()
    assert rest == ChatCompletionChunk(
        [Choice(0, Delta(tool_calls=[ToolCall(0, function=FunctionCall(None, "\ufffd"))]))]
    )
    assert builder.completion().tool_calls[0].function.arguments == '"😀"\ufffd'


def test_half_that_no_end_followed_is_not_in_the_text_yet() -> None:
    assert built(text_chunk("a\ud83d")).text == "a"


# --- caps


@pytest.mark.parametrize("usual", [False, True])
def test_text_over_its_cap_is_too_large_and_not_put(*, usual: bool) -> None:
    builder = CompletionBuilder(max_text_bytes=10)
    put_one(builder, "12345", usual=usual)
    put_one(builder, "éé", usual=usual)
    for piece in ("ab", "é", "\ud83d"):
        with pytest.raises(TooLarge) as caught:
            put_one(builder, piece, usual=usual)
        assert caught.value.cap == "max_text_bytes"
    put_one(builder, "c", usual=usual)
    assert builder.text == "12345ééc"
    assert builder.completion().delta_count == 3


def test_text_of_every_sort_counts_against_the_cap() -> None:
    delta = Delta("12", "34", "56", [ToolCall(0, function=FunctionCall(None, "78"))])
    CompletionBuilder(max_text_bytes=72).add(ChatCompletionChunk([Choice(0, delta)]))
    with pytest.raises(TooLarge, match="max_text_bytes"):
        CompletionBuilder(max_text_bytes=71).add(ChatCompletionChunk([Choice(0, delta)]))


def test_choices_over_their_cap_are_too_large() -> None:
    builder = CompletionBuilder(max_choices=2)
    builder.add(ChatCompletionChunk([Choice(0), Choice(7)]))
    with pytest.raises(TooLarge) as caught:
        builder.add(text_chunk("x", 8))
    assert caught.value.cap == "max_choices"
    assert str(caught.value) == (
        "The answer was stopped because it has too many choices: more than 2 choices (max_choices)."
        " What had arrived is kept; ask for less, or raise the limit."
    )


def test_too_much_text_is_a_sentence() -> None:
    with pytest.raises(TooLarge) as caught:
        CompletionBuilder(max_text_bytes=1000).add(text_chunk("x" * 1001))
    assert str(caught.value) == (
        "The answer was stopped because it has too much text: more than 1,000 bytes (max_text_bytes)."
        " What had arrived is kept; ask for less, or raise the limit."
    )


# --- what a completion says of itself


def test_output_tokens_are_counted_by_the_server_or_else_by_piece() -> None:
    counted = Completion(usage=Usage(1, 40), delta_count=7)
    assert (counted.output_tokens, counted.output_tokens_are_exact) == (40, True)
    for usage in (None, Usage(1)):
        guessed = Completion(usage=usage, delta_count=7)
        assert (guessed.output_tokens, guessed.output_tokens_are_exact) == (7, False)


def test_tokens_per_s_is_over_the_time_after_the_first() -> None:
    completion = Completion(delta_count=30, timings=Timings(first_token_s=0.5, total_s=2.0))
    assert completion.tokens_per_s == 20
    assert replace(completion, delta_count=0).tokens_per_s is None
    for timings in (Timings(), Timings(first_token_s=1.0), Timings(first_token_s=1.0, total_s=1.0)):
        assert replace(completion, timings=timings).tokens_per_s is None


# --- properties

PIECES = st.text(st.sampled_from("aé😀\n\ud83d\ude00"), max_size=4)


@given(st.lists(st.tuples(st.integers(0, 2), PIECES, st.sampled_from(["content", "reasoning"])), max_size=20))
def test_deltas_that_were_given_join_to_the_completion(deltas: list[tuple[int, str, str]]) -> None:
    builder = CompletionBuilder()
    given: list[ChatCompletionChunk] = []
    sent: dict[tuple[int, str], str] = {}
    for index, piece, member in deltas:
        data = json.dumps({"choices": [{"index": index, "delta": {member: piece}}]})
        given.append(put(builder, data))
        sent[index, member] = sent.get((index, member), "") + piece
    rest = builder.mark_done()
    given += [rest] if rest is not None else []
    for choice in builder.completion().choices:
        assert choice.text == contents(given, choice.index)
        whole = sent.get((choice.index, "content"), "")
        assert choice.text == whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        whole = sent.get((choice.index, "reasoning"), "")
        assert choice.reasoning == whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


REAL = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":null},"finish_reason":null}],"usage":null}\n\n'
    b': keepalive\n\ndata: {"choices":[{"index":0,"delta":{"content":"In \\ud83d"}}]}\r\n\r\n'
    b'data: {"choices":[{"index":1,"delta":{"content":"\xc3\xa9","reasoning_content":"hm"},"logprobs":null}]}\n\n'
    b'event: x\nid: 4\ndata: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":'
    b'{"name":"f","arguments":"{}"}}]},"finish_reason":""}],"attribution":"V"}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
    b'error: {"code":500,"message":"Bad"}\n\ndata: {"error":{"message":"Bad"}}\n\ndata: [DONE]\n\n'
)
TOKENS = [
    *(b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 30, b"9" * 5000, b'"\\ud83d"', b'"\\ude00"', b"{}", b"[]", b'""'),
    *(
        b"[" * 2000,
        b'{"a":' * 2000,
        b"true",
        b"-1",
        b"0.5",
        b'"x"',
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n",
        b"\n\n",
        b"\0",
    ),
    *(b'"error":', b'"choices":', b'"delta":', b'"content":', b'"index":', b'"usage":', b'"message":', b"data: ", b","),
]


def read_event(builder: CompletionBuilder, event: ServerSentEvent) -> None:
    """Put an event to the answer; an error is a sentence of bounded length that can be written."""
    try:
        if not is_done(event.data):
            builder.add(decode_chunk(event.data, event=event.event))
    except VigthoriaError as error:
        if len(str(error).encode()) > 4_000:
            pytest.fail(f"a long error: {error}")
        raise


def read_everything(body: bytes, *, step: int) -> None:
    """Read as a client does that gives up on nothing but goes on after each of our own errors."""
    decoder = EventStreamDecoder(lenient=True, max_line_bytes=20_000, max_event_bytes=20_000)
    builder = CompletionBuilder(max_text_bytes=2_000, max_choices=3)
    try:
        events = [event for i in range(0, len(body), step) for event in decoder.feed(body[i : i + step])]
        events += decoder.flush()
    except TooLarge:
        return
    for event in events:
        with suppress(VigthoriaError):
            read_event(builder, event)
    builder.mark_done()
    completion = builder.completion()
    assert completion.text.encode() is not None
    json.dumps([completion.extra, completion.usage and completion.usage.to_dict()], allow_nan=False)


def test_real_stream_is_read_whole() -> None:
    decoder, builder = EventStreamDecoder(), CompletionBuilder()
    for event in decoder.feed(REAL)[:6]:
        builder.add(decode_chunk(event.data, event=event.event))
    completion = builder.completion()
    assert [choice.text for choice in completion.choices] == ["In \ufffd", "é"]
    assert completion.choices[1].reasoning == "hm"
    assert completion.extra == {"attribution": "V"}
    assert completion.output_tokens == 2


@pytest.mark.parametrize("seed", range(8))
def test_mutated_streams_raise_only_our_errors(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        body = bytearray(REAL)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(body))
            token = rng.choice(TOKENS) if rng.random() < 0.8 else rng.randbytes(3)
            body[place : place + rng.choice((0, 0, 1, 4, 8))] = token
        read_everything(bytes(body), step=rng.choice((1, 7, 64, 10_000)))


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_random_bytes_raise_only_our_errors(body: bytes) -> None:
    read_everything(b"data: " + body, step=50)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ["choices", "delta", "message", "content", "index", "usage", "error", "tool_calls", "function", "code"]
SHAPES = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(SHAPES)
def test_any_json_of_known_names_raises_only_our_errors(value: object) -> None:
    read_everything(b"data: " + json.dumps(value).encode() + b"\n\n", step=10_000)


def test_asking_for_the_text_loses_nothing_that_comes_meanwhile() -> None:
    builder = built(text_chunk("a"), text_chunk("b"))
    late = iter("cd")

    def between_two_steps(_frame: object, event: str, called: object) -> None:
        if event == "c_return" and getattr(called, "__name__", "") == "join":
            for piece in late:  # as another thread would put it to the text
                builder.add(text_chunk(piece))

    sys.setprofile(between_two_steps)
    try:
        assert builder.completion().text == "ab"
    finally:
        sys.setprofile(None)
    assert builder.text == "abcd"


@pytest.mark.parametrize("usual", [False, True])
@pytest.mark.parametrize("member", ["content", "reasoning"])
def test_short_pieces_cost_little_more_than_their_letters(member: str, *, usual: bool) -> None:
    builder = built(text_chunk("x"))
    tracemalloc.start()
    try:
        for number in range(30_000):
            put_one(builder, f"{number % 100:02}", member=member, usual=usual)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 0.8 * 2**20  # 1.5 MB if no piece were joined
    assert len(getattr(builder.completion(), "text" if member == "content" else member)) >= 60_000
