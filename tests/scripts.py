"""A server on the streaming thread that plays a script, for tests that themselves have no loop."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.client.conftest import ScriptedServer
from vig_notebook.engine import engine

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.client.conftest import Step

LIMIT_S = 10.0


@contextmanager
def scripted(*steps: Step, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server that answers each request with these steps."""
    server = ScriptedServer().play(*steps)
    tasks: set[asyncio.Task[None]] = set()
    listener = engine().run(_listen(server, tasks, tls)).result(LIMIT_S)
    try:
        yield server
    finally:
        for run in engine().stop_all():
            run.wait(LIMIT_S)
        engine().run(_close(listener, tasks)).result(LIMIT_S)


def wait_closed(server: ScriptedServer) -> None:
    """Wait until the server has seen the end of a connection."""
    engine().run(server.closed.get()).result(LIMIT_S)


def wait_asked(server: ScriptedServer) -> None:
    """Wait until the server has heard a request."""
    engine().run(_set(server.asked)).result(LIMIT_S)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _listen(server: ScriptedServer, tasks: set[asyncio.Task[None]], tls: ssl.SSLContext | None) -> asyncio.Server:
    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(server.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20, backlog=2000, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    return listener


async def _close(listener: asyncio.Server, tasks: set[asyncio.Task[None]]) -> None:
    listener.close()
    for task in list(tasks):
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=LIMIT_S)
