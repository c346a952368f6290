from __future__ import annotations

import math

import pytest

from vig_notebook.tuning import statistics
from vig_notebook.tuning.verdict import compare_all, compare_scores, find_flips, sentence


def once(*values: float) -> dict[str, list[float]]:
    return {str(i): [value] for i, value in enumerate(values)}


def thrice(*shares: int) -> dict[str, list[float]]:
    return {str(i): [1.0] * share + [0.0] * (3 - share) for i, share in enumerate(shares)}


def test_right_or_wrong_asked_once_is_bonett_price_and_mid_p() -> None:
    found = compare_scores("b", "a", "exact", once(*[1] * 15, *[0] * 5), once(*[0] * 9, *[1] * 7, *[0] * 4))
    assert (found.n, found.wins, found.losses, found.ties) == (20, 9, 1, 10)
    assert found.difference == pytest.approx(0.4)
    expected = statistics.bonett_price(9, 1, 20)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value == statistics.mcnemar_mid_p(9, 1)
    assert found.method == "Bonett-Price, McNemar mid-p"
    assert sentence(found) == (
        "b is better than a on exact: +40 points (95 % interval +10 to +63), 9 wins, 1 loss, 10 ties over 20 examples."
    )


def test_repeats_are_averaged_and_tested_by_t() -> None:
    found = compare_scores("b", "a", "exact", thrice(*[3, 2] * 10), thrice(*[1, 2] * 10))
    assert found.method == "paired t"
    assert found.difference == pytest.approx(1 / 3)
    expected = statistics.t_interval([2 / 3, 0.0] * 10)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert (found.wins, found.ties) == (10, 10)


def test_repeats_that_never_differ_count_once() -> None:
    """Temperature 0: the repeats tell nothing new, and where all examples moved alike, t gives no interval."""
    found = compare_scores("b", "a", "exact", thrice(*[3] * 20), thrice(*[0] * 20))
    assert found.method == "Bonett-Price, McNemar mid-p"
    expected = statistics.bonett_price(20, 0, 20)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert compare_scores("b", "a", "s", once(*[0.5] * 20), once(*[0.0] * 20)).method == "paired t"


def test_interval_of_points_stays_within_a_hundred_and_that_of_numbers_does_not() -> None:
    after, before = {"1": [1.0, 0.0], "2": [1.0, 1.0]}, {"1": [0.0, 0.0], "2": [0.0, 0.0]}
    found = compare_scores("b", "a", "s", after, before)
    assert statistics.t_interval([0.5, 1.0]).high > 1
    assert (found.interval.low, found.interval.high) == (-1.0, 1.0)
    longer = {example: [10 * value for value in values] for example, values in after.items()}
    assert compare_scores("b", "a", "s", longer, before).interval.high > 10


def test_rounding_is_no_win() -> None:
    found = compare_scores("b", "a", "s", {"1": [0.1, 0.2]}, {"1": [0.3, 0.0]})
    assert (found.wins, found.losses, found.ties) == (0, 0, 1)


def test_worse_is_said_too() -> None:
    found = compare_scores("b", "a", "exact", once(*[0] * 20), once(*[1] * 12, *[0] * 8))
    assert sentence(found).startswith("b is worse than a on exact: \N{MINUS SIGN}60 points")


def test_below_fifteen_examples_nothing_is_better() -> None:
    found = compare_scores("b", "a", "exact", once(*[1] * 14), once(*[0] * 14))
    assert not found.settled
    assert found.p_holm < 0.001
    text = sentence(found)
    assert "better" not in text
    assert text.endswith(
        "14 wins, 0 losses, 0 ties over 14 examples. Too few examples to choose: 15 or more are needed."
    )


def test_while_it_runs_nothing_is_better() -> None:
    found = compare_scores("b", "a", "exact", once(*[1] * 20), once(*[0] * 20))
    assert found.settled
    assert sentence(found, interim=True).startswith("So far, b against a on exact: +100 points")
    assert "better" not in sentence(found, interim=True)


def test_unsettled_says_what_would_settle_it() -> None:
    found = compare_scores("b", "a", "exact", once(*[1] * 12, *[0] * 8), once(*[0] * 2, *[1] * 10, *[0] * 8))
    text = sentence(found)
    assert text.startswith("b against a: no difference is shown on exact: +10 points")
    assert text.endswith(f"About {found.more_examples} more examples would settle it, if it stays as it is.")


def test_no_difference_at_all_has_an_interval_and_no_advice() -> None:
    found = compare_scores("b", "a", "exact", thrice(*[3, 2] * 10), thrice(*[3, 2] * 10))
    assert found.interval.high > 0
    assert sentence(found).endswith("No number of examples would settle it, as it is.")


def test_best_of_many_is_adjusted() -> None:
    base = once(*[0] * 20)
    one = once(*[1] * 6, *[0] * 14)
    scores = {"a": base} | {f"v{i}": one for i in range(8)}
    found = compare_all("exact", [(f"v{i}", "a") for i in range(8)], scores)
    assert found[0].p_value < 0.05 <= found[0].p_holm
    assert "Alone it would be one, but 8 variants were tried" in sentence(found[0])


def test_scores_beyond_one_are_no_points() -> None:
    found = compare_scores("b", "a", "length", once(*range(100, 120)), once(*range(90, 110)))
    assert not found.in_points
    assert not found.interval.known
    assert sentence(found).startswith("b is better than a on length: +10 (no interval can be given), 20 wins")


def test_examples_without_both_scores_are_left_out_and_counted() -> None:
    after = {"1": [1.0], "2": [], "3": [1.0], "5": [0.0]}
    before = {"1": [0.0], "2": [1.0], "3": [0.0], "4": [1.0]}
    found = compare_scores("b", "a", "exact", after, before)
    assert (found.n, found.left_out) == (2, 3)
    assert "3 examples left out for want of a score on one side." in sentence(found)


def test_nothing_in_common() -> None:
    found = compare_scores("b", "a", "exact", {}, {})
    assert math.isnan(found.mean)
    assert sentence(found) == "b and a have no example with a score of exact on both sides."
    one = compare_scores("b", "a", "exact", once(1), once(0))
    assert "no interval can be given), 1 win, 0 losses, 0 ties over 1 example." in sentence(one)


def test_bootstrap_and_t_on_demand() -> None:
    after, before = once(*[1] * 12, *[0] * 8), once(*[0] * 5, *[1] * 7, *[0] * 8)
    assert compare_scores("b", "a", "s", after, before, method="t").method == "paired t"
    found = compare_scores("b", "a", "s", after, before, method="bootstrap")
    assert found.method == "BCa bootstrap, paired t"
    assert found.interval == statistics.bca_interval([1.0] * 5 + [0.0] * 15)


def test_flips_are_told_from_noise() -> None:
    flips = find_flips(
        {"a": [1, 1, 1], "b": [0, 1, 1], "c": [0, 0, 0], "d": [1, 1, 1], "e": [], "f": [1]},
        {"a": [0, 0, 0], "b": [0, 1, 0], "c": [1, 1, 1], "d": [1, 1, 0], "e": [0], "f": [0]},
    )
    assert [(f.example_id, f.fixed, f.verdict) for f in flips] == [
        ("c", False, "real"),
        ("a", True, "real"),
        ("b", True, "within noise"),
        ("f", True, "unknown"),
    ]
    assert (flips[2].before, flips[2].after) == pytest.approx((1 / 3, 2 / 3))
