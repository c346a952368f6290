"""Opening the run log so that a log which cannot be kept never hurts the run.

```
WAL journal ──refused──> DELETE journal ──refused──> in memory, with a sentence
      └─────────── damaged file: set aside under another name, and once more ───┘
```
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import platformdirs

from vig_notebook.errors import ConfigError
from vig_notebook.settings import read_environment, read_profiles
from vig_notebook.store.processes import Process, this_process
from vig_notebook.store.schema import prepare
from vig_notebook.store.words import keep_word_index

__all__ = ["BUSY_TIMEOUT_S", "OFF", "Opened", "is_damage", "is_locked", "log_path", "open_log", "set_aside"]

OFF: Final = "off"
"""Instead of a path: no log is kept."""

BUSY_TIMEOUT_S: Final = 5.0
"""How long a write waits for another kernel's; with 8 kernels writing at once 99 of 100 waited under 0.25 s."""

_CASSETTES: Final = frozenset({".jsonl", ".json", ".ndjson"})
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


@dataclass(slots=True, kw_only=True)
class Opened:
    """An open run log.

    Attributes:
        connection: Belongs to the thread that opened it.
        path: The file, or None for a log in memory.
        inode: The file's number when it was opened.
        process: The process that opened it.
        warning: What a person should know, or None.
        refusal: Why the file must not be used; searching raises it. The connection is one in memory.
    """

    connection: sqlite3.Connection
    path: Path | None = None
    inode: int = 0
    process: Process = field(default_factory=this_process)
    warning: str | None = None
    refusal: ConfigError | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the file was deleted or replaced: what is written goes nowhere then."""
        return self.path is not None and _inode(self.path) != self.inode


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
        sqlite3.OperationalError: Another program holds the file locked: try again later.
    """
    if path is None:
        return _in_memory(None)
    try:
        return _open_file(path)
    except ConfigError as error:
        return _in_memory(str(error), refusal=error)
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise
        if not is_damage(error):
            return _in_memory(_unusable(path, error))
    except OSError as error:
        return _in_memory(_unusable(path, error))
    return _open_again(path)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, or is no database at all."""
    return _code(error) in _DAMAGE


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another program holds the file."""
    return _code(error) in _LOCKED


def set_aside(path: Path) -> str:
    """Rename a damaged log and what belongs to it, so that nothing of it is lost.

    Returns:
        A sentence that says where it is.

    Raises:
        OSError: The file cannot be renamed.
    """
    aside = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    for end in ("", "-wal", "-shm", "-journal"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(path.with_name(aside + end))
    return f"The run log was damaged: it is kept as {path.with_name(aside)}, and a new one was begun"


def _code(error: sqlite3.Error) -> int:
    """The primary result code, without what the extended one adds; 0 where sqlite3 itself objects."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _open_again(path: Path) -> Opened:
    try:
        warning = set_aside(path)
        opened = _open_file(path)
    except (OSError, sqlite3.Error) as error:
        return _in_memory(_unusable(path, error))
    opened.warning = warning
    return opened


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
        if is_locked(error):
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
    return Opened(connection=connection, path=path, inode=_inode(path))


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


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
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600)):
        pass


def _in_memory(warning: str | None, *, refusal: ConfigError | None = None) -> Opened:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, "the log in memory")
    if warning is not None:  # it stands in for a file
        keep_word_index(connection)
    return Opened(connection=connection, warning=warning, refusal=refusal)


def _unusable(path: Path, error: Exception) -> str:
    return f"Runs are not saved: the run log {path} cannot be used ({error}); history lasts as long as the kernel"
