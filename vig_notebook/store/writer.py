"""The log's own thread: the only one that touches the file, so that a slow disk is nobody else's.

```
streaming thread ── wake(recorder) ──┐
any thread ──────── call(function) ──┴─> bounded queue ──> Keeper: one transaction for all that waits
```
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
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

GATHER_S: Final = 0.01
"""A commit costs more than all the rest of a run, so one that starts or ends waits this long for others."""

MAX_QUEUED: Final = 4000
"""Runs and questions that wait at most: several times the 1,000 runs that are ever started at once."""

CLOSE_LIMIT_S: Final = 10.0
"""The end of a program waits this long for the log: twice the time for which it may be locked."""

T = TypeVar("T")

_Call: TypeAlias = Callable[[Keeper], None]

_LOGGER: Final = logging.getLogger(__name__)


class Writer:
    """Owner of the thread, a daemon named `vig-log`. It lives until `close`, at the latest to the program's end."""

    def __init__(
        self, path: Path | None, *, flush_interval_s: float = FLUSH_INTERVAL_S, tape: Path | None = None
    ) -> None:
        self._path = path
        self._tape = tape
        self._flush_interval_s = flush_interval_s
        self._closed = False
        self._inherited: list[Keeper] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._keeper = Keeper(self._path, tape=self._tape)
        # None ends the thread. A SimpleQueue never lets the streaming thread wait for a lock.
        self._queue: queue.SimpleQueue[Recorder | _Call | None] = queue.SimpleQueue()
        self._taken: deque[_Call] = deque()
        self._thread: threading.Thread | None = None
        self._no_thread: str | None = None
        self._next_save_s = 0.0
        self._crowded = False

    @property
    def warning(self) -> str | None:
        """What a person should know about the log, or None."""
        if self._crowded:
            return f"Some runs are not saved: more than {MAX_QUEUED} waited for the run log"
        return self._no_thread or self._keeper.warning

    def start(self) -> None:
        """Start the thread, if it does not run yet. A forked child has no thread and begins anew.

        Where the system gives none, `warning` says so, and the next start tries again.
        """
        if self._pid != os.getpid():
            self._inherited.append(self._keeper)  # SQLite: a child must not even close its parent's file
            self._begin()
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._main, name="vig-log", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    self._no_thread = f"Runs are not saved yet: the run log gets no thread ({error})"
                    return
                self._thread, self._no_thread = thread, None
                atexit.register(self.close)

    def wake(self, recorder: Recorder) -> None:
        """Have a recorder saved soon. Never waits; that too many wait is said in `warning`."""
        if recorder.queued or self._closed:
            return
        if self._queue.qsize() >= MAX_QUEUED:
            self._crowded = True
            return
        recorder.queued = True
        self._queue.put(recorder)

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
            ConfigError: The log is closed, or has no thread.
        """
        self.start()
        with self._lock:  # so that nothing comes after the None of `close`
            if self._closed:
                raise ConfigError("The run log is closed", advice="Make a new Store.")
            if self._no_thread is not None:
                raise ConfigError("The run log cannot be read", seen=self._no_thread, advice="Try again later.")
            self._queue.put(action)

    def close(self, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Save what waits and end the thread; waits for it at most so long. A second call only waits.

        What could not be saved until then is said in the log of the program, on standard error by default.
        """
        with self._lock:
            if self._thread is not None and not self._closed:
                self._queue.put(None)
            first, self._closed = not self._closed, True
        if self._thread not in {None, threading.current_thread()} and self._pid == os.getpid():
            self._thread.join(limit_s)
            if first and limit_s and (self._thread.is_alive() or self._keeper.failed):
                _LOGGER.warning("The last runs are not saved. %s", self._keeper.warning or "The run log is busy")

    # The thread of the log.

    def _main(self) -> None:
        with ExitStack() as last:  # also when a bug ends the thread, and whatever else fails then
            last.callback(atexit.unregister, self.close)
            last.callback(self._refuse_rest)
            last.callback(self._keeper.end)
            self._serve()

    def _refuse_rest(self) -> None:
        """Answer whoever still waits."""
        with self._lock:  # nothing comes after this
            self._closed = True
        self._next_batch(wait=False)
        with ExitStack() as rest:
            for call in self._taken:
                rest.callback(call, self._keeper)

    def _serve(self) -> None:
        try:
            while self._serve_once():
                pass  # nothing is held while it waits: a recorder holds its store, which ends the thread when it goes
        except BaseException as error:
            self._keeper.take_note_of_bug(error)
            raise

    def _serve_once(self) -> bool:
        recorders, going_on = self._next_batch()
        if not self._keeper.busy:
            self._next_save_s = time.monotonic() + self._flush_interval_s
        self._keeper.add(recorders)
        if not going_on or self._is_past(self._next_save_s):
            self._next_save_s = time.monotonic() + self._flush_interval_s
            self._keeper.save()
            if not going_on and self._keeper.failed:
                self._keeper.save(last=True)  # which `close` still waits for
        elif recorders and not self._keeper.failed:
            self._keeper.save(text=False)
        if not going_on or self._is_past(self._keeper.tape_due_s):
            self._keeper.write_tape()
        while self._taken:
            self._taken.popleft()(self._keeper)
        return going_on

    def _next_batch(self, *, wait: bool = True) -> tuple[list[Recorder], bool]:
        """Wait for something to do, at most until the next save is due, and take all there is.

        The calls are put into `_taken`.
        """
        recorders: list[Recorder] = []
        try:
            item = self._queue.get(wait, self._time_left_s())
            gathered_s = time.monotonic() + GATHER_S
            while item is not None:
                if isinstance(item, Recorder):
                    item.queued = False
                    if not item.ended:  # its end was seen, and saved, before the word of it came
                        recorders.append(item)
                else:
                    self._taken.append(item)
                left_s = 0.0 if self._taken else gathered_s - time.monotonic()  # whoever asks does not wait
                item = self._queue.get(wait and left_s > 0, max(left_s, 0))
        except queue.Empty:
            return recorders, True
        else:
            return recorders, False

    def _time_left_s(self) -> float | None:
        due_s = [self._keeper.tape_due_s, self._next_save_s if self._keeper.busy else None]
        return max(min(known) - time.monotonic(), 0) if (known := [one for one in due_s if one is not None]) else None

    @staticmethod
    def _is_past(moment_s: float | None) -> bool:
        return moment_s is not None and time.monotonic() >= moment_s
