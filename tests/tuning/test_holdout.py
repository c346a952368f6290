from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.grid import baseline_pairs
from vig_notebook.tuning.holdout import look_words
from vig_notebook.tuning.log import MemoryLog
from vig_notebook.tuning.prompts import Prompt

if TYPE_CHECKING:
    from tests.tuning.conftest import Maker

ROWS = [{"text": f"crash {i}", "label": "bug" if i % 2 else "praise", "kind": i % 4} for i in range(20)]
FIRST = Prompt(name="p", text="Is it bug or praise? {{ text }}")
SECOND = FIRST.revise("Classify as bug or praise: {{ text }}")
COUNTS = "This is the first look at the holdout: it counts."


def options(**more: Any) -> dict[str, Any]:
    return {"data": ROWS, "repeats": 1, "scorers": "exact:label", "holdout": 0.3, "name": "p", **more}


def test_holdout_is_set_aside_whatever_the_limit_is(make: Maker) -> None:
    whole, few = make([FIRST], **options()), make([FIRST], **options(limit=3))
    assert whole.held_out is not None
    assert few.held_out is not None
    assert (len(whole.data), len(whole.held_out)) == (14, 6)
    assert few.held_out.examples == whole.held_out.examples
    assert len(few.data) == 3
    assert make([FIRST], **options(holdout=None)).held_out is None


def test_holdout_has_its_share_of_what_is_to_be_found(make: Maker) -> None:
    rows = [{"text": str(i), "kind": "rare" if i < 4 else "usual"} for i in range(20)]
    held_out = make(["{{ text }}"], **options(data=rows, scorers=["json", "exact:kind"], holdout=0.25)).held_out
    assert held_out is not None
    assert [one.variables["kind"] for one in held_out].count("rare") == 1


def test_holdout_asks_the_last_variant_and_its_baseline(make: Maker) -> None:
    log = MemoryLog()
    experiment = make(SECOND, **options(store=log, reference=[FIRST], baseline="p@v1"))
    held = experiment.on_holdout()
    assert held.verdict().endswith(COUNTS)
    assert [variant.label for variant in held.variants] == ["p@v1", "p@v2"]
    assert held.run().wait(LIMIT_S)
    assert experiment.held_out is not None
    assert set(held.df.example_id) == {one.id for one in experiment.held_out}
    assert set(held.df.status) == {"ok"}
    assert held.name == "p holdout"
    assert "p@v2 against p@v1 on exact" in held.verdict()
    assert experiment.on_holdout().verdict().endswith(COUNTS)  # the same look


def test_holdout_asks_two_variants_whatever_they_differ_in(make: Maker) -> None:
    """Not every model with every prompt and every parameter that one of the two has."""
    options_of_both: dict[str, Any] = {"models": ["a", "b"], "params": {"temperature": [0, 1]}}
    experiment = make([FIRST, SECOND], **options(baseline="p@v1 · a · temperature=0"), **options_of_both)
    held = experiment.on_holdout()
    assert [variant.label for variant in held.variants] == ["p@v1 · a · temperature=0", "p@v2 · b · temperature=1"]
    assert [variant.index for variant in held.variants] == [0, 1]
    assert len(held.cells) == 2 * 6
    assert baseline_pairs(held.variants, held.baseline) == [(held.variants[1], held.variants[0])]


def test_every_other_look_is_counted(make: Maker) -> None:
    log = MemoryLog()
    experiment = make([FIRST, SECOND], models=["demo", "demo-json"], **options(store=log))
    labels = [variant.label for variant in experiment.variants]
    assert len(labels) == 4
    experiment.on_holdout(labels[2]).run().wait(LIMIT_S)
    later = experiment.on_holdout(labels[3])
    assert later.note == look_words([labels[2]])
    assert later.note.startswith(f"This is look 2 at this holdout, after {labels[2]}: who looks often")
    assert COUNTS in make([FIRST], **options(store=log, name="other")).on_holdout().note


def test_holdout_keeps_parameters_and_shared_variables(make: Maker) -> None:
    experiment = make(
        "{{ tone }}: {{ text }}",
        **options(params={"stop": [["x", "y"]], "temperature": [0, 0.5]}, variables={"tone": "calm"}, baseline=None),
    )
    held = experiment.on_holdout()
    assert [dict(one.params) for one in held.variants] == [
        {"stop": ["x", "y"], "temperature": 0},
        {"stop": ["x", "y"], "temperature": 0.5},
    ]
    assert str(held.cells[0].messages[0]["content"]).startswith("calm: crash")
    alone = make("{{ text }}", **options(scorers=())).on_holdout()
    assert len(alone.variants) == 1
    assert alone.verdict() == f"There is no verdict without a scorer.\n{COUNTS}"


def test_look_is_named_by_the_prompt_too(make: Maker) -> None:
    log = MemoryLog()
    experiment = make(SECOND, models=["demo", "demo-json"], **options(store=log))
    experiment.on_holdout("demo-json").run().wait(LIMIT_S)
    assert {labels["look"] for labels in log.labels("experiment", "p holdout")} == {"p@v2 · demo-json"}


def test_holdout_refuses_what_is_not_there(make: Maker) -> None:
    with pytest.raises(ConfigError, match="Nothing was set aside: it has no holdout"):
        make(FIRST, **options(holdout=None)).on_holdout()
    with pytest.raises(ConfigError, match="There is no variant 'x': there are p@v1"):
        make(FIRST, **options()).on_holdout("x")
    with pytest.raises(ConfigError, match="There is nothing to set aside: holdout without data"):
        make("Hello", holdout=0.3)
