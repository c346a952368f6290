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
`judge:RUBRIC`                    the experiment's own server gives 0 to 1 by the rubric; see `Judge`
================================  ===============================================================

A text in quotes stands for itself: `exact:'yes'`. Scorers are picklable, so that processes can run them.
"""

from __future__ import annotations

import difflib
import inspect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.calls import Unasked
from vig_notebook.tuning.checks import Expected, Json, Length, Number, Regex, Text
from vig_notebook.tuning.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vig_notebook.tuning.checks import Verdict
    from vig_notebook.tuning.dataset import Dataset

    Scoring = Callable[[str, Mapping[str, object]], Verdict]
    Spec = str | Scoring

__all__ = [
    "Function",
    "Score",
    "Scorer",
    "apply",
    "as_scorers",
    "check_columns",
    "expected_column",
    "original",
    "scorer",
]


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
    """Run a scorer. One that raises, or gives no number, leaves its error as the reason.

    Raises:
        Unasked: It is a judge that was stopped, or that the budget left unasked; nothing else is raised.
    """
    try:
        verdict = scorer(response, example)
        value, reason = verdict if isinstance(verdict, tuple) else (verdict, "")
        number = float(value)
    except Unasked:
        raise
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

    @property
    def asks_a_server(self) -> bool:
        """Whether the function is a judge."""
        return bool(getattr(self.function, "asks_a_server", False))

    def __call__(self, response: str, example: Mapping[str, object], /) -> Verdict:
        """Call the function."""
        return self.function(response, example)


def scorer(spec: Spec) -> Scorer:
    """Make a scorer from its spec, or from a function.

    Raises:
        ConfigError: The spec is not one of those above, or the function does not take a response and its example,
            or is async.
    """
    if not isinstance(spec, str):
        if not callable(spec):
            raise ConfigError("That is no scorer", seen=f"it is {type(spec).__name__}", advice=_KINDS_ARE)
        made = spec if isinstance(spec, Scorer) else Function(spec, _name_of(spec))
        _refuse_other_forms(made.name, spec)
        return made
    kind, _, argument = spec.partition(":")
    if kind not in _KINDS:
        raise ConfigError(f"There is no scorer {kind!r}", seen=f"in {spec!r}", advice=_KINDS_ARE)
    try:
        return _KINDS[kind](kind, argument)
    except ValueError as error:
        raise ConfigError(f"The scorer {spec!r} cannot be made", seen=str(error), advice=_KINDS_ARE) from error


def _name_of(function: Scoring) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


def _refuse_other_forms(name: str, function: Scoring) -> None:
    """A function that cannot be called would be found out only when every answer is paid for."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise ConfigError(
            f"The scorer {name} is an async function",
            advice="Write def instead of async def: scorers run in threads, several at once, and may wait there",
        )
    try:
        form = inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C do not tell
        return
    try:
        form.bind("", {})
    except TypeError as error:
        raise ConfigError(
            f"The scorer {name} cannot be called with a response and its example",
            seen=f"its form is {name}{form}",
            advice="Give it the form f(response, example): the text, and the dict of the example's variables",
        ) from error


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


def expected_column(scorers: Iterable[Scorer]) -> str | None:
    """The column that holds what is right, where a scorer names one."""
    texts = (one.expected.column for one in map(original, scorers) if isinstance(one, Text))
    return next((column for column in texts if column), None)


def check_columns(scorers: Iterable[Scorer], data: Dataset) -> None:
    """Refuse scorers that look for what no example has, before a call is paid for.

    Raises:
        ConfigError: There is no such column; the one most like it is named.
    """
    names = data.names
    for one in map(original, scorers):
        column = one.expected.column if isinstance(one, Text | Number) else ""
        if not column or column in names:
            continue
        near = difflib.get_close_matches(column, names, n=1)
        raise ConfigError(
            f"There is no column {column!r} for the scorer {one.name}",
            seen=f"the examples have {', '.join(names)}" if names else "there is no data",
            advice=f"Did you mean {near[0]}?"
            if near
            else f"Give data that has it; a text is put in quotes: '{column}'",
        )


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
    "judge": lambda _kind, argument: Judge(_required(argument, "a rubric")),
}
_KINDS_ARE = f"Give a function, or one of {', '.join(_KINDS)}, such as exact:label"
