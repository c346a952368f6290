"""The pooled connections of one client, in one event loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from types import SimpleNamespace

__all__ = ["Connections", "Watcher"]

DRAIN_S: Final = 0.25
"""How long the end of a whole answer may take, before its connection is given up: a round trip to
the other side of the world. Nobody waits for it."""

CLOSE_LIMIT_S: Final = 1.0
"""Closing is local work; a connection that takes longer is left to the system."""

NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""The watchdog has the clocks: those of aiohttp do not end every wait."""


def _user_agent() -> str:
    try:
        return f"vig-notebook/{version('vig-notebook')}"
    except PackageNotFoundError:  # a checkout that is not installed
        return "vig-notebook"


USER_AGENT: Final = _user_agent()


MAX_HEADER_BYTES: Final = 64 * 1024
"""Of one line of the answer's head: what proxies put there may be longer than the 8 kB of aiohttp."""


class Watcher(Protocol):
    """Who is told how a connection comes about."""

    def queued(self) -> None:
        """All connections are in use: it waits for one."""

    def connecting(self) -> None:
        """It has its turn."""

    def connected(self, *, reused: bool) -> None:
        """There is a connection; the request goes out."""


class Connections:
    """A pool that opens at its first use, in the loop that runs then, and stays with that loop.

    Args:
        limit: Connections at once. Further requests wait for one, without a limit of time of their own.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None
        self._loop: AbstractEventLoop | None = None
        self._draining: dict[aiohttp.ClientResponse, TimerHandle] = {}
        self._closed = False

    def session(self) -> aiohttp.ClientSession:
        """The session of the running loop.

        Raises:
            ConfigError: it was closed, or belongs to another loop.
        """
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ConfigError("This client is closed", advice="Make a new one: async with Client() as client.")
        if self._session is None:
            self._loop = loop
            self._session = _new_session(self._limit)
        elif self._loop is not loop:
            raise ConfigError(
                "This client belongs to another event loop",
                seen="its connections were opened there",
                advice="Make one client in each loop: async with Client() as client.",
            )
        return self._session

    def give_back(self, response: aiohttp.ClientResponse) -> None:
        """Keep the connection of a whole answer for the next request, once its end has been read.

        The end of an answer often comes a moment after `[DONE]`. Nobody waits for it: the
        connection is kept if it comes in time, and hung up if not.
        """
        if response.connection is None:  # read to its end: aiohttp has it in the pool already
            response.release()
            return
        loop = asyncio.get_running_loop()
        self._draining[response] = loop.call_later(DRAIN_S, self._give_up, response)
        response.content.on_eof(partial(self._drained, response))

    async def aclose(self) -> None:
        """Hang up everything. No socket is left."""
        self._closed = True
        for response in list(self._draining):
            self._give_up(response)
        session, self._session = self._session, None
        if session is None:
            return
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await session.close()
        except TimeoutError:
            pass

    def _drained(self, response: aiohttp.ClientResponse) -> None:
        if timer := self._draining.pop(response, None):
            timer.cancel()

    def _give_up(self, response: aiohttp.ClientResponse) -> None:
        self._drained(response)
        hang_up(response)


def hang_up(response: aiohttp.ClientResponse) -> None:
    """Close the socket of an answer at once: nothing more is sent, read or waited for."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        # The process may have forked: abort() alone closes only our end of what the child has as well.
        with suppress(OSError, AttributeError, TypeError):  # gone already, or none that can be shut
            connection.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        # Not close(): over TLS that would say goodbye and wait for the server to do so too.
        connection.transport.abort()
    response.close()


def _new_session(limit: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=NO_TIMEOUT,
        trust_env=False,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        trace_configs=[_tracing()],
    )


def _tracing() -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_queued_start.append(_on_queued)
    tracing.on_connection_queued_end.append(_on_turn)
    tracing.on_connection_create_end.append(_on_created)
    tracing.on_connection_reuseconn.append(_on_reused)
    return tracing


def _watcher(context: SimpleNamespace) -> Watcher:
    watcher: Watcher = context.trace_request_ctx
    return watcher


async def _on_queued(_session: object, context: SimpleNamespace, _params: object) -> None:
    _watcher(context).queued()


async def _on_turn(_session: object, context: SimpleNamespace, _params: object) -> None:
    _watcher(context).connecting()


async def _on_created(_session: object, context: SimpleNamespace, _params: object) -> None:
    _watcher(context).connected(reused=False)


async def _on_reused(_session: object, context: SimpleNamespace, _params: object) -> None:
    _watcher(context).connected(reused=True)
