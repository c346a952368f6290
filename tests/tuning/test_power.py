from __future__ import annotations

import math
from statistics import variance

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from vig_notebook.tuning.power import (
    USUAL_NOISE,
    chance_of_flip,
    examples_to_settle,
    repeat_noise,
    share_detected,
    smallest_difference,
)
from vig_notebook.tuning.statistics import mcnemar_mid_p, paired_t


@pytest.mark.parametrize(
    ("n", "repeats", "share"),
    [(20, 1, 0.19), (20, 3, 0.50), (20, 5, 0.71), (20, 10, 0.93), (40, 1, 0.35), (40, 3, 0.80), (40, 5, 0.95)],
)
def test_share_detected_is_that_of_the_simulations(n: int, repeats: int, share: float) -> None:
    assert share_detected(0.14, n, repeats=repeats) == pytest.approx(share, abs=0.025)


def test_share_detected_agrees_with_statsmodels() -> None:
    deviation = math.sqrt(2 * USUAL_NOISE / 3 + 0.1**2)
    expected = TTestPower().power(0.2 / deviation, 25, 0.05)
    assert share_detected(0.2, 25, repeats=3, spread=0.1) == pytest.approx(expected)


def test_share_detected_without_spread_is_unknown() -> None:
    assert math.isnan(share_detected(0.2, 25, noise=0.0))
    assert math.isnan(share_detected(0.2, 1))


def test_smallest_difference_is_seen_four_times_out_of_five() -> None:
    for n, repeats in [(15, 1), (20, 3), (60, 3)]:
        difference = smallest_difference(n, repeats=repeats)
        assert share_detected(difference, n, repeats=repeats) == pytest.approx(0.8, abs=0.01)


def test_smallest_difference_of_one_example_is_infinite() -> None:
    assert smallest_difference(1) == math.inf


def test_smallest_difference_of_answers_that_never_change() -> None:
    """Then each example is right or wrong for good, and a difference is made of whole examples."""
    assert smallest_difference(20, noise=0.0) == smallest_difference(20, repeats=10, noise=0.0)
    assert smallest_difference(20, noise=0.0) == pytest.approx(0.30, abs=0.01)
    for n in (20, 40):
        for noise in (0.0, 0.02, 0.05, 0.14):
            found = smallest_difference(n, repeats=10, noise=noise)
            spread = max(0.0, found * (1 - found) - 2 * noise) ** 0.5
            assert share_detected(found, n, repeats=10, noise=noise, spread=spread) == pytest.approx(0.8, abs=0.01)


def test_smallest_difference_of_answers_that_never_change_by_simulation() -> None:
    difference = smallest_difference(40, repeats=3, noise=0.0)
    chance = np.random.default_rng(3)
    wins = chance.binomial(40, difference, 4000)
    assert np.mean([mcnemar_mid_p(int(won), 0) < 0.05 for won in wins]) == pytest.approx(0.8, abs=0.1)


def test_smallest_difference_by_simulation() -> None:
    difference = smallest_difference(30, repeats=3, noise=0.16)
    chance = np.random.default_rng(2)
    seen = 0
    for _ in range(800):
        # A rate of 0.5 ± difference / 2, of which the noise is about 0.16 when a third of examples never change.
        changing = chance.random(30) < 0.64
        before = np.where(changing, chance.binomial(3, 0.5, 30) / 3, 1.0)
        after = np.where(changing, chance.binomial(3, 0.5, 30) / 3, 1.0) + difference
        seen += paired_t([float(d) for d in after - before]) < 0.05
    assert seen / 800 == pytest.approx(0.8, abs=0.05)


def test_examples_to_settle_are_enough_and_not_far_too_many() -> None:
    difference, deviation = 0.1, 0.4
    wanted = examples_to_settle(difference, deviation, 20)
    assert wanted is not None
    n = 20 + wanted
    assert TTestPower().power(difference / deviation, n, 0.05) == pytest.approx(0.8, abs=0.01)


def test_examples_to_settle_at_the_ends() -> None:
    assert examples_to_settle(0.0, 0.4, 20) is None
    assert examples_to_settle(0.1, math.nan, 20) is None
    assert examples_to_settle(0.0001, 0.4, 20) is None
    assert examples_to_settle(0.9, 0.1, 20) == 0


def test_repeat_noise_is_the_pooled_variance() -> None:
    assert repeat_noise([[0, 1], [1, 1, 0, 0], [1]]) == pytest.approx(
        (variance([0, 1]) + 3 * variance([1, 1, 0, 0])) / 4
    )
    assert repeat_noise([[1], []]) is None


@pytest.mark.parametrize(
    ("before", "after", "chance"),
    [
        ([False] * 3, [True] * 3, 0.03125),
        ([False] * 2, [True] * 2, 0.125),
        ([False] * 5, [True] * 5, 2 / 1024),
        ([True] * 3, [True] * 3, 1.0),
    ],
)
def test_chance_of_flip_is_that_of_two_batches_of_one_prompt(
    before: list[bool], after: list[bool], chance: float
) -> None:
    assert chance_of_flip(before, after) == pytest.approx(chance)


def test_chance_of_flip_needs_repeats() -> None:
    assert chance_of_flip([True], [False, False]) is None
