"""The formulas against scipy, statsmodels and published tables, and their levels by simulation."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from vig_notebook.tuning import statistics
from vig_notebook.tuning.statistics import (
    bca_interval,
    bonett_price,
    holm,
    mcnemar_mid_p,
    paired_t,
    sign_test,
    t_interval,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 20), (7, 20), (20, 20), (81, 263)])
def test_wilson_agrees_with_statsmodels(successes: int, n: int) -> None:
    low, high = proportion_confint(successes, n, method="wilson")
    found = wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_wilson_as_published() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
    for successes, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]:
        found = wilson(successes, n)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_bonett_price_as_worked_by_hand() -> None:
    # Airway hyper-responsiveness in 21 children (Bentur et al. 2009): 2/23 - 8/23 ± 1.96 √((10/23 - (6/23)²)/23).
    found = bonett_price(1, 7, 21)
    assert (found.low, found.high) == pytest.approx((-0.508, -0.013), abs=0.0005)


def test_bonett_price_without_a_difference_has_a_width() -> None:
    found = bonett_price(0, 0, 20)
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.1


def test_bonett_price_stays_within_its_bounds() -> None:
    assert bonett_price(3, 0, 3).high == 1.0
    assert bonett_price(0, 3, 3).low == -1.0


def test_intervals_without_data_are_unknown() -> None:
    for found in (wilson(0, 0), bonett_price(0, 0, 0), t_interval([]), t_interval([0.5]), t_interval([1, 1, 1])):
        assert not found.known
    assert not bca_interval([0.5, 0.5]).known


def test_mcnemar_mid_p_as_published() -> None:
    # Fagerland, Lydersen and Laake 2013, the same 21 children: exact 0.0703, mid-p 0.0391.
    assert round(sign_test(1, 7), 4) == 0.0703
    assert round(mcnemar_mid_p(1, 7), 4) == 0.0391


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (0, 5), (5, 0), (3, 3), (9, 2), (40, 61)])
def test_sign_test_agrees_with_scipy_and_mcnemar(wins: int, losses: int) -> None:
    n = wins + losses
    exact = stats.binomtest(wins, n).pvalue if n else 1.0
    assert sign_test(wins, losses) == pytest.approx(exact)
    assert sign_test(wins, losses) == pytest.approx(mcnemar([[5, wins], [losses, 5]], exact=True).pvalue)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 3), (9, 2), (2, 9)])
def test_mid_p_is_exact_less_the_point(wins: int, losses: int) -> None:
    n = wins + losses
    point = stats.binom.pmf(wins, n, 0.5)
    exact = min(1.0, 2 * stats.binom.cdf(min(wins, losses), n, 0.5))
    assert mcnemar_mid_p(wins, losses) == pytest.approx(1 - point / 2 if wins == losses else exact - point)


def test_paired_t_agrees_with_scipy() -> None:
    random.seed(1)
    a, b = [random.random() for _ in range(12)], [random.random() for _ in range(12)]
    differences = [x - y for x, y in zip(a, b, strict=True)]
    expected = stats.ttest_rel(a, b)
    assert paired_t(differences) == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    found = t_interval(differences)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_paired_t_of_equal_differences_is_the_sign_test() -> None:
    assert paired_t([0.5] * 8) == sign_test(8, 0)
    assert paired_t([0.0] * 8) == 1.0
    assert paired_t([0.3]) == 1.0


def test_bca_agrees_with_scipy() -> None:
    values = [0.1, 0.4, -0.2, 0.9, 0.3, 0.0, 0.5]
    expected = stats.bootstrap(
        (np.array(values),), np.mean, n_resamples=statistics.RESAMPLES, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    found = bca_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_holm_agrees_with_statsmodels() -> None:
    values = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04]
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


# Levels by simulation: seeds fixed, limits from the papers.


def _tables(n: int, wins: float, losses: float, trials: int) -> Iterator[tuple[int, int]]:
    chance = np.random.default_rng(n)
    for counts in chance.multinomial(n, [wins, losses, 1 - wins - losses], size=trials):
        yield int(counts[0]), int(counts[1])


@pytest.mark.parametrize(("n", "wins", "losses"), [(15, 0.2, 0.2), (20, 0.3, 0.16), (60, 0.1, 0.05), (60, 0.3, 0.1)])
def test_bonett_price_covers_the_true_difference(n: int, wins: float, losses: float) -> None:
    covered = [wins - losses in bonett_price(a, b, n) for a, b in _tables(n, wins, losses, 4000)]
    assert 0.94 <= np.mean(covered) <= 0.995


@pytest.mark.parametrize("n", [15, 20, 60])
@pytest.mark.parametrize("discordant", [0.1, 0.4])
def test_mid_p_raises_no_more_false_alarms_than_it_says(n: int, discordant: float) -> None:
    alarms = [mcnemar_mid_p(a, b) < 0.05 for a, b in _tables(n, discordant / 2, discordant / 2, 4000)]
    assert np.mean(alarms) <= 0.055


def _false_alarms(test: Callable[[list[float]], float], *, n: int, repeats: int, trials: int) -> float:
    """Share of alarms between one prompt and itself: each example has its own rate, both sides draw from it."""
    chance = np.random.default_rng(7)
    alarms = 0
    for _ in range(trials):
        rates = chance.beta(0.9, 0.6, size=n)
        a, b = (chance.binomial(repeats, rates) / repeats for _ in range(2))
        alarms += test([float(d) for d in a - b]) < 0.05
    return alarms / trials


@pytest.mark.parametrize(("n", "repeats"), [(15, 3), (20, 3), (40, 5)])
def test_paired_t_raises_no_more_false_alarms_than_it_says(n: int, repeats: int) -> None:
    assert _false_alarms(paired_t, n=n, repeats=repeats, trials=1500) <= 0.065


def test_t_interval_covers_where_the_bootstrap_does_not() -> None:
    """Means of three repeats on 10 examples: the percentile bootstrap covers 0.89."""
    chance = np.random.default_rng(3)
    covered = []
    for _ in range(1500):
        rates = chance.beta(0.9, 0.6, size=10)
        a, b = (chance.binomial(3, rates) / 3 for _ in range(2))
        found = t_interval([float(d) for d in a - b])
        covered.append(not found.known or 0.0 in found)
    assert 0.935 <= np.mean(covered) <= 0.97


def test_bca_covers_on_twenty_examples() -> None:
    chance = np.random.default_rng(5)
    covered = []
    for _ in range(120):
        rates = chance.beta(0.9, 0.6, size=20)
        a, b = (chance.binomial(3, rates) / 3 for _ in range(2))
        covered.append(0.0 in bca_interval([float(d) for d in a - b]))
    assert np.mean(covered) >= 0.88


def test_best_of_eight_identical_prompts_is_cut_by_holm() -> None:
    """Without Holm one in eight experiments would crown one of eight identical prompts."""
    chance = np.random.default_rng(11)
    plain = adjusted = 0
    trials = 400
    for _ in range(trials):
        rates = chance.beta(0.9, 0.6, size=20)
        base = chance.binomial(3, rates) / 3
        p_values = [paired_t([float(d) for d in chance.binomial(3, rates) / 3 - base]) for _ in range(7)]
        plain += min(p_values) < 0.05
        adjusted += min(holm(p_values)) < 0.05
    assert plain / trials > 0.1
    assert adjusted / trials <= 0.05


def test_interval_unknown_is_nan() -> None:
    assert math.isnan(statistics.UNKNOWN.low)
    assert 0.0 not in statistics.UNKNOWN
