"""How many calls may be under way at one server: it shrinks when the server refuses, and grows by one again.

```
  a call is refused (429, 503): limit x 0.7, nobody asks until Retry-After is over
  as many calls succeed as the limit is: limit + 1, up to the ceiling
```

Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does: several kernels that share a
quota come to share it evenly. All of this happens on the streaming thread, so nothing is locked.
"""

from __future__ import annotations

import hashlib
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.engine import Engine
    from vig_notebook.settings import Endpoint

__all__ = ["Limiter", "limiter_of"]

SHRINK = 0.7
"""Between TCP's 0.5, which wastes quota after each refusal, and 0.8, which is refused too often."""

FIRST_PAUSE_S = 0.5
MOST_PAUSE_S = 30.0
"""Without a Retry-After the pause doubles from the first to this, half the minute that quotas count in. A failure
that is no refusal makes the first pause alone: one broken model among several must not hold up the others."""


class Limiter:
    """The limit of one server and key.

    Attributes:
        limit: How many calls may be under way.
        in_flight: How many are.
        wakers: Called when there may be room again.
    """

    def __init__(self, ceiling: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ceiling = ceiling
        self.limit = ceiling
        self.in_flight = 0
        self.wakers: set[Callable[[], None]] = set()
        self._clock = clock
        self._resume_at = 0.0
        self._pauses = 0
        self._successes = 0
        self._refusals = 0

    @property
    def pause_left_s(self) -> float:
        """Seconds until anybody may ask again; 0 when there is no pause."""
        return max(0.0, self._resume_at - self._clock())

    @property
    def ready(self) -> bool:
        """Whether one more call may start now."""
        return self.in_flight < self.limit and not self.pause_left_s

    def take(self) -> int:
        """Note the start of a call.

        Returns:
            What `refused` must be given, should this call be refused.
        """
        self.in_flight += 1
        return self._refusals

    def release(self) -> None:
        """Note the end of a call, however it ended."""
        self.in_flight -= 1
        for wake in tuple(self.wakers):
            wake()

    def succeeded(self) -> None:
        """Note a call that was answered; before `release`."""
        self._pauses = 0
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self.ceiling, self.limit + 1)

    def refused(self, taken: int, retry_after_s: float | None, *, shrink: bool) -> None:
        """Note a call that was refused; before `release`.

        Calls that were under way together are refused together: only the first of them shrinks the limit.

        Args:
            taken: What `take` gave when the call started.
            retry_after_s: What the server asked to wait, if it did.
            shrink: Whether there were too many calls (429, 503), and not another failure.
        """
        first = taken == self._refusals
        own_s = FIRST_PAUSE_S if first else 0.0
        if first:
            self._refusals += 1
        if first and shrink:
            own_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2**self._pauses)
            self._pauses += 1
            self._successes = 0
            self.limit = max(1, int(min(self.limit, self.in_flight) * SHRINK))
        pause_s = own_s if retry_after_s is None else retry_after_s
        self._resume_at = max(self._resume_at, self._clock() + pause_s)


_limiters: weakref.WeakKeyDictionary[Engine, dict[str, Limiter]] = weakref.WeakKeyDictionary()
"""Belongs to the engine, of which there is one: two experiments at one server must share its limit."""

_lock = threading.Lock()


def limiter_of(engine: Engine, endpoint: Endpoint) -> Limiter:
    """The one limiter of a server and key. May be called from any thread; the limiter itself may not."""
    address = endpoint.base_url or endpoint.kind
    key = endpoint.api_key.reveal() if endpoint.api_key else ""
    name = hashlib.sha256(f"{address}\n{key}".encode()).hexdigest()
    with _lock:
        limiters = _limiters.setdefault(engine, {})
        return limiters.setdefault(name, Limiter(endpoint.limits.max_concurrency))
