"""The open log, on the thread of the log: saves recorders, answers questions, outlives what goes wrong.

What cannot be written now (locked, disk full, read-only) stays with its recorder and is tried again. What is
damaged, or was deleted under us, is replaced by a new file.
"""

from __future__ import annotations

import contextlib
import sqlite3
from copy import copy
from typing import TYPE_CHECKING, Final, TypeVar

from vig_notebook.errors import ConfigError
from vig_notebook.store.aside import set_aside
from vig_notebook.store.forget import wipe
from vig_notebook.store.interrupted import mark_interrupted
from vig_notebook.store.opening import is_damage, is_disk_trouble, is_locked, open_log
from vig_notebook.store.schema import SHORT_WAIT_S, transaction, waiting_at_most
from vig_notebook.store.taping import Tape
from vig_notebook.store.words import index_words, is_word_damage, rebuild_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from vig_notebook.store.opening import Opened
    from vig_notebook.store.recorder import Recorder

__all__ = ["MAX_KEPT", "MAX_UNINDEXED", "Keeper"]

MAX_KEPT: Final = 1000
"""Ended runs that are kept for a log which cannot be written; with a few kB each they are no burden."""

MAX_UNINDEXED: Final = 200
"""Runs whose words wait to be indexed: a search indexes so many in some 10 ms, and more at once are hardly cheaper."""

T = TypeVar("T")


