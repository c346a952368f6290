"""Scorers: from a response and its example to a score, with the reason.

A scorer is named by a spec, such as `exact:label`, or is a Python function
`f(response, example) -> bool | float | (value, reason)`, where `response` is the text and `example` the
dict of its variables.

================================  ===============================================================
`exact:COLUMN`                    the response is the column's text, blanks around it aside
`iexact:COLUMN`                   the same without regard to upper and lower case
`contains:COLUMN`                 the response holds the column's text
`icontains:COLUMN`                the same without regard to upper and lower case
`regex:PATTERN`                   the pattern is found in the response
`json`                            the response is JSON, in a code fence or not
`json_schema:FILE`                it is JSON that fits the JSON Schema in the file
`number:COLUMN` `...:TOLERANCE`   the last number in the response is the column's, give or take the tolerance
`length:MOST` `length:LEAST:MOST` it has at most (at least) so many characters
================================  ===============================================================

A text in quotes stands for itself: `exact:'yes'`. Scorers are picklable, so that processes can run them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.extras import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Verdict = bool | float | tuple[bool | float, str]
    Scoring = Callable[[str, Mapping[str, object]], Verdict]
    Spec = str | Scoring

__all__ = ["Function", "Score", "Scorer", "apply", "as_scorers", "original", "scorer"]


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one response.

    Attributes:
        value: 1.0 for right and 0.0 for wrong, or any number where more is better; None when it failed.
        reason: Why, in a few words; may be empty. The error, when the scorer failed.
    """

    value: float | None
    reason: str = ""


@runtime_checkable
class Scorer(Protocol):
    """What scores a response."""

    @property
    def name(self) -> str:
        """The name of its column, after `score.`."""

    def __call__(self, response: str, example: Mapping[str, object], /) -> Verdict:
        """Score a response to an example."""


def apply(scorer: Scorer, response: str, example: Mapping[str, object]) -> Score:
    """Run a scorer. One that raises, or gives no number, leaves its error as the reason; it never raises."""
    try:
        verdict = scorer(response, example)
        value, reason = verdict if isinstance(verdict, tuple) else (verdict, "")
        number = float(value)
    except Exception as error:  # noqa: BLE001  the scorer is the user's code: whatever it does marks this cell alone
        return Score(None, f"{type(error).__name__}: {error}"[:500])
    if math.isnan(number):
        return Score(None, reason or "the scorer gave no number (NaN)")
    return Score(number, str(reason))


@dataclass(frozen=True, slots=True)
class Function:
    """A Python function as a scorer."""

    function: Scoring
    name: str

    def __call__(self, response: str, example: Mapping[str, object], /) -> Verdict:
        """Call the function."""
        return self.function(response, example)


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


def scorer(spec: Spec) -> Scorer:
    """Make a scorer from its spec, or from a function.

    Raises:
        ConfigError: The spec is not one of those above.
    """
    if not isinstance(spec, str):
        if isinstance(spec, Scorer):
            return spec
        if not callable(spec):
            raise ConfigError("That is no scorer", seen=f"it is {type(spec).__name__}", advice=_KINDS_ARE)
        return Function(spec, getattr(spec, "__name__", type(spec).__name__).strip("<>"))
    kind, _, argument = spec.partition(":")
    if kind not in _KINDS:
        raise ConfigError(f"There is no scorer {kind!r}", seen=f"in {spec!r}", advice=_KINDS_ARE)
    try:
        return _KINDS[kind](kind, argument)
    except ValueError as error:
        raise ConfigError(f"The scorer {spec!r} cannot be made", seen=str(error), advice=_KINDS_ARE) from error


def as_scorers(specs: Spec | Iterable[Spec]) -> list[Scorer]:
    """Make scorers from one spec or several; a name that comes twice is followed by a number.

    Raises:
        ConfigError: As `scorer`.
    """
    many = [specs] if isinstance(specs, str) or callable(specs) else specs
    named: dict[str, Scorer] = {}
    for made in map(scorer, many):
        name, number = made.name, 2
        while name in named:
            name, number = f"{made.name}_{number}", number + 1
        named[name] = made if name == made.name else Function(made, name)
    return list(named.values())


def original(scorer: Scorer) -> Scorer:
    """The scorer behind one that `as_scorers` renamed."""
    if isinstance(scorer, Function) and isinstance(scorer.function, Scorer):
        return scorer.function
    return scorer


def _required(argument: str, what: str) -> str:
    if not argument:
        raise ValueError(f"it needs {what} after the colon")
    return argument


def _text(kind: str, argument: str) -> Scorer:
    expected = Expected.of(_required(argument, "a column, or a text in quotes"))
    return Text(kind, expected, contained="contains" in kind, any_case=kind.startswith("i"))


def _number(_kind: str, argument: str) -> Scorer:
    column, _, tolerance = _required(argument, "a column").partition(":")
    return Number("number", Expected.of(column), float(tolerance or 0))


def _length(_kind: str, argument: str) -> Scorer:
    least, _, most = _required(argument, "a number of characters").rpartition(":")
    return Length(float(most), float(least or 0))


def _schema(_kind: str, argument: str) -> Scorer:
    path = Path(_required(argument, "a file"))
    try:
        return Json("json_schema", json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read") from error


_KINDS: Mapping[str, Callable[[str, str], Scorer]] = {
    "exact": _text,
    "iexact": _text,
    "contains": _text,
    "icontains": _text,
    "regex": lambda _kind, argument: Regex("regex", _required(argument, "a pattern")),
    "json": lambda _kind, _argument: Json(),
    "json_schema": _schema,
    "number": _number,
    "length": _length,
}
_KINDS_ARE = f"Give a function, or one of {', '.join(_KINDS)}, such as exact:label"
