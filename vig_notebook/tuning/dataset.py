"""The examples that prompts are tried on: from a DataFrame, CSV, JSONL, parquet or a list of dicts."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.extras import need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    Source = str | Path | pd.DataFrame | Iterable[Mapping[str, object]]

__all__ = ["Dataset", "Example", "plain"]

ID_COLUMNS = ("example_id", "id")
"""A column of one of these names gives the examples their ids."""

CSV_FIELD_BYTES = 16 * 1024 * 1024
"""The csv module stops at 128 KiB a field; an example may be a whole document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row of a dataset.

    Attributes:
        id: Unique in its dataset.
        variables: What the template of a prompt and the scorers may look up, by name.
    """

    id: str
    variables: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples with unique ids, in order.

    Attributes:
        examples: The examples.
        name: For people; the file's name where it came from a file.
    """

    examples: tuple[Example, ...]
    name: str = ""

    @classmethod
    def of(
        cls,
        source: Source | Dataset,
        *,
        limit: int | None = None,
        id_column: str | None = None,
        name: str = "",
    ) -> Dataset:
        """Take examples from wherever they are.

        Args:
            source: A DataFrame, a list of dicts, or the path of a .csv, .tsv, .jsonl or .parquet file.
            limit: Take only the first so many.
            id_column: The column of the ids; None takes `example_id` or `id`, else rows are numbered from 1.
            name: A name for people.

        Raises:
            ConfigError: There is no such file, no such column, no example, or two with the same id.
        """
        if limit is not None and limit < 1:
            raise ConfigError("limit must be at least 1", seen=f"it is {limit}", advice="Leave it out to take all")
        if isinstance(source, Dataset):
            return cls(source.examples[:limit], name or source.name)
        if isinstance(source, str | Path):
            path = Path(source).expanduser()
            rows, name = _read_file(path), name or path.name
        else:
            rows = _rows(source)
        if not rows:
            raise ConfigError("The dataset is empty", seen=f"{name or 'it'} holds no row", advice="Give at least one")
        return cls(_examples(rows[:limit], id_column), name)

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def names(self) -> list[str]:
        """The variables, in order of first appearance."""
        return list(dict.fromkeys(name for example in self.examples for name in example.variables))

    def split(self, holdout: float = 0.3, *, seed: int = 0, by: str | None = None) -> tuple[Dataset, Dataset]:
        """Set examples aside that no prompt is tuned on; the same ones each time.

        Args:
            holdout: The share to set aside, between 0 and 1.
            seed: Another one sets others aside.
            by: The column whose values both sides get in the same shares; None takes `label` where there is one.

        Returns:
            The examples to tune on, and the holdout, to be asked once, at the end; both in their old order.

        Raises:
            ConfigError: The share is not between 0 and 1, there is no such column, or one side would be empty.
        """
        if not 0 < holdout < 1:
            raise ConfigError("holdout must be between 0 and 1", seen=f"it is {holdout}", advice="Give 0.3, say")
        number = min(max(1, round(holdout * len(self))), len(self) - 1)
        if not number:
            raise ConfigError(
                "The dataset is too small to split",
                seen=f"{len(self)} example leaves one side empty",
                advice="Give more examples",
            )
        aside = set(_spread(self._strata(by), seed)[:number])
        kept = tuple(one for one in self.examples if one.id not in aside)
        held_out = tuple(one for one in self.examples if one.id in aside)
        return Dataset(kept, self.name), Dataset(held_out, f"{self.name} (holdout)".strip())

    def _strata(self, by: str | None) -> list[list[str]]:
        """The ids by the value of a column; all together where there is none."""
        column = by or "label"
        lacking = sum(column not in one.variables for one in self)
        if by and lacking:
            seen = f"the variables are {', '.join(self.names)}"
            raise ConfigError(f"{lacking} examples have no {column!r}", seen=seen, advice="Name another column")
        strata: dict[str, list[str]] = {}
        for one in self:
            strata.setdefault("" if lacking else str(one.variables[column]), []).append(one.id)
        return list(strata.values())


