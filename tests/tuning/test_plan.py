from __future__ import annotations

import dataclasses

import pytest

from tests.tuning.grids import answered, cells, variants
from vig_notebook.tuning.plan import TOKENS_OF_ANSWER, Plan, cost_of, make_plan
from vig_notebook.tuning.power import smallest_difference
from vig_notebook.tuning.responses import Response, never_asked

GRID = cells(variants(["{{ text }}" + "x" * 38, "{{ text }}"], params={"max_tokens": 10}), examples=20, repeats=3)


def plan(responses: list[Response] | None = None, **changes: object) -> Plan:
    known = responses or []
    done = {response.cell.index for response in known if response.status.whole}
    options: dict[str, object] = {"max_concurrency": 4, "compared": True, "noise": None, "prices": {}} | changes
    todo = [cell for cell in GRID if cell.index not in done]
    return make_plan(todo, GRID, known, **options)  # type: ignore[arg-type]


def test_plan_before_a_token_is_spent() -> None:
    found = plan()
    assert (found.calls, found.cached, found.examples, found.variants, found.repeats) == (120, 0, 20, 2, 3)
    assert found.tokens_out == 1200
    assert 600 < found.tokens_in < 700
    assert found.time_s == pytest.approx(120 * (0.5 + 10 / 50) / 4)
    assert found.smallest_difference == pytest.approx(smallest_difference(20, repeats=3))
    assert not found.measured
    assert found.cost is None
    text = str(found)
    assert text.startswith("120 calls: 20 examples x 2 variants x 3 repeats. About ")
    assert "21 s at 4 at once (guessed: there is no answer yet)." in text
    assert text.endswith("Smallest difference that would be seen (4 times out of 5): 20 points.")


def test_plan_learns_from_answers() -> None:
    known = [answered(cell, tokens_in=50, tokens_out=7, latency_s=2.0) for cell in GRID[:6]]
    known.append(never_asked(GRID[6]))
    found = plan(known, noise=0.05)
    assert (found.calls, found.cached) == (114, 6)
    assert (found.tokens_in, found.tokens_out) == (114 * 50, 114 * 7)
    assert found.time_s == pytest.approx(114 * 2 / 4)
    assert found.smallest_difference == pytest.approx(smallest_difference(20, repeats=3, noise=0.05))
    assert "(6 more cached)" in str(found)
    assert "as in the answers so far" in str(found)


def test_plan_of_answers_that_nobody_counted() -> None:
    known = [answered(cell) for cell in GRID[:3]]
    assert not plan(known).measured


def test_plan_with_prices_says_the_cost() -> None:
    found = plan(prices={"m": (1.0, 10.0)})
    assert found.cost == pytest.approx((found.tokens_in + 10 * found.tokens_out) / 1_000_000)
    assert "Cost: about 0.01." in str(found)


def test_cost_is_known_only_with_every_price() -> None:
    assert cost_of({"a": (1, 1)}, {}) is None
    assert cost_of({"a": (1, 1), "b": (1, 1)}, {"a": (1.0, 1.0)}) is None
    assert cost_of({"a": (1_000_000, 2_000_000)}, {"a": (0.5, 1.5)}) == 3.5


def test_plan_without_a_score_or_a_second_variant_promises_no_difference() -> None:
    assert plan(compared=False).smallest_difference is None
    single = cells(variants("{{ text }}"))
    found = make_plan(single, single, [], max_concurrency=1, compared=False, noise=None, prices={})
    assert found.smallest_difference is None
    assert found.tokens_out == 2 * TOKENS_OF_ANSWER
    assert "difference" not in str(found)


def test_plan_of_too_few_examples_says_so() -> None:
    text = str(dataclasses.replace(plan(), examples=1, smallest_difference=float("inf"), time_s=600.0))
    assert text.endswith("No difference could be seen with 1 example: give more.")
    assert "10 min at 4" in text
    text = str(dataclasses.replace(plan(), examples=9999, smallest_difference=0.001))
    assert text.endswith("Smallest difference that would be seen (4 times out of 5): 1 point.")


def test_plan_counts_a_short_prompt_as_no_less_than_a_token_a_message() -> None:
    short = cells(variants(["Hi", "{{ text }}"]))
    found = make_plan(short, short, [], max_concurrency=1, compared=False, noise=None, prices={})
    assert found.tokens_in == 4


def test_plan_says_what_is_set_aside() -> None:
    assert "120 calls: 20 examples x 2 variants x 3 repeats; 4 examples set aside." in str(plan(set_aside=4))
    assert "; 1 example set aside. About" in str(plan(set_aside=1))
    assert "aside" not in str(plan())


def test_plan_of_what_is_all_answered_speaks_of_no_tokens() -> None:
    text = str(plan([answered(cell, tokens_in=5, tokens_out=7, latency_s=2.0) for cell in GRID], prices={"m": (1, 1)}))
    assert text.startswith("Nothing is left to ask (120 cached): 20 examples x 2 variants x 3 repeats. Smallest")
