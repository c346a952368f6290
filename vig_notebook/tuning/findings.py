"""What an experiment has found so far: its table, its summary, its comparisons and flips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.tuning import power, tables
from vig_notebook.tuning.grid import baseline_pairs
from vig_notebook.tuning.rating import Rating
from vig_notebook.tuning.responses import tidy
from vig_notebook.tuning.verdict import compare_all, find_flips, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from vig_notebook.tuning.grid import Variant
    from vig_notebook.tuning.plan import Prices
    from vig_notebook.tuning.responses import Response
    from vig_notebook.tuning.verdict import Comparison, Flip, Method

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The responses of one moment, and what can be said of them.

    Attributes:
        name: The experiment's.
        variants: Its columns.
        scorers: Names of its scores.
        responses: What came of its cells, in the order of asking.
        baseline: What the variants are held against, as `grid.baseline_pairs` takes it.
        prices: Of tokens, by model.
        interim: More is to come, and so nothing is called better yet.
        judges: Those of the scores that a judge gave.
        note: What the verdict ends with; may be empty.
    """

    name: str
    variants: Sequence[Variant]
    scorers: Sequence[str]
    responses: Sequence[Response]
    baseline: str | None
    prices: Prices
    interim: bool
    judges: Sequence[str] = ()
    note: str = ""

    def table(self) -> pd.DataFrame:
        """One row a response."""
        return tidy(self.name, self.responses, self.scorers)

    def summary(self) -> pd.DataFrame:
        """One row a variant."""
        return tables.table_of(self.summary_rows())

    def summary_rows(self) -> list[dict[str, object]]:
        """The rows of `summary`, for whoever needs no pandas."""
        return tables.summary_rows(self.responses, self.variants, self.scorers, self.prices)

    def scores(self, scorer: str) -> dict[str, dict[str, list[float]]]:
        """Scores by the variant's label, then by example."""
        return tables.scores_by_example(self.responses, self.variants, scorer)

    def noise(self) -> float | None:
        """The variance of the first score from repeat to repeat; None where it is not known."""
        if not self.scorers:
            return None
        scores = self.scores(self.scorers[0])
        return power.repeat_noise([values for by_example in scores.values() for values in by_example.values()])

    def comparisons(self, scorer: str | None = None, *, method: Method = "auto") -> list[Comparison]:
        """Every variant against its baseline, on one score or on each.

        Raises:
            ConfigError: There is no such score or baseline.
        """
        return [
            comparison
            for name in self.named(scorer)
            for comparison in compare_all(name, self.pairs, self.scores(name), method=method)
        ]

    def compare(self, scorer: str | None = None, *, method: Method = "auto") -> pd.DataFrame:
        """The comparisons as a table."""
        return tables.comparison_table(self.comparisons(scorer, method=method), interim=self.interim)

    def verdict(self, scorer: str | None = None) -> str:
        """A sentence for each comparison, one a line; says why when there are none."""
        if not self.scorers or not self.pairs:
            missing = "a second variant" if self.scorers else "a scorer"
            sentences = [f"There is no verdict without {missing}."]
        else:
            sentences = [sentence(one, interim=self.interim) for one in self.comparisons(scorer)]
        return "\n".join([*sentences, *([self.note] if self.note else [])])

    def flips(self, scorer: str | None = None) -> pd.DataFrame:
        """The examples whose verdict changed, those to read first first."""
        return tables.flip_table(self.found_flips(scorer))

    def found_flips(self, scorer: str | None = None) -> list[tuple[str, str, str, Flip]]:
        """Variant, baseline, score and flip, on one score or on each, for whoever needs no pandas."""
        found = []
        for name in self.named(scorer):
            scores = self.scores(name)
            found += [(v, b, name, flip) for v, b in self.pairs for flip in find_flips(scores[v], scores[b])]
        return sorted(found, key=lambda one: one[-1].urgency)

    def rating(
        self, variant: str | None, record: Callable[[Response, str], object], *, seed: int | None = None
    ) -> Rating:
        """The answers of a variant and of its baseline in blind pairs.

        Raises:
            ConfigError: There is no such variant, or no example with both answers.
        """
        pairs = {one.label: (one, base) for one, base in baseline_pairs(self.variants, self.baseline)}
        chosen = variant or next(reversed(pairs), "")
        if chosen not in pairs:
            known = ", ".join(pairs) or "one variant alone"
            raise ConfigError(f"There is no variant {chosen!r} to rate", seen=f"there is {known}", advice="Name one")
        ours, others = ([r for r in self.responses if r.cell.variant is one] for one in pairs[chosen])
        return Rating(ours, others, record, seed=seed, judges=self.judges)

    def named(self, scorer: str | None) -> list[str]:
        """The name of one score, or of all.

        Raises:
            ConfigError: There is no such score.
        """
        if scorer is None:
            return list(self.scorers)
        if scorer not in self.scorers:
            known = ", ".join(self.scorers) or "none"
            raise ConfigError(f"There is no score {scorer!r}", seen=f"there is {known}", advice="Name one of them")
        return [scorer]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Labels of each variant and of its baseline."""
        return [(one.label, base.label) for one, base in baseline_pairs(self.variants, self.baseline)]
