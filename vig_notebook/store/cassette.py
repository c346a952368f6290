"""Runs as a JSON Lines file: all of the log, or a cassette, small and the same each time, for git.

The first line names the format; each other line is a run. A cassette has only the last whole answer to each
request, sorted by identity key, and nothing of the machine, the moment or the time that it took: recording
the same answers again gives the same bytes.
"""

from __future__ import annotations

import errno
import glob
import secrets
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vig_notebook.errors import ConfigError
from vig_notebook.store.identity import to_json
from vig_notebook.store.records import JSON_COLUMNS, Record
from vig_notebook.store.rows import now, spelled
from vig_notebook.store.schema import transaction
from vig_notebook.store.words import index_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "FORMAT",
    "add_runs",
    "answers_to",
    "claimed",
    "export_cassette",
    "export_runs",
    "import_runs",
    "stamp",
    "write_cassette",
]

FORMAT: Final = {"format": "vig_notebook runs", "version": 1}

_CASSETTE: Final = (
    "answer_model", "any_server_key", "base_url", "choices", "delta_count", "extra", "finish_reason", "key", "messages",
    "model", "parameters", "prompt", "reasoning", "refusal", "server", "text", "tool_calls", "usage",
)  # fmt: skip
_OF_THIS_FILE: Final = frozenset({"number", "host", "pid", "process_start"})

CLAIM_LIMIT_S: Final = 2.0
"""A file is written in milliseconds: whoever holds it longer has died, or a disk has let it wait."""

_UNFIT: Final = (
    msgspec.ValidationError, sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError,
    sqlite3.ProgrammingError, OverflowError, RecursionError, ValueError,
)  # fmt: skip
"""What a line raises that is no run."""

_EMPTY: Final[dict[str, object]] = {**{field.name: None for field in fields(Record)}, "text": "", "reasoning": ""}


def export_runs(connection: sqlite3.Connection, path: Path) -> int:
    """Write every run that has ended, oldest first, with all that is known of it.

    Returns:
        How many runs were written.
    """
    names = [name for name in _columns(connection) if name not in _OF_THIS_FILE]
    with claimed(path) as fresh:
        return _write(fresh, _rows(connection, names, "WHERE ended_at IS NOT NULL ORDER BY number"))


def export_cassette(connection: sqlite3.Connection, path: Path) -> int:
    """Write the last whole answer to each request.

    Returns:
        How many answers were written.
    """
    with claimed(path) as fresh:
        return write_cassette(connection, fresh)


def write_cassette(connection: sqlite3.Connection, fresh: Path) -> int:
    """As `export_cassette`, into a file that is claimed."""
    last = "SELECT max(number) FROM runs WHERE state = 'done' AND key IS NOT NULL GROUP BY key"
    return _write(fresh, _rows(connection, _CASSETTE, f"WHERE number IN ({last}) ORDER BY key"))


def answers_to(connection: sqlite3.Connection, keys: Collection[str]) -> list[dict[str, object]]:
    """Give the last whole answers to some requests, as a cassette has them."""
    tail = "WHERE key = ? AND state = 'done' ORDER BY number DESC LIMIT 1"
    return [row for key in keys for row in _rows(connection, _CASSETTE, tail, (key,))]


