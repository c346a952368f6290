from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.tuning import extras
from vig_notebook.tuning.dataset import Dataset, plain

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}, {"text": "c", "label": "x"}]


def ids(dataset: Dataset) -> list[str]:
    return [example.id for example in dataset]


def test_list_of_dicts_is_numbered_from_one() -> None:
    dataset = Dataset.of(ROWS)
    assert ids(dataset) == ["1", "2", "3"]
    assert dataset.examples[1].variables == {"text": "b", "label": "y"}
    assert dataset.names == ["text", "label"]
    assert len(dataset) == 3


def test_dataframe_with_any_column_names() -> None:
    dataset = Dataset.of(pd.DataFrame({"text": ["a", "b"], 7: [1, 2]}), limit=1)
    assert ids(dataset) == ["1"]
    assert dataset.examples[0].variables == {"text": "a", "7": 1}


@pytest.mark.parametrize("column", ["example_id", "id"])
def test_column_of_ids_is_found(column: str) -> None:
    assert ids(Dataset.of([{column: 10, "text": "a"}, {column: 20, "text": "b"}])) == ["10", "20"]


def test_column_of_ids_is_chosen() -> None:
    assert ids(Dataset.of(ROWS[:2], id_column="text")) == ["a", "b"]
    with pytest.raises(ConfigError, match="There is no column 'nr': row 1 has text, label"):
        Dataset.of(ROWS, id_column="nr")


def test_two_examples_with_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="Two examples have the id 'x': rows 1 and 3"):
        Dataset.of(ROWS, id_column="label")


def test_dataset_is_taken_again_with_a_limit() -> None:
    dataset = Dataset.of(ROWS, name="three")
    assert Dataset.of(dataset, limit=2) == Dataset(dataset.examples[:2], "three")
    assert Dataset.of(dataset, name="other").name == "other"


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ConfigError, match="limit must be at least 1"):
        Dataset.of(ROWS, limit=limit)


def test_empty_dataset_is_refused() -> None:
    with pytest.raises(ConfigError, match="The dataset is empty"):
        Dataset.of([])


def test_example_that_is_no_dict_is_refused() -> None:
    wrong: Any = [{"a": 1}, "text"]
    with pytest.raises(ConfigError, match="Example 2 is no dict: it is str"):
        Dataset.of(wrong)


def test_csv_of_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes('\ufefftext,label\r\n"one, two\nlines",x\r\n{{ b }},y\r\n'.encode())
    dataset = Dataset.of(path)
    assert dataset.name == "tickets.csv"
    assert dataset.examples[0].variables == {"text": "one, two\nlines", "label": "x"}
    assert dataset.examples[1].variables["text"] == "{{ b }}"


def test_tsv_and_paths_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\na,b\tx\n")
    assert Dataset.of(str(path)).examples[0].variables == {"text": "a,b", "label": "x"}


@pytest.mark.parametrize(("line", "found"), [("a,b,c", 3), ("a", 1)])
def test_csv_with_a_broken_row_is_refused(tmp_path: Path, line: str, found: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\n{line}\n")
    with pytest.raises(ConfigError, match=rf"Row 1 of a\.csv has {found} fields: the heading has 2"):
        Dataset.of(path)


def test_csv_with_a_long_field(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "x" * 200_000 + "\n")
    assert len(str(Dataset.of(path).examples[0].variables["text"])) == 200_000


def test_jsonl_with_blank_lines_and_separators_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\u2028two"}\n\n{"text": "b", "n": 2}\n', encoding="utf-8")
    dataset = Dataset.of(path)
    assert [example.variables for example in dataset] == [{"text": "one\u2028two"}, {"text": "b", "n": 2}]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("{", r"Line 1 of a\.jsonl is no JSON"), ("[1]", r"Line 1 of a\.jsonl is no object: it is list")],
)
def test_jsonl_with_a_broken_line_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line)
    with pytest.raises(ConfigError, match=sentence):
        Dataset.of(path)


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    pd.DataFrame(ROWS).to_parquet(path)
    assert [dict(example.variables) for example in Dataset.of(path)] == ROWS


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise ImportError

    path = tmp_path / "a.parquet"
    path.touch()
    monkeypatch.setattr(pd, "read_parquet", refuse)
    with pytest.raises(ConfigError, match="pyarrow is needed"):
        Dataset.of(path)


def test_file_that_is_not_there_or_not_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no file a\.csv"):
        Dataset.of(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match=r"a\.xlsx is no dataset"):
        Dataset.of(tmp_path / "a.xlsx")
    (tmp_path / "b.csv").write_bytes(b"text\n\xff\n")
    with pytest.raises(ConfigError, match=r"b\.csv is not UTF-8 text"):
        Dataset.of(tmp_path / "b.csv")


def test_split_is_by_chance_and_the_same_each_time() -> None:
    rows = [{"id": i, "text": str(i)} for i in range(60)]
    kept, aside = Dataset.of(rows, name="tickets").split()
    assert sorted([*ids(kept), *ids(aside)], key=int) == [str(i) for i in range(60)]
    assert (len(aside), aside.name) == (18, "tickets (holdout)")
    assert ids(aside) == sorted(ids(aside), key=int) != [str(i) for i in range(18)]
    assert Dataset.of(rows).split()[1].examples == aside.examples
    assert Dataset.of(rows).split(seed=1)[1].examples != aside.examples


def test_split_gives_both_sides_their_share_of_each_label() -> None:
    labels = ["a"] * 30 + ["b"] * 15 + ["c"] * 10 + ["d"] * 5
    rows = [{"text": str(i), "label": label, "topic": i % 2} for i, label in enumerate(labels)]
    for seed in range(20):
        _, aside = Dataset.of(rows).split(1 / 3, seed=seed)
        counts = Counter(one.variables["label"] for one in aside)
        assert len(aside) == 20
        assert all(abs(counts[label] - labels.count(label) / 3) <= 1 for label in "abcd")
    _, aside = Dataset.of(rows).split(1 / 3, by="topic")
    assert Counter(one.variables["topic"] for one in aside) == {0: 10, 1: 10}
    with pytest.raises(ConfigError, match=r"60 examples have no 'kind': the variables are text, label, topic"):
        Dataset.of(rows).split(by="kind")


def test_split_leaves_something_on_both_sides() -> None:
    rows = [{"text": "a"}, {"text": "b"}]
    assert [len(side) for side in Dataset.of(rows).split(0.01)] == [1, 1]
    assert [len(side) for side in Dataset.of(rows).split(0.99)] == [1, 1]


def test_split_that_leaves_a_side_empty_is_refused() -> None:
    with pytest.raises(ConfigError, match="too small to split"):
        Dataset.of(ROWS[:1]).split()
    with pytest.raises(ConfigError, match="holdout must be between 0 and 1"):
        Dataset.of(ROWS).split(1.0)


def test_plain_variables_are_what_files_hold() -> None:
    day = pd.Timestamp("2026-01-02")
    assert plain({"a": 1, "b": True, "c": "x", "d": day}) == {"a": 1, "b": True, "c": "x", "d": str(day)}


def test_missing_package_is_asked_for_in_words() -> None:
    with pytest.raises(
        ConfigError, match=r"no_such_package is needed for a chart.*pip install 'vig-notebook\[tuning\]'"
    ):
        extras.need("no_such_package.inside", for_what="a chart")
