"""Who may talk to the demo server: a client on this machine that has the token, and no web page.

The order of the checks: an exact Host (else 421: a name that was made to point here by another's DNS), no Origin (else
403: a browser's page), the token (401); then route and method (404, 405), media type (415) and size (413).
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from vig_notebook.demo.faults import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["MAX_BODY_BYTES", "MAX_CONNECTIONS", "Door", "guard"]

# A hundred times the longest prompt that anybody types; a pasted document fits.
MAX_BODY_BYTES: Final = 1024 * 1024
# One kernel's streams at once, and a few to spare for curl.
MAX_CONNECTIONS: Final = 32
# For a connection beyond the limit that asks nothing: it is not kept.
_IDLE_S: Final = 5.0
_FULL: Final = Refusal(503, "Too many connections to the demo server.", code="too_many_connections", retry_after_s=1)
_PROTOCOL_ERRORS: Final = {
    404: "There is no such address.",
    405: "This address takes another method.",
    413: "The body is larger than 1 MiB.",
}


def guard(*, host: str, token: str) -> Middleware:
    """Give the middleware that lets only the owner of the token in, and words every refusal in OpenAI's shape."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_caller(request, host=host, token=token)
            return await handler(request)
        except Refusal as refusal:
            return _refused(refusal)
        except web.HTTPException as error:
            message = _PROTOCOL_ERRORS.get(error.status, "The request cannot be read.")
            return _refused(Refusal(error.status, message, code=f"http_{error.status}"))

    return guarded


def check_json(request: web.Request) -> None:
    """Let only JSON in: a form or plain text is what a page of another site can send without asking first."""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise Refusal(415, "The body must be application/json, not compressed.", code="unsupported_media_type")


def _check_caller(request: web.Request, *, host: str, token: str) -> None:
    if request.headers.getall("Host", []) != [host]:
        raise Refusal(421, "This server answers to its own address only.", code="misdirected_request")
    if "Origin" in request.headers:
        raise Refusal(403, "This server does not answer web pages.", code="origin_not_allowed")
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(
        status=refusal.status, body=refusal.body, content_type="application/json", headers=refusal.headers
    )


class Door(asyncio.Protocol):
    """What accepts a connection: hands it to the HTTP server, or to `_Full` when too many are open."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Decide; from here on the connection is the other's."""
        tcp = cast("asyncio.Transport", transport)  # TCP has no other
        room = len(self._server.connections) < MAX_CONNECTIONS
        protocol = self._server() if room else _Full(tcp)
        tcp.set_protocol(protocol)
        protocol.connection_made(tcp)


class _Full(asyncio.Protocol):
    """Answers 503 once the request has begun: an answer before it would be lost in the reset."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._idle = asyncio.get_running_loop().call_later(_IDLE_S, transport.abort)

    def data_received(self, _data: bytes) -> None:
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            f"Content-Length: {len(_FULL.body)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + _FULL.body)
        self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._idle.cancel()
