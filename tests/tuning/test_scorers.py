from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.tuning import checks
from vig_notebook.tuning.dataset import Dataset
from vig_notebook.tuning.scorers import Score, apply, as_scorers, check_columns, original, scorer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXAMPLE = {"label": "Billing", "answer": "42", "price": "1,234.50", "text": "x"}


@pytest.mark.parametrize(
    ("spec", "response", "value"),
    [
        ("exact:label", " Billing\n", 1.0),
        ("exact:label", "billing", 0.0),
        ("exact:'yes: no'", "yes: no", 1.0),
        ('exact:"a"', "b", 0.0),
        ("iexact:label", "BILLING", 1.0),
        ("contains:label", "It is Billing.", 1.0),
        ("contains:label", "It is billing.", 0.0),
        ("icontains:label", "It is billing.", 1.0),
        ("regex:^[A-Z]+$", "ABC", 1.0),
        ("regex:a:b", "xa:bx", 1.0),
        ("regex:^[A-Z]+$", "abc", 0.0),
        ("json", '{"a": 1}', 1.0),
        ("json", '```json\n{"a": 1}\n```\n', 1.0),
        ("json", "a: 1", 0.0),
        ("json", "[" * 100_000, 0.0),
        ("number:answer", "The answer is 42.", 1.0),
        ("number:answer", "First 41, then 42", 1.0),
        ("number:answer", "42 or 43", 0.0),
        ("number:answer", "none", 0.0),
        ("number:answer:0.5", "41.6", 1.0),
        ("number:'0.2':0.1", "0.3", 1.0),
        ("number:price", "about 1234.5 in all", 1.0),
        ("number:'-3'", "It is -3", 1.0),
        ("number:'1000'", "1e3", 1.0),
        ("number:'.5'", "is .5", 1.0),
        ("length:5", " abc ", 1.0),
        ("length:2", "abc", 0.0),
        ("length:2:5", "a", 0.0),
    ],
)
def test_spec_scores(spec: str, response: str, value: float) -> None:
    assert apply(scorer(spec), response, EXAMPLE).value == value


def test_reasons_say_what_was_wanted() -> None:
    assert apply(scorer("exact:label"), "x", EXAMPLE).reason == "wanted 'Billing'"
    assert apply(scorer("number:answer"), "41", EXAMPLE).reason == "41, wanted 42"
    assert apply(scorer("length:2"), "abc", EXAMPLE).reason == "3 characters"
    assert apply(scorer("json"), "a", EXAMPLE).reason.startswith("no JSON: ")


def test_json_schema_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ticket.json"
    path.write_text(json.dumps({"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}}}))
    check = scorer(f"json_schema:{path}")
    assert apply(check, '{"label": "a"}', {}) == Score(1.0)
    assert apply(check, '{"label": 1}', {}) == Score(0.0, "$.label: 1 is not of type 'string'")
    assert apply(check, "x", {}).value == 0.0


def test_pattern_that_would_hang_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "REGEX_TIMEOUT_S", 0.05)
    stuck = apply(scorer("regex:^(a|aa)+$"), "a" * 60 + "!", {})
    assert stuck == Score(None, "TimeoutError: the search took over 0.05 s: simplify the pattern")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda r, e: True, Score(1.0)),
        (lambda r, e: 0.25, Score(0.25)),
        (lambda r, e: (False, "no"), Score(0.0, "no")),
        (lambda r, e: e["missing"], Score(None, "KeyError: 'missing'")),
        (lambda r, e: "text", Score(None, "ValueError: could not convert string to float: 'text'")),
        (lambda r, e: float("nan"), Score(None, "the scorer gave no number (NaN)")),
        (lambda r, e: (float("nan"), "why"), Score(None, "why")),
    ],
)
def test_function_scores_or_leaves_its_error(function: Any, expected: Score) -> None:
    assert apply(scorer(function), "r", EXAMPLE) == expected


def test_number_of_an_example_without_one_marks_the_cell() -> None:
    assert apply(scorer("number:text"), "1", EXAMPLE) == Score(None, "ValueError: the example's text is no number")


def mine(response: str, example: Mapping[str, object]) -> bool:
    return response == example["text"]


