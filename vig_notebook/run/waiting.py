"""Waits for a run that would never end."""

from __future__ import annotations

import asyncio
import os

__all__ = ["refuse_endless_wait"]


def refuse_endless_wait(pid: int, task: asyncio.Task[None] | None) -> None:
    """Refuse to wait where nobody would end the wait.

    Args:
        pid: The process whose streaming thread drives the run.
        task: What drives it there.

    Raises:
        RuntimeError: Called in a forked child, or on the streaming thread, which would wait for itself.
    """
    if pid != os.getpid():
        raise RuntimeError("a run belongs to the process that started it: a forked child cannot wait for it")
    if task is not None and _is_running(task.get_loop()):
        raise RuntimeError("a run cannot be waited for on the streaming thread: use `await run` there")


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
