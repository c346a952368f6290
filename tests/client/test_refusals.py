"""Statuses and bodies (PROTOCOL 2.6): the class, the server's words, what to do; nothing unsafe in them."""

from __future__ import annotations

import gzip
import json
import traceback
from typing import TYPE_CHECKING

import pytest

from tests.client.conftest import CANARY, Close, Repeat, Stall, answer, chat
from vig_notebook.client import Client
from vig_notebook.errors import ServerReportedError, StatusError, TooLarge, VigthoriaError
from vig_notebook.settings import Endpoint, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import ScriptedServer

KINDS = {
    300: "status", 301: "status", 302: "status", 307: "status", 308: "status",
    400: "bad_request", 401: "auth", 402: "payment", 403: "permission", 404: "not_found", 405: "bad_request",
    408: "bad_request", 409: "conflict", 413: "bad_request", 418: "bad_request", 422: "bad_request",
    429: "rate_limit", 500: "server", 502: "server", 503: "overloaded", 504: "server", 520: "server",
    524: "server", 529: "overloaded",
}  # fmt: skip

BODIES = {
    "OpenAI": (b'{"error":{"message":"boom","type":"t","param":null,"code":"c"}}', "boom", "c"),
    "OpenRouter": (b'{"error":{"code":402,"message":"boom","metadata":{}}}', "boom", "402"),
    "error as text": (b'{"error":"boom"}', "boom", None),
    "FastAPI text": (b'{"detail":"boom"}', "boom", None),
    "success false": (b'{"success":false,"error":{"message":"boom"}}', "boom", None),
    "message at top": (b'{"message":"boom"}', "boom", None),
    "Anthropic": (b'{"type":"error","error":{"type":"overloaded_error","message":"boom"}}', "boom", "overloaded_error"),
    "nginx": (
        b"<html>\r\n<head><title>413 Request Entity Too Large</title></head></html>",
        "413 Request Entity Too Large",
        None,
    ),
    "HTML with a heading": (b"<html><body><h1>Bad &amp; gone</h1>", "Bad & gone", None),
    "HTML with nothing": (b"<!DOCTYPE html><p>", "an HTML page", None),
    "plain text": (b"boom", "boom", None),
    "empty": (b"", None, None),
    "blank": (b" \r\n", None, None),
    "not UTF-8": (b"b\xff\xfem", "b\ufffd\ufffdm", None),
    "escape sequences": (b"\x1b[31mboom\x1b[0m\x07", "boom", None),
    "several lines": (b"a\r\nb\r\n", "a b", None),
    "JSON that is cut": (b'{"error":{"mess', '{"error":{"mess', None),
    "event stream": (b': hm\n\nevent: error\ndata: {"error":{"message":"boom","code":"c"}}', "boom", "c"),
    "event stream without data": (b"event: boom\n\n", "event: boom", None),
    "BOM": (b'\xef\xbb\xbf{"error":"boom"}', "boom", None),
}


async def refused(client: Client) -> StatusError:
    async with client:
        with pytest.raises(StatusError) as caught:
            await client.complete(chat())
    return caught.value


@pytest.mark.parametrize(("status", "kind"), KINDS.items())
async def test_status_has_its_kind(
    status: int, kind: str, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer(f"{status} Whatever", b'{"error":"boom"}'), Close())
    error = await refused(make_client())
    assert (error.status, error.kind, error.server_message) == (status, kind, "boom")
    assert error.completion is not None
    assert error.completion.text == ""


@pytest.mark.parametrize(("body", "message", "code"), BODIES.values(), ids=BODIES)
async def test_body_of_any_shape_gives_the_servers_words(
    body: bytes, message: str | None, code: str | None, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer("400 Bad Request", body), Close())
    error = await refused(make_client())
    assert (error.server_message, error.code) == (message, code)