class Keeper:
    """Owner of the connection. Everything here is called on one thread.

    Attributes:
        failed: Whether the last try to save failed.
        broken: Whether its thread has ended.
    """

    def __init__(self, path: Path | None, *, tape: Path | None = None) -> None:
        self.failed = False
        self.broken = False
        self._tape = Tape(tape) if tape is not None else None
        self._warning: str | None = None
        self._path = path
        self._log: Opened | None = None
        self._recorders: dict[Recorder, None] = {}  # those whose end is not saved, oldest first
        self._unindexed = 0
        self._unwiped = False

    @property
    def warning(self) -> str | None:
        """What a person should know about the log, or None."""
        return self._warning or (self._tape.warning if self._tape is not None else None)

    @property
    def busy(self) -> bool:
        """Whether a run goes on whose text is to be saved each second."""
        return bool(self._recorders)

    @property
    def tape_due_s(self) -> float | None:
        """The moment from which on `write_tape` is to be called; None while it has nothing to write."""
        return self._tape.due_s if self._tape is not None else None

    def add(self, recorders: Iterable[Recorder]) -> None:
        """Take recorders that have something to save."""
        self._recorders.update(dict.fromkeys(recorders))

    def save(self, *, text: bool = True, last: bool = False) -> None:
        """Save all that waits in one transaction; what fails waits on.

        A log that was locked is tried again without a long wait, so that whoever asks is answered meanwhile.

        Args:
            text: Save the text of the runs that go on as well, not only beginnings and ends.
            last: There is no other time, so this waits for a lock as long as the first did.
        """
        if self.failed and self._log is not None and not last:
            with waiting_at_most(self._log.connection, SHORT_WAIT_S):
                self._save_all(text=text)
        else:
            self._save_all(text=text)

    def _save_all(self, *, text: bool) -> None:
        waiting = [recorder for recorder in self._recorders if (recorder.waiting if text else recorder.urgent)]
        try:
            self._save(waiting, text=text)
        except sqlite3.OperationalError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  whatever one run has in it, the others are saved
            if isinstance(error, sqlite3.Error) and is_damage(error):
                self._set_aside()
            self._mend_words(error)
            self._save_one_by_one(waiting)

    def note_change(self) -> None:
        """Take note that there is an answer which the file on the side does not have."""
        if self._tape is not None:
            self._tape.changed = True

    def write_tape(self) -> None:
        """Write the file on the side, where something is not in it."""
        if self._tape is not None and self._tape.changed and not self.broken:
            self._tape.write(lambda: self._opened().connection)

    def answer(self, function: Callable[[sqlite3.Connection], T], future: Future[T]) -> None:
        """Run a function over the log and leave its value, or a `ConfigError`, in the future."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._ask(function))
        except BaseException as error:  # noqa: BLE001  not swallowed: it is raised where the question was asked
            future.set_exception(error)

    def forget(self, run_ids: Iterable[str] | None) -> None:
        """Save no more of these runs that still go on; None is all of them."""
        gone = None if run_ids is None else set(run_ids)
        for recorder in self._recorders:
            recorder.forgotten = recorder.forgotten or gone is None or recorder.run_id in gone
        self._unwiped = True
        self._wipe()

    def close(self) -> None:
        """Close the file."""
        try:
            self.write_tape()
        finally:
            if self._log is not None:
                self._wipe()
                self._log.close()
                self._log = None

    def end(self) -> None:
        """Close the file for good: nothing is saved any more, and what is asked is refused."""
        try:
            self.close()
        finally:
            self.broken = True
            self._recorders.clear()

    def take_note_of_bug(self, error: BaseException) -> None:
        """Say that the thread ends because of an error which nothing here expects."""
        self._warning = f"Runs are not saved any more: the run log met an error of its own ({error!r})"

    def _ask(self, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return function(self._readable())
            except sqlite3.DatabaseError as error:
                if not self._mend_words(error):
                    raise
                return function(self._readable())
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _save(self, waiting: list[Recorder], *, text: bool = True) -> None:
        if not waiting:
            return
        log = self._opened()
        if log.refusal is not None:
            self._recorders.clear()
            return
        with transaction(log.connection):
            for recorder in waiting:
                recorder.save(log.connection, log.process, text=text)
        for recorder in waiting:
            self._done(recorder)
        if self._unindexed >= MAX_UNINDEXED:
            self._unindexed = 0
            with contextlib.suppress(sqlite3.Error):  # all is saved; who searches will index, or say why not
                index_words(log.connection)
        self._wipe()
        if self.failed:
            self.failed, self._warning = False, log.warning

    def _wipe(self) -> None:
        """Overwrite what another program, which was reading, has kept of forgotten runs."""
        if self._unwiped and self._log is not None:
            with contextlib.suppress(sqlite3.Error):  # the next save will do it
                self._unwiped = not wipe(self._log.connection)

    def _done(self, recorder: Recorder) -> None:
        recorder.saved()
        if recorder.ended:
            del self._recorders[recorder]
            self._unindexed += 1
            if recorder.answered:
                self.note_change()

    def _save_one_by_one(self, waiting: list[Recorder]) -> None:
        """Leave out the run that cannot be said in SQLite, so that it holds up no other."""
        for recorder in waiting:
            try:
                self._save([recorder])
            except sqlite3.OperationalError as error:
                self._fail(error)
                return
            except Exception as error:  # noqa: BLE001  of this run alone
                self._warning = f"Run {recorder.run_id[:8]} is not saved: {str(error) or repr(error)}"
                recorder.forgotten = True

    def _opened(self) -> Opened:
        """Give the open log; open it first, or again when its file is no longer there."""
        if self._log is not None and self._log.is_gone:
            self._start_again(self._gone())
        if self._log is None:
            self._log = open_log(self._path)
            self._warning = self._log.warning or self._warning
            with contextlib.suppress(sqlite3.OperationalError):  # locked: the next start will do it
                mark_interrupted(self._log.connection)
        return self._log

    def _fail(self, error: sqlite3.Error) -> None:
        self.failed = True
        reason = "another program has it locked" if is_locked(error) else str(error)
        kept = "runs are kept and saved when it can be written again"
        ended = [recorder for recorder in self._recorders if recorder.finished]
        for recorder in ended[: max(len(ended) - MAX_KEPT, 0)]:
            del self._recorders[recorder]
            kept = f"only the last {MAX_KEPT} runs are kept until it can be written again"
        self._warning = f"The run log {self._path} cannot be written ({reason}): {kept}"

    def _readable(self) -> sqlite3.Connection:
        if self.broken:
            raise ConfigError("The run log is closed", advice="Make a new Store.")
        log = self._opened()
        if log.refusal is not None:
            raise copy(log.refusal)
        return log.connection

    def _unreadable(self, error: sqlite3.Error) -> ConfigError:
        if is_damage(error):
            self._set_aside()
            return ConfigError("The run log cannot be read", seen=str(error), advice=self._warning or "")
        advice = "Make room on the disk, or try again later." if is_disk_trouble(error) else "Try again later."
        return ConfigError("The run log cannot be read", seen=f"{self._path}: {error}", advice=advice)

    def _mend_words(self, error: Exception) -> bool:
        """Make the index of the words anew where it is what is damaged; whether it is whole now."""
        if self._log is None or not is_word_damage(error):
            return False
        try:
            rebuild_words(self._log.connection)
        except sqlite3.Error:  # locked or full: what needs the index fails until it is not
            return False
        return True

    def _set_aside(self) -> None:
        """Put the damaged file aside, unless another kernel has done so and begun a new one."""
        log = self._log
        self.close()
        if log is None or log.path is None:
            return
        try:
            self._start_again(set_aside(log.path, log.inode) or self._gone())
        except OSError as error:
            self._start_again(f"The run log {self._path} is damaged and cannot be renamed ({error})")

    def _gone(self) -> str:
        if self._path is not None and self._path.exists():
            return f"The run log {self._path} was replaced: runs go on in the file that is there now"
        return f"The run log {self._path} was deleted: a new one was begun"

    def _start_again(self, warning: str) -> None:
        self.close()
        self._warning = warning
        for recorder in self._recorders:
            recorder.lost()
