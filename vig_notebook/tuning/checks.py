"""What the named scorers do: compare a response with a text, a pattern, a schema, a number or a length.

Each is a value that can be pickled, so that processes can run it, and whose `repr` makes it again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.extras import need

if TYPE_CHECKING:
    from collections.abc import Mapping

    Verdict = bool | float | tuple[bool | float, str]

__all__ = ["Expected", "Json", "Length", "Number", "Regex", "Text"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a response is held against: a column of the example, or a text that stands for itself."""

    column: str = ""
    literal: str | None = None

    @classmethod
    def of(cls, spec: str) -> Expected:
        """Read `label`, `'yes'` or `"yes"`."""
        quoted = re.fullmatch(r"""(['"])(.*)\1""", spec, re.DOTALL)
        return cls(literal=quoted[2]) if quoted else cls(column=spec)

    def text(self, example: Mapping[str, object]) -> str:
        """The text for this example.

        Raises:
            KeyError: The example has no such column.
        """
        return self.literal if self.literal is not None else str(example[self.column])


@dataclass(frozen=True, slots=True)
class Text:
    """Exact or contained text, with or without regard to case."""

    name: str
    expected: Expected
    contained: bool = False
    any_case: bool = False

    def __call__(self, response: str, example: Mapping[str, object], /) -> Verdict:
        """Compare."""
        found, wanted = response.strip(), self.expected.text(example).strip()
        if self.any_case:
            found, wanted = found.casefold(), wanted.casefold()
        right = wanted in found if self.contained else wanted == found
        return right, "" if right else f"wanted {wanted[:80]!r}"


REGEX_TIMEOUT_S = 1.0
"""A sane pattern needs microseconds for an answer; `(a+)+$` would need years for forty characters."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A pattern that must be found, within a second.

    The package `regex` searches, in the dialect of `re`: `re` itself can be neither timed nor interrupted,
    and holds up every other thread meanwhile.
    """

    name: str
    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError("The pattern is no regular expression", seen=str(error), advice="Correct it") from error

    def __call__(self, response: str, _example: Mapping[str, object], /) -> Verdict:
        """Search."""
        regex = need("regex", for_what="the scorer regex")
        try:
            found = regex.search(self.pattern, response, timeout=REGEX_TIMEOUT_S, concurrent=True)
        except TimeoutError as error:
            raise TimeoutError(f"the search took over {REGEX_TIMEOUT_S:g} s: simplify the pattern") from error
        return found is not None, "" if found else f"no match of {self.pattern[:80]!r}"


@dataclass(frozen=True, slots=True)
class Json:
    """JSON, and where a schema is given, JSON that fits it (JSON Schema)."""

    name: str = "json"
    schema: Mapping[str, object] | None = field(default=None, hash=False)

    def __call__(self, response: str, _example: Mapping[str, object], /) -> Verdict:
        """Parse, and validate."""
        fenced = re.fullmatch(r"\s*```[\w-]*\n(.*)\n\s*```\s*", response, re.DOTALL)
        try:
            value = json.loads(fenced[1] if fenced else response)
        except (ValueError, RecursionError) as error:
            return False, f"no JSON: {error}"
        if self.schema is None:
            return True
        return _fits(value, self.schema)


def _fits(value: object, schema: Mapping[str, object]) -> Verdict:
    jsonschema = need("jsonschema", for_what="the scorer json_schema")
    validator = jsonschema.validators.validator_for(schema)(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    return error is None, "" if error is None else f"{error.json_path}: {error.message}"[:200]


@dataclass(frozen=True, slots=True)
class Number:
    """The last number in the response, within a tolerance. `1,234.5` is read as 1234.5."""

    name: str
    expected: Expected
    tolerance: float = 0.0

    def __call__(self, response: str, example: Mapping[str, object], /) -> Verdict:
        """Compare."""
        wanted = _numbers(self.expected.text(example))
        if not wanted:
            raise ValueError(f"the example's {self.expected.column or 'text'} is no number")
        found = _numbers(response)
        if not found:
            return False, "no number in the response"
        # A hair more than the tolerance: 0.3 is 0.1 away from 0.2, but not in binary.
        right = abs(found[-1] - wanted[-1]) <= self.tolerance + 1e-9 * abs(wanted[-1])
        return right, "" if right else f"{found[-1]:g}, wanted {wanted[-1]:g}"


def _numbers(text: str) -> list[float]:
    pattern = r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|(?<![\w.])[-+]?\.\d+"
    return [float(number.replace(",", "")) for number in re.findall(pattern, text)]


@dataclass(frozen=True, slots=True)
class Length:
    """A number of characters within bounds."""

    most: float
    least: float = 0
    name: str = "length"

    def __call__(self, response: str, _example: Mapping[str, object], /) -> Verdict:
        """Count."""
        return self.least <= len(response.strip()) <= self.most, f"{len(response.strip())} characters"
