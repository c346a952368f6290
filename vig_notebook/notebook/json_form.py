"""An answer that is shown as JSON: read once, and indented as long as that stays small."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from vig_notebook.answers import parse_json
from vig_notebook.errors import VigthoriaError

__all__ = ["LARGEST_CHARS", "Reading", "indented", "read_json"]

LARGEST_CHARS: Final = 200_000
"""What is longer is shown as it came: to colour it would keep every other answer waiting."""

_MOST_GROWTH: Final = 4
"""Indents make ordinary JSON twice as long; JSON that is nested 900 deep they make 900 times as long."""

_SMALL_CHARS: Final = 4_000
"""Up to here it may grow as it likes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer holds as JSON, or why it holds none."""

    value: object = None
    error: VigthoriaError | None = None


def read_json(text: str) -> Reading:
    """Read an answer as JSON."""
    try:
        return Reading(value=parse_json(text))
    except VigthoriaError as error:
        return Reading(error=error)


def indented(value: object, *, source_chars: int) -> str | None:
    """A value as indented JSON; None where that would be too long or is nested too deep.

    It is written piece by piece: what is too long is never made.
    """
    room = min(LARGEST_CHARS, max(_SMALL_CHARS, _MOST_GROWTH * source_chars))
    pieces = []
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                return None
    except RecursionError:
        return None
    return "".join(pieces)