def test_names_are_kept_apart() -> None:
    found = as_scorers(["exact:label", "exact:text", mine, lambda r, e: 1.0])
    assert [one.name for one in found] == ["exact", "exact_2", "mine", "lambda"]
    assert apply(found[1], "x", EXAMPLE).value == 1.0
    assert original(found[1]) == checks.Text("exact", checks.Expected("text"))
    assert original(found[2]) is found[2]


def test_one_scorer_is_taken_as_a_list() -> None:
    assert [one.name for one in as_scorers("json")] == ["json"]
    assert [one.name for one in as_scorers(mine)] == ["mine"]
    ready = scorer("json")
    assert as_scorers(ready) == [ready]


def test_object_with_a_name_is_a_scorer() -> None:
    class Polite:
        name = "polite"

        def __call__(self, response: str, example: Mapping[str, object]) -> bool:
            return "please" in response

    polite = Polite()
    assert scorer(polite) is polite


def test_scorers_can_be_pickled() -> None:
    for spec in ("exact:label", "regex:a", "json", "number:answer:1", "length:5"):
        assert pickle.loads(pickle.dumps(scorer(spec))) == scorer(spec)  # noqa: S301
    assert pickle.loads(pickle.dumps(scorer(mine))) == scorer(mine)  # noqa: S301


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("exakt:label", "There is no scorer 'exakt': in 'exakt:label'. Give a function, or one of exact, iexact"),
        ("exact", "The scorer 'exact' cannot be made: it needs a column, or a text in quotes after the colon"),
        ("number", "it needs a column"),
        ("number:a:b", "could not convert"),
        ("regex", "it needs a pattern"),
        ("regex:(", "The pattern is no regular expression: missing \\)"),
        ("length", "it needs a number of characters"),
        ("json_schema", "it needs a file"),
        ("json_schema:/nowhere/s.json", "s.json cannot be read"),
        (7, "That is no scorer: it is int"),
    ],
)
def test_wrong_specs_are_refused(spec: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        scorer(spec)


def short(response: str) -> bool:
    return len(response) < 5


class Named:
    name = "named"

    def __call__(self, response: str, example: Mapping[str, object], more: int) -> bool:
        return bool(more)


@pytest.mark.parametrize("function", [short, lambda: True, lambda response, *, example: True, Named()])
def test_function_of_another_form_is_refused_by_name(function: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        scorer(function)
    name = getattr(function, "name", function.__name__.strip("<>") if hasattr(function, "__name__") else "")
    assert f"The scorer {name} cannot be called with a response and its example: its form is {name}(" in str(
        refused.value
    )
    assert "the form f(response, example)" in str(refused.value)


async def later(response: str, example: Mapping[str, object]) -> bool:
    return not response


class NamedLater:
    name = "later"

    async def __call__(self, response: str, example: Mapping[str, object]) -> bool:
        return not response


@pytest.mark.parametrize("function", [later, NamedLater()])
def test_async_function_is_refused_by_name(function: Any) -> None:
    with pytest.raises(ConfigError, match="The scorer later is an async function"):
        scorer(function)


@pytest.mark.parametrize("function", [lambda response, example: 1, lambda *all_of_it: 1, lambda r, e, k=2: k, max])
def test_function_that_can_be_called_or_does_not_tell_is_taken(function: Any) -> None:
    assert callable(scorer(function))


@pytest.mark.parametrize("spec", ["exact:lable", "icontains:lable", "number:lable"])
def test_column_that_is_not_there_is_refused_with_the_nearest(spec: str) -> None:
    data = Dataset.of([{"text": "a", "label": "b"}])
    kind = spec.partition(":")[0]
    with pytest.raises(ConfigError, match=rf"no column 'lable' for the scorer {kind}: the examples have text, label"):
        check_columns([scorer(spec)], data)
    with pytest.raises(ConfigError, match=r"Did you mean label\?"):
        check_columns(as_scorers(["exact:label", spec]), data)
    with pytest.raises(ConfigError, match=r"there is no data\. Give data that has it; a text is put in quotes"):
        check_columns([scorer(spec)], Dataset.of([{}]))


def test_columns_that_some_examples_have_and_texts_in_quotes_are_taken() -> None:
    ragged = Dataset.of([{"text": "a"}, {"text": "b", "label": "c"}])
    check_columns(as_scorers(["exact:label", "exact:'no'", "regex:x", "number:text", short_enough]), ragged)


def short_enough(response: str, example: Mapping[str, object]) -> bool:
    return len(response) < len(str(example))
