"""The tables of the run log, and the steps that bring an older file forward.

The file is ordinary SQLite, meant to be read with the `sqlite3` tool as well; times are UTC in ISO 8601:

=====================  ================================================================================
``runs``               one row a run
``number``, ``id``     order of arrival; the run's id, which the saved notebook carries too
``created_at``         when it was started; ``ended_at`` is empty while it runs
``state``              queued, connecting, streaming, done, stopped, failed; interrupted = its process died
``base_url, server``   who was asked (``demo:`` and ``local:`` have no lasting address), and its name in words
``model``              the model that was asked for
``messages``           what was sent, JSON; ``prompt`` is the text of the last message of the user
``parameters``         the other members of the request, JSON
``text, reasoning``    the answer; while it streams it is in ``text_parts`` (in the order of ``part``)
``error_kind, error``  why it failed: a word, and a sentence
``queue_s`` …          where the time went: queue, retries, connecting, first token (of the request), total
``usage``              what the server counted, JSON; ``tokens_in`` and ``tokens_out`` are taken from it
``chat, labels``       name of the conversation; free words of whoever started the run, JSON
``notebook, cell``     where it was started, if known
``key``                identity of the request and its repeat, where the answer is whole and its own;
                       ``any_server_key`` leaves the server out
``host, pid, …``       the process that ran it, to tell the rows of dead processes
=====================  ================================================================================

``runs_words`` is the full-text index over ``prompt`` and ``text``, see `vig_notebook.store.words`.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["APPLICATION_ID", "MIGRATIONS", "SHORT_WAIT_S", "prepare", "transaction", "waiting_at_most"]

APPLICATION_ID: Final = 0x56494731
"""Marks a SQLite file as a run log ("VIG1"), so that no other program's database is written to."""

SHORT_WAIT_S: Final = 0.25
"""How long a write waits for a lock when somebody waits for an answer: with 8 kernels writing at once, 99 of 100
waited no longer."""

_VERSION_1: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    state TEXT NOT NULL,
    base_url TEXT, server TEXT, model TEXT,
    prompt TEXT, messages TEXT, parameters TEXT,
    text TEXT NOT NULL DEFAULT '', reasoning TEXT NOT NULL DEFAULT '', refusal TEXT, finish_reason TEXT,
    tool_calls TEXT, choices TEXT, extra TEXT, delta_count INTEGER,
    error_kind TEXT, error TEXT,
    queue_s REAL, retry_wait_s REAL, connect_s REAL, first_token_s REAL, total_s REAL,
    usage TEXT, tokens_in INTEGER, tokens_out INTEGER,
    answer_id TEXT, answer_model TEXT, request_id TEXT,
    chat TEXT, labels TEXT, notebook TEXT, cell TEXT,
    key TEXT, any_server_key TEXT,
    host TEXT, pid INTEGER, process_start TEXT
);
CREATE INDEX runs_by_time ON runs (created_at, state, model, chat);
CREATE INDEX runs_by_chat ON runs (chat, number) WHERE chat IS NOT NULL;
CREATE INDEX runs_by_key ON runs (key) WHERE key IS NOT NULL;
CREATE INDEX runs_by_any_server_key ON runs (any_server_key) WHERE any_server_key IS NOT NULL;
CREATE INDEX runs_unended ON runs (number) WHERE ended_at IS NULL;
CREATE TABLE text_parts (
    part INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    written_at TEXT NOT NULL,
    text TEXT NOT NULL,
    reasoning TEXT NOT NULL
);
CREATE INDEX text_parts_by_run ON text_parts (run, part);
"""

_VERSION_2: Final = """
DROP TRIGGER IF EXISTS runs_words_insert;
DROP TRIGGER IF EXISTS runs_words_delete;
DROP TRIGGER IF EXISTS runs_words_update;
CREATE TABLE runs_to_index (number INTEGER PRIMARY KEY);
ALTER TABLE text_parts ADD COLUMN delta_count INTEGER;
UPDATE runs SET key = NULL, any_server_key = NULL WHERE state <> 'done' AND key IS NOT NULL;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2)
"""Step N brings a file of version N - 1 to version N. A step that was released is never changed."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the first statement on; commit at the end, roll back on an error.

    A plain BEGIN takes the lock at its first write, and then fails at once, busy timeout or not, when
    another process has written in between: 233 of 480 rows were lost that way.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def waiting_at_most(connection: sqlite3.Connection, wait_s: float) -> Iterator[None]:
    """Wait no longer for a lock than this, whatever the connection's own limit is."""
    (before_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
    try:
        yield
    finally:
        with suppress(sqlite3.ProgrammingError):  # closed meanwhile, because of what was found in it
            connection.execute(f"PRAGMA busy_timeout = {before_ms}")


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Make an empty file a run log, or bring an older one forward. `name` is for the sentences.

    One that needs neither is only read: it can be opened while another program writes, or when the disk is full.

    Raises:
        ConfigError: The file is another program's, or was written by a newer version.
        sqlite3.Error: The file cannot be read or written.
    """
    if _marks(connection) == (APPLICATION_ID, len(MIGRATIONS)):
        return
    with transaction(connection):  # and look again: another program may have been faster
        _, version = _marks(connection)
        _refuse_foreign(connection, name)
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            _run_script(connection, step)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
    """What program wrote the file, and in which version of its tables."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _refuse_foreign(connection: sqlite3.Connection, name: str) -> None:
    application, version = _marks(connection)
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (tables or application or version):
        raise ConfigError(
            "The run log cannot be opened",
            seen=f"{name} is a database of another program",
            advice="Name another file with VIG_LOG.",
        )
    if version > len(MIGRATIONS):
        raise ConfigError(
            "The run log cannot be opened",
            seen=f"{name} was written by a newer vig_notebook (version {version} of the log, "
            f"this one knows {len(MIGRATIONS)})",
            advice="Update vig_notebook, or name another file with VIG_LOG.",
        )


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements inside the open transaction; `executescript` would commit it first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
