"""Deleting runs so that nothing of them is left in any file of the log, once no other program reads it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from vig_notebook.store.rows import spelled
from vig_notebook.store.schema import transaction, waiting_at_most
from vig_notebook.store.words import has_word_index

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

__all__ = ["chosen", "forget_runs", "wipe"]


def chosen(
    connection: sqlite3.Connection, ids: Collection[str], *, before: datetime | None, everything: bool
) -> list[str]:
    """Give the ids of the runs that are meant: those named, those from before a moment, or all."""
    if everything:
        rows = connection.execute("SELECT id FROM runs").fetchall()
    elif before is not None:
        rows = connection.execute("SELECT id FROM runs WHERE created_at < ?", (spelled(before),)).fetchall()
    else:
        rows = []
    return [*ids, *(row[0] for row in rows)]


def forget_runs(connection: sqlite3.Connection, ids: Collection[str]) -> int:
    """Delete runs, their text parts and their words, and overwrite where they stood.

    Another program that reads may hold up the last of it: see `wipe`.

    Returns:
        How many there were.
    """
    with transaction(connection):
        before = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        connection.executemany("DELETE FROM runs WHERE id = ?", [(run_id,) for run_id in ids])
        after = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        if has_word_index(connection):
            # Deleting only adds to the index that the words are gone; this writes it anew, without them.
            connection.execute("INSERT INTO runs_words (runs_words) VALUES ('optimize')")
    _empty_wal(connection)
    return int(before - after)


def wipe(connection: sqlite3.Connection) -> bool:
    """Overwrite what is left of deleted runs, without waiting for whoever reads it.

    Returns:
        Whether nothing is left; while another program reads the log as it was, the pages of then are kept for it.
    """
    with waiting_at_most(connection, 0):
        return _empty_wal(connection)


def _empty_wal(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log, which has the pages as they were. Waits as long as for a lock."""
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    return not busy
