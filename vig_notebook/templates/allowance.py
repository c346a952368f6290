"""What one rendering may take: steps, and characters that it reads or makes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from jinja2.exceptions import SecurityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MAX_CHARACTERS", "Allowance", "too_long"]

MAX_CHARACTERS: Final = 8_000_000
"""The largest context windows take about two million tokens: a longer prompt is a mistake."""

# Turns of all loops: less than a second of work, and more rows than any prompt has.
_MAX_STEPS: Final = 1_000_000
# Characters that a step reads or makes: all that a template handles is a few hundred megabytes at most.
_CHARACTERS_OF_A_STEP: Final = 100
# An integer of 100,000 bits has 30,000 digits and is made in no time; 10 ** 10 ** 9 would never end.
_MAX_INTEGER_BITS: Final = 100_000
# Filters and methods whose result is as long as a number among their arguments.
_WIDTHS: Final = frozenset(
    {"batch", "center", "expandtabs", "ljust", "rjust", "slice", "to_bytes", "tojson", "truncate", "zfill"}
)
_SERIES: Final = (str, bytes, list, tuple)
_PERCENT: Final = re.compile(r"%(?:\([^()]*\))?[#0 +-]*(\*|\d*)(?:\.(\*|\d*))?")


def too_long(what: str = "a text") -> SecurityError:
    """The refusal of what has more than `MAX_CHARACTERS` characters."""
    return SecurityError(f"{what} is longer than {MAX_CHARACTERS:,} characters")


class Allowance:
    """Counts what a rendering takes. Every method raises SecurityError where it would be too much."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self, steps: int) -> None:
        """Count turns of loops, calls, and what weighs as much."""
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise SecurityError(f"its loops and calls take more than {_MAX_STEPS:,} steps")

    def charge(self, characters: int) -> None:
        """Count characters that are read or made."""
        if characters > MAX_CHARACTERS:
            raise too_long()
        self.step(max(characters, 0) // _CHARACTERS_OF_A_STEP)

    def weigh(self, *values: object) -> None:
        """Count the characters that values have as text."""
        self.charge(_size(*values))

    def turns(self, values: Iterable[object]) -> Iterator[object]:
        """The values of a loop, counted."""
        for value in values:
            self.step(1)
            yield value

    def pieces(self, values: Iterable[object], *between: object) -> Iterator[object]:
        """What is joined to one text, counted, with what stands between."""
        length = 0
        for value in values:
            length += _size(value, *between)
            if length > MAX_CHARACTERS:
                raise too_long()
            self.step(length // MAX_CHARACTERS)
            yield value
        self.charge(length)

    def weigh_operator(self, operator: str, left: object, right: object) -> None:
        """Count what a sum, product, power or `%` makes, before it is made."""
        if operator == "%" and isinstance(left, str | bytes):
            self.weigh_percent(left, right)
        self.charge(_refuse_large(operator, left, right))

    def weigh_result(self, name: str, value: object, args: list[object]) -> None:
        """Count what a filter or method of this name makes of a value, before it is made."""
        number = max((arg for arg in args if isinstance(arg, int)), default=0)
        longest = max((len(arg) for arg in args if isinstance(arg, str | bytes)), default=0)
        if name in _WIDTHS:
            self.charge(number * (_count(value, "\t") if name == "expandtabs" else 1))
        elif name == "round":
            _refuse_large("**", 10, number)
        elif name == "format" and isinstance(value, str):
            self.weigh_percent(value, args)
        elif name in ("indent", "wordwrap") and isinstance(value, str):
            pieces = value.count("\n") + 1 if name == "indent" else len(value)
            self.charge(pieces * max(longest, number if name == "indent" else 0))
        elif name == "replace" and isinstance(value, str | bytes):
            self.charge(_count(value, *args[:1]) * longest)
        elif name == "translate" and isinstance(value, str | bytes):
            self.charge(len(value) * _size(*args))

    def weigh_percent(self, text: str | bytes, values: object) -> None:
        """Count what `text % values` makes, before it is made."""
        numbers = [number for number in values if isinstance(number, int)] if isinstance(values, tuple | list) else []
        found = _PERCENT.findall(text if isinstance(text, str) else text.decode("latin-1"))
        for width in (width for pair in found for width in pair if width):
            # Nine digits are too many for any width, and int() refuses thousands of them.
            self.charge(max(numbers, default=0) if width == "*" else int(width[:9]))
        self.charge(_size(values) * (len(found) if isinstance(values, dict) else 1))


def _count(text: object, part: object = "") -> int:
    """How often a part stands in a text or bytes; 0 where they do not go together."""
    if isinstance(text, bytes):
        part = part.encode() if isinstance(part, str) else part
        return text.count(part) if isinstance(part, bytes) else 0
    return text.count(part) if isinstance(text, str) and isinstance(part, str) else 0


def _size(*values: object) -> int:
    """About how many characters the values have as text; counted no further than the bound."""
    size, left = 0, list(values)
    while left and size <= MAX_CHARACTERS:
        value = left.pop()
        if isinstance(value, str | bytes):
            size += len(value)
        elif isinstance(value, dict):
            size += len(value)
            left += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            size += len(value)
            left += value
    return size


def _refuse_large(operator: str, left: object, right: object) -> int:
    """Refuse a sum, product or power whose size alone would hang the notebook. Gives the characters it has."""
    if isinstance(left, int) and isinstance(right, int):
        bits = {"**": left.bit_length() * right, "*": left.bit_length() + right.bit_length()}.get(operator, 0)
        if bits > _MAX_INTEGER_BITS:
            raise SecurityError("a power is too large" if operator == "**" else "a product is too large")
        return 0
    length, what = 0, "a product"
    if operator == "+" and isinstance(left, _SERIES) and isinstance(right, _SERIES):
        length, what = len(left) + len(right), "a sum"
    elif operator == "*" and isinstance(left, _SERIES) and isinstance(right, int):
        length = len(left) * right
    elif operator == "*" and isinstance(left, int) and isinstance(right, _SERIES):
        length = left * len(right)
    if length > MAX_CHARACTERS:
        raise too_long(what)
    return max(length, 0)
