"""One round of an experiment: asks its missing cells, scores what comes, tells whoever watches.

Everything that changes a response happens on the streaming thread; other threads only read.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from vig_notebook.ending import Ending
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.limiter import limiter_of
from vig_notebook.tuning.responses import from_run, never_asked
from vig_notebook.tuning.schedule import TOO_MANY, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.tuning.asking import Asking
    from vig_notebook.tuning.budget import Budget
    from vig_notebook.tuning.calls import Calls
    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.log import AnswerLog
    from vig_notebook.tuning.responses import Response, Waits
    from vig_notebook.tuning.schedule import Finish
    from vig_notebook.tuning.scorers import Score
    from vig_notebook.tuning.scoring import Scoring

__all__ = ["Observer", "Round"]

_log = logging.getLogger(__name__)

HOPELESS = frozenset({"auth", "payment", "permission", "config"})
"""Kinds of errors that every other call would meet as well: the round ends."""


class Observer(Protocol):
    """Who watches the cells. Called on the streaming thread: be quick, and do not wait for a run there."""

    def sinks(self, cell: Cell) -> Sequence[Sink]:
        """Sinks for the run of a cell that is about to be asked; a retry asks anew."""

    def started(self, cell: Cell, run: Run) -> None:
        """A cell is asked. `run.stop()` stops it, `run.text_so_far` has its text."""

    def ended(self, cell: Cell, response: Response) -> None:
        """A cell has its response: asked, cached or stopped. Its scores follow."""

    def scored(self, cell: Cell, response: Response) -> None:
        """A response has its scores."""

    def over(self) -> None:
        """The round is over; another may follow."""


class Round:
    """One round of asking and scoring.

    Attributes:
        runs: The runs in flight, by the cells' index.
        over: Whether every response and score is there; the end follows at once.
        end: Reached when the last cell has its response and its scores.
    """

    def __init__(
        self,
        todo: Sequence[Cell],
        answered: Sequence[Response],
        *,
        asking: Asking,
        log: AnswerLog,
        scoring: Scoring,
        calls: Calls,
        budget: Budget,
        responses: dict[int, Response],
        observers: Sequence[Observer],
        max_concurrency: int,
    ) -> None:
        self.runs: dict[int, Run] = {}
        self.over = False
        self.end = Ending()
        self._answered = answered
        self._asking = asking
        self._kept = log
        self._scoring = scoring
        self._responses = responses
        self._observers = list(observers)
        self._calls = calls
        self._budget = budget
        self._given_up: dict[str, int] = {}
        self._hopeless = ""
        self._left_out = ""
        self._asked = 0
        self._unscored = 0
        self._news = asyncio.Event()
        self._began_at = time.monotonic()
        endpoint = asking.endpoint
        self._schedule: Schedule[Cell] = Schedule(
            todo,
            self,
            limiter_of(engine(), endpoint),
            max_concurrency=max_concurrency,
            max_wait_s=endpoint.limits.max_retry_wait_s,
        )
        self._future: concurrent.futures.Future[None] = concurrent.futures.Future()

    # From any thread.

    def begin(self) -> None:
        """Start on the streaming thread; returns at once."""
        engine().askers.add(self.stop)
        self._future = engine().run(self._work())
        self._future.add_done_callback(self._end)

    def stop(self, cell: Cell | None = None) -> None:
        """Stop a cell, or all with the judges of what came; returns at once."""
        engine().loop.call_soon_threadsafe(self._schedule.stop, cell)
        if cell is None:
            engine().loop.call_soon_threadsafe(self._calls.stop)

    def retry(self, cell: Cell, otherwise: Callable[[], object]) -> None:
        """Ask a cell again before all others; `otherwise` is called when the round is over already."""

        def again() -> None:
            if self.over:
                otherwise()
                return
            if self._schedule.over:
                self._hopeless = ""  # a person may try again what is hopeless
            self._schedule.add(cell)
            self._news.set()

        engine().loop.call_soon_threadsafe(again)

    def raise_failure(self) -> None:
        """Raise what went wrong inside, once the end is reached; an error of a cell is not meant."""
        self._future.result(0)

    @property
    def note(self) -> str:
        """Why cells were left unasked; empty when they were not."""
        return self._hopeless or self._budget.note or self._left_out

    @property
    def eta_s(self) -> float | None:
        """Seconds left, about, at the pace so far."""
        left = self._schedule.waiting + len(self.runs)
        if not left:
            return 0.0
        return left * (time.monotonic() - self._began_at) / self._asked if self._asked else None

    @property
    def pause_left_s(self) -> float:
        """Seconds until the server may be asked again."""
        return 0.0 if self._schedule.over else self._schedule.pause_left_s

    # What the schedule calls, on the streaming thread.

    def ask(self, cell: Cell, finish: Finish) -> Run:
        """Start the run of a cell."""
        watching = [sink for observer in tuple(self._observers) for sink in self._sinks_of(observer, cell)]
        run = self._asking.ask(cell, (*self._kept.sinks(self._asking.keys[cell.index]), *watching, finish))
        self.runs[cell.index] = run
        self._tell(lambda observer: observer.started(cell, run))
        return run

    def ended(self, cell: Cell, run: Run, waits: Waits) -> None:
        """Take an ended run."""
        del self.runs[cell.index]
        response = from_run(cell, run, waits)
        self._asked += 1
        self._budget.spend((response.tokens_in or 0) + (response.tokens_out or 0))
        if response.error_kind in HOPELESS:
            self._hopeless = f"The rest was not asked, since it would fail in the same way: {response.error}"
        self._take(response)
        if response.status.whole:
            self._given_up[cell.variant.model] = 0
        elif response.error_kind in TOO_MANY:
            self._give_up(cell.variant.model, response.error)

    def skipped(self, cell: Cell) -> None:
        """Take note of a cell that was stopped before it was asked."""
        self._take(never_asked(cell))

    def may_ask(self, in_flight: int) -> bool:
        """Whether any more cells may be asked: no error that all would meet, and the budget has room."""
        if self._hopeless or self._budget.note:
            return False
        if self._budget.has_room(in_flight + self._calls.in_flight):
            return True
        if not in_flight:
            self._budget.close()
        return False

    # Inside.

    def _give_up(self, model: str, error: str) -> None:
        """Leave out a model that was refused through all tries of two cells in a row: its quota is used up.

        One alone may be too long for a quota that has room for the others.
        """
        self._given_up[model] = self._given_up.get(model, 0) + 1
        if self._given_up[model] < 2:
            return
        self._left_out = f"The rest of {model} was not asked, since the server refuses it: {error}"
        self._schedule.skip(lambda cell: cell.variant.model == model)

    def _end(self, _future: concurrent.futures.Future[None]) -> None:
        engine().askers.discard(self.stop)
        self.end.reach()

    async def _work(self) -> None:
        try:
            for response in self._answered:
                self._take(response)
            await self._schedule.work()
            while self._unscored or self._schedule.waiting:
                await self._news.wait()
                self._news.clear()
                await self._schedule.work()
        except ConfigError as error:
            self._hopeless = f"The rest was not asked: {error}"
            raise
        finally:
            self._scoring.close()
            self.over = True
            self._tell(lambda observer: observer.over())

    def _take(self, response: Response) -> None:
        self._responses[response.cell.index] = response
        self._tell(lambda observer: observer.ended(response.cell, response))
        if response.status.whole and self._scoring.scorers:
            self._unscored += 1
            self._scoring.submit(
                response.output,
                response.cell.example.variables,
                lambda scores: engine().loop.call_soon_threadsafe(self._take_scores, response, scores),
            )

    def _take_scores(self, response: Response, scores: dict[str, Score]) -> None:
        self._unscored -= 1
        if not self._unscored:
            self._news.set()
        scored = replace(response, scores=scores, rating=self._responses[response.cell.index].rating)
        self._responses[response.cell.index] = scored
        self._tell(lambda observer: observer.scored(response.cell, scored))

    def _sinks_of(self, observer: Observer, cell: Cell) -> Sequence[Sink]:
        found: list[Sink] = []
        self._call(observer, lambda one: found.extend(one.sinks(cell)))
        return found

    def _tell(self, call: Callable[[Observer], object]) -> None:
        for observer in tuple(self._observers):
            self._call(observer, call)

    def _call(self, observer: Observer, call: Callable[[Observer], object]) -> None:
        try:
            call(observer)
        except Exception:  # noqa: BLE001  a broken display must not take the answers with it
            self._observers.remove(observer)
            _log.exception("an observer of an experiment failed and was dropped; the experiment goes on")
