"""How sure one may be of a difference: intervals, tests and plans, each with the source of its formula.

The unit is the example, never the response: repeats of one example are not independent, so they are
averaged first. `wins` are examples on which the variant is better than its baseline, `losses` those on
which it is worse, and `n` counts all pairs, ties included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING

from vig_notebook.tuning.extras import need

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Interval",
    "bca_interval",
    "bonett_price",
    "holm",
    "mcnemar_mid_p",
    "paired_t",
    "sign_test",
    "t_interval",
    "wilson",
]

RESAMPLES = 4999
"""Bootstrap resamples: an end of a 95 % interval then moves by some hundredths of its width; about 50 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval. Both ends are NaN where the data cannot give one."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def known(self) -> bool:
        """Whether the data could give an interval."""
        return not math.isnan(self.low)

    def within(self, least: float, most: float) -> Interval:
        """The same, without what the quantity cannot be: Student's t knows no bounds."""
        return Interval(low=max(least, self.low), high=min(most, self.high)) if self.known else self


UNKNOWN = Interval(low=math.nan, high=math.nan)


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(successes: float, n: int, *, level: float = 0.95) -> Interval:
    """Interval of a single rate.

    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22,
    209-212: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n). It holds its level at small n and at
    rates near 0 and 1, where the textbook interval p ± z √(p(1-p)/n) shrinks to nothing.
    """
    if n == 0:
        return UNKNOWN
    z, p = _z(level), successes / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(low=max(0.0, (middle - half) / scale), high=min(1.0, (middle + half) / scale))


def bonett_price(wins: int, losses: int, n: int, *, level: float = 0.95) -> Interval:
    """Interval of a paired difference of two rates, (wins - losses) / n.

    D. G. Bonett and R. M. Price (2012), Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data, J. Educ. Behav. Stat. 37, 479-488: with a = (wins + 1)/(n + 2) and
    b = (losses + 1)/(n + 2) it is a - b ± z √((a + b - (a - b)²)/(n + 2)). Recommended by Fagerland,
    Lydersen and Laake (2014), Statistics in Medicine 33, 2850-2875. Its middle is pulled a little towards
    0, and its width is never 0.
    """
    if n == 0:
        return UNKNOWN
    a, b = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = _z(level) * math.sqrt((a + b - (a - b) ** 2) / (n + 2))
    return Interval(low=max(-1.0, a - b - half), high=min(1.0, a - b + half))


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the exact sign test; ties are left out, and are to be shown beside it.

    W. J. Dixon and A. M. Mood (1946), The statistical sign test, JASA 41, 557-566: twice the smaller
    tail of the binomial distribution with n = wins + losses and p = 1/2. The same as McNemar's exact test.
    """
    n = wins + losses
    tail: int = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    doubled: float = 2 * tail / 2**n
    return min(1.0, doubled)


def mcnemar_mid_p(wins: int, losses: int) -> float:
    """Two-sided mid-p value of McNemar's test of two paired rates.

    M. W. Fagerland, S. Lydersen and P. Laake (2013), The McNemar test for binary matched-pairs data:
    mid-p and asymptotic are better than exact conditional, BMC Med. Res. Methodol. 13:91: the exact
    p-value less the probability of the observed table; with wins = losses, 1 less half of it. It never
    passed the 5 % level in their 9595 settings, and sees more than the exact test, which is too careful.
    """
    n = wins + losses
    point: float = math.comb(n, wins) / 2**n
    if wins == losses:
        return 1 - point / 2
    return sign_test(wins, losses) - point


def t_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Interval of a mean by Student's t (1908): mean ± t(n-1) s/√n. Unknown when n < 2 or all are equal."""
    n = len(values)
    spread = stdev(values) if n > 1 else 0.0
    if not spread:
        return UNKNOWN
    special = need("scipy.special", for_what="an interval by Student's t")
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * spread / math.sqrt(n)
    return Interval(low=fmean(values) - half, high=fmean(values) + half)


def paired_t(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired t test on the differences of the examples' means.

    Student (1908), The probable error of a mean, Biometrika 6, 1-25; equal to `scipy.stats.ttest_rel` of
    the two columns. Where all differences are the same, t has no meaning and the exact sign test answers.
    """
    n = len(differences)
    spread = stdev(differences) if n > 1 else 0.0
    if not spread:
        return sign_test(sum(d > 0 for d in differences), sum(d < 0 for d in differences))
    special = need("scipy.special", for_what="the paired t test")
    t = abs(fmean(differences)) / (spread / math.sqrt(n))
    return 2 * float(special.stdtr(n - 1, -t))


def bca_interval(values: Sequence[float], *, level: float = 0.95, seed: int = 0) -> Interval:
    """Interval of a mean by the bias-corrected and accelerated bootstrap over the examples.

    B. Efron (1987), Better bootstrap confidence intervals, JASA 82, 171-185, as in
    `scipy.stats.bootstrap(method="BCa")`. Still narrower than its level below about 20 examples (as every
    bootstrap is, see Efron and Tibshirani 1993, chapter 14), so `paired_t` is what is used unless asked.
    """
    if len(set(values)) < 2:
        return UNKNOWN
    stats = need("scipy.stats", for_what="the bootstrap")
    numpy = need("numpy", for_what="the bootstrap")
    found = stats.bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.mean,
        confidence_level=level,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=numpy.random.default_rng(seed),
    ).confidence_interval
    return Interval(low=float(found.low), high=float(found.high))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for having looked at several, in the order given.

    S. Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 65-70: the
    i-th smallest of m is multiplied by m - i + 1, and none may be less than the one before it. Any that
    stays under 5 % may be called a difference with a 5 % chance that even one of all is a false alarm.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