async def test_list_of_details_is_joined(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    body = json.dumps({"detail": [{"loc": ["body"], "msg": "too long"}, {"msg": "missing"}]}).encode()
    server.play(answer("422 Unprocessable", body), Close())
    error = await refused(make_client())
    assert error.server_message is not None
    assert "too long" in error.server_message
    assert "missing" in error.server_message


async def test_words_are_capped_and_masked(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    body = json.dumps({"error": {"message": f"bad key {CANARY} " + "x" * 10_000, "code": CANARY}}).encode()
    server.play(answer("401 Unauthorized", body, f"X-Request-Id: {CANARY}"), Close())
    error = await refused(make_client(CANARY))
    assert error.server_message is not None
    assert len(error.server_message) <= 500
    assert CANARY not in f"{error} {error!r} {vars(error)}"


async def test_request_id_is_kept(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("500 Oops", b"", "X-Request-Id: req_123"), Close())
    assert (await refused(make_client())).request_id == "req_123"


async def test_request_id_of_no_known_form_is_left_out(
    server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer("500 Oops", b"", "X-Request-Id: <script>"), Close())
    assert (await refused(make_client())).request_id is None


async def test_compressed_body_is_read(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("400 Bad", gzip.compress(b'{"error":"boom"}'), "Content-Encoding: gzip"), Close())
    assert (await refused(make_client())).server_message == "boom"


async def test_broken_body_leaves_the_status(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("400 Bad", b"no gzip", "Content-Encoding: gzip"), Close())
    assert (await refused(make_client())).status == 400


async def test_cut_body_leaves_the_status(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nsorry", Close())
    error = await refused(make_client())
    assert (error.status, error.server_message) == (503, "sorry")


async def test_held_body_ends_at_the_limit(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nsorry", Stall())
    error = await refused(make_client(first_byte_timeout_s=0.1))
    assert (error.status, error.server_message) == (503, "sorry")


async def test_endless_body_is_capped(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(b"HTTP/1.1 500 No\r\n\r\n", Repeat(b"boom " * 1000))
    error = await refused(make_client(max_error_body_bytes=10_000))
    assert error.server_message is not None
    assert error.server_message.startswith("boom boom")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed_and_names_the_host(
    status: int, server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    location = f"Location: http://127.0.0.1:{server.port}/other?key=1"
    server.play(answer(f"{status} Moved", b"", location), Close())
    error = await refused(make_client(CANARY))
    assert len(server.requests) == 1
    assert str(error) == (
        f"127.0.0.1:{server.port} answered {status} and points to 127.0.0.1: nothing was sent there. "
        "If that is the right server, make it the base URL."
    )


@pytest.mark.parametrize(
    ("kind", "key", "advice"),
    [
        ("vigthoria", "k", "Set VIGTHORIA_API_KEY to a valid key, without blanks around it."),
        ("profile", "k", "Check the environment variable that the profile names in key_env."),
        ("custom", None, "No key was sent: name the environment variable that holds this server's with key_env."),
        ("custom", "k", "Check the key that is meant for this server."),
    ],
)
async def test_401_says_which_key_to_set(kind: str, key: str | None, advice: str, server: ScriptedServer) -> None:
    server.play(answer("401 Unauthorized", b'{"error":{"message":"Invalid key"}}'), Close())
    secret = None if key is None else Secret(key)
    endpoint = Endpoint(base_url=server.base_url, api_key=secret, kind=kind)  # type: ignore[arg-type]
    error = await refused(Client(endpoint=endpoint))
    assert str(error) == f"127.0.0.1:{server.port} answered 401 Unauthorized: Invalid key. {advice}"


@pytest.mark.parametrize(
    ("message", "kind", "advice"),
    [
        (
            "request (12031 tokens) exceeds the available context size (4096 tokens)", "local",
            "or begin the conversation anew, or have it read more with %vigthoria local --context-size N.",
        ),
        ("This model's maximum context length is 8192 tokens", "custom", "or begin the conversation anew."),
        ("context is missing", "custom", "Check the request: model, parameters, length."),
    ],
)  # fmt: skip
async def test_prompt_that_is_too_long_says_what_shortens_it(
    message: str, kind: str, advice: str, server: ScriptedServer
) -> None:
    server.play(answer("400 Bad Request", json.dumps({"error": {"message": message}}).encode()), Close())
    endpoint = Endpoint(base_url=server.base_url, kind=kind)  # type: ignore[arg-type]
    assert str(await refused(Client(endpoint=endpoint))).endswith(advice)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"a"}]}', ["a", "b"]),
        (b'{"models":[{"name":"a"},{"model":"b"}]}', ["a", "b"]),
        (b'{"models":{"a":{},"b":{}}}', ["a", "b"]),
        (b'["a","b"]', ["a", "b"]),
        (b'[{"id":"a"},5,null,{}]', ["a"]),
        (b'{"data":[]}', []),
        (b'{"data":null,"models":["a"],"message":"ok"}', ["a"]),
        (rb'["a\ud83d"]', ["a\ufffd"]),
    ],
)
async def test_models_of_any_shape(
    body: bytes, names: list[str], server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    server.play(answer("200 OK", body), Close())
    async with make_client(CANARY) as client:
        assert await client.models() == names
    assert server.requests[0].head.startswith(b"GET /v1/models HTTP/1.1")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"hello":1}', b'{"data":5}', b"5"])
async def test_models_that_are_none(body: bytes, server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("200 OK", body), Close())
    async with make_client() as client:
        with pytest.raises(VigthoriaError, match="list of models") as caught:
            await client.models()
    assert caught.value.kind == "protocol"


async def test_models_with_an_error_in_their_place(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("200 OK", b'{"error":{"message":"no %b","code":"c"}}' % CANARY.encode()), Close())
    async with make_client(CANARY) as client:
        with pytest.raises(ServerReportedError) as caught:
            await client.models()
    assert str(caught.value) == (
        f"127.0.0.1:{server.port} reported an error instead of its models: no ••••. "
        "Check the base URL and the key, or name the model yourself."
    )
    assert (caught.value.server_message, caught.value.code) == ("no ••••", "c")
    frames = traceback.walk_tb(caught.value.__traceback__)
    assert not any(CANARY in repr(frame.f_locals) for frame, _ in frames if "vig_notebook" in frame.f_code.co_filename)


async def test_models_without_end_are_capped(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(b"HTTP/1.1 200 OK\r\n\r\n", Repeat(b"x" * 10_000))
    async with make_client(max_event_bytes=100_000) as client:
        with pytest.raises(TooLarge) as caught:
            await client.models()
    assert caught.value.cap == "max_event_bytes"


async def test_models_refused(server: ScriptedServer, make_client: Callable[..., Client]) -> None:
    server.play(answer("401 Unauthorized", b""), Close())
    async with make_client() as client:
        with pytest.raises(StatusError):
            await client.models()
