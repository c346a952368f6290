from __future__ import annotations

import pytest

from tests.tuning.grids import cells, variants
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.grid import Variant, baseline_pairs, expand_params
from vig_notebook.tuning.prompts import Prompt


def labels(pairs: list[tuple[Variant, Variant]]) -> list[tuple[str, str]]:
    return [(one.label, base.label) for one, base in pairs]


def test_params_are_every_combination() -> None:
    found = expand_params({"temperature": [0, 0.7], "max_tokens": 5, "stop": [["a", "b"]]})
    assert found == [
        {"temperature": 0, "max_tokens": 5, "stop": ["a", "b"]},
        {"temperature": 0.7, "max_tokens": 5, "stop": ["a", "b"]},
    ]


def test_params_as_a_list_or_nothing() -> None:
    assert expand_params(None) == [{}]
    assert expand_params([]) == [{}]
    assert expand_params([{"seed": range(2)}, {"top_p": 0.5}]) == [{"seed": 0}, {"seed": 1}, {"top_p": 0.5}]


def test_params_without_a_value_are_refused() -> None:
    with pytest.raises(ConfigError, match="temperature has no value to try"):
        expand_params({"temperature": []})


def test_variant_labels_say_only_what_differs() -> None:
    assert [v.label for v in variants()] == ["p1@v1"]
    assert [v.label for v in variants(models=("a", "b"))] == ["a", "b"]
    many = variants(["x", "y"], ("m",), {"temperature": [0, 1], "max_tokens": 5})
    assert [v.label for v in many] == [
        "p1@v1 · temperature=0",
        "p1@v1 · temperature=1",
        "p2@v1 · temperature=0",
        "p2@v1 · temperature=1",
    ]


def test_cells_are_interleaved() -> None:
    found = cells(variants(["{{ text }}", "!{{ text }}"]), examples=2, repeats=2)
    assert [(c.example.id, c.variant.index, c.repeat) for c in found] == [
        ("1", 0, 0), ("1", 0, 1), ("1", 1, 0), ("1", 1, 1), ("2", 0, 0), ("2", 0, 1), ("2", 1, 0), ("2", 1, 1),
    ]  # fmt: skip
    assert [c.index for c in found] == list(range(8))
    assert found[2].messages == [{"role": "user", "content": "!t1"}]
    assert found[3].name == "p2@v1 / 1 / 2"


def test_seed_is_counted_up_by_the_repeats() -> None:
    assert [c.seed for c in cells(variants(params={"seed": 7}), examples=1, repeats=3)] == [7, 8, 9]
    assert [c.seed for c in cells(variants(), examples=1)] == [None]


def test_cells_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="repeats must be at least 1"):
        cells(variants(), repeats=0)
    with pytest.raises(ConfigError, match="missing"):
        cells(variants("{{ missing }}"))


def test_baseline_by_default_is_the_first_prompt() -> None:
    found = variants(["a", "b"], ("m",), {"temperature": [0, 1]})
    assert labels(baseline_pairs(found, None)) == [
        ("p2@v1 · temperature=0", "p1@v1 · temperature=0"),
        ("p2@v1 · temperature=1", "p1@v1 · temperature=1"),
    ]
    assert labels(baseline_pairs(variants(models=("a", "b", "c")), None)) == [("b", "a"), ("c", "a")]
    assert baseline_pairs(variants(), None) == []


def test_baseline_is_a_variant_a_model_or_a_parameter() -> None:
    found = variants(["a", "b"], ("m", "n"), {"temperature": [0, 1]})
    assert len(baseline_pairs(found, "p2@v1 · n · temperature=1")) == 7
    for name in ("n", "temperature=1", "p2", "p2@v1"):
        pairs = baseline_pairs(found, name)
        assert len(pairs) == 4
        assert all(name.partition("@")[0] in base.label for _, base in pairs)


def test_baseline_is_a_version() -> None:
    first = Prompt(name="short", text="a")
    found = variants([first, first.revise("b")])
    assert labels(baseline_pairs(found, "v2")) == [("short@v1", "short@v2")]


def test_baseline_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="There is no baseline 'v9': there are p1@v1, m"):
        baseline_pairs(variants(), "v9")
