"""The verdict on a variant against its baseline: one comparison, one sentence, and the flips behind it.

Below 15 paired examples, and while an experiment still runs, it gives counts and the interval and never the
word "better": looking every 10 examples up to 100 raises 19.6 % false alarms where 5 % were meant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from vig_notebook.tuning import power, statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Scores = Mapping[str, Sequence[float]]
    Method = Literal["auto", "t", "bootstrap"]

__all__ = ["ENOUGH_EXAMPLES", "Comparison", "Flip", "compare_all", "compare_scores", "find_flips", "sentence"]

ENOUGH_EXAMPLES = 15
"""Below it a paired test of right-or-wrong scores can hardly tell a difference under 30 points from luck."""

LEVEL = 0.05
PASS = 0.5
"""A score at or above it passes; with repeats, the mean of the example decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant held against its baseline on one score, over the examples that both have.

    Attributes:
        variant: Label of the variant.
        baseline: Label of the baseline.
        scorer: Name of the score.
        n: Paired examples.
        left_out: Examples that lack a score on one side.
        mean: Mean of the variant over these examples; NaN without any.
        baseline_mean: Mean of the baseline.
        difference: The one less the other.
        interval: Of the difference, 95 %.
        p_value: That the difference is luck, by the test that `method` names.
        p_holm: The same, with all variants of the experiment taken into account.
        wins: Examples on which the variant is better.
        losses: Examples on which it is worse.
        ties: Examples on which both are the same.
        method: Names of interval and test.
        more_examples: How many more would settle it, if it stays as it is; None when no number would.
        in_points: The scores lie between 0 and 1, and are shown in points of a hundred.
        variants: How many variants were compared.
    """

    variant: str
    baseline: str
    scorer: str
    n: int
    left_out: int
    mean: float
    baseline_mean: float
    difference: float
    interval: statistics.Interval
    p_value: float
    p_holm: float
    wins: int
    losses: int
    ties: int
    method: str
    more_examples: int | None
    in_points: bool
    variants: int = 1

    @property
    def settled(self) -> bool:
        """Whether the difference may be called one: enough examples, by the test and by the interval."""
        far_from_none = self.p_holm < LEVEL and 0.0 not in self.interval
        return self.n >= ENOUGH_EXAMPLES and far_from_none


def compare_scores(
    variant: str, baseline: str, scorer: str, after: Scores, before: Scores, *, method: Method = "auto"
) -> Comparison:
    """Hold the scores of a variant against those of its baseline.

    Args:
        variant: Label of the variant.
        baseline: Label of the baseline.
        scorer: Name of the score.
        after: The variant's scores by example, one for each repeat.
        before: The baseline's.
        method: "auto" takes the Bonett-Price interval and McNemar's mid-p test for right-or-wrong scores
            with one repeat, or with repeats that never differ, else the paired t; "t" always the t, "bootstrap"
            the BCa bootstrap's interval.
    """
    common = [example for example in before if before[example] and after.get(example)]
    new, old = [fmean(after[example]) for example in common], [fmean(before[example]) for example in common]
    differences = [_snapped(a - b) for a, b in zip(new, old, strict=True)]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    values = [value for example in common for value in (*after[example], *before[example])]
    # Repeats that agree on every example are one answer: no mean of theirs says more.
    binary = method == "auto" and {*new, *old} <= {0.0, 1.0} and set(values) <= {0.0, 1.0}
    in_points = all(0 <= value <= 1 for value in values)
    interval, p_value, words = _inference(differences, method, binary=binary, in_points=in_points)
    n, left_out = len(common), len(before.keys() | after.keys()) - len(common)
    difference = fmean(differences) if n else math.nan
    return Comparison(
        variant=variant,
        baseline=baseline,
        scorer=scorer,
        n=n,
        left_out=left_out,
        mean=fmean(new) if n else math.nan,
        baseline_mean=fmean(old) if n else math.nan,
        difference=difference,
        interval=interval,
        p_value=p_value,
        p_holm=p_value,
        wins=wins,
        losses=losses,
        ties=n - wins - losses,
        method=words,
        more_examples=power.examples_to_settle(difference, stdev(differences), n) if n > 1 else None,
        in_points=in_points,
    )


def _snapped(difference: float) -> float:
    """0.3 - 0.1 - 0.2 is no win: a mean of repeats carries rounding errors of this size."""
    return 0.0 if abs(difference) < 1e-12 else difference


def _inference(
    differences: Sequence[float], method: Method, *, binary: bool, in_points: bool
) -> tuple[statistics.Interval, float, str]:
    n = len(differences)
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if n < 2:
        return statistics.UNKNOWN, 1.0, "none: too few examples"
    if binary or (in_points and not any(differences)):
        interval = statistics.bonett_price(wins, losses, n)
        return interval, statistics.mcnemar_mid_p(wins, losses), "Bonett-Price, McNemar mid-p"
    p_value = statistics.paired_t(differences)
    if method == "bootstrap":
        return statistics.bca_interval(differences), p_value, "BCa bootstrap, paired t"
    interval = statistics.t_interval(differences)
    return interval.within(-1.0, 1.0) if in_points else interval, p_value, "paired t"


def compare_all(
    scorer: str,
    pairs: Sequence[tuple[str, str]],
    scores: Mapping[str, Scores],
    *,
    method: Method = "auto",
) -> list[Comparison]:
    """Hold several variants against their baselines, with Holm's adjustment over all of them.

    Args:
        scorer: Name of the score.
        pairs: Labels of variant and baseline.
        scores: By label, then by example.
        method: As `compare_scores`.
    """
    found = [compare_scores(v, b, scorer, scores[v], scores[b], method=method) for v, b in pairs]
    adjusted = statistics.holm([one.p_value for one in found])
    return [replace(one, p_holm=p, variants=len(found)) for one, p in zip(found, adjusted, strict=True)]


def sentence(comparison: Comparison, *, interim: bool = False) -> str:
    """One sentence a person can repeat.

    Args:
        comparison: The comparison.
        interim: The experiment still runs: nothing is called better yet.
    """
    one = comparison
    if not one.n:
        return f"{one.variant} and {one.baseline} have no example with a score of {one.scorer} on both sides."
    names = f"{one.variant} against {one.baseline}"
    if interim:
        head, tail = f"So far, {names}", "Wait for the end before you choose."
    elif one.n < ENOUGH_EXAMPLES:
        head, tail = names, f"Too few examples to choose: {ENOUGH_EXAMPLES} or more are needed."
    elif one.settled:
        word = "better" if one.difference > 0 else "worse"
        head, tail = f"{one.variant} is {word} than {one.baseline}", ""
    else:
        head, tail = f"{names}: no difference is shown", _what_would_settle(one)
    parts = [f"{head} on {one.scorer}: {_numbers(one)}.", _left_out(one), tail]
    return " ".join(part for part in parts if part)


def _numbers(one: Comparison) -> str:
    interval = "no interval can be given"
    if one.interval.known:
        low, high = _shown(one, one.interval.low), _shown(one, one.interval.high)
        interval = f"95 % interval {low} to {high}"
    unit = " points" if one.in_points else ""
    counts = f"{_count(one.wins, 'win')}, {_count(one.losses, 'loss', 'losses')}, {_count(one.ties, 'tie')}"
    return f"{_shown(one, one.difference)}{unit} ({interval}), {counts} over {_count(one.n, 'example')}"


def _shown(one: Comparison, value: float) -> str:
    text = f"{100 * value:+.0f}" if one.in_points else f"{value:+.3g}"
    return "0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _count(number: int, word: str, many: str = "") -> str:
    return f"{number:,} {word if number == 1 else many or word + 's'}"


def _left_out(one: Comparison) -> str:
    if not one.left_out:
        return ""
    return f"{_count(one.left_out, 'example')} left out for want of a score on one side."


def _what_would_settle(one: Comparison) -> str:
    if one.p_value < LEVEL <= one.p_holm:
        many = f"{one.variants} variants were tried, and the best of many looks good by luck"
        return f"Alone it would be one, but {many}."
    if one.more_examples is not None:
        return f"About {_count(max(1, one.more_examples), 'more example')} would settle it, if it stays as it is."
    return "No number of examples would settle it, as it is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An example on which the verdict changed.

    Attributes:
        example_id: The example.
        before: Share of the baseline's repeats that pass.
        after: Share of the variant's.
        chance: That repeats of one and the same prompt differ as much; None with a single repeat.
    """

    example_id: str
    before: float
    after: float
    chance: float | None

    @property
    def fixed(self) -> bool:
        """Whether it passes now; else it is broken."""
        return self.after > self.before

    @property
    def verdict(self) -> Literal["real", "within noise", "unknown"]:
        """Whether it is more than the prompt's own noise from repeat to repeat."""
        if self.chance is None:
            return "unknown"
        return "real" if self.chance < LEVEL else "within noise"

    @property
    def urgency(self) -> tuple[float, bool]:
        """What is to be read first is least: the least explained by noise, and what broke before what is fixed."""
        return 1.0 if self.chance is None else self.chance, self.fixed


def find_flips(after: Scores, before: Scores) -> list[Flip]:
    """The examples on which the verdict changed, those to read first first: the least explained by noise."""
    flips = []
    for example, old in before.items():
        new = after.get(example)
        if not old or not new or (fmean(old) >= PASS) == (fmean(new) >= PASS):
            continue
        passed_before, passed_after = [value >= PASS for value in old], [value >= PASS for value in new]
        chance = power.chance_of_flip(passed_before, passed_after)
        flips.append(Flip(example_id=example, before=fmean(passed_before), after=fmean(passed_after), chance=chance))
    return sorted(flips, key=lambda flip: flip.urgency)
