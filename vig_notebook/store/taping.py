"""A cassette that is recorded: a file for git that has what is answered, written again and again."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Final

from vig_notebook.errors import ConfigError
from vig_notebook.store.cassette import claimed, import_runs, stamp, write_cassette

if TYPE_CHECKING:
    from collections.abc import Callable
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

    def write(self, log: Callable[[], sqlite3.Connection]) -> None:
        """Write what waits; what fails waits on.

        Args:
            log: Opens the log where it is not open; what that raises is what this fails of.
        """
        begun_s = time.monotonic()
        try:
            connection = log()
            with claimed(self._path) as fresh:
                if stamp(self._path) not in {None, self._seen}:
                    import_runs(connection, self._path)  # of two answers to one request ours stays
                write_cassette(connection, fresh)
                written = stamp(fresh)
        except (ConfigError, sqlite3.Error) as error:
            self.warning = str(error) if isinstance(error, ConfigError) else f"{self._path} is not written: {error}"
        else:
            self.changed, self.warning, self._seen = False, None, written
        now_s = time.monotonic()
        self._next_s = now_s + (PAUSE_S if self.changed else SHARE * (now_s - begun_s))
