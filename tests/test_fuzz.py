"""Broken streams over a real socket: the client ends, in time, with an answer or with an error of ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.client.conftest import DONE, HEAD, Close
from tests.scripts import LIMIT_S, scripted
from vig_notebook.client import Client
from vig_notebook.engine import engine
from vig_notebook.errors import VigthoriaError
from vig_notebook.settings import Endpoint, Limits, Secret
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.conftest import ScriptedServer
    from vig_notebook.wire.accumulate import Completion

KEY = "sk-canary-9f8e7d6c5b4a3210"
REQUEST = ChatRequest(messages=[{"role": "user", "content": "hi"}], model="m")
LIMITS = Limits(
    max_retries=0,
    first_byte_timeout_s=0.3,
    idle_timeout_s=0.3,
    finish_grace_s=0.1,
    max_line_bytes=20_000,
    max_event_bytes=20_000,
    max_text_bytes=20_000,
)
WORST_S = LIMITS.first_byte_timeout_s + LIMITS.idle_timeout_s + LIMITS.finish_grace_s + 1.0
"""All limits one after another, and what a busy machine adds."""

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
OPENAI = (
    b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
    b'data: {"id":"c-1","choices":[{"index":0,"delta":{"content":"Caf\xc3\xa9 \\ud83d\\ude00"}}]}\n\n'
    b'data: {"id":"c-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n' + DONE
)
REASONING = (
    b': OPENROUTER PROCESSING\r\n\r\ndata: {"choices":[{"index":0,"delta":{"reasoning":"hm"}}]}\r\n\r\n'
    b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm","content":null}}]}\r\n\r\n'
    b'data: {"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}\r\n\r\n'
    b'event: error\r\ndata: {"error":{"message":"overloaded","code":529}}\r\n\r\n'
)
TOOLS = (
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","type":"function","function":'
    b'{"name":"f","arguments":"{\\"a"}}]}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\":1}"}}]}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
)
WHOLE = b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
REFUSED = b'{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"x"}}'


def chunked(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:90], body[90:])) + b"0\r\n\r\n"


STREAMS = (
    HEAD + OPENAI,
    HEAD + REASONING,
    HEAD + TOOLS,
    SSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(OPENAI),
    SSE + b"Content-Length: %d\r\n\r\n" % len(TOOLS) + TOOLS,
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + WHOLE,
    b"HTTP/1.1 401 Unauthorized\r\nRetry-After: 1\r\nContent-Length: %d\r\n\r\n" % len(REFUSED) + REFUSED,
    b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
)
SPLINTERS = [
    *(b"\n", b"\r", b"\r\n\r\n", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"data: ", b"data:[DONE]\n\n", b'"', b"}"),
    *(b"null", b"NaN", b"1e999", b"-1", b"[]", b"\\ud800", b"\x1b]0;x\x07", b"{" * 600, b"x" * 20_500, b": \n\n" * 100),
]
"""What parsers stumble over."""


@st.composite
def broken(draw: st.DrawFn) -> list[bytes]:
    """A real stream with some bytes taken out, put in, doubled or changed, in pieces."""
    data = draw(st.sampled_from(STREAMS))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        splinter = draw(st.one_of(st.sampled_from(SPLINTERS), st.binary(max_size=8), st.just(data[start:end] * 2)))
        data = data[:start] + splinter + data[end:]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted(Close()) as made:
        yield made


@settings(max_examples=150)
@given(pieces=broken())
@example(pieces=[b"HTTP/1.1 307 Moved\r\nLocation: http://[127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"])
def test_stream_that_is_broken_ends_in_time_with_an_answer_or_an_error_of_ours(
    pieces: list[bytes], server: ScriptedServer
) -> None:
    server.requests.clear()
    server.scripts = [[*pieces, Close()]]
    begun = time.monotonic()
    outcome = engine().run(ask(server)).result(LIMIT_S)
    assert time.monotonic() - begun < WORST_S
    completion = outcome.completion if isinstance(outcome, VigthoriaError) else outcome
    if isinstance(outcome, VigthoriaError):
        assert len(str(outcome)) < 2_000
        assert str(outcome).isprintable()
        assert KEY not in f"{outcome} {outcome.server_message} {outcome.code} {outcome.request_id}"
    if completion is not None:
        assert len(completion.text.encode()) <= LIMITS.max_text_bytes


async def ask(server: ScriptedServer) -> Completion | VigthoriaError:
    endpoint = Endpoint(base_url=server.base_url, api_key=Secret(KEY))
    async with Client(endpoint=endpoint, limits=LIMITS) as client:
        try:
            return await client.complete(REQUEST)
        except VigthoriaError as error:
            return error
