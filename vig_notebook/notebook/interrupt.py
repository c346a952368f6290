"""■ stops background runs too.

While no cell runs, ipykernel ignores SIGINT, so an interrupt would not reach a run in the background. As long
as runs are on, a watcher on the kernel's main loop puts a handler where it finds the signal ignored, and
restores that when the last run has ended. During a cell ipykernel puts its own handler there, saves ours and
brings it back after, so an interrupt of a cell stays with that cell (measured with ipykernel 6.29, 7.1 and 7.4).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING

from vig_notebook.engine import engine

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["watch_interrupts"]

WATCH_S = 0.1
"""Between two looks at the handler: an interrupt that comes sooner after a cell's end is still ignored."""


def watch_interrupts() -> None:
    """Watch until the last run has ended. Does nothing off the main thread or without a running loop."""
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    kept = engine().kept
    if "interrupt watcher" not in kept:
        kept["interrupt watcher"] = loop.call_later(WATCH_S, _watch, loop)


def _watch(loop: asyncio.AbstractEventLoop) -> None:
    kept = engine().kept
    if engine().runs or engine().askers:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, _stop_all)
        kept["interrupt watcher"] = loop.call_later(WATCH_S, _watch, loop)
        return
    del kept["interrupt watcher"]
    if signal.getsignal(signal.SIGINT) is _stop_all:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop_all(_signal: int, _frame: FrameType | None) -> None:
    engine().stop_all()
