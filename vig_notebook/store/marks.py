"""Words that are put on a run after it has ended, such as a person's rating of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vig_notebook.store.identity import to_json
from vig_notebook.store.schema import transaction

if TYPE_CHECKING:
    import sqlite3

__all__ = ["set_label"]


def set_label(connection: sqlite3.Connection, run_id: str, name: str, value: str) -> None:
    """Give a run a label; an empty value takes it away. A run that is not in the log stays out of it."""
    with transaction(connection):
        for (labels,) in connection.execute("SELECT labels FROM runs WHERE id = ?", (run_id,)).fetchall():
            kept = {**msgspec.json.decode(labels or b"{}"), name: value}
            text = to_json({key: one for key, one in kept.items() if one or key != name}).decode()
            connection.execute("UPDATE runs SET labels = ? WHERE id = ?", (text, run_id))
