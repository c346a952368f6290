"""The demo server serves nobody else."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.demo.conftest import LIMIT_S, request
from vig_notebook.demo import guard
from vig_notebook.demo.guard import MAX_BODY_BYTES, MAX_CONNECTIONS

if TYPE_CHECKING:
    from tests.demo.conftest import Caller
    from vig_notebook.demo import DemoServer

BODY = json.dumps(request("What is 2 + 2?")).encode()


def port_of(server: DemoServer) -> int:
    return int(server.base_url.split(":")[2].split("/")[0])


async def raw(server: DemoServer, head: str, body: bytes = b"") -> bytes:
    """Send bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
    answer = await asyncio.wait_for(reader.read(), LIMIT_S)
    writer.close()
    await writer.wait_closed()
    return answer


async def status_of(caller: Caller, method: str, path: str, **extra: str) -> int:
    headers = {"Content-Type": "application/json", **extra}
    url = caller.server.base_url.removesuffix("/v1") + path
    async with caller.session.request(method, url, data=BODY, headers=headers) as response:
        body = await response.read()
        if response.status != 200:
            assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        return response.status


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/", "/nowhere"])
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer é"])
async def test_any_route_without_the_token_is_401(caller: Caller, path: str, authorization: str) -> None:
    assert await status_of(caller, "POST", path, Authorization=authorization) == 401
    assert caller.server.requests == 0


async def test_token_with_more_or_other_case_is_401(caller: Caller) -> None:
    token = caller.server.token
    for wrong in (f"Bearer {token}x", f"Bearer {token[:-1]}", f"bearer {token}", token, f"Bearer {token.lower()}"):
        assert await status_of(caller, "GET", "/v1/models", Authorization=wrong) == 401


@pytest.mark.parametrize("host", ["localhost", "evil.example", "127.0.0.1", "127.0.0.1:1", "[::1]", ""])
async def test_another_host_is_421(caller: Caller, host: str) -> None:
    assert await status_of(caller, "GET", "/v1/models", Host=host) == 421
    assert await status_of(caller, "GET", "/v1/models", Host=f"{host}:{port_of(caller.server)}x") == 421


async def test_no_host_or_two_of_them_are_refused(server: DemoServer) -> None:
    auth = f"Authorization: Bearer {server.token}\nConnection: close\n"
    assert b" 421 " in await raw(server, f"GET /v1/models HTTP/1.0\n{auth}")
    host = f"Host: 127.0.0.1:{port_of(server)}\n"
    twice = await raw(server, f"GET /v1/models HTTP/1.1\n{host}{host}{auth}")
    assert b" 421 " in twice or b" 400 " in twice


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1"])
async def test_any_origin_is_403(caller: Caller, origin: str) -> None:
    assert await status_of(caller, "POST", "/v1/chat/completions", Origin=origin) == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
async def test_another_method_is_405(caller: Caller, method: str) -> None:
    async with caller.session.request(method, caller.url) as response:
        assert response.status == 405
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


async def test_unknown_address_is_404(caller: Caller) -> None:
    assert await status_of(caller, "POST", "/v1/completions") == 404


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "application/jsonx", ""],
)
async def test_another_media_type_is_415(caller: Caller, media_type: str) -> None:
    extra = {"Content-Type": media_type}
    assert await status_of(caller, "POST", "/v1/chat/completions", **extra) == 415


async def test_json_with_a_charset_is_taken(caller: Caller) -> None:
    extra = {"Content-Type": "application/json; charset=utf-8"}
    assert await status_of(caller, "POST", "/v1/chat/completions", **extra) == 200


async def test_compressed_body_is_415(caller: Caller) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with caller.session.post(caller.url, data=gzip.compress(BODY), headers=headers) as response:
        assert response.status == 415


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
async def test_body_over_a_mebibyte_is_413(caller: Caller, size: int, status: int) -> None:
    prompt = "x" * (size - len(json.dumps(request(""))))
    headers = {"Content-Type": "application/json"}
    body = io.BytesIO(json.dumps(request(prompt)).encode())
    async with caller.session.post(caller.url, data=body, headers=headers) as response:
        assert response.status == status
        assert ("The body is larger than 1 MiB." in await response.text()) is (status == 413)


async def test_no_cors_header_is_ever_sent(caller: Caller) -> None:
    async with caller.session.post(caller.url, json=request("What is 2 + 2?")) as response:
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


async def test_connections_over_the_limit_get_503(caller: Caller) -> None:
    server = caller.server
    open_ones = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(MAX_CONNECTIONS)]
    try:
        answer = await raw(server, f"GET /v1/models HTTP/1.1\nHost: 127.0.0.1:{port_of(server)}\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]["code"] == "too_many_connections"
        async with caller.session.get(f"{server.base_url}/models") as response:
            assert response.status == 503
    finally:
        for _, writer in open_ones:
            writer.close()
            await writer.wait_closed()
    assert await status_of(caller, "GET", "/v1/models") == 200


async def test_silent_connection_over_the_limit_is_dropped(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_IDLE_S", 0.01)
    open_ones = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(MAX_CONNECTIONS + 1)]
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(open_ones[-1][0].read(), LIMIT_S) == b""
    for _, writer in open_ones:
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()


async def test_nothing_of_a_request_is_logged(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await caller.reply("Canary42")
    await caller.refused(request("Canary42", temperature=9))
    await raw(caller.server, "GET /Canary42 \x01 HTTP/1.1\nCanary42\n")
    await status_of(caller, "GET", "/v1/models", Authorization="Bearer Canary42")
    assert "Canary42" not in caplog.text
    assert caller.server.token not in caplog.text


async def test_it_listens_on_loopback_only(server: DemoServer) -> None:
    assert server._listener is not None
    assert [name.getsockname()[0] for name in server._listener.sockets] == ["127.0.0.1"]
