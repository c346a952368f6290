"""`Experiment`: prompts, models and parameters tried on examples, with repeats, scores and a verdict.

```
Experiment(...) ──> run() ──> cells in flight ──> responses ──> scores ──> compare()
                      ^               │ stop(), an error, the budget
                      └── run() again ┘ asks only what is missing
```
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self, cast

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.asking import Address, Asking, endpoint_of
from vig_notebook.tuning.dataset import Dataset, Example
from vig_notebook.tuning.export import write_results
from vig_notebook.tuning.findings import Findings
from vig_notebook.tuning.grid import baseline_pairs, expand, expand_params, variants_of
from vig_notebook.tuning.log import as_log
from vig_notebook.tuning.plan import make_plan
from vig_notebook.tuning.plots import draw
from vig_notebook.tuning.prompts import as_prompts
from vig_notebook.tuning.responses import cached
from vig_notebook.tuning.round import Round, progress_of
from vig_notebook.tuning.scorers import as_scorers
from vig_notebook.tuning.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    import pandas as pd

    from vig_notebook.run import Run
    from vig_notebook.settings import Secret
    from vig_notebook.store import Store
    from vig_notebook.tuning.dataset import Source
    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.log import AnswerLog
    from vig_notebook.tuning.plan import Plan, Prices
    from vig_notebook.tuning.plots import Kind
    from vig_notebook.tuning.prompts import Prompt
    from vig_notebook.tuning.rating import Rating
    from vig_notebook.tuning.responses import Response
    from vig_notebook.tuning.round import Observer, Progress
    from vig_notebook.tuning.scorers import Spec
    from vig_notebook.tuning.verdict import Method

__all__ = ["Experiment"]

REPEATS = 3
"""With a dataset: 20 examples show a gain of 14 points in half of all cases, where one repeat shows it in 19 %."""


class Experiment:
    """Prompts x models x parameters, tried on examples with repeats.

    `run()` returns at once and the cells stream on the streaming thread; `await experiment`, `wait()` and
    whatever needs all answers waits. `df`, `summary()` and `compare()` never wait: they show what is there.

    Attributes:
        name: For people and for the log.
        data: The examples.
        variants: The columns of the grid: prompt, model, parameters.
        cells: What is asked, in the order of asking: all variants of one example before the next.
        scorers: The scorers.
        baseline: What variants are held against, as given; see `grid.baseline_pairs`.
        reference: Earlier versions of the prompts, which are not asked again.
        endpoint: The server, as the settings chose it when the experiment was laid out.
        viewer: Shows an experiment live; the notebook rooms set it.
    """

    viewer: ClassVar[Callable[[Experiment], object] | None] = None

    def __init__(
        self,
        prompts: str | Prompt | Iterable[str | Prompt] | Mapping[str, str],
        models: str | Sequence[str] | None = None,
        params: Mapping[str, object] | Iterable[Mapping[str, object]] | None = None,
        data: Source | Dataset | None = None,
        repeats: int | None = None,
        scorers: Spec | Iterable[Spec] = (),
        baseline: str | None = None,
        max_concurrency: int = 8,
        budget: int | None = None,
        store: Store | AnswerLog | str | Path | None = None,
        *,
        name: str = "experiment",
        reference: Sequence[Prompt] = (),
        limit: int | None = None,
        variables: Mapping[str, object] | None = None,
        prices: Prices | None = None,
        executor: Executor | None = None,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        key_env: str | None = None,
        profile: str | None = None,
    ) -> None:
        """Lay out the grid and render every prompt; asks nothing.

        Args:
            prompts: A template, a `Prompt`, several of them, or a dict of name to template.
            models: Model names; None takes the server's default.
            params: Request members; a list of values is tried value by value: `{"temperature": [0, 0.7]}`.
            data: Examples: a DataFrame, a list of dicts, or a .csv, .tsv, .jsonl or .parquet file. None asks
                each prompt once, with `variables`.
            repeats: How often each cell is asked; by default 3 with data and 1 without.
            scorers: Specs such as `exact:label`, or functions; see `vig_notebook.tuning.scorers`.
            baseline: What the variants are held against; by default the first prompt, or the first variant.
            max_concurrency: Most calls at once. A server that refuses is asked less for a while.
            budget: Most tokens, in and out together; what would pass it is left unasked.
            store: Where answers are kept and found again: None is the run log, "off" only this process.
            name: For people and for the log.
            reference: Earlier versions to hold the prompts against. What the log has of them is taken; they are
                not asked again.
            limit: Use only the first so many examples.
            variables: Variables that all examples share.
            prices: Of a million tokens in and out, by model: `{"model": (0.5, 1.5)}`. Without them no cost is shown.
            executor: Runs the scorers, for example dask's `Client.get_executor()`; by default threads do.
            base_url: As for `vig_notebook.start`.
            api_key: As for `vig_notebook.start`.
            key_env: As for `vig_notebook.start`.
            profile: As for `vig_notebook.start`.

        Raises:
            ConfigError: Something of it is wrong: a template names what an example lacks, a scorer is unknown.
        """
        self.name = name
        self._address = Address(base_url=base_url, api_key=api_key, key_env=key_env, profile=profile)
        self.endpoint = endpoint_of(self._address)
        names = [models] if isinstance(models, str) else list(models or [self.endpoint.default_model])
        self.data = _with_shared(data, variables or {}, limit)
        asked = as_prompts(prompts)
        self.reference = frozenset(one for one in reference if one not in asked)
        earlier = [one for one in reference if one in self.reference]
        self.variants = variants_of([*earlier, *asked], names, expand_params(params))
        self.cells = expand(self.variants, self.data, repeats=repeats or (1 if data is None else REPEATS))
        self.scorers = as_scorers(scorers)
        self.baseline = baseline
        baseline_pairs(self.variants, baseline)  # refuses a wrong name now, and not after an hour of asking
        self._max_concurrency = _at_least_one("max_concurrency", max_concurrency)
        self._budget = budget
        self._log = as_log(store)
        self._prices = prices or {}
        self._executor = executor
        self._responses: dict[int, Response] = {}
        self._observers: list[Observer] = []
        self._round: Round | None = None

    # Asking.

    def run(self) -> Self:
        """Ask what is missing, and return at once. What the log has is not asked again.

        Raises:
            ConfigError: The settings are wrong, or a parameter cannot be sent.
        """
        if not self.running:
            asking = self._asking()
            self._take_known(asking)
            self._begin(asking, self.missing, [one for one in self.responses if self._lacks_scores(one)])
        return self

    resume = run

    def stop(self, cell: Cell | None = None) -> None:
        """Stop a cell, or all that have no answer yet; returns at once. What came of them is kept."""
        if self._round is not None:
            self._round.stop(cell)

    def retry(self, cell: Cell) -> None:
        """Ask a cell again that failed or was stopped; returns at once."""
        asking = self._asking()
        if self._round is not None and self.running:
            self._round.retry(cell, lambda: self._begin(asking, [cell], []))
        else:
            self._begin(asking, [cell], [])

    def rescore(self, *scorers: Spec) -> Self:
        """Score every answer with these scorers instead, without asking again; returns at once.

        Raises:
            ConfigError: A scorer is unknown, or the experiment still runs.
        """
        if self.running:
            raise ConfigError("Scores cannot be changed now", seen="the experiment runs", advice="Wait or stop it")
        self.scorers = as_scorers(scorers)
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
    def missing(self) -> list[Cell]:
        """The cells without a whole answer, those of earlier versions left out."""
        return [cell for cell in self._own_cells if not self._is_whole(cell)]

    @property
    def runs(self) -> dict[int, Run]:
        """The runs in flight, by the cells' index."""
        return dict(self._round.runs) if self._round is not None else {}

    @property
    def progress(self) -> Progress:
        """How far it is."""
        own = [one for one in self.responses if one.cell.variant.prompt not in self.reference]
        return progress_of(own, len(self._own_cells), self._round)

    @property
    def df(self) -> pd.DataFrame:
        """The tidy table, one row a response, also while cells stream."""
        return self.findings().table()

    def watch(self, observer: Observer) -> None:
        """Have an observer told of every cell from the next round on."""
        self._observers.append(observer)

    def plan(self) -> Plan:
        """What `run()` would take now: calls, tokens, time, and the smallest difference that could be seen."""
        if not self.running:
            self._take_known(self._asking())
        return make_plan(
            self.missing,
            self._own_cells,
            self.responses,
            max_concurrency=self._max_concurrency,
            compared=bool(self.scorers) and len(self.variants) > 1,
            noise=self.findings().noise(),
            prices=self._prices,
        )

    def findings(self, baseline: str | None = None) -> Findings:
        """What can be said of the responses of this moment."""
        return Findings(
            name=self.name,
            variants=self.variants,
            scorers=[scorer.name for scorer in self.scorers],
            responses=self.responses,
            baseline=baseline or self.baseline,
            prices=self._prices,
            interim=self.running,
        )

    def summary(self) -> pd.DataFrame:
        """One row a variant: answers, mean scores with their intervals, times, tokens."""
        return self.findings().summary()

    def compare(
        self, baseline: str | None = None, scorer: str | None = None, *, method: Method = "auto"
    ) -> pd.DataFrame:
        """Every variant against its baseline, with Holm's adjustment; the column `verdict` has the sentence.

        Args:
            baseline: As for the experiment, whose own is the default.
            scorer: Name of a score; None compares on each.
            method: "auto", "t" or "bootstrap"; see `verdict.compare_scores`.

        Raises:
            ConfigError: There is no such baseline or score.
        """
        return self.findings(baseline).compare(scorer, method=method)

    def verdict(self, baseline: str | None = None, scorer: str | None = None) -> str:
        """The sentences of `compare()`, one a line."""
        return self.findings(baseline).verdict(scorer)

    def flips(self, baseline: str | None = None, scorer: str | None = None) -> pd.DataFrame:
        """The examples whose verdict changed against the baseline; read the first ones first.

        Each is marked `real`, `within noise` (repeats of one prompt differ as much) or `unknown` (one repeat).
        """
        return self.findings(baseline).flips(scorer)

    def rate(self, variant: str | None = None, baseline: str | None = None, *, seed: int | None = None) -> Rating:
        """The answers of a variant and its baseline in blind pairs, for a person to choose by keys.

        Args:
            variant: Label of the variant; by default the last.
            baseline: As for the experiment, whose own is the default.
            seed: For the order and the sides; None takes another each time.

        Raises:
            ConfigError: There is no such variant, or no example with both answers.
        """
        return self.findings(baseline).rating(variant, self._record_rating, seed=seed)

    def plot(self, kind: Kind = "forest", *, scorer: str | None = None) -> object:
        """Draw a chart: slope, forest, scores, latency or heatmap. Altair's, or matplotlib's where altair is absent.

        Raises:
            ConfigError: There is no such kind or score, or neither package.
        """
        return draw(self.findings(), kind, scorer)

    def export(self, path: str | Path, *, variant: str | None = None) -> Path:
        """Write what the name asks for: .csv, .jsonl, promptfoo's .yaml, or a pytest file .py with one variant.

        Raises:
            ConfigError: The name ends in none of these.
        """
        return write_results(self, path, variant=variant)

    def show(self) -> object:
        """Show the experiment live in a notebook; elsewhere, its summary."""
        viewer = type(self).viewer
        return self.summary() if viewer is None else viewer(self)

    def __repr__(self) -> str:
        """A line about the experiment; never waits."""
        now = self.progress
        return f"<Experiment {self.name} {now.done}/{now.total} done, {now.cached} cached, {now.failed} failed>"

    # Inside.

    @property
    def _own_cells(self) -> list[Cell]:
        """The cells that are asked: those of earlier versions are not."""
        return [cell for cell in self.cells if cell.variant.prompt not in self.reference]

    def _is_whole(self, cell: Cell) -> bool:
        response = self._responses.get(cell.index)
        return response is not None and response.status.whole

    def _lacks_scores(self, response: Response) -> bool:
        return response.status.whole and response.scores.keys() != {one.name for one in self.scorers}

    def _record_rating(self, response: Response, rating: str) -> None:
        now = self._responses[response.cell.index]
        self._responses[response.cell.index] = replace(now, rating=rating)

    def _asking(self) -> Asking:
        """The requests, by the settings of this moment."""
        return Asking(self.cells, self._address, experiment=self.name)

    def _take_known(self, asking: Asking) -> None:
        """Take over what the log has of the cells without a whole answer."""
        keys = {asking.keys[cell.index]: cell for cell in self.cells if not self._is_whole(cell)}
        for key, answer in self._log.find(keys).items() if keys else ():
            self._responses[keys[key].index] = cached(keys[key], answer)

    def _begin(self, asking: Asking, todo: Sequence[Cell], answered: Sequence[Response]) -> None:
        self._round = Round(
            todo,
            answered,
            asking=asking,
            log=self._log,
            scoring=Scoring(self.scorers, self._executor),
            responses=self._responses,
            observers=self._observers,
            max_concurrency=self._max_concurrency,
            budget=self._budget,
        )
        self._round.begin()

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


def _with_shared(data: Source | Dataset | None, shared: Mapping[str, object], limit: int | None) -> Dataset:
    if data is None:
        return Dataset((Example(id="1", variables=dict(shared)),))
    dataset = Dataset.of(data, limit=limit)
    if not shared:
        return dataset
    examples = (replace(one, variables={**shared, **one.variables}) for one in dataset)
    return Dataset(tuple(examples), dataset.name)


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ConfigError(f"{name} must be at least 1", seen=f"it is {value}", advice="Leave it out for the default")
    return value
