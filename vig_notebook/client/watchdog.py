"""A clock for every wait on the network: it ends the wait whose limit has run out.

- One timer for a whole stream, not one for each read. It compares clocks when it fires, and is set
  again for when the limit would run out now.
- The clock counts seconds of waiting since the last *progress*, which the reader declares when
  something of use has come. Bytes that bring nothing, such as comments and keep-alives, do not
  move it; the time in which the reader is busy with something else does not count.
- A limit that has run out is confirmed a moment later: when the loop stood still, the data may be
  lying in the socket. It is asked again only as long as the loop keeps standing still.
"""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

from vig_notebook.errors import TimedOut

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task, TimerHandle

__all__ = ["Phase", "Watchdog"]

CONFIRM_S: Final = 0.15
"""Some turns of the loop, and still far below the half second in which a limit has to act."""

AWAY_S: Final = 0.25
"""What lies between two waits and is shorter is our own work on what came, and counts: a flood of
comments is never waited for. What is longer is the reader's, or the loop stood still."""

LATE_S: Final = 0.05
"""A timer later than this has seen the loop stand still; a busy machine is late by a tenth of it."""

MAX_CONFIRMATIONS: Final = 20
"""A loop that stands still again and again must not keep a stream for ever."""

Phase = Literal["queue", "connect", "first_byte", "idle", "refusal", "grace"]

_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "connect": (
        "No connection to {place} within {limit} s",
        "Check the base URL and the network, or give connect_timeout_s more.",
    ),
    "first_byte": (
        "No answer from {place} within {limit} s",
        "The model may be loading or the server overloaded: try again, or give first_byte_timeout_s more.",
    ),
    "idle": (
        "Nothing new from {place} for {limit} s",
        "The text so far is kept. Try again, or give idle_timeout_s more.",
    ),
    "total": (
        "The answer of {place} was not whole within {limit} s",
        "The text so far is kept. Ask for less, or give total_timeout_s more.",
    ),
}


class Watchdog:
    """The clock of one exchange with a server. The waits are between `enter` and `leave`.

    Args:
        loop: The loop that the exchange runs on.
        place: The server, in words for the sentence of an error.
        total_timeout_s: A limit on all waits together, from now; None is no limit.

    Attributes:
        started: When it was made, in seconds of `time.monotonic`.
        now: When the wait began.
        phase: What is being waited for.
    """

    __slots__ = (
        "_cancelling",
        "_confirmations",
        "_ends",
        "_expired",
        "_handle",
        "_limit_s",
        "_loop",
        "_place",
        "_since",
        "_task",
        "_total_s",
        "_until",
        "now",
        "phase",
        "started",
    )

    def __init__(self, loop: AbstractEventLoop, *, place: str, total_timeout_s: float | None) -> None:
        self._loop = loop
        self._place = place
        self._total_s = math.inf if total_timeout_s is None else total_timeout_s
        self.started = self.now = self._since = self._until = monotonic()
        self._ends = self.started + self._total_s
        self.phase: Phase = "queue"
        self._limit_s = math.inf
        self._handle: TimerHandle | None = None
        self._task: Task[object] | None = None
        self._cancelling = 0
        self._confirmations = 0
        self._expired = False

    @property
    def total_left_s(self) -> float:
        """Seconds left of the total limit."""
        return self._ends - monotonic()

    def begin(self, phase: Phase, limit_s: float = math.inf) -> None:
        """Start a new clock, with its limit."""
        self.phase = phase
        self._limit_s = limit_s
        self._since = self._until = monotonic()
        self._confirmations = 0
        self.close()
        if self._task is not None:
            self._arm(self._since)

    def enter(self) -> None:
        """The current task begins to wait."""
        self.now = now = monotonic()
        if now - self._until > AWAY_S:
            self._since += now - self._until
        self._task = task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()
        if self._handle is None:
            self._arm(now)

    def leave(self) -> None:
        """The wait is over, whatever ended it."""
        self._until = monotonic()
        self._task = None

    def progress(self) -> None:
        """What the last wait brought was of use: its clock starts anew."""
        self._since = self._until

    def take_expiry(self, task: Task[object] | None) -> TimedOut | None:
        """The error for a wait that ended by cancellation, or None when it was somebody else who cancelled."""
        if not self._expired or task is None:
            return None
        self._expired = False
        if task.uncancel() > self._cancelling:
            return None
        return self._error()

    def close(self) -> None:
        """Stop the timer. Must be called when the exchange is over."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _due(self) -> float:
        return min(self._since + self._limit_s, self._ends)

    def _arm(self, now: float) -> None:
        due = self._due()
        if due < math.inf:
            self._set(due, now)

    def _set(self, when: float, now: float) -> None:
        # Not call_at: a loop may have a clock of its own.
        self._handle = self._loop.call_later(when - now, self._fire, when)

    def _fire(self, planned: float) -> None:
        self._handle = None
        if self._task is None:  # nobody waits; the next wait sets the timer
            return
        now = monotonic()
        if now < self._due():
            self._confirmations = 0
            self._arm(now)
        elif self._is_doubtful(late_s=now - planned):
            self._confirmations += 1
            self._set(now + CONFIRM_S, now)
        else:
            self._expired = True
            self._task.cancel()

    def _is_doubtful(self, *, late_s: float) -> bool:
        if self._confirmations == 0:
            return True
        return late_s > LATE_S and self._confirmations < MAX_CONFIRMATIONS

    def _error(self) -> TimedOut:
        is_total = self._ends <= self._since + self._limit_s
        what, advice = _SENTENCES.get("total" if is_total else self.phase, _SENTENCES["idle"])
        limit_s = self._total_s if is_total else self._limit_s
        return TimedOut(what.format(place=self._place, limit=f"{limit_s:g}"), advice=advice)
