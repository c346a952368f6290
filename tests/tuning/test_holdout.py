from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S
from vig_notebook.errors import ConfigError
from vig_notebook.store import Store
from vig_notebook.tuning.grid import baseline_pairs
from vig_notebook.tuning.holdout import look_words
from vig_notebook.tuning.log import MemoryLog, StoreLog
from vig_notebook.tuning.prompts import Prompt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tuning.conftest import Maker

ROWS = [{"text": f"crash {i}", "label": "bug" if i % 2 else "praise", "kind": i % 4} for i in range(20)]
FIRST = Prompt(name="p", text="Is it bug or praise? {{ text }}")
SECOND = FIRST.revise("Classify as bug or praise: {{ text }}")
COUNTS = "This is the first look at the holdout: it counts."


def options(**more: Any) -> dict[str, Any]:
    return {"data": ROWS, "repeats": 1, "scorers": "exact:label", "holdout": 0.3, "name": "p", **more}


def test_limit_counts_what_is_set_aside_and_a_higher_one_moves_nothing_over(make: Maker) -> None:
    seen: list[tuple[set[str], set[str]]] = []
    for limit, sizes in ((2, (1, 1)), (8, (6, 2)), (16, (11, 5)), (None, (14, 6)), (99, (14, 6))):
        experiment = make([FIRST], **options(limit=limit))
        assert experiment.held_out is not None
        assert (len(experiment.data), len(experiment.held_out)) == sizes
        seen.append(({one.id for one in experiment.data}, {one.id for one in experiment.held_out}))
    for (kept, aside), (more_kept, more_aside) in pairwise(seen):
        assert kept <= more_kept
        assert aside <= more_aside
    assert make([FIRST], **options(holdout=None)).held_out is None


def test_limit_of_one_leaves_nothing_to_set_aside(make: Maker) -> None:
    with pytest.raises(ConfigError, match="The dataset is too small to split: 1 example"):
        make([FIRST], **options(limit=1))


def test_holdout_refuses_the_column_of_a_scorer_in_the_words_of_the_scorer(make: Maker) -> None:
    with pytest.raises(ConfigError, match=r"no column 'lable' for the scorer exact: .* Did you mean label\?"):
        make([FIRST], **options(scorers="exact:lable"))


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
    again = experiment.on_holdout()
    assert not again.missing
    assert again.note == (
        "This holdout was looked at before, with p@v2: only a first look counts. Before you decide, set new examples "
        "aside."
    )


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


def test_look_that_was_cut_short_goes_on_and_is_no_second_one(make: Maker) -> None:
    log = MemoryLog()
    experiment = make([FIRST, SECOND], **options(store=log))
    held = experiment.on_holdout()
    held.retry(held.cells[0])  # asks this one alone
    assert held.wait(LIMIT_S)
    rest = experiment.on_holdout()
    assert len(rest.missing) == len(rest.cells) - 1
    assert rest.note == COUNTS


@pytest.mark.parametrize(
    "more", [{"repeats": 2}, {"params": {"max_tokens": 9}}, {"holdout": 0.5}, {"variables": {"kind": "x"}}]
)
def test_look_with_the_same_prompts_that_asks_something_else_is_counted(make: Maker, more: dict[str, Any]) -> None:
    log = MemoryLog()
    asks = {"data": [{"text": row["text"], "label": row["label"]} for row in ROWS], "variables": {"kind": "a"}}
    prompts = [FIRST, SECOND.revise("{{ kind }}: {{ text }}")]
    make(prompts, **options(store=log, **asks)).on_holdout().run().wait(LIMIT_S)
    later = make(prompts, **options(store=log, **asks | more)).on_holdout()
    assert later.missing
    assert later.note == look_words(["p@v3"])


def test_scores_of_another_kind_make_no_first_look(make: Maker) -> None:
    log = MemoryLog()
    make([FIRST, SECOND], **options(store=log)).on_holdout().run().wait(LIMIT_S)
    later = make([FIRST, SECOND], **options(store=log, scorers="contains:label")).on_holdout()
    assert later.note == look_words(["p@v2"], again=True)


def test_look_is_counted_where_no_log_is_kept(make: Maker) -> None:
    store = Store("off")
    log = StoreLog(store)
    experiment = make([FIRST, SECOND], **options(store=log))
    experiment.on_holdout().run().wait(LIMIT_S)
    assert experiment.on_holdout().note == look_words(["p@v2"], again=True)
    assert make([FIRST, SECOND], **options(store=StoreLog(store))).on_holdout().note == COUNTS
    store.close()


def test_look_is_named_by_the_prompt_too(make: Maker) -> None:
    log = MemoryLog()
    experiment = make(SECOND, models=["demo", "demo-json"], **options(store=log))
    experiment.on_holdout("demo-json").run().wait(LIMIT_S)
    assert {labels["look"] for labels in log.labels("experiment", "p holdout")} == {"p@v2 · demo-json"}


def test_holdout_is_asked_where_the_log_cannot_be_read(make: Maker, tmp_path: Path) -> None:
    path = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE notes (text)")
    store = Store(path)
    held = make([FIRST], **options(store=store)).on_holdout()
    assert held.note == "Whether this holdout was looked at before is not known: the log cannot be read."
    assert held.run().wait(LIMIT_S)
    assert set(held.df.status) == {"ok"}
    store.close()


def test_holdout_refuses_what_is_not_there(make: Maker) -> None:
    with pytest.raises(ConfigError, match="Nothing was set aside: it has no holdout"):
        make(FIRST, **options(holdout=None)).on_holdout()
    with pytest.raises(ConfigError, match="There is no variant 'x': there are p@v1"):
        make(FIRST, **options()).on_holdout("x")
    with pytest.raises(ConfigError, match="There is nothing to set aside: holdout without data"):
        make("Hello", holdout=0.3)
