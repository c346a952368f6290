"""Asks the cells of an experiment in their order, as many at once as the limits allow.

```
waiting ──launch──> in flight ──> reported
   ^                    │
   └──── refused <──────┘   429, 503, no connection: put back in front, and the limiter pauses all
```

One coroutine on the streaming thread; it makes no task of its own, since each run has one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from vig_notebook.run import RunState
from vig_notebook.tuning.responses import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vig_notebook.run import Run
    from vig_notebook.tuning.limiter import Limiter
    from vig_notebook.wire.chat import Delta

__all__ = ["TOO_MANY", "Asked", "Finish", "Owner", "Schedule"]

TRIES = {"rate_limit": 8, "overloaded": 8, "connection": 3, "server": 3, "timeout": 2}
"""By kind of error. What passes by itself is tried longer; each pause is twice the one before."""

TOO_MANY = frozenset({"rate_limit", "overloaded"})


class Asked(Protocol):
    """What is asked once: a cell of the grid, or a call of a judge."""

    @property
    def index(self) -> int:
        """Its place among those of its schedule."""


T = TypeVar("T", bound=Asked)
U = TypeVar("U", bound=Asked, contravariant=True)


class Owner(Protocol[U]):
    """What the schedule works for. All is called on the streaming thread."""

    def ask(self, cell: U, finish: Finish, /) -> Run:
        """Start the run of a cell, with `finish` among its sinks."""

    def ended(self, cell: U, run: Run, waits: Waits, /) -> None:
        """Take an ended run."""

    def skipped(self, cell: U, /) -> None:
        """Take note of a cell that was stopped before it was asked."""

    def may_ask(self, in_flight: int, /) -> bool:
        """Whether one more cell may be asked now; asked again when one has landed, and final with none in flight."""


class Finish:
    """A sink that tells the schedule of a run's end, and then forgets it: a run may outlive its experiment."""

    def __init__(self, landed: Callable[[Run], None]) -> None:
        self._landed: Callable[[Run], None] | None = landed

    def start(self, run: Run) -> None:
        """Nothing to do."""

    def write(self, delta: Delta) -> None:
        """Nothing to do."""

    def finish(self, run: Run) -> None:
        """Hand the run on."""
        landed, self._landed = self._landed, None
        if landed is not None:
            landed(run)


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    """One cell and its tries."""

    cell: T
    tries: int = 0
    taken: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    run: Run | None = None


class Schedule(Generic[T]):
    """The cells of an experiment that are still to be asked."""

    def __init__(
        self, cells: Iterable[T], owner: Owner[T], limiter: Limiter, *, max_concurrency: int, max_wait_s: float
    ) -> None:
        self._waiting = deque(_Flight(cell) for cell in cells)
        self._flying: dict[int, _Flight[T]] = {}
        self._owner = owner
        self._limiter = limiter
        self._max_concurrency = max_concurrency
        self._max_wait_s = max_wait_s
        self._wake = asyncio.Event()
        self._began_at = time.monotonic()
        self.over = False

    @property
    def waiting(self) -> int:
        """How many cells wait for their turn."""
        return len(self._waiting)

    @property
    def pause_left_s(self) -> float:
        """Seconds until the server may be asked again."""
        return self._limiter.pause_left_s

    async def work(self) -> None:
        """Ask every cell; returns when the last has ended or was stopped. Cancelling it stops all.

        Once it has returned, `over` is true; what is added then is asked when it works again.
        """
        self.over = False
        self._limiter.wakers.add(self._wake.set)
        try:
            while True:
                self._launch()
                if not self._waiting and not self._flying:
                    return
                await self._until_something_happens()
        finally:
            self.over = True
            self.stop()
            self._limiter.wakers.discard(self._wake.set)

    def add(self, cell: T) -> None:
        """Ask one more cell, before all others; one that waits or is under way is left as it is."""
        if cell.index not in self._flying and all(flight.cell is not cell for flight in self._waiting):
            self._waiting.appendleft(_Flight(cell))
            self._wake.set()

    def stop(self, cell: T | None = None) -> None:
        """Stop a cell, or all of them. Those that were not asked yet are skipped when named, else forgotten."""
        for flight in tuple(self._flying.values()):
            if flight.run is not None and cell in {None, flight.cell}:
                flight.run.stop()
        if cell is None:
            self._waiting.clear()
            self._wake.set()
        else:
            self.skip(lambda waiting: waiting is cell)

    def skip(self, which: Callable[[T], bool]) -> None:
        """Skip the cells that wait and of which this is so."""
        waiting, self._waiting = self._waiting, deque()
        skipped: list[T] = []
        for flight in waiting:
            if which(flight.cell):
                skipped.append(flight.cell)
            else:
                self._waiting.append(flight)
        for cell in skipped:
            self._owner.skipped(cell)
        self._wake.set()

    def _land(self, flight: _Flight[T], run: Run) -> None:
        """Take an ended run from the air: put its cell back in front, or report it."""
        del self._flying[flight.cell.index]
        again = self._is_refused(flight, run)
        if run.error is not None and run.error.kind in TRIES:
            shrink = run.error.kind in TOO_MANY
            self._limiter.refused(flight.taken, _capped(run.error.retry_after_s, self._max_wait_s), shrink=shrink)
        elif run.state is RunState.DONE:
            self._limiter.succeeded()
        self._limiter.release()
        if again:
            self._waiting.appendleft(flight)
        else:
            self._owner.ended(flight.cell, run, self._waits(flight))
        self._wake.set()

    def _is_refused(self, flight: _Flight[T], run: Run) -> bool:
        error = run.error
        if error is None or run.completion.text or flight.tries >= TRIES.get(error.kind, 0):
            return False
        return (error.retry_after_s or 0.0) <= self._max_wait_s

    def _waits(self, flight: _Flight[T]) -> Waits:
        return Waits(queue_s=flight.first_at - self._began_at, retry_s=flight.last_at - flight.first_at)

    def _launch(self) -> None:
        while self._waiting and self._limiter.ready and len(self._flying) < self._max_concurrency:
            if not self._owner.may_ask(len(self._flying)):
                if not self._flying:
                    self._waiting.clear()
                return
            flight = self._waiting.popleft()
            flight.tries += 1
            flight.last_at = time.monotonic()
            flight.first_at = flight.first_at or flight.last_at
            # It takes its place only then: a cell that cannot be asked would keep it for good.
            flight.run = self._owner.ask(flight.cell, Finish(functools.partial(self._land, flight)))
            flight.taken = self._limiter.take()
            self._flying[flight.cell.index] = flight

    async def _until_something_happens(self) -> None:
        pause_s = self._limiter.pause_left_s if self._waiting else 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s or None):
                await self._wake.wait()
        self._wake.clear()


def _capped(retry_after_s: float | None, max_wait_s: float) -> float | None:
    """Nobody is held up by a server that asks for hours: its cells fail, and say so."""
    return None if retry_after_s is None else min(retry_after_s, max_wait_s)