def add_runs(connection: sqlite3.Connection, rows: Iterable[dict[str, object]]) -> int:
    """Put in runs; one that is there already is left as it is.

    Returns:
        How many are new.
    """
    with transaction(connection):
        return sum(_insert(connection, row) for row in rows)


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Give a new file that takes the place of `path` at the end; until then nobody else can write `path`.

    It is beside `path`, so that a full disk leaves the old one, and has a name of its own: what another writes who
    has waited too long for us is never put in place by us. The lock is a file that is made only where it is not there
    yet. Waits for another program that writes.

    Raises:
        ConfigError: It cannot be made or put in place, or another program has taken over.
    """
    claim = path.with_name(path.name + ".new")
    fresh = claim.with_name(f"{claim.name}.{secrets.token_hex(4)}")
    try:
        ours = _claim(claim)
        try:
            yield fresh
            if stamp(claim) != ours:
                raise OSError(errno.EBUSY, "another program writes it")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
            if stamp(claim) == ours:
                claim.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError("The runs cannot be written", seen=f"{path}: {error.strerror}") from None


def import_runs(connection: sqlite3.Connection, path: Path) -> int:
    """Read runs from a file of either kind; a run that is there already is left as it is.

    An answer of a cassette is there already when there is any whole answer to its request.

    Returns:
        How many runs are new.

    Raises:
        ConfigError: The file cannot be read, or is not such a file; nothing was imported.
    """
    known = set(_columns(connection)) - _OF_THIS_FILE
    new = number = 0
    try:
        with transaction(connection), path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                row = _read_line(line, path=path, number=number)
                if number == 1:
                    _check_format(row, path)
                else:
                    new += _insert(connection, {name: row[name] for name in row if name in known})
    except OSError as error:
        raise ConfigError("The runs cannot be read", seen=f"{path}: {error.strerror}") from None
    except _UNFIT as error:
        raise ConfigError("The runs cannot be imported", seen=f"{path}, line {number}: {error}") from None
    index_words(connection)  # they may be many, and the first search is not to wait for them
    return new


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_info(runs)").fetchall()]


def _rows(
    connection: sqlite3.Connection, names: Iterable[str], tail: str, values: Sequence[str] = ()
) -> Iterator[dict[str, object]]:
    names = sorted(names)
    for row in connection.execute(f"SELECT {', '.join(names)} FROM runs {tail}", values):  # noqa: S608  own names
        present = {name: value for name, value in zip(names, row, strict=True) if value not in {None, ""}}
        yield {name: _plain(name, value) for name, value in present.items()}


def _plain(name: str, value: Any) -> object:  # noqa: ANN401  what SQLite gives
    return msgspec.json.decode(value) if name in JSON_COLUMNS else value


def _claim(claim: Path) -> tuple[int, int, int] | None:
    """Wait until the lock is ours, or its holder has had it for too long; give what tells ours from another's."""
    seen, deadline = None, 0.0
    while True:
        try:
            claim.open("xb").close()
        except FileExistsError:
            if (there := stamp(claim)) != seen:
                seen, deadline = there, time.monotonic() + CLAIM_LIMIT_S
            elif time.monotonic() > deadline:
                for left in claim.parent.glob(f"{glob.escape(claim.name)}*"):  # what was written under it, too
                    left.unlink(missing_ok=True)
            time.sleep(0.005)
        else:
            return stamp(claim)


def _write(fresh: Path, rows: Iterable[dict[str, object]]) -> int:
    lines = [to_json(row) + b"\n" for row in (FORMAT, *rows)]
    fresh.write_bytes(b"".join(lines))
    return len(lines) - 1


def _read_line(line: bytes, *, path: Path, number: int) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("The runs cannot be read", seen=f"{path}, line {number}: {error}") from None
    if not isinstance(row, dict):
        raise ConfigError("The runs cannot be read", seen=f"{path}, line {number} is not an object")
    return row


def _check_format(row: Mapping[str, object], path: Path) -> None:
    version = row.get("version")
    if row.get("format") != FORMAT["format"] or not isinstance(version, int):
        raise ConfigError("The runs cannot be read", seen=f"{path} was not exported from a run log")
    if version > 1:
        raise ConfigError(
            "The runs cannot be read",
            seen=f"{path} was written by a newer vig_notebook (version {version})",
            advice="Update vig_notebook.",
        )


def _insert(connection: sqlite3.Connection, row: dict[str, object]) -> int:
    """Put in a run; one of a cassette has neither id nor times of its own: its key is its name.

    Raises:
        One of `_UNFIT`: No record can be made of it.
    """
    moment = now()
    if "id" not in row and connection.execute("SELECT 1 FROM runs WHERE key = ?", (row.get("key"),)).fetchone():
        return 0
    whole = {"id": row.get("key"), "created_at": moment, "state": "done", **row}
    record = msgspec.convert({**_EMPTY, **whole}, Record)
    whole["created_at"] = spelled(record.created_at)
    whole["ended_at"] = spelled(record.ended_at or record.created_at)
    if whole["state"] != "done":  # of an older log; only a whole answer is one to answer from
        whole.pop("key", None)
        whole.pop("any_server_key", None)
    values = {name: to_json(value).decode() if name in JSON_COLUMNS else value for name, value in whole.items()}
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    statement = f"INSERT INTO runs ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"  # noqa: S608
    return connection.execute(statement, tuple(values.values())).rowcount
