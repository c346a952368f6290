"""The demo server itself: it listens, lets the right caller in, and plays an answer at its pace."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import replace
from typing import Final, cast

import msgspec
from aiohttp import web

from vig_notebook.demo import faults
from vig_notebook.demo.answers import compose
from vig_notebook.demo.chunks import Reply
from vig_notebook.demo.guard import MAX_BODY_BYTES, MAX_CONNECTIONS, Door, check_json, guard
from vig_notebook.demo.models import PACE_TOKENS_PER_S, describe_models, tempo_of
from vig_notebook.demo.play import play_stream, play_whole
from vig_notebook.demo.request import read_body
from vig_notebook.errors import ConfigError
from vig_notebook.settings import Endpoint, Limits, Secret, read_environment

__all__ = ["DEMO", "DemoServer"]

_LOOPBACK: Final = "127.0.0.1"
# What a client of ours opens at once: room is left for connections that are just closing, and for curl.
_STREAMS: Final = MAX_CONNECTIONS - 8
_STOP_S: Final = 1.0
_KEEPALIVE_S: Final = 60.0
# What aiohttp would say about a bad request holds the request: nobody hears it.
_SILENT: Final = logging.Logger("vig_notebook.demo", level=logging.CRITICAL + 1)


DEMO: Final = Endpoint(
    base_url="",
    kind="demo",
    name="the scripted demo server",
    default_model="demo",
    note="scripted answers, no model",
    limits=Limits(max_concurrency=_STREAMS),
)
"""What is known of a demo server before it has started."""


class DemoServer:
    """A chat completions server on this machine with scripted answers, for the owner of its token only.

    Call `start` and `stop` in the loop that it shall live in. It may be started again; it then has another port.

    Attributes:
        token: The key that it asks for; random, made with the object.
        requests: How many chat requests were let in since the start.
        closed_early: How many of them hung up before their answer was whole; see `wait_closed_early`.
    """

    def __init__(self, *, pace: float | None = None, port: int = 0) -> None:
        """Make a server that does not listen yet.

        Args:
            pace: Tokens per second; 0 is as fast as it goes; None takes ``VIG_DEMO_PACE``, or else 40.
            port: 0 lets the system choose a free one.

        Raises:
            ConfigError: the pace is no number from 0 up.
        """
        self.token = "sk-demo-" + secrets.token_urlsafe(24)
        self.requests = 0
        self.closed_early = 0
        self._pace = _usual_pace() if pace is None else _checked_pace(pace, "The pace")
        self._port = port
        self._base_url = ""
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._hang_ups = asyncio.Condition()

    @property
    def base_url(self) -> str:
        """The address for a client, "" while the server does not listen."""
        return self._base_url

    @property
    def endpoint(self) -> Endpoint:
        """What a client needs to know of a started server."""
        return replace(DEMO, base_url=self.base_url, api_key=Secret(self.token))

    async def start(self) -> None:
        """Listen on 127.0.0.1.

        Raises:
            OSError: the port is taken.
        """
        self._hang_ups = asyncio.Condition()
        runner: web.AppRunner  # needs the port, and the doors open only when it is set up
        listener = await asyncio.get_running_loop().create_server(
            lambda: Door(cast("web.Server", runner.server)), _LOOPBACK, self._port, start_serving=False
        )
        host = f"{_LOOPBACK}:{listener.sockets[0].getsockname()[1]}"
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[guard(host=host, token=self.token)])
        app.router.add_get("/v1/models", self._models, allow_head=False)
        app.router.add_post("/v1/chat/completions", self._chat)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_SILENT,
            handler_cancellation=True,  # a hang-up ends the answer at once
            auto_decompress=False,
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_STOP_S,
            shutdown_timeout=_STOP_S,
        )
        await runner.setup()  # from here on it has a server
        await listener.start_serving()
        self._runner, self._listener, self._base_url = runner, listener, f"http://{host}/v1"

    async def stop(self) -> None:
        """Cut all connections and stop listening; nothing is left behind. A server that is not started stays so."""
        runner, listener = self._runner, self._listener
        self._runner = self._listener = None
        self._base_url = ""
        if runner is None or listener is None:
            return
        listener.close()
        for connection in runner.server.connections if runner.server else ():
            connection.force_close()
        await runner.cleanup()
        await listener.wait_closed()

    async def wait_closed_early(self, count: int = 1) -> None:
        """Wait until this many requests have hung up early. In the server's own loop; give it a limit."""
        async with self._hang_ups:
            await self._hang_ups.wait_for(lambda: self.closed_early >= count)

    async def _models(self, _request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(describe_models()), content_type="application/json")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        check_json(request)
        body = read_body(await request.read())
        self.requests += 1
        if body.model in faults.REFUSALS:
            raise faults.REFUSALS[body.model]
        if body.model == "demo-html":
            return web.Response(text=faults.HTML_PAGE, content_type="text/html")
        answers = [compose(body, index) for index in range(body.n or 1)]
        reply = Reply(body=body, answers=answers, id=f"chatcmpl-demo-{self.requests}", created=int(time.time()))
        tempo = tempo_of(body.model, self._pace)
        try:
            return await (play_stream if body.stream else play_whole)(request, reply, tempo)
        except (asyncio.CancelledError, ConnectionError):
            await self._note_hang_up()
            raise

    async def _note_hang_up(self) -> None:
        if self._runner is not None:  # else it is the server itself that ends
            self.closed_early += 1
            async with self._hang_ups:
                self._hang_ups.notify_all()


def _usual_pace() -> float:
    """Give the pace that VIG_DEMO_PACE sets, or the usual one."""
    text = read_environment("VIG_DEMO_PACE")
    return PACE_TOKENS_PER_S if text is None else _checked_pace(text, "VIG_DEMO_PACE")


def _checked_pace(pace: float | str, what: str) -> float:
    try:
        number = float(pace)
    except ValueError:
        number = -1.0
    if 0 <= number < float("inf"):
        return number
    raise ConfigError(
        f"{what} cannot be used", seen=f"it is {pace!r}", advice="Give tokens per second; 0 is as fast as it goes."
    )
