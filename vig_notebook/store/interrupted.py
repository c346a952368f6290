"""Runs whose process died: their text is put together and their state becomes `interrupted`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from vig_notebook.store.processes import Process, is_alive
from vig_notebook.store.rows import clean, spelled
from vig_notebook.store.schema import transaction

if TYPE_CHECKING:
    import sqlite3

__all__ = ["mark_interrupted", "text_so_far"]

_SILENCE: Final = timedelta(days=2)
"""A run of another machine that is older than this is taken for dead: no answer streams for two days."""


def mark_interrupted(connection: sqlite3.Connection) -> None:
    """End the rows of processes that are no more. Asks for the write lock only when there are any."""
    if not _dead(connection):
        return
    with transaction(connection):
        for number in _dead(connection):
            _interrupt(connection, number)


def text_so_far(connection: sqlite3.Connection, number: int) -> tuple[str, str]:
    """Put together the text and the reasoning of a run that has not ended."""
    parts = connection.execute(
        "SELECT text, reasoning FROM text_parts WHERE run = ? ORDER BY part", (number,)
    ).fetchall()
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


def _dead(connection: sqlite3.Connection) -> list[int]:
    rows = connection.execute(
        "SELECT number, host, pid, process_start, created_at FROM runs WHERE ended_at IS NULL"
    ).fetchall()
    long_ago = spelled(datetime.now(UTC) - _SILENCE)
    alive: dict[Process, bool | None] = {}
    dead = []
    for number, host, pid, started, created_at in rows:
        process = Process(host=host, pid=pid, started=started)
        if process not in alive:
            alive[process] = is_alive(process)
        if alive[process] is False or (alive[process] is None and created_at < long_ago):
            dead.append(number)
    return dead


def _interrupt(connection: sqlite3.Connection, number: int) -> None:
    text, reasoning = text_so_far(connection, number)
    (created_at,) = connection.execute("SELECT created_at FROM runs WHERE number = ?", (number,)).fetchone()
    last, count = connection.execute(
        "SELECT coalesce(max(written_at), ?), max(delta_count) FROM text_parts WHERE run = ?", (created_at, number)
    ).fetchone()
    took = datetime.fromisoformat(last) - datetime.fromisoformat(created_at)
    connection.execute(
        "UPDATE runs SET state = 'interrupted', text = ?, reasoning = ?, delta_count = ?, ended_at = ?, total_s = ?"
        " WHERE number = ?",
        (clean(text, None), clean(reasoning, None), count, last, took.total_seconds(), number),
    )
    connection.execute("DELETE FROM text_parts WHERE run = ?", (number,))
