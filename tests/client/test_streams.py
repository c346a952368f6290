"""Raw streams, each with the text or the error it must give: PROTOCOL sections 2.1 to 2.5, end to end."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.client.conftest import (
    CHUNKED,
    DONE,
    FINISH,
    HEAD,
    LIMIT_S,
    Close,
    Reset,
    Sleep,
    Stall,
    Step,
    Wait,
    chat,
    event,
)
from vig_notebook.errors import Truncated, VigthoriaError
from vig_notebook.wire.accumulate import Completion
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import ScriptedServer
    from vig_notebook.client import Client
    from vig_notebook.client.stream import ChatStream


@dataclass
class Row:
    """A stream and what must come of it: `text`, and the kind of the error, if any."""

    name: str
    steps: tuple[Step, ...]
    text: str
    error: str | None = None


def sse(*lines: str) -> bytes:
    """Lines that each end an event."""
    return HEAD + "".join(f"data: {line}\n\n" for line in lines).encode()


def delta(members: str, tail: str = "") -> str:
    return '{"choices":[{"index":0,"delta":{' + members + "}" + tail + "}]}"


def reply(body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def packed(coding: str, data: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        b"Content-Encoding: %b\r\n\r\n%b" % (coding.encode(), data)
    )


A = delta('"content":"a"')
B = delta('"content":"b"')
STOP = delta("", ',"finish_reason":"stop"')
USAGE = '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
WHOLE = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"ab"},"finish_reason":"stop"}]}'
LONG = WHOLE.replace(b"ab", b"ab" * 50_000)
AB = event("a") + event("b")

PADDED_DONE = b"data:    [DONE]" + b" " * 20 + b"\n\n"
LATER = b'data: {"choices":[{"index":0,"delta":{"content":"b"},"logprobs":NaN}]}\n\n' + DONE
PAIR = b'data: {"choices":[{"delta":{"content":"x"}},{"delta":{"content":"y"}}]}\n\n'


def cut_after_braces() -> list[Step]:
    """A long reply that seems to be whole again and again."""
    pieces = WHOLE.replace(b"ab", (b"ab" * 40_000 + b"}") * 6).split(b"}")
    steps: list[Step] = [step for piece in pieces[:6] for step in (piece + b"}", Sleep(0.02))]
    return [*steps, b"}".join(pieces[6:])]


SHAPES = [
    Row("plain", (sse(A, B, STOP, "[DONE]"),), "ab"),
    Row(
        "the document's own, no index id or finish", (sse('{"choices":[{"delta":{"content":"In"}}]}', "[DONE]"),), "In"
    ),
    Row("first delta with role only", (sse(delta('"role":"assistant"'), A, "[DONE]"),), "a"),
    Row("role with content null", (sse(delta('"role":"assistant","content":null'), A, "[DONE]"),), "a"),
    Row("role in every delta", (sse(*[delta('"role":"assistant","content":"a"')] * 3, "[DONE]"),), "aaa"),
    Row("usage chunk with empty choices", (sse(A, STOP, USAGE, "[DONE]"),), "a"),
    Row("preamble with empty choices", (sse('{"choices":[],"prompt_filter_results":[]}', A, "[DONE]"),), "a"),
    Row("usage null on every chunk", (sse(A[:-1] + ',"usage":null}', STOP, "[DONE]"),), "a"),
    Row("usage on the finish chunk", (sse(A, STOP[:-1] + ',"usage":{"total_tokens":3}}', "[DONE]"),), "a"),
    Row("missing choices", (sse('{"id":"x"}', A, "[DONE]"),), "a"),
    Row("null choices", (sse('{"choices":null}', A, "[DONE]"),), "a"),
    Row("finish chunk without delta", (sse(A, '{"choices":[{"index":0,"finish_reason":"stop"}]}'),), "a"),
    Row(
        "finish chunk with delta null", (sse(A, '{"choices":[{"index":0,"delta":null,"finish_reason":"stop"}]}'),), "a"
    ),
    Row("finish chunk with the last text", (sse(A, delta('"content":"b"', ',"finish_reason":"stop"')),), "ab"),
    Row("last chunk an empty delta", (sse(A, delta("", ',"finish_reason":"stop"'), delta("")),), "a"),
    Row("finish length", (sse(A, delta("", ',"finish_reason":"length"')),), "a"),
    Row("finish content_filter", (sse(A, delta("", ',"finish_reason":"content_filter"')),), "a"),
    Row("finish eos_token", (sse(A, delta("", ',"finish_reason":"eos_token"')),), "a"),
    Row("finish empty on every chunk is no end", (sse(delta('"content":"a"', ',"finish_reason":""'), B, STOP),), "ab"),
    Row(
        "finish empty only is truncated",
        (sse(*[delta('"content":"a"', ',"finish_reason":""')] * 2),),
        "aa",
        "truncated",
    ),
    Row("finish false is no end", (sse(delta('"content":"a"', ',"finish_reason":false')),), "a", "truncated"),
    Row("finish the word null is no end", (sse(delta('"content":"a"', ',"finish_reason":"null"')),), "a", "truncated"),
    Row("finish error", (sse(A, delta("", ',"finish_reason":"error"')),), "a", "api_error"),
    Row(
        "finish insufficient_system_resource",
        (sse(A, delta("", ',"finish_reason":"insufficient_system_resource"')),),
        "a",
    ),
    Row("reasoning_content", (sse(delta('"reasoning_content":"r"'), A, "[DONE]"),), "a"),
    Row("reasoning", (sse(delta('"reasoning":"r"'), A, "[DONE]"),), "a"),
    Row("reasoning_details", (sse(delta('"reasoning_details":[{"text":"r"}]'), A, "[DONE]"),), "a"),
    Row("tool call without index", (sse(delta('"tool_calls":[{"id":"c","function":{"name":"f"}}]'), STOP),), ""),
    Row("tool call with index null", (sse(delta('"tool_calls":[{"index":null,"function":{"name":"f"}}]'), STOP),), ""),
    Row(
        "tool call first at index 1",
        (sse(delta('"tool_calls":[{"index":1,"id":"c","function":{"name":"f"}}]'), STOP),),
        "",
    ),
    Row("tool call null", (sse(delta('"content":"a","tool_calls":[null]'), STOP),), "a"),
    Row("refusal with content null", (sse(delta('"content":null,"refusal":"no"'), STOP),), ""),
    Row("extra members at top level", (sse(A[:-1] + ',"content":"zzz","badge":"Powered by"}', "[DONE]"),), "a"),
    Row(
        "n of 2 interleaved",
        (
            sse(
                '{"choices":[{"index":1,"delta":{"content":"x"}}]}',
                A,
                '{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}',
                STOP,
            ),
        ),
        "a",
    ),
    Row("NaN logprobs", (sse('{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":NaN}]}', "[DONE]"),), "a"),
    Row(
        "integer beyond 64 bits",
        (sse('{"created":123456789012345678901234567890,"choices":[{"delta":{"content":"a"}}]}', "[DONE]"),),
        "a",
    ),
    Row(
        "integer of 5000 digits",
        (sse('{"created":%s,"choices":[{"delta":{"content":"a"}}]}' % ("9" * 5000), "[DONE]"),),
        "a",
    ),
    Row("nested too deep", (sse(A, '{"x":' * 5000 + "1" + "}" * 5000, "[DONE]"),), "a", "protocol"),
    Row("NaN logprobs mid-stream", (HEAD + event("a"), Sleep(0.02), LATER), "ab"),
    Row("two choices without index mid-stream", (HEAD + event("a"), Sleep(0.02), PAIR + DONE), "ax"),
    Row(
        "malformed chunk mid-stream",
        (HEAD + event("a"), Sleep(0.02), b"data: {" + b"x" * 20 + b"\n\n"),
        "a",
        "protocol",
    ),
    Row("duplicate keys", (sse('{"choices":[],"choices":[{"delta":{"content":"a"}}]}', "[DONE]"),), "a"),
    Row("content a number", (sse(delta('"content":5'), "[DONE]"),), "", "protocol"),
    Row("choices a text", (sse('{"choices":"x"}', "[DONE]"),), "", "protocol"),
]

ERRORS = [
    Row("error object mid-stream", (sse(A, '{"error":{"message":"boom","code":500}}', "[DONE]"),), "a", "api_error"),
    Row("error text mid-stream", (sse(A, '{"error":"boom"}'),), "a", "api_error"),
    Row("error object first", (sse('{"error":{"message":"boom"}}', "[DONE]"),), "", "api_error"),
    Row(
        "error beside choices with finish error",
        (
            sse(
                A,
                '{"error":{"code":502,"message":"boom"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}',
            ),
        ),
        "a",
        "api_error",
    ),
    Row("error in a choice", (sse(delta('"content":"a"', ',"error":{"message":"boom"}')),), "", "api_error"),
    Row("error null is none", (sse(A[:-1] + ',"error":null}', "[DONE]"),), "a"),
    Row(
        "event error with message at top",
        (HEAD + event("a") + b'event: error\ndata: {"message":"boom"}\n\n',),
        "a",
        "api_error",
    ),
    Row("event error with bare text", (HEAD + event("a") + b"event: error\ndata: boom\n\n",), "a", "api_error"),
    Row("event error empty", (HEAD + event("a") + b"event: error\ndata:\n\n",), "a", "api_error"),
    Row("event error with DONE", (HEAD + event("a") + b"event: error\ndata: [DONE]\n\n",), "a", "api_error"),
    Row(
        "event error with DONE in pieces",
        (HEAD + event("a") + b"event: error\ndata: [DONE]", Sleep(0.02), b"\n\n"),
        "a",
        "api_error",
    ),
    Row("event error then held open", (HEAD + event("a") + b"event: error\ndata: boom\n\n", Stall()), "a", "api_error"),
    Row(
        "field error as llama.cpp",
        (HEAD + event("a") + b'error: {"code":500,"message":"boom"}\n\n' + DONE,),
        "a",
        "api_error",
    ),
    Row("field error with bare text", (HEAD + event("a") + b"error: boom\n\n" + DONE,), "a", "api_error"),
    Row(
        "bare JSON line after text", (HEAD + event("a") + b'{"error":{"message":"boom"}}\n\n' + DONE,), "a", "api_error"
    ),
    Row("bare JSON line first", (HEAD + b'{"error":{"message":"boom"}}\n\n' + DONE,), "", "api_error"),
    Row("bare JSON line first, held open", (HEAD + b'{"error":{"message":"boom"}}\n', Stall()), "", "api_error"),
    Row("JSON error with 200", (reply(b'{"error":{"message":"boom"}}'),), "", "api_error"),
    Row("JSON error pretty-printed", (reply(b'{\n "error": {\n  "message": "boom"\n }\n}\n'),), "", "api_error"),
    Row("JSON error in a list", (reply(b'[{"error":{"message":"boom"}}]'),), "", "api_error"),
    Row("JSON error as event stream", (HEAD + b'{"error":{"message":"boom"}}',), "", "api_error"),
    Row("JSON error with detail", (reply(b'{"detail":"boom"}'),), "", "api_error"),
    Row("JSON error with success false", (reply(b'{"success":false,"error":{"message":"boom"}}'),), "", "api_error"),
    Row("JSON error object error", (reply(b'{"object":"error","message":"boom"}'),), "", "api_error"),
    Row("whole JSON reply", (reply(WHOLE),), "ab"),
    Row("whole JSON reply labelled event stream", (reply(WHOLE, "text/event-stream"),), "ab"),
    Row("whole JSON reply pretty-printed", (reply(WHOLE.replace(b",", b",\n ").replace(b"[", b"[\n")),), "ab"),
    Row("whole JSON reply with BOM", (reply(b"\xef\xbb\xbf" + WHOLE),), "ab"),
    Row("whole JSON reply held open", (HEAD.replace(b"event-stream", b"plain") + WHOLE, Stall()), "ab"),
    Row("whole JSON reply in pieces", (HEAD + WHOLE[:30], WHOLE[30:60], WHOLE[60:]), "ab"),
    Row("whole JSON reply with NaN", (reply(WHOLE.replace(b'"index":0', b'"index":0,"p":NaN')),), "ab"),
    Row("whole JSON reply longer than is tried early", (reply(LONG),), "ab" * 50_000),
    Row("whole JSON reply longer than is tried early, held open", (HEAD + LONG, Stall()), "ab" * 50_000),
    Row("whole JSON reply of braces, held open", (HEAD, *cut_after_braces(), Stall()), ("ab" * 40_000 + "}") * 6),
    Row("JSON without an answer, held open", (HEAD + b'{"hello":"world"}', Stall()), "", "protocol"),
    Row("whole JSON reply cut", (HEAD + WHOLE[:50],), "", "truncated"),
    Row("JSON without an answer", (reply(b'{"hello":"world"}'),), "", "protocol"),
    Row("JSON null in a list", (reply(b"[null]"),), "", "protocol"),
    Row("JSON of an empty list", (reply(b"[]"),), "", "protocol"),
    Row("event stream labelled JSON", (HEAD.replace(b"text/event-stream", b"application/json") + AB + DONE,), "ab"),
    Row("lines of JSON chunks", (HEAD + f"{A}\n{B}\n{STOP}\n".encode(),), "ab"),
    Row("lines of JSON chunks in pieces", (HEAD + A.encode(), b"\n" + B.encode() + b"\n", STOP.encode() + b"\n"), "ab"),
    Row("lines of JSON of another API", (HEAD + b'{"response":"a"}\n{"response":"b","done":true}\n',), "", "protocol"),
    Row("HTML with 200", (reply(b"<!DOCTYPE html><html><title>Log in</title></html>", "text/html"),), "", "protocol"),
    Row("HTML without a title", (reply(b"<html>hello</html>", "text/html"),), "", "protocol"),
    Row("HTML held open", (HEAD + b"<html><title>Log in</title>", Stall()), "", "protocol"),
    Row("HTML without a title, endless", (HEAD + b"<html>" + b"x" * 30_000, Stall()), "", "protocol"),
    Row("plain text with 200", (reply(b"Internal Server Error", "text/plain"),), "", "protocol"),
    Row("blank flood then stream", (HEAD + b"\n" * 25_000 + AB + DONE,), "ab"),
    Row("empty body", (reply(b"", "text/event-stream"),), "", "truncated"),
    Row("status 204", (b"HTTP/1.1 204 No Content\r\n\r\n",), "", "truncated"),
    Row("cut in the first field name", (HEAD + b"da", Sleep(0.02), b"ta: {}\n\n"), "", "truncated"),
    Row("cut in a later field name", (HEAD + b": hm\n\nda", Sleep(0.02), b"ta: {}\n\n"), "", "truncated"),
    Row("plain text after a comment", (HEAD + b": hm\n\nGateway\nTimeout",), "", "protocol"),
    Row("only comments", (HEAD + b": hello\n\n",), "", "truncated"),
    Row(
        "JSON glued: the next data inside",
        (HEAD + event("a") + b'data: {"choices":[{"deltadata: {"choices":[]}\n\n' + DONE,),
        "a",
        "protocol",
    ),
    Row("malformed last chunk", (HEAD + event("a") + b'data: {"choices":[{"delta":{"cont\n\n',), "a", "protocol"),
    Row(
        "malformed last chunk, no line end",
        (HEAD + event("a") + b'data: {"choices":[{"delta":{"cont',),
        "a",
        "truncated",
    ),
    Row(
        "malformed chunk after the finish", (HEAD + event("a") + FINISH + b'data: {"usage":{"pro\n\n',), "a", "protocol"
    ),
    Row("cut usage chunk after the finish", (HEAD + event("a") + FINISH + b'data: {"usage":{"pro',), "a"),
    Row("not JSON at all", (sse(A, "hello"),), "a", "protocol"),
    Row("JSON but no object at the end", (HEAD + event("a") + b"data: 5",), "a", "protocol"),
]

ENDS = [
    Row("no DONE but finish reason", (HEAD + AB + FINISH,), "ab"),
    Row("DONE without finish reason", (HEAD + AB + DONE,), "ab"),
    Row("neither", (HEAD + AB,), "ab", "truncated"),
    Row("DONE without blank line", (HEAD + AB + b"data: [DONE]\n",), "ab"),
    Row("DONE without line end", (HEAD + AB + b"data: [DONE]",), "ab"),
    Row("DONE without space", (HEAD + AB + b"data:[DONE]\n\n",), "ab"),
    Row("DONE with a blank after it", (HEAD + AB + b"data: [DONE] \n\n",), "ab"),
    Row("DONE with blanks around it", (HEAD + AB + PADDED_DONE, Stall()), "ab"),
    Row("DONE with blanks around it mid-stream", (HEAD + event("a"), Sleep(0.02), event("b") + PADDED_DONE), "ab"),
    Row("DONE as a named event", (HEAD + AB + b"event: done\ndata: [DONE]\n\n",), "ab"),
    Row("DONE in quotes", (HEAD + AB + b'data: "[DONE]"\n\n', Stall()), "ab"),
    Row("DONE in quotes mid-stream", (HEAD + event("a"), Sleep(0.02), event("b") + b'data: "[DONE]"\n\n'), "ab"),
    Row("DONE then held open", (HEAD + AB + DONE, Stall()), "ab"),
    Row("DONE without line end, held open", (HEAD + AB + b"data: [DONE]", Stall()), "ab"),
    Row(
        "DONE without line end mid-stream, held open",
        (HEAD + event("a"), Sleep(0.02), event("b") + b"data: [DONE]", Stall()),
        "ab",
    ),
    Row("DONE without blank line, held open", (HEAD + AB + b"data: [DONE]\n", Stall()), "ab"),
    Row("DONE cut in two, held open", (HEAD + AB + b"data: [DO", b"NE]", Stall()), "ab"),
    Row("DONE with CRLF, held open", (HEAD + AB + b"data: [DONE]\r\n", Stall()), "ab"),
    Row("DONE only", (HEAD + DONE,), ""),
    Row("DONE written by a model is text", (HEAD + event("see data: [DONE] ok") + DONE,), "see data: [DONE] ok"),
    Row("data after DONE", (HEAD + event("a") + DONE + event("b"),), "a"),
    Row("error after DONE", (HEAD + event("a") + DONE + b'data: {"error":"x"}\n\n',), "a"),
    Row("finish then held open", (HEAD + AB + FINISH, Stall()), "ab"),
    Row("finish and usage then held open", (HEAD + AB + FINISH + f"data: {USAGE}\n\n".encode(), Stall()), "ab"),
    Row("finish chunk without line end", (HEAD + AB + FINISH.rstrip(),), "ab"),
    Row("last text without line end", (HEAD + event("a") + event("b").rstrip(),), "ab", "truncated"),
    Row("silence after text", (HEAD + AB, Stall()), "ab", "timeout"),
    Row("reset after text", (HEAD + AB, Sleep(0.02), Reset()), "ab", "truncated"),
    Row("reset after the finish", (HEAD + AB + FINISH, Sleep(0.02), Reset()), "ab"),
    Row("chunked whole", (CHUNKED + chunked(AB, DONE) + b"0\r\n\r\n",), "ab"),
    Row("chunked cut", (CHUNKED + chunked(AB),), "ab", "truncated"),
    Row("chunked cut in a chunk", (CHUNKED + b"%x\r\n" % 500 + AB,), "ab", "truncated"),
    Row("chunked cut after the finish", (CHUNKED + chunked(AB, FINISH),), "ab"),
    Row("chunked cut after DONE", (CHUNKED + chunked(AB, DONE),), "ab"),
    Row("chunked cut in the first event", (CHUNKED + chunked(b"data: {"),), "", "truncated"),
    Row("chunked broken size", (CHUNKED + chunked(AB), Sleep(0.02), b"zz\r\nhello\r\n", Stall()), "ab", "truncated"),
    Row("length cut", (reply(AB + DONE, "text/event-stream")[:-10],), "ab", "truncated"),
    Row("length cut after the finish", (reply(AB + FINISH + DONE, "text/event-stream")[:-14],), "ab"),
    Row("length cut before any byte", (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n",), "", "truncated"),
    Row("chunked cut before any byte", (CHUNKED,), "", "truncated"),
]

FRAMING = [
    Row("a header of 30 kB", (HEAD[:-2] + b"X-Long: " + b"x" * 30_000 + b"\r\n\r\n" + AB + DONE,), "ab"),
    Row("no space after the colon", (HEAD + AB.replace(b"data: ", b"data:") + DONE,), "ab"),
    Row("comment of OpenRouter", (HEAD + b": OPENROUTER PROCESSING\n\n" + AB + DONE,), "ab"),
    Row("colon alone", (HEAD + b":\n\n" + AB + b":\n\n" + DONE,), "ab"),
    Row("comment and blank line after an id", (HEAD + b"id: 1\n: hello\n\n" + AB + DONE,), "ab"),
    Row("keep-alive as data", (HEAD + b"data: : keepalive\n\n" + AB + DONE,), "ab"),
    Row("data of two quotes", (HEAD + b'data: ""\n\n' + AB + DONE,), "ab"),
    Row("empty data", (HEAD + b"data:\n\ndata\n\n" + AB + DONE,), "ab"),
    Row("ping with a time", (HEAD + b"event: ping\ndata: 2024-01-01\n\n" + AB + DONE,), "ab"),
    Row("named event of no JSON", (HEAD + b"event: status\ndata: loading\n\n" + AB + DONE,), "ab"),
    Row("named event with a message", (HEAD + b'event: progress\ndata: {"message":"hm"}\n\n' + AB + DONE,), "ab"),
    Row("named event with an error", (HEAD + b'event: x\ndata: {"error":"boom"}\n\n' + AB + DONE,), "", "api_error"),
    Row("named event with a chunk", (HEAD + b"event: delta\n" + event("a") + DONE,), "a"),
    Row("CRLF", (HEAD + (AB + DONE).replace(b"\n", b"\r\n"),), "ab"),
    Row("CR", (HEAD + (AB + DONE).replace(b"\n", b"\r"),), "ab"),
    Row("mixed ends", (HEAD + event("a").replace(b"\n", b"\r\n") + event("b") + DONE.replace(b"\n", b"\r"),), "ab"),
    Row("CR and LF in two pieces", (HEAD + event("a").rstrip() + b"\r", b"\n\r", b"\n" + event("b") + DONE), "ab"),
    Row("BOM", (HEAD + b"\xef\xbb\xbf" + AB + DONE,), "ab"),
    Row("BOM cut", (HEAD + b"\xef", Sleep(0.02), b"\xbb", Sleep(0.02), b"\xbf" + AB + DONE), "ab"),
    Row("BOM twice is an unknown field", (HEAD + b"\xef\xbb\xbf\xef\xbb\xbf" + AB + DONE,), "b"),
    Row("data over several lines", (HEAD + b'data: {"choices":\ndata: [{"delta":{"content":"a"}}]}\n\n' + DONE,), "a"),
    Row("id, retry and event", (HEAD + b"id: 7\nretry: 10\nevent: message\n" + event("a") + DONE,), "a"),
    Row("unknown fields", (HEAD + b"foo: bar\nDATA: x\n data: y\n" + event("a") + DONE,), "a"),
    Row("events merged", (HEAD + AB * 100 + DONE,), "ab" * 100),
    Row("a byte a piece", (HEAD, *[bytes([byte]) for byte in AB + DONE]), "ab"),
    Row("a long line", (HEAD + event("x" * 1_000_000) + DONE,), "x" * 1_000_000),
    Row("chunked, an event in two chunks", (CHUNKED + chunked(AB[:20], AB[20:], DONE) + b"0\r\n\r\n",), "ab"),
    Row("leading blank lines", (HEAD + b"\n\r\n\n" + AB + DONE,), "ab"),
]

TEXT = [
    Row("characters beyond ASCII", (HEAD + event("h\u00e9 \u4f60 \U0001f600") + DONE,), "h\u00e9 \u4f60 \U0001f600"),
    Row(
        "a character cut",
        (HEAD + event("\U0001f600")[:45], event("\U0001f600")[45:47], event("\U0001f600")[47:] + DONE),
        "\U0001f600",
    ),
    Row(
        "charset Latin-1 is not believed",
        (HEAD.replace(b"stream", b"stream; charset=iso-8859-1") + event("\u00e9") + DONE,),
        "\u00e9",
    ),
    Row("line separators are text", (HEAD + event("a\u2028b\u2029c\u0085d") + DONE,), "a\u2028b\u2029c\u0085d"),
    Row("VT FF FS as escapes", (sse(delta(r'"content":"a\u000bb\u000cc\u001cd"'), "[DONE]"),), "a\x0bb\x0cc\x1cd"),
    Row(
        "surrogate pair over two deltas",
        (sse(delta(r'"content":"\ud83d"'), delta(r'"content":"\ude00"'), STOP),),
        "\U0001f600",
    ),
    Row("lone first half", (sse(delta(r'"content":"a\ud83d"'), B, STOP),), "a\ufffdb"),
    Row("lone second half", (sse(delta(r'"content":"a\ude00"'), STOP),), "a\ufffd"),
    Row("first half before DONE", (sse(delta(r'"content":"a\ud83d"'), "[DONE]"),), "a\ufffd"),
    Row("invalid UTF-8", (HEAD + event("a").replace(b'"a"', b'"a\xff"') + DONE,), "a\ufffd"),
    Row("invalid UTF-8 in a comment", (HEAD + b": \xff\xfe\n\n" + AB + DONE,), "ab"),
    Row("escaped NUL", (sse(delta(r'"content":"a\u0000b"'), "[DONE]"),), "a\x00b"),
    Row("gzip", (packed("gzip", gzip.compress(AB + DONE)),), "ab"),
    Row("deflate", (packed("deflate", zlib.compress(AB + DONE)),), "ab"),
    Row("raw deflate", (packed("deflate", zlib.compress(AB + DONE)[2:-4]),), "ab"),
    Row(
        "gzip in short pieces",
        (packed("gzip", b""), *[gzip.compress(AB + DONE)[i : i + 7] for i in range(0, 200, 7)]),
        "ab",
    ),
    Row("gzip in capitals", (packed("GZIP", gzip.compress(AB + DONE)),), "ab"),
    Row("identity", (packed("identity", AB + DONE),), "ab"),
    Row("gzip that is none", (packed("gzip", AB + DONE),), "", "protocol"),
    Row("br that cannot be decoded", (packed("br", b"\x8b\x02\x80hello\x03"),), "", "protocol"),
    Row("unknown coding", (packed("snappy", AB + DONE),), "", "protocol"),
]

ROWS = [*SHAPES, *ERRORS, *ENDS, *FRAMING, *TEXT]


async def test_long_prompt_is_sent_whole_at_each_try(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n", Close())
    server.play(HEAD + AB + DONE, Close())
    prompt = "x" * 3_000_000
    async with make_client(max_retries=1) as client:
        await client.complete(ChatRequest([{"role": "user", "content": prompt}]))
    assert [json.loads(heard.body)["messages"][0]["content"] == prompt for heard in server.requests] == [True, True]
    assert all(heard.header("transfer-encoding") is None for heard in server.requests)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_stream_gives_its_text_or_its_error(
    row: Row, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(*row.steps, Close())
    kind = None
    pieces: list[str] = []
    async with make_client(idle_timeout_s=0.5) as client:
        stream = client.stream(chat())
        try:
            async with stream as chunks:
                async for chunk in chunks:
                    pieces += [c.delta.content or "" for c in chunk.choices if c.index == 0]
            completion = chunks.completion()
        except VigthoriaError as error:
            kind = error.kind
            completion = error.completion or Completion(text="the error has none")
    assert (completion.text, kind) == (row.text, row.error)
    assert "".join(pieces) == row.text
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("rest", "text", "kind"),
    [
        ((chunked(event("b")), Close()), "ab", "truncated"),
        ((chunked(event("b")) + b"zz\r\n", Stall()), "ab", "truncated"),
        ((chunked(event("b") + DONE), Close()), "ab", None),
        ((chunked(event("b"), FINISH), Close()), "ab", None),
        ((chunked(event("b") + DONE) + b"zz\r\n", Stall()), "ab", None),
    ],
    ids=["cut", "broken chunk", "[DONE], then cut", "finish reason, then cut", "[DONE], then broken chunk"],
)
async def test_slow_reader_gets_what_had_come_before_the_connection_ended(
    rest: tuple[Step, ...], text: str, kind: str | None, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    is_read = asyncio.Event()
    server.play(CHUNKED + chunked(event("a")), Wait(is_read), *rest)
    got, failed, kept = "", None, None
    async with make_client() as client:
        stream = client.stream(chat())
        try:
            async with stream as chunks:
                async for chunk in chunks:
                    got += chunk.choices[0].delta.content or ""
                    if not is_read.is_set():
                        is_read.set()
                        await connection_ended(chunks)
            kept = chunks.completion()
        except VigthoriaError as error:
            failed, kept = error.kind, error.completion
    assert (got, failed) == (text, kind)
    assert str(kept) == text


async def connection_ended(stream: ChatStream) -> None:
    exchange = stream._exchange
    assert exchange is not None
    assert exchange._response is not None
    assert exchange._response.connection is not None
    protocol = exchange._response.connection.protocol
    assert protocol is not None
    assert protocol.closed is not None
    await asyncio.wait([protocol.closed], timeout=LIMIT_S)


async def test_reader_that_comes_while_the_connection_closes_gets_its_end(
    server: ScriptedServer, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the closing and its end there is a turn of the loop, in which aiohttp only complains."""
    monkeypatch.setattr("vig_notebook.client.exchange.BREATH_S", -1)  # a turn of the loop before each read
    is_read = asyncio.Event()
    server.play(CHUNKED + chunked(event("a")), Wait(is_read), chunked(event("b")) + b"zz\r\n", Stall())
    async with make_client() as client, client.stream(chat()) as chunks:
        await anext(chunks)
        is_read.set()
        await anext(chunks)
        with pytest.raises(Truncated) as caught:
            await anext(chunks)
    assert caught.value.completion is not None
    assert caught.value.completion.text == "ab"


async def test_second_reader_is_told_that_there_is_one(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(HEAD + event("a"), Stall())
    async with make_client() as client, client.stream(chat()) as chunks:
        await anext(chunks)
        reads = [asyncio.ensure_future(anext(chunks)) for _ in range(2)]
        await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED, timeout=LIMIT_S)
        assert sorted(read.done() for read in reads) == [False, True]
        for read in reads:
            read.cancel()
        ended = await asyncio.gather(*reads, return_exceptions=True)
    assert {type(error) for error in ended} == {RuntimeError, asyncio.CancelledError}
