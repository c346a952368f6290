"""An end that threads and event loops can wait for, without ever holding off an interrupt."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

__all__ = ["Ending"]

WAKE_S = 0.1
"""How often whoever waits wakes: an interrupt is seen only then when the server is silent."""


class Ending:
    """Something that happens once; any number of threads and loops may wait for it."""

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()  # from here on no waiter can cancel it

    @property
    def reached(self) -> bool:
        """Whether it has happened."""
        return self._future.done()

    def reach(self) -> None:
        """Let it happen; wakes all who wait."""
        self._future.set_result(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block this thread until it happens.

        Args:
            timeout_s: Seconds to wait; None waits for as long as it takes.

        Returns:
            Whether it has happened.

        Raises:
            KeyboardInterrupt: The main thread was interrupted while it waited.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.reached:
            left_s = WAKE_S if deadline is None else min(WAKE_S, deadline - time.monotonic())
            if left_s <= 0:
                return False
            concurrent.futures.wait([self._future], timeout=left_s)
        return True

    async def waited(self) -> None:
        """Return once it has happened. For any loop; cancelling it changes nothing for the others."""
        mine = asyncio.wrap_future(self._future)
        try:
            while not mine.done():
                await asyncio.wait({mine}, timeout=WAKE_S)
        finally:
            mine.cancel()
