"""When a request is sent again, and after how long a wait.

Only before the first byte of the answer: 408, 409, 429, 5xx and broken connections. The server's
word comes first: `x-should-retry`, then `retry-after-ms`, then `Retry-After` as seconds or a date.
A limit that ran out is not tried again: it would take three times the limit.
"""

from __future__ import annotations

import math
import re
import secrets
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["asked_wait_s", "backoff_s", "is_worth_retrying"]

FIRST_BACKOFF_S: Final = 0.5
MAX_BACKOFF_S: Final = 8.0
"""From half a second, which a hiccup needs, doubled up to what a person still waits for."""

_ALSO_RETRIED: Final = frozenset({408, 409, 429})
_SECONDS: Final = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)", re.ASCII)
# 31 years: a longer wait means the same, and a number of any length is one.
_LONGEST_WAIT_S: Final = 1e9
_random = secrets.SystemRandom()


def is_worth_retrying(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a refusal with this status may pass when it is sent again."""
    word = headers.get("x-should-retry", "").strip().lower()
    if word in {"true", "false"}:
        return word == "true"
    return status in _ALSO_RETRIED or status >= 500


def asked_wait_s(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds that the server asks to wait, or None when it does not say so in any known form.

    A date in the past, and a negative number, are 0.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    text = headers.get("retry-after")
    seconds = _number(text) if milliseconds is None else milliseconds / 1000
    if seconds is None and text is not None:
        seconds = _until(text, now or datetime.now(UTC))
    return seconds if seconds is None else min(seconds, _LONGEST_WAIT_S)


def backoff_s(attempt: int, asked_s: float | None) -> float:
    """How long to wait before the next try; `attempt` counts from 0.

    Never shorter than the server asked for. The chance in it keeps many runs that were refused
    together from coming back together.
    """
    if asked_s:
        return asked_s + _random.uniform(0, min(max(FIRST_BACKOFF_S, asked_s / 4), MAX_BACKOFF_S))
    longest = min(FIRST_BACKOFF_S * 2.0**attempt, MAX_BACKOFF_S)
    return _random.uniform(longest / 2, longest)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    text = text.strip()
    if text.startswith("-") and _SECONDS.fullmatch(text[1:]):
        return 0.0
    return float(text) if _SECONDS.fullmatch(text) else None


def _until(text: str, now: datetime) -> float | None:
    try:
        when = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    wait_s = (when - now).total_seconds()
    return max(0.0, wait_s) if math.isfinite(wait_s) else None
