"""The key is in no error, no frame, no log and no pickle, whatever goes wrong (SAFETY 2; figures 6 and 14)."""

from __future__ import annotations

import asyncio
import copy
import errno
import json
import logging
import pickle
import socket
import ssl
import traceback
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.client.conftest import (
    CANARY,
    CHUNKED,
    DONE,
    HEAD,
    LIMIT_S,
    Close,
    Repeat,
    Reset,
    Sleep,
    Stall,
    Step,
    answer,
    event,
)
from vig_notebook.client import Client, exchange
from vig_notebook.errors import ConnectFailed, VigthoriaError
from vig_notebook.settings import Endpoint, Limits, Secret
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.client.conftest import ScriptedServer

PROMPT = "canary-prompt-do-not-show"
ECHO = json.dumps({"error": {"message": f"Incorrect API key provided: {CANARY}", "code": CANARY}}).encode()
SSE = b"data: " + ECHO + b"\n\n"
MIRROR = f"X-Echo: Bearer {CANARY}"

FAULTS: dict[str, tuple[Step, ...]] = {
    "401 that echoes": (answer("401 Unauthorized", ECHO, MIRROR), Close()),
    "500 that echoes": (answer("500 No", CANARY.encode(), MIRROR), Close()),
    "500 with a page that echoes": (answer("500 No", b"<html><title>%b</title>" % CANARY.encode()), Close()),
    "redirect that echoes": (answer("307 Moved", b"", f"Location: https://{CANARY}.example/?k={CANARY}"), Close()),
    "429 that asks too long": (answer("429 No", ECHO, "Retry-After: 900"), Close()),
    "no answer": (Close(),),
    "reset": (Reset(),),
    "no HTTP": (f"hello {CANARY}\r\n\r\n".encode(), Close()),
    "bad header": (f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode(), Close()),
    "silence": (Stall(),),
    "silence after the headers": (HEAD[:-2] + MIRROR.encode() + b"\r\n\r\n", Stall()),
    "silence mid-stream": (HEAD + event("a"), Stall()),
    "error event that echoes": (HEAD + event("a") + SSE + DONE, Close()),
    "named error event that echoes": (HEAD + b"event: error\ndata: " + CANARY.encode() + b"\n\n", Close()),
    "JSON that echoes": (answer("200 OK", ECHO, "Content-Type: application/json", MIRROR), Close()),
    "broken JSON that echoes": (HEAD + event("a") + b"data: {" + CANARY.encode() + b"\n\n", Close()),
    "page that echoes": (HEAD + b"<html><title>%b</title>" % CANARY.encode(), Close()),
    "text that echoes": (answer("200 OK", CANARY.encode(), "Content-Type: text/plain"), Close()),
    "coding that echoes": (
        HEAD.replace(b"Connection", b"Content-Encoding: " + CANARY.encode() + b"\r\nConnection"),
        Close(),
    ),
    "br": (HEAD.replace(b"Connection", b"Content-Encoding: br\r\nConnection") + b"hello", Close()),
    "no gzip": (HEAD.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection") + CANARY.encode(), Close()),
    "cut": (CHUNKED + b"5\r\n: abc", Close()),
    "broken chunk": (CHUNKED + b"4\r\n: a\n\r\n", Sleep(0.02), CANARY.encode() + b"\r\n", Stall()),
    "too long a line": (HEAD, Repeat(CANARY.encode() * 1000)),
    "request id that echoes": (answer("500 No", b"", f"X-Request-Id: {CANARY}"), Close()),
}


def hidden(error: BaseException) -> Iterator[BaseException]:
    """The error and all that hangs on it."""
    yield error
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from hidden(other)


def frames(trace: TracebackType | None) -> Iterator[str]:
    """The local variables of a traceback, as a debugger shows them, but for those of the tests."""
    while trace is not None:
        if "/tests/" not in trace.tb_frame.f_code.co_filename:
            for name, value in trace.tb_frame.f_locals.items():
                yield f"{trace.tb_frame.f_code.co_qualname} {name}={value!r}"
                if isinstance(value, BaseException):
                    yield from (repr(part) for part in value.args)
        trace = trace.tb_next


def everything(error: BaseException) -> str:
    """All that anybody could print of an error."""
    parts = []
    for part in hidden(error):
        parts += [str(part), repr(part), repr(part.args), repr(vars(part)), *frames(part.__traceback__)]
        parts += traceback.TracebackException.from_exception(part, capture_locals=False).format()
    return "\n".join(parts)


async def failure(client: Client, request: ChatRequest) -> BaseException:
    try:
        await client.complete(request)
    except (VigthoriaError, asyncio.CancelledError) as error:
        return error
    raise AssertionError("nothing failed")


def request() -> ChatRequest:
    return ChatRequest(messages=[{"role": "user", "content": PROMPT}], model="m")


@pytest.mark.parametrize("steps", FAULTS.values(), ids=FAULTS)
async def test_key_and_prompt_are_in_no_error(
    steps: tuple[Step, ...], server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    server.play(*steps)
    limits = Limits(max_retries=0, idle_timeout_s=0.1, first_byte_timeout_s=0.2, max_line_bytes=100_000)
    async with Client(endpoint=server.endpoint(CANARY), limits=limits) as client:
        error = await failure(client, request())
        shown = everything(error)
        assert CANARY not in shown
        assert PROMPT not in shown
        assert CANARY.encode() not in pickle.dumps(error)
        assert CANARY not in f"{pickle.loads(pickle.dumps(error))!r} {copy.copy(error)!r}"  # noqa: S301
        assert CANARY not in repr(client) + repr(vars(client))
    assert server.requests[0].header("authorization") == f"Bearer {CANARY}"
    assert CANARY not in caplog.text
    assert PROMPT not in caplog.text


async def test_cancellation_carries_no_frame_with_the_key(server: ScriptedServer) -> None:
    server.play(Stall())
    async with Client(endpoint=server.endpoint(CANARY)) as client:
        task = asyncio.create_task(failure(client, request()))
        await asyncio.wait_for(server.asked.wait(), LIMIT_S)
        task.cancel()
        assert CANARY not in everything(await task)


async def test_key_goes_to_no_other_host(server: ScriptedServer) -> None:
    server.play(answer("307 Moved", b"", f"Location: http://localhost:{server.port}/v1/chat/completions"), Close())
    async with Client(endpoint=server.endpoint(CANARY)) as client:
        await failure(client, request())
    assert server.connections == 1


async def test_netrc_and_proxy_of_the_environment_are_not_used(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.play(HEAD + DONE, Close())
    async with Client(endpoint=server.endpoint(CANARY)) as client:
        await client.complete(request())
    assert server.requests[0].header("authorization") == f"Bearer {CANARY}"


# What the system and TLS say, without a network: the connector fails as it would.


def key_of(host: str) -> Any:
    return aiohttp.client_reqrep.ConnectionKey(host, 443, True, True, None, None, None)


CONNECT_ERRORS: dict[str, tuple[Exception, str]] = {
    "unknown name": (
        aiohttp.ClientConnectorDNSError(key_of("nope.example"), socket.gaierror(-2, "Name or service not known")),
        "The host nope.example was not found: Name or service not known. "
        "Check the spelling of the base URL, and the network.",
    ),
    "certificate": (
        aiohttp.ClientConnectorCertificateError(key_of("nope.example"), ssl.SSLCertVerificationError("self-signed")),
        "No secure connection to nope.example: ('self-signed',). Check the base URL and this machine's clock. "
        "A company's own authority is named with SSL_CERT_FILE; the check is never left out.",
    ),
    "plain http": (
        aiohttp.ClientConnectorSSLError(key_of("nope.example"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong")),
        "No secure connection to nope.example: [SSL: WRONG_VERSION_NUMBER] wrong. "
        "The server seems to speak http://, not https://: check the base URL.",
    ),
    "too many files": (
        aiohttp.ClientConnectorError(key_of("nope.example"), OSError(errno.EMFILE, "Too many open files")),
        "No connection to nope.example: this process has too many open files. "
        "Raise the limit (ulimit -n), or set max_concurrency lower.",
    ),
}


@pytest.mark.parametrize(("foreign", "sentence"), CONNECT_ERRORS.values(), ids=CONNECT_ERRORS)
async def test_connection_that_cannot_be_made_is_said_and_not_tried_again(
    foreign: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    async def fail(*_: object, **__: object) -> None:
        tries.append(1)
        raise foreign

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", fail)
    endpoint = Endpoint(base_url="https://nope.example/v1", api_key=Secret(CANARY))
    async with Client(endpoint=endpoint) as client:
        error = await failure(client, request())
    assert str(error).replace("('self-signed',)", "('self-signed',)") == sentence
    assert isinstance(error, ConnectFailed)
    assert len(tries) == 1
    assert CANARY not in everything(error)


@pytest.mark.parametrize(
    "foreign",
    [
        aiohttp.ClientConnectorDNSError(
            key_of("a.example"), socket.gaierror(-3, "Temporary failure in name resolution")
        ),
        aiohttp.ClientConnectorError(key_of("a.example"), OSError(errno.ENETUNREACH, "Network is unreachable")),
        aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer"),
        ConnectionResetError(),
    ],
)
async def test_connection_that_may_pass_is_tried_again(foreign: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    async def fail(*_: object, **__: object) -> None:
        tries.append(1)
        raise foreign

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", fail)
    monkeypatch.setattr(exchange, "backoff_s", lambda *_: 0.001)
    async with Client("https://a.example/v1") as client:
        error = await failure(client, request())
    assert isinstance(error, ConnectFailed)
    assert len(tries) == 3


async def test_error_of_a_program_passes_without_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", fail)
    endpoint = Endpoint(base_url="https://nope.example/v1", api_key=Secret(CANARY))
    async with Client(endpoint=endpoint) as client:
        with pytest.raises(TypeError) as caught:
            await client.complete(request())
    assert CANARY not in everything(caught.value)
