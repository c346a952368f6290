"""JSON as servers write it, read with Python's own reader where msgspec is too strict.

Taken beyond the standard: NaN and infinities, raw control characters in strings, halves of surrogate
pairs, and numbers of any length. What could not be written again (NaN, an infinity, an integer of over
4,300 digits) is None.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import msgspec

__all__ = ["loads"]

# int() refuses more digits, because the time is quadratic.
_MOST_DIGITS: Final = 4_300

_DECODER: Final = msgspec.json.Decoder()


def loads(text: str) -> Any:  # noqa: ANN401 - JSON is of any type
    """The value of `text`.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(text, strict=False, parse_constant=_no_number, parse_float=_finite, parse_int=_not_too_long)


def _no_number(_: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _not_too_long(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None
