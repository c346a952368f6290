"""Opening the run log so that a log which cannot be kept never hurts the run.

```
WAL journal ──refused──> DELETE journal ──refused──> in memory, with a sentence
      └─────────── damaged file: set aside under another name, and once more ───┘
```
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import platformdirs

from vig_notebook.errors import ConfigError
from vig_notebook.settings import read_environment, read_profiles
from vig_notebook.store.aside import beside, inode_of, leave_to, set_aside
from vig_notebook.store.processes import Process, this_process
from vig_notebook.store.schema import prepare
from vig_notebook.store.words import is_word_damage, keep_word_index

__all__ = ["BUSY_TIMEOUT_S", "OFF", "Opened", "is_damage", "is_disk_trouble", "is_locked", "log_path", "open_log"]

OFF: Final = "off"
"""Instead of a path: no log is kept."""

BUSY_TIMEOUT_S: Final = 5.0
"""How long a write waits for another kernel's; with 8 kernels writing at once 99 of 100 waited under 0.25 s."""

_CASSETTES: Final = frozenset({".jsonl", ".json", ".ndjson"})
_SUFFIXES: Final = frozenset({".sqlite", ".sqlite3", ".db"})
_HEADER: Final = b"SQLite format 3\0"
_SIDE_FILES: Final = ("-wal", "-shm")
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PASSING: Final = _LOCKED | {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NO_SHARED_MEMORY: Final = frozenset(
    {sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_SHMOPEN}
)
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


_OPEN: Final[Counter[int]] = Counter()
"""How many logs of this process have a file open, by its number."""
_OPEN_LOCK: Final = threading.Lock()


@dataclass(slots=True, kw_only=True)
class Opened:
    """An open run log.

    Attributes:
        connection: Belongs to the thread that opened it.
        path: The file, or None for a log in memory.
        inode: The file's number when it was opened.
        side_inodes: Those of its side files, by their ends.
        process: The process that opened it.
        warning: What a person should know, or None.
        refusal: Why the file must not be used; searching raises it. The connection is one in memory.
    """

    connection: sqlite3.Connection
    path: Path | None = None
    inode: int = 0
    side_inodes: dict[str, int] = field(default_factory=dict)
    process: Process = field(default_factory=this_process)
    warning: str | None = None
    refusal: ConfigError | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the file was deleted or replaced: what is written goes nowhere then."""
        return self.path is not None and inode_of(self.path) != self.inode

    def __post_init__(self) -> None:
        with _OPEN_LOCK:
            _OPEN[self.inode] += 1

    def close(self) -> None:
        """Close the file. What took its place in the meantime is not to be taken for it, with its side files."""
        try:
            if self.path is not None and self.is_gone:
                self._leave_to_another(self.path)
        finally:
            self.connection.close()
            with _OPEN_LOCK:
                _OPEN[self.inode] -= 1

    def _leave_to_another(self, path: Path) -> None:
        with _OPEN_LOCK:
            # No lock tells of another log in this process, and to ask for one would take that log's own away.
            if not _OPEN[inode_of(path)]:
                with suppress(OSError):  # deleted, or not ours to rename
                    leave_to(path, self.side_inodes)


def log_path(path: str | Path | None = None) -> Path | None:
    """Say where the run log is: the argument, `VIG_LOG`, the settings, or the user's data folder. None is no log.

    Raises:
        ConfigError: The settings cannot be read.
    """
    chosen = path or read_environment("VIG_LOG") or read_profiles().log
    if str(chosen).lower() == OFF:
        return None
    default = platformdirs.user_data_path("vig_notebook", appauthor=False) / "runs.sqlite"
    return Path(chosen).expanduser() if chosen else default


def open_log(path: Path | None) -> Opened:
    """Open the run log in this thread. What cannot be used is replaced by a log in memory, with a warning.

    Args:
        path: The file, made when it is missing, readable by its owner only; None is a log in memory.

    Raises:
        sqlite3.OperationalError: Another program holds the file locked, or the disk is full: try again later.
    """
    if path is None:
        return _in_memory(None)
    try:
        return _open_or_set_aside(path)
    except ConfigError as error:
        return _in_memory(str(error), refusal=error)
    except sqlite3.DatabaseError as error:
        if _code(error) in _PASSING:
            raise
        return _in_memory(_unusable(path, error))
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise sqlite3.OperationalError(error.strerror) from error
        return _in_memory(_unusable(path, error))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, or is no database at all. An index of words that is damaged can be rebuilt."""
    return _code(error) in _DAMAGE and not is_word_damage(error)


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another program holds the file."""
    return _code(error) in _LOCKED


def is_disk_trouble(error: sqlite3.Error) -> bool:
    """Whether the disk takes no more, as it is when it is full."""
    return _code(error) in _PASSING - _LOCKED


def _code(error: sqlite3.Error) -> int:
    """The primary result code, without what the extended one adds; 0 where sqlite3 itself objects."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _open_or_set_aside(path: Path) -> Opened:
    inode = inode_of(path)
    try:
        return _open_file(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        _refuse_no_database(path, error)
    warning = set_aside(path, inode)
    opened = _open_file(path)
    opened.warning = warning
    return opened


def _refuse_no_database(path: Path, error: sqlite3.Error) -> None:
    """Take a file for a damaged log only where its name or its beginning says that it is a database."""
    if _code(error) != sqlite3.SQLITE_NOTADB or path.suffix.lower() in _SUFFIXES:
        return
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise ConfigError(
                "The run log is no SQLite file", seen=str(path), advice="Name a .sqlite file, or a new one."
            )


def _open_file(path: Path) -> Opened:
    if path.suffix.lower() in _CASSETTES:  # else it would be taken for a damaged log, and renamed
        raise ConfigError(
            "The run log is no JSON Lines file",
            seen=str(path),
            advice="Name a .sqlite file; a cassette is recorded with %vigthoria replay on FILE.",
        )
    _make_private(path)
    try:
        return _connect(path, "WAL")
    except sqlite3.OperationalError as error:
        if _code(error) in _PASSING and error.sqlite_errorcode not in _NO_SHARED_MEMORY:
            raise
        # A network disk: it has no memory that processes share, which the WAL needs.
        return _connect(path, "DELETE")


def _connect(path: Path, journal: str) -> Opened:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        _set_up(connection, journal)
        prepare(connection, str(path))
        keep_word_index(connection)
    except (sqlite3.Error, ConfigError):
        connection.close()
        raise
    side_inodes = {end: inode_of(beside(path, end)) for end in _SIDE_FILES}
    return Opened(connection=connection, path=path, inode=inode_of(path), side_inodes=side_inodes)


def _set_up(connection: sqlite3.Connection, journal: str) -> None:
    # For a new file. A usual run fills more than half a page of 4 kB, so that each had one: with these, a file is a
    # third smaller, and what has to read all of it takes 67 ms for 100,000 runs instead of 105.
    connection.execute("PRAGMA page_size = 8192")
    # A file that was switched to the WAL, and then could not be read, is only switched back by a process that
    # shares it with none. One that keeps the journal it has, because others have it open, is written in that.
    exclusive = journal == "DELETE"
    connection.execute(f"PRAGMA locking_mode = {'EXCLUSIVE' if exclusive else 'NORMAL'}")
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("PRAGMA locking_mode = NORMAL")
    # Survives the death of the process; FULL would wait for the disk at each write, to survive a power cut.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten with zeros.
    connection.execute("PRAGMA secure_delete = ON")


def _make_private(path: Path) -> None:
    """Make folder and file with no rights for others; SQLite gives its side files those of the file."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True)
    # Never opened where it is there: closing it would take away the locks of another log in this process.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) from None
        if not path.exists():  # a link to a file that is not there yet
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None


def _in_memory(warning: str | None, *, refusal: ConfigError | None = None) -> Opened:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, "the log in memory")
    if warning is not None:  # it stands in for a file
        keep_word_index(connection)
    return Opened(connection=connection, warning=warning, refusal=refusal)


def _unusable(path: Path, error: Exception) -> str:
    return f"Runs are not saved: the run log {path} cannot be used ({error}); history lasts as long as the kernel"
