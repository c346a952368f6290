"""The responses of an experiment, over the rounds of asking and scoring that made them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.asking import Asking
from vig_notebook.tuning.budget import Budget
from vig_notebook.tuning.calls import Calls
from vig_notebook.tuning.progress import progress_of
from vig_notebook.tuning.responses import cached
from vig_notebook.tuning.round import Round
from vig_notebook.tuning.scorers import as_scorers, check_columns
from vig_notebook.tuning.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from concurrent.futures import Executor

    from vig_notebook.run import Run
    from vig_notebook.tuning.asking import Address
    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.layout import Layout
    from vig_notebook.tuning.log import AnswerLog
    from vig_notebook.tuning.progress import Progress
    from vig_notebook.tuning.responses import Response
    from vig_notebook.tuning.round import Observer
    from vig_notebook.tuning.scorers import Scorer, Spec

__all__ = ["Rounds"]


class Rounds:
    """The cells of a layout, asked and scored in rounds, and what came of them until now.

    `run()` returns at once and the cells stream on the streaming thread; awaiting it and `wait()` wait for the end.
    May be used from any thread but that one.

    Attributes:
        scorers: The scorers.
    """

    def __init__(
        self,
        layout: Layout,
        scorers: Sequence[Scorer],
        *,
        address: Address,
        labels: Mapping[str, str],
        log: AnswerLog,
        executor: Executor | None,
        max_concurrency: int,
        budget: int | None,
    ) -> None:
        self.scorers = scorers
        self._layout = layout
        self._address = address
        self._labels = labels
        self._log = log
        self._executor = executor
        self._max_concurrency = max_concurrency
        self._budget = budget
        self._responses: dict[int, Response] = {}
        self._observers: list[Observer] = []
        self._calls: list[Calls] = []
        self._round: Round | None = None

    def run(self) -> Self:
        """Ask what is missing, and return at once. What the log has is not asked again.

        Raises:
            ConfigError: The settings are wrong, or a parameter cannot be sent.
        """
        if not self.running:
            asking = self._take_known()
            self._begin(asking, self.missing, self._unscored)
        return self

    resume = run

    def recall(self) -> Self:
        """Take what the log has, and score it; asks nothing, not even a judge, and returns at once.

        Raises:
            ConfigError: As `run`.
        """
        if not self.running:
            self._begin(self._take_known(), [], self._unscored, recalls_only=True)
        return self

    def take_known(self) -> None:
        """Take over what the log has, without scoring it; while a round is under way, nothing.

        Raises:
            ConfigError: As `run`.
        """
        if not self.running:
            self._take_known()

    def stop(self, cell: Cell | None = None) -> None:
        """Stop a cell, or all that have no answer yet and the judges; returns at once. What came of them is kept."""
        if self._round is not None:
            self._round.stop(cell)
        if cell is None:
            for calls in self._calls:
                engine().loop.call_soon_threadsafe(calls.stop)

    def retry(self, cell: Cell) -> None:
        """Ask a cell again that failed or was stopped; returns at once."""
        self._retry(cell, self._asking())

    def rescore(self, *scorers: Spec) -> Self:
        """Score every answer with these scorers instead, without asking again; returns at once.

        Raises:
            ConfigError: A scorer is unknown or names what the examples lack, or the experiment still runs.
        """
        if self.running:
            raise ConfigError("Scores cannot be changed now", seen="the experiment runs", advice="Wait or stop it")
        made = as_scorers(scorers)
        check_columns(made, self._layout.data)
        self.scorers = made
        self._begin(self._asking(), [], [replace(one, scores={}) for one in self.responses if one.status.whole])
        return self

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every cell has its answer and its scores.

        Returns:
            Whether that is so; False after `timeout_s` seconds, and the experiment goes on.

        Raises:
            KeyboardInterrupt: The kernel was interrupted; the experiment is stopped, its answers are kept.
        """
        if self._round is None:
            return False
        try:
            ended = self._round.end.wait(timeout_s)
        except KeyboardInterrupt:
            self.stop()
            raise
        if ended:
            self._round.raise_failure()
        return ended

    def __await__(self) -> Generator[object, None, Self]:
        """Run, and await the end; cancelling it stops the experiment."""
        return self._wait_in_loop().__await__()

    def calls(self, *, recalls_only: bool = False, budget: Budget | None = None) -> Calls:
        """What the judges of these cells ask through: the same server, the same log, the same limits.

        Args:
            recalls_only: Answer from the log only.
            budget: What they are counted in, with the cells under way; by default one of their own.
        """
        made = Calls(
            self._address,
            self._log,
            max_concurrency=self._max_concurrency,
            budget=budget or Budget(self._budget),
            beside=lambda: 0 if budget is None else len(self.runs),
            recalls_only=recalls_only,
        )
        self._calls.append(made)
        return made

    def mark(self, labels: Mapping[str, str]) -> None:
        """Have the runs from the next round on carry these words in the log as well."""
        self._labels = {**self._labels, **labels}

    def watch(self, observer: Observer) -> None:
        """Have an observer told of every cell from the next round on."""
        self._observers.append(observer)

    def unwatch(self, observer: Observer) -> None:
        """Have an observer told nothing more from the next round on; one that does not watch may be named, too."""
        if observer in self._observers:
            self._observers.remove(observer)

    # Looking; nothing here waits.

    @property
    def running(self) -> bool:
        """Whether cells are asked or scored now."""
        return self._round is not None and not (self._round.over or self._round.end.reached)

    @property
    def responses(self) -> list[Response]:
        """What came of the cells until now, in the order of asking."""
        return sorted(self._responses.values(), key=lambda one: one.cell.index)

    @property
    def keys(self) -> list[str]:
        """The identity keys of all cells, by the settings of this moment."""
        return list(self._asking().keys.values())

    @property
    def missing(self) -> list[Cell]:
        """The cells without a whole answer, those of earlier versions left out."""
        return [cell for cell in self._layout.own_cells if not self._is_whole(cell)]

    @property
    def runs(self) -> dict[int, Run]:
        """The runs in flight, by the cells' index."""
        return dict(self._round.runs) if self._round is not None else {}

    @property
    def progress(self) -> Progress:
        """How far it is."""
        own = [one for one in self.responses if one.cell.variant.prompt not in self._layout.reference]
        judge_tokens = sum(calls.tokens for calls in self._calls)
        return progress_of(own, len(self._layout.own_cells), self._round, judge_tokens=judge_tokens)

    @property
    def _unscored(self) -> list[Response]:
        names = {one.name for one in self.scorers}
        return [one for one in self.responses if one.status.whole and one.scores.keys() != names]

    def _is_whole(self, cell: Cell) -> bool:
        response = self._responses.get(cell.index)
        return response is not None and response.status.whole

    def _keep_rating(self, response: Response, rating: str) -> None:
        now = self._responses[response.cell.index]
        self._responses[response.cell.index] = replace(now, rating=rating)
        self._log.rate(now.run_id, rating)

    async def _wait_in_loop(self) -> Self:
        self.run()
        current = cast("Round", self._round)
        try:
            await current.end.waited()
        except asyncio.CancelledError:
            self.stop()
            raise
        current.raise_failure()
        return self

    def _asking(self) -> Asking:
        """The requests, by the settings of this moment."""
        return Asking(self._layout.cells, self._address, labels=self._labels)

    def _take_known(self) -> Asking:
        asking = self._asking()
        keys = {asking.keys[cell.index]: cell for cell in self._layout.cells if not self._is_whole(cell)}
        for key, answer in self._log.find(keys).items() if keys else ():
            self._responses[keys[key].index] = cached(keys[key], answer)
        return asking

    def _retry(self, cell: Cell, asking: Asking) -> None:
        if self._round is not None and self.running:
            self._round.retry(cell, lambda: self._retry(cell, asking))  # another may have begun by then
        else:
            self._begin(asking, [cell], [])

    def _begin(
        self, asking: Asking, todo: Sequence[Cell], answered: Sequence[Response], *, recalls_only: bool = False
    ) -> None:
        budget = Budget(self._budget)
        calls = self.calls(recalls_only=recalls_only, budget=budget)
        self._round = Round(
            todo,
            answered,
            asking=asking,
            log=self._log,
            scoring=Scoring(self.scorers, self._executor, calls=calls),
            calls=calls,
            budget=budget,
            responses=self._responses,
            observers=self._observers,
            max_concurrency=self._max_concurrency,
        )
        self._round.begin()
