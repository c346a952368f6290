"""How a run ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from vig_notebook.errors import VigthoriaError
from vig_notebook.run.state import RunState

if TYPE_CHECKING:
    import asyncio

__all__ = ["verdict"]

_log = logging.getLogger(__name__)


def verdict(task: asyncio.Task[None], *, stop_asked: bool, name: str) -> tuple[RunState, VigthoriaError | None]:
    """The state that a task that is done leaves its run in, and why it failed; consumes its exception.

    Args:
        task: What drove the run.
        stop_asked: Whether `stop()` was called: what else went wrong then is no failure.
        name: Of the run, for the log.
    """
    error = None if task.cancelled() else task.exception()
    if task.cancelled() or (stop_asked and error is not None):
        return RunState.STOPPED, None
    if error is None:
        return RunState.DONE, None
    if isinstance(error, VigthoriaError):
        return RunState.FAILED, error
    _log.error("run %s failed inside vig_notebook", name, exc_info=error)
    ours = VigthoriaError(
        "the run failed inside vig_notebook",
        seen=type(error).__name__,
        advice="Please report it with the log of the kernel; the text that came is kept",
    )
    return RunState.FAILED, ours