def _spread(strata: list[list[str]], seed: int) -> list[str]:
    """All ids in an order by chance whose every beginning has each stratum in its share, as nearly as it can."""
    places: list[tuple[float, str]] = []
    for ids in strata:
        drawn = sorted(ids, key=lambda one: _drawn(one, seed))
        # Evenly over the whole; where in its own piece each stands is by chance, so that no stratum is always first.
        places += [((place + _drawn(one, seed + 1) / 2) / len(ids), one) for place, one in enumerate(drawn)]
    return [one for _, one in sorted(places)]


def plain(variables: Mapping[str, object]) -> dict[str, object]:
    """Variables as any file can hold them: what is no text, number or truth value becomes its text."""
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in variables.items()
    }


def _drawn(example_id: str, seed: int) -> float:
    """A number from 0 up to 1, by chance, but the same in every process."""
    digest = hashlib.sha256(f"{seed}\n{example_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _read_file(path: Path) -> list[Mapping[str, object]]:
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"{path.name} is no dataset that can be read",
            seen=f"its name ends in {path.suffix!r}",
            advice=f"Give one of {', '.join(readers)}, or a DataFrame",
        )
    if not path.is_file():
        raise ConfigError(f"There is no file {path.name}", seen=f"looked in {path.parent}", advice="Check the path")
    try:
        return reader(path)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path.name} is not UTF-8 text",
            seen=f"byte {error.start} is no UTF-8",
            advice="Save it as UTF-8",
        ) from error


def _read_csv(path: Path) -> list[Mapping[str, object]]:
    csv.field_size_limit(CSV_FIELD_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as lines:  # spreadsheets write a BOM
        reader = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        rows = list(reader)
    width = len(reader.fieldnames or [])
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            # DictReader files what is too much under None
            found = width + len(row.get(None) or []) - sum(value is None for value in row.values())
            raise ConfigError(
                f"Row {number} of {path.name} has {found} fields",
                seen=f"the heading has {width}",
                advice="Put quotes around a field that holds a comma",
            )
    return cast("list[Mapping[str, object]]", rows)


def _read_jsonl(path: Path) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(
                f"Line {number} of {path.name} is no JSON", seen=str(error), advice="Give one object a line"
            ) from error
        if not isinstance(row, dict):
            raise ConfigError(
                f"Line {number} of {path.name} is no object",
                seen=f"it is {type(row).__name__}",
                advice='Give one object a line, such as {"text": "..."}',
            )
        rows.append(row)
    return rows


def _read_parquet(path: Path) -> list[Mapping[str, object]]:
    pandas = need("pandas", for_what="reading parquet files")
    try:
        return _rows(pandas.read_parquet(path))
    except ImportError as error:
        raise ConfigError(
            "pyarrow is needed for reading parquet files",
            seen="it is not installed",
            advice="Install it with: pip install pyarrow",
        ) from error


def _rows(source: pd.DataFrame | Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    if hasattr(source, "to_dict"):
        records = source.to_dict(orient="records")
        return [{str(name): value for name, value in row.items()} for row in records]
    rows = list(source)
    for number, row in enumerate(rows, start=1):
        if not hasattr(row, "keys"):
            raise ConfigError(
                f"Example {number} is no dict",
                seen=f"it is {type(row).__name__}",
                advice='Give one dict an example, such as {"text": "..."}',
            )
    return [{str(name): row[name] for name in row} for row in rows]


def _examples(rows: list[Mapping[str, object]], id_column: str | None) -> tuple[Example, ...]:
    column = id_column or next((name for name in ID_COLUMNS if all(name in row for row in rows)), None)
    seen: dict[str, int] = {}
    examples = []
    for number, row in enumerate(rows, start=1):
        if column is not None and column not in row:
            raise ConfigError(
                f"There is no column {column!r}",
                seen=f"row {number} has {', '.join(row)}",
                advice="Give the name of the column that holds the ids",
            )
        key = str(number if column is None else row[column])
        if key in seen:
            raise ConfigError(
                f"Two examples have the id {key!r}",
                seen=f"rows {seen[key]} and {number}",
                advice="Make the ids unique, or drop the column to have the rows numbered",
            )
        seen[key] = number
        examples.append(Example(id=key, variables=dict(row)))
    return tuple(examples)
