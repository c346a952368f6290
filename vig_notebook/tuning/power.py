"""What difference could be seen, before a token is spent; how many more examples would settle it, after.

Two things move the mean difference of an example: the luck of each answer (`noise`, the variance of the
score from one repeat to the next, which repeats average away) and the examples themselves differing in
what the change does to them (`spread`, which only more examples average away):

    variance of one example's difference = 2 noise / repeats + spread²
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, pvariance
from typing import TYPE_CHECKING

from vig_notebook.tuning.extras import need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "POWER",
    "USUAL_NOISE",
    "chance_of_flip",
    "examples_to_settle",
    "repeat_noise",
    "share_detected",
    "smallest_difference",
]

USUAL_NOISE = 0.14
"""The variance of a right-or-wrong score between repeats, where no answer is known yet: 0.25 is a coin on
every example, 0 an answer that never changes. 0.14 is a set on which some are always right and some near a
coin; it gives the shares that were detected in simulations (20 examples, 14 points: 0.19, 0.50, 0.71, 0.93 at
1, 3, 5, 10 repeats)."""

POWER = 0.8
"""The usual demand: a difference of that size is seen four times out of five."""

LEVEL = 0.95
MOST_EXAMPLES = 100_000
"""Beyond this a number of examples is no advice."""


def _spread_of_example(noise: float, repeats: int, spread: float) -> float:
    return math.sqrt(2 * noise / repeats + spread * spread)


def smallest_difference(
    n: int, *, repeats: int = 1, noise: float = USUAL_NOISE, spread: float = 0.0, power: float = POWER
) -> float:
    """The smallest true difference that `n` examples show at the 5 % level, four times out of five.

    The usual sample-size formula solved for the difference (J. Cohen 1988, Statistical power analysis,
    chapter 2): (t(0.975) + t(power)) · sd / √n with n - 1 degrees of freedom. Infinite below 2 examples.

    Where answers hardly change from repeat to repeat, a difference d of right-or-wrong scores is made of whole
    examples: those of one answer each differ by -1, 0 or 1, so that 2 noise + spread² is at least d (1 - d).
    """
    if n < 2:
        return math.inf
    special = need("scipy.special", for_what="the plan of an experiment")
    t = float(special.stdtrit(n - 1, (1 + LEVEL) / 2) + special.stdtrit(n - 1, power))
    found = t * _spread_of_example(noise, repeats, spread) / math.sqrt(n)
    # d² = t²/n (2 noise / repeats + d (1 - d) - 2 noise), solved for its larger d.
    c, left = t * t / n, 2 * noise / repeats - 2 * noise
    inside = c * c + 4 * (1 + c) * c * left
    whole = (c + math.sqrt(inside)) / (2 * (1 + c)) if inside >= 0 else 0.0
    return max(found, whole) if 2 * noise + spread * spread < whole * (1 - whole) else found


def share_detected(
    difference: float, n: int, *, repeats: int = 1, noise: float = USUAL_NOISE, spread: float = 0.0
) -> float:
    """The power of the paired t test: how often a true difference is told from none at the 5 % level.

    By the noncentral t distribution, as `statsmodels.stats.power.TTestPower` has it.
    """
    deviation = _spread_of_example(noise, repeats, spread)
    if n < 2 or not deviation:
        return math.nan
    special = need("scipy.special", for_what="the plan of an experiment")
    shift = difference / deviation * math.sqrt(n)
    critical = special.stdtrit(n - 1, (1 + LEVEL) / 2)
    above = 1 - special.nctdtr(n - 1, shift, critical)
    return float(above + special.nctdtr(n - 1, shift, -critical))


def examples_to_settle(difference: float, deviation: float, n: int) -> int | None:
    """How many more examples would settle a difference, should it stay as it looks now.

    Args:
        difference: The mean difference seen.
        deviation: The standard deviation of the examples' differences.
        n: Examples seen so far.

    Returns:
        0 when there are enough already; None when no sensible number would do.
    """
    if not difference or math.isnan(deviation):
        return None
    z = NormalDist().inv_cdf((1 + LEVEL) / 2) + NormalDist().inv_cdf(POWER)
    # Two more than the normal formula says make up for the t distribution (Guenther 1981).
    wanted = (z * deviation / abs(difference)) ** 2 + z * z / 4
    return max(0, math.ceil(wanted) - n) if wanted < MOST_EXAMPLES else None


def repeat_noise(groups: Iterable[Sequence[float]]) -> float | None:
    """The variance of a score from one repeat to the next, pooled over examples; None without repeats.

    The mean of the unbiased variances within each group of repeats, as the error mean square of a
    one-way analysis of variance (Fisher 1925).
    """
    repeated = [group for group in groups if len(group) > 1]
    if not repeated:
        return None
    squares = sum(pvariance(group) * len(group) for group in repeated)
    return squares / sum(len(group) - 1 for group in repeated)


def chance_of_flip(before: Sequence[bool], after: Sequence[bool]) -> float | None:
    """The chance that repeats of one and the same prompt differ on an example at least as much as these do.

    Both sides are taken to pass at their pooled rate p, and the probability of every pair of counts at
    least as far apart is added up: the exact unconditional test of two rates at the maximum-likelihood
    rate (Storer and Kim 1990, JASA 85, 146-155). 3 of 3 against 0 of 3 is 0.03, 2 of 2 against 0 of 2 is
    0.13. None with a single answer on a side, which says nothing of its noise.
    """
    if min(len(before), len(after)) < 2:
        return None
    p = fmean([*before, *after])
    seen = abs(fmean(after) - fmean(before))
    total = 0.0
    for i in range(len(before) + 1):
        for j in range(len(after) + 1):
            if abs(j / len(after) - i / len(before)) >= seen - 1e-12:
                total += _binomial(i, len(before), p) * _binomial(j, len(after), p)
    return min(1.0, total)


def _binomial(k: int, n: int, p: float) -> float:
    point: float = math.comb(n, k) * p**k * (1 - p) ** (n - k)
    return point
