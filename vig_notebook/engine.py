"""The one streaming thread: its loop, its tasks, its connections.

Everything that waits for a server or paints an answer runs on this thread, so that a busy kernel holds
up neither: on the kernel's own loop a `time.sleep(10)` in a cell stops reading and painting for 10 s, and
a server that streams fast is blocked by backpressure for most of it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, runtime_checkable

from vig_notebook.client import Client

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import AsyncIterator, Callable, Coroutine

    from vig_notebook.errors import VigthoriaError
    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.sinks import Stream

__all__ = ["Engine", "engine"]

T = TypeVar("T")

CLOSE_LIMIT_S = 5.0
"""How long `Engine.close` waits for sockets and the thread: a socket that is aborted closes in milliseconds."""


@runtime_checkable
class Stoppable(Protocol):
    """What is shared and must be stopped before the thread ends, such as a server."""

    async def stop(self) -> None:
        """Leave nothing behind."""


class Engine:
    """Owner of the streaming thread and of every task on it.

    The thread is a daemon named `vig-stream`; it starts with the engine and ends with the process. One
    engine serves a process; take it with `engine()`.

    Attributes:
        loop: The thread's event loop. Other threads reach it by `call_soon_threadsafe` only.
        kept: What lives as long as the engine, by name, such as the named chats.
        askers: Stop functions of those who ask one run after another, such as experiments: called by `stop_all`
            before the runs are stopped, since else the next ones would follow.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        self.kept: dict[str, object] = {}
        self.askers: set[Callable[[], object]] = set()
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: list[tuple[Endpoint, Client]] = []
        self._shared: dict[str, asyncio.Future[object]] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._thread = threading.Thread(target=self._main, name="vig-stream", daemon=True)
        self._thread.start()

    @property
    def runs(self) -> list[Run]:
        """The runs that have not ended, oldest first."""
        return [run for run in tuple(self._runs.values()) if not run.state.ended]

    @property
    def busy(self) -> int:
        """How many runs are under way or queued."""
        return len(self._runs)

    @property
    def serves(self) -> bool:
        """Whether this is the engine of this process, and its thread lives."""
        return self.pid == os.getpid() and self._thread.is_alive()

    @property
    def on_thread(self) -> bool:
        """Whether the caller is on the streaming thread, where nothing may wait."""
        return threading.current_thread() is self._thread

    def submit(self, run: Run) -> Run:
        """Start driving a run. Returns at once; may be called from any thread.

        Returns:
            The same run.
        """
        self._runs[run.id] = run
        self.loop.call_soon_threadsafe(self._launch, run)
        return run

    def run(self, coroutine: Coroutine[object, object, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the streaming thread.

        Returns:
            A future; its `cancel()` cancels the coroutine.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop_all(self) -> list[Run]:
        """Stop every run that has not ended.

        Returns:
            The runs that were stopped.
        """
        for stop in tuple(self.askers):
            stop()
        runs = self.runs
        for run in runs:
            run.stop()
        return runs

    @asynccontextmanager
    async def slot(self, endpoint: Endpoint) -> AsyncIterator[None]:
        """A place among the runs that may be under way at once at this server (`Limits.max_concurrency`)."""
        limits = endpoint.limits
        semaphore = self._slots.setdefault(endpoint.base_url, asyncio.Semaphore(limits.max_concurrency))
        async with semaphore:
            yield

    @asynccontextmanager
    async def open(self, run: Run, *, on_wait: Callable[[float, VigthoriaError], None]) -> AsyncIterator[Stream]:
        """Send the request of `run` over the pooled connections to its server.

        Raises:
            VigthoriaError: As `Client.stream`.
        """
        async with self.client(run.endpoint).stream(run.request, on_wait=on_wait) as stream:
            yield stream

    def client(self, endpoint: Endpoint) -> Client:
        """The client, with its pool of connections, for a server. On the streaming thread only."""
        for known, client in self._clients:
            if known == endpoint:
                return client
        client = Client(endpoint=endpoint)
        self._clients.append((endpoint, client))
        return client

    async def shared(self, name: str, make: Callable[[], Coroutine[object, object, T]]) -> T:
        """Something that lives as long as the engine, such as the demo server; made when first asked for.

        Cancelling the wait does not cancel the making, which others may wait for; a failed one is
        forgotten, so that the next to ask makes it anew. On the streaming thread only.
        """
        making = self._shared.get(name)
        if making is None or (making.done() and (making.cancelled() or making.exception() is not None)):
            making = self._shared[name] = self.loop.create_task(make(), name=name)
        return cast("T", await asyncio.shield(making))

    def close(self) -> None:
        """Stop every run, close every connection and end the thread. Not on the streaming thread.

        A program need not call it: the thread is a daemon.
        """
        self.stop_all()
        self.run(self._close()).result(CLOSE_LIMIT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_LIMIT_S)

    async def _close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)
        for _endpoint, client in self._clients:
            await client.aclose()
        shared = await asyncio.gather(*self._shared.values(), return_exceptions=True)
        for made in (*shared, *self.kept.values()):
            if isinstance(made, Stoppable):
                await made.stop()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self.loop.shutdown_asyncgens()

    def _launch(self, run: Run) -> None:
        task = self.loop.create_task(run.drive(self), name=f"run {run.id[:8]}")
        self._tasks.add(task)
        run.own(task)
        task.add_done_callback(lambda _task: self._forget(run, task))

    def _forget(self, run: Run, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._runs[run.id]

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


_engine: Engine | None = None
_lock = threading.RLock()  # a signal handler may ask on the thread that is being answered


def engine() -> Engine:
    """The engine of this process, started when first asked for; a forked child gets its own."""
    global _engine
    known = _engine
    if known is not None and known.serves:
        return known
    with _lock:
        if _engine is None or not _engine.serves:
            _engine = Engine()
        return _engine
