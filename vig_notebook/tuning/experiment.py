"""`Experiment`: prompts, models and parameters tried on examples, with repeats, scores and a verdict.

```
Experiment(...) ──> run() ──> cells in flight ──> responses ──> scores ──> compare()
                      ^               │ stop(), an error, the budget
                      └── run() again ┘ asks only what is missing
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from vig_notebook.errors import ConfigError
from vig_notebook.settings import concealed
from vig_notebook.tuning.asking import Address, endpoint_of
from vig_notebook.tuning.export import write_results
from vig_notebook.tuning.findings import Findings
from vig_notebook.tuning.grid import baseline_pairs
from vig_notebook.tuning.holdout import ask_holdout
from vig_notebook.tuning.judge import PairJudge
from vig_notebook.tuning.judging import PairJudging
from vig_notebook.tuning.layout import examples_of, lay_out
from vig_notebook.tuning.log import as_log
from vig_notebook.tuning.plan import make_plan
from vig_notebook.tuning.plots import draw
from vig_notebook.tuning.prompts import as_prompts
from vig_notebook.tuning.rounds import Rounds
from vig_notebook.tuning.scorers import as_scorers, check_columns, expected_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    import pandas as pd

    from vig_notebook.settings import Secret
    from vig_notebook.store import Store
    from vig_notebook.tuning.dataset import Dataset, Source
    from vig_notebook.tuning.grid import Variant
    from vig_notebook.tuning.judging import PairVerdicts
    from vig_notebook.tuning.log import AnswerLog
    from vig_notebook.tuning.plan import Plan, Prices
    from vig_notebook.tuning.plots import Kind, Plot
    from vig_notebook.tuning.prompts import Prompt
    from vig_notebook.tuning.rating import Rating
    from vig_notebook.tuning.scorers import Spec
    from vig_notebook.tuning.verdict import Method

__all__ = ["Experiment"]


class Experiment(Rounds):
    """Prompts x models x parameters, tried on examples with repeats.

    `run()` returns at once and the cells stream on the streaming thread; `await experiment`, `wait()` and
    whatever needs all answers waits. `df`, `summary()` and `compare()` never wait: they show what is there.

    Attributes:
        name: For people and for the log.
        data: The examples.
        variants: The columns of the grid: prompt, model, parameters.
        cells: What is asked, in the order of asking: all variants of one example before the next.
        held_out: The examples that are set aside, or None; see `on_holdout`.
        baseline: What variants are held against, as given; see `grid.baseline_pairs`.
        reference: Earlier versions of the prompts, which are not asked again.
        endpoint: The server, as the settings chose it when the experiment was laid out.
        note: What its verdict ends with; may be empty.
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
        only: Sequence[Variant] = (),
        limit: int | None = None,
        holdout: float | None = None,
        variables: Mapping[str, object] | None = None,
        prices: Prices | None = None,
        executor: Executor | None = None,
        labels: Mapping[str, str] | None = None,
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
            only: Variants of another experiment: of this grid, only those that ask the same are laid out.
            limit: Use only so many examples from the first on; those of the holdout count among them.
            holdout: The share of the examples to set aside; only `on_holdout()` asks them.
            variables: Variables that all examples share.
            prices: Of a million tokens in and out, by model: `{"model": (0.5, 1.5)}`. Without them no cost is shown.
            executor: Runs the scorers, for example dask's `Client.get_executor()`; by default threads do.
            labels: Free words kept with each run in the log.
            base_url: As for `vig_notebook.start`, like the three that follow.
            api_key: The server's key.
            key_env: The environment variable that holds it.
            profile: A profile of the settings file.

        Raises:
            ConfigError: Something of it is wrong: a template or a scorer names what the examples lack, a scorer is
                unknown.
        """
        api_key = concealed(api_key)
        self.name = name
        address = Address(base_url=base_url, api_key=api_key, key_env=key_env, profile=profile)
        self.endpoint = endpoint_of(address)
        names = [models] if isinstance(models, str) else list(models or [self.endpoint.default_model])
        kinds = as_scorers(scorers)
        asked, self.held_out = examples_of(data, limit=limit, holdout=holdout, by=expected_column(kinds))
        self._layout = lay_out(
            as_prompts(prompts),
            names,
            params,
            asked,
            repeats=repeats,
            reference=reference,
            variables=variables or {},
            only=only,
        )
        check_columns(kinds, self._layout.data)
        self.data, self.variants, self.cells = self._layout.data, self._layout.variants, self._layout.cells
        self.reference = self._layout.reference
        self.baseline = baseline
        baseline_pairs(self.variants, baseline)  # refuses a wrong name now, and not after an hour of asking
        self._prices = prices or {}
        self.note = ""
        super().__init__(
            self._layout,
            kinds,
            address=address,
            labels={"experiment": name, **(labels or {})},
            log=as_log(store),
            executor=executor,
            max_concurrency=_at_least_one("max_concurrency", max_concurrency),
            budget=budget,
        )
        self._made_with = {
            "repeats": repeats,
            "max_concurrency": max_concurrency,
            "budget": budget,
            "store": self._log,
            "variables": variables,
            "prices": prices,
            "executor": executor,
            "base_url": base_url,
            "api_key": api_key,
            "key_env": key_env,
            "profile": profile,
        }

    @property
    def df(self) -> pd.DataFrame:
        """The tidy table, one row a response, also while cells stream."""
        return self.findings().table()

    def plan(self) -> Plan:
        """What `run()` would take now: calls, tokens, time, and the smallest difference that could be seen."""
        self.take_known()
        return make_plan(
            self.missing,
            self._layout.own_cells,
            self.responses,
            max_concurrency=self._max_concurrency,
            compared=bool(self.scorers) and len(self.variants) > 1,
            noise=self.findings().noise(),
            prices=self._prices,
            set_aside=len(self.held_out or ()),
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
            judges=[scorer.name for scorer in self.scorers if getattr(scorer, "asks_a_server", False)],
            note=self.note,
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
        Without a scorer, those of every score are there.
        """
        return self.findings(baseline).flips(scorer)

    def rate(
        self,
        variant: str | None = None,
        baseline: str | None = None,
        *,
        judge: PairJudge | str | None = None,
        seed: int | None = None,
    ) -> Rating:
        """The answers of a variant and its baseline in blind pairs, for a person to choose by keys.

        Args:
            variant: Label of the variant; by default the last.
            baseline: As for the experiment, whose own is the default.
            judge: Judges the same pairs meanwhile, each in both orders; a text is its criterion. The result says
                how far it agrees with the person, and with itself.
            seed: For the order and the sides; None takes another each time.

        Raises:
            ConfigError: There is no such variant, or no example with both answers.
        """
        rating = self.findings(baseline).rating(variant, self._keep_rating, seed=seed)
        if judge is not None:
            rating.judged_by(self._judging(judge, rating))
        return rating

    def judge(self, judge: PairJudge | str, variant: str | None = None, baseline: str | None = None) -> PairVerdicts:
        """Have a judge choose between a variant and its baseline on each example, in both orders; waits.

        Args:
            judge: A `PairJudge`, or the criterion of one that asks the experiment's own server.
            variant: Label of the variant; by default the last.
            baseline: As for the experiment, whose own is the default.

        Raises:
            ConfigError: There is no such variant, or no example with both answers.
            KeyboardInterrupt: The kernel was interrupted; the judge is stopped.
        """
        rating = self.findings(baseline).rating(variant, self._keep_rating, seed=0)
        judging = self._judging(judge, rating)
        rating.judged_by(judging)
        judging.wait()
        return rating.verdicts()

    def on_holdout(self, variant: str | None = None) -> Experiment:
        """A variant and its baseline on the examples that were set aside. `run()` asks them: once, at the end.

        Its verdict says how often this holdout was looked at before, with other variants.

        Args:
            variant: Label of the variant; by default the last.

        Raises:
            ConfigError: Nothing was set aside, or there is no such variant.
        """
        return ask_holdout(self, self._made_with, variant)

    def plot(self, kind: Kind = "forest", *, scorer: str | None = None) -> Plot:
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

    def _judging(self, judge: PairJudge | str, rating: Rating) -> PairJudging:
        judge = PairJudge(judge) if isinstance(judge, str) else judge
        return PairJudging(judge, rating.pairs, self.calls())


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ConfigError(f"{name} must be at least 1", seen=f"it is {value}", advice="Leave it out for the default")
    return value
