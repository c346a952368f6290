"""A cassette that is recorded: a file for git that has what is answered, written again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from vig_notebook.errors import ConfigError
from vig_notebook.store.cassette import claimed, import_runs, write_cassette

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["Tape"]

SHARE: Final = 10
"""The whole file is written each time, so it is written in at most one of so many parts of the time: an answer that
comes alone is in it after milliseconds, one of hundreds a little later. One write an answer took 7 s for 345 of them,
and a kernel that was killed meanwhile left a third of them out."""

PAUSE_S: Final = 1.0
"""Before what could not be written is tried again."""


class Tape:
    """The file of a cassette. Everything here but `warning` belongs to the thread of the log.

    Several kernels may record into one file: what another has put in since is taken over before each write.

    Attributes:
        changed: Whether there are answers that are not in the file.
        warning: Why it could not be written, in a sentence, or None.
    """

    def __init__(self, path: Path) -> None:
        self.changed = False
        self.warning: str | None = None
        self._path = path
        self._seen: tuple[int, int, int] | None = None  # the file as we left it
        self._next_s = 0.0

    @property
    def due_s(self) -> float | None:
        """The moment, by `time.monotonic`, from which on it is to be written; None while nothing waits."""
        return self._next_s if self.changed else None

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what waits; what fails waits on."""
        begun_s = time.monotonic()
        try:
            with claimed(self._path) as fresh:
                if _stamp(self._path) not in {None, self._seen}:
                    import_runs(connection, self._path)  # of two answers to one request ours stays
                write_cassette(connection, fresh)
                written = _stamp(fresh)
        except ConfigError as error:
            self.warning = str(error)
        else:
            self.changed, self.warning, self._seen = False, None, written
        now_s = time.monotonic()
        self._next_s = now_s + (PAUSE_S if self.changed else SHARE * (now_s - begun_s))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
