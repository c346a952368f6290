"""The log's own thread: the only one that touches the file, so that a slow disk is nobody else's.

```
streaming thread ── wake(recorder) ──┐
any thread ──────── call(function) ──┴─> bounded queue ──> Keeper: one transaction for all that waits
```
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from vig_notebook.errors import ConfigError
from vig_notebook.store.keeper import Keeper
from vig_notebook.store.recorder import Recorder

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["FLUSH_INTERVAL_S", "MAX_QUEUED", "Writer"]

FLUSH_INTERVAL_S: Final = 1.0
"""Text is saved this often: what a `kill -9` may cost. Oftener would be mostly commits."""

MAX_QUEUED: Final = 4000
"""Runs and questions that wait at most: several times the 1,000 runs that are ever started at once."""

CLOSE_LIMIT_S: Final = 10.0
"""The end of a program waits this long for the log: twice the time for which it may be locked."""

T = TypeVar("T")

_Call: TypeAlias = Callable[[Keeper], None]


class Writer:
    """Owner of the thread, a daemon named `vig-log` that starts at the first use."""

    def __init__(self, path: Path | None, *, flush_interval_s: float = FLUSH_INTERVAL_S) -> None:
        self._keeper = Keeper(path)
        self._flush_interval_s = flush_interval_s
        self._queue: queue.Queue[Recorder | _Call | None] = queue.Queue(MAX_QUEUED)  # None ends the thread
        self._pid = os.getpid()
        self._crowded = False
        self._next_save_s = 0.0
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def warning(self) -> str | None:
        """What a person should know about the log, or None."""
        if self._crowded:
            return f"Some runs are not saved: more than {MAX_QUEUED} waited for the run log"
        return self._keeper.warning

    def wake(self, recorder: Recorder) -> None:
        """Have a recorder saved soon. Never waits; that the queue is full is said in `warning`."""
        if recorder.queued or self._closed:
            return
        recorder.queued = True
        try:
            self._queue.put_nowait(recorder)
        except queue.Full:
            recorder.queued, self._crowded = False, True
        self._start()

    def call(self, function: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a function on the thread of the log, after all that was left to save before it.

        Returns:
            A future with its value; a `ConfigError` when the log cannot be read.
        """
        future: Future[T] = Future()
        self.tell(lambda keeper: keeper.answer(function, future))
        return future

    def tell(self, action: _Call) -> None:
        """Do something with the keeper on the thread of the log.

        Raises:
            ConfigError: The log is closed.
        """
        if self._closed:
            raise ConfigError("The run log is closed", advice="Make a new Store.")
        self._queue.put(action)
        self._start()

    def close(self) -> None:
        """Save what waits and end the thread; waits at most `CLOSE_LIMIT_S`. A second call does nothing."""
        with self._lock:
            thread, self._thread, self._closed = self._thread, None, True
        if thread is not None and self._pid == os.getpid():  # a forked child has no such thread
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=CLOSE_LIMIT_S)
            thread.join(CLOSE_LIMIT_S)

    def _start(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(target=self._main, name="vig-log", daemon=True)
                    self._thread.start()

    # The thread of the log.

    def _main(self) -> None:
        going_on = True
        while going_on:
            recorders, calls, going_on = self._next_batch()
            self._keeper.add(recorders)
            if not going_on or self._is_due(woken=bool(recorders)):
                self._next_save_s = time.monotonic() + self._flush_interval_s
                self._keeper.save()
            for call in calls:
                call(self._keeper)
        self._keeper.close()

    def _next_batch(self) -> tuple[list[Recorder], list[_Call], bool]:
        """Wait for something to do, at most until the next save is due, and take all there is."""
        recorders: list[Recorder] = []
        calls: list[_Call] = []
        try:
            item = self._queue.get(timeout=self._time_left_s())
            while item is not None:
                if isinstance(item, Recorder):
                    item.queued = False
                    recorders.append(item)
                else:
                    calls.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return recorders, calls, True
        return recorders, calls, False

    def _time_left_s(self) -> float | None:
        return max(self._next_save_s - time.monotonic(), 0) if self._keeper.busy else None

    def _is_due(self, *, woken: bool) -> bool:
        """A recorder that wakes the thread is saved at once, but not while the log cannot be written."""
        return (woken and not self._keeper.failed) or time.monotonic() >= self._next_save_s
