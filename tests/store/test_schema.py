from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import keep
from vig_notebook.store import Store, schema

if TYPE_CHECKING:
    from pathlib import Path


def other(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


@pytest.fixture
def two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A next version of the log: a column, and what a step must keep."""
    step = "ALTER TABLE runs ADD COLUMN stars INTEGER;\nUPDATE runs SET stars = 5 WHERE state = 'done';\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize("version", [0, 1])
def test_file_of_each_older_version_is_brought_forward(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = schema.MIGRATIONS
    if version:
        monkeypatch.setattr(schema, "MIGRATIONS", newest[:version])
        old = Store(path)
        keep(old, "kept through the step")
        old.close()
        monkeypatch.setattr(schema, "MIGRATIONS", newest)
    store = Store(path)
    keep(store, "new")
    assert len(store.search("kept")) == version
    store.close()
    with other(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
        stars = connection.execute("SELECT stars FROM runs ORDER BY number").fetchall()
    connection.close()
    assert stars == [(5,)] * version + [(None,)]


def test_step_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(path)
    keep(store)
    store.close()
    broken = "ALTER TABLE runs ADD COLUMN stars INTEGER;\nUPDATE runs SET id = NULL;\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    store = Store(path)
    keep(store)
    store.flush()
    assert store.warning is not None
    assert "NOT NULL constraint failed" in store.warning
    store.close()
    connection = other(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    assert "stars" not in [row[1] for row in connection.execute("PRAGMA table_info(runs)").fetchall()]
    connection.close()


def test_columns_are_explained(store: Store) -> None:
    explained = schema.__doc__ or ""
    for name in ("number", "id", "created_at", "ended_at", "state", "messages", "prompt", "parameters", "text",
                 "reasoning", "error_kind", "error", "queue_s", "usage", "chat", "labels", "notebook", "cell",
                 "key", "any_server_key", "host", "pid"):  # fmt: skip
        assert name in explained


def test_file_can_be_read_with_the_sqlite3_tool(store: Store, path: Path) -> None:
    keep(store, "Hi", "Hello")
    store.close()
    script = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT prompt, text FROM runs').fetchall())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[('Hi', 'Hello')]\n"


def test_sqlite_without_full_text_search_still_finds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_index = Store(path)
    keep(with_index, "a lighthouse")
    with_index.close()
    monkeypatch.setattr(schema, "_fts5", lambda _: False)
    without = Store(path)
    keep(without, "another lighthouse, 100% white")
    assert len(without.search("LIGHTHOUSE")) == 2
    assert len(without.search("light 100%")) == 1
    assert without.search("1_0") == []
    without.forget(without.search("white")[0].id)
    keep(without, "a third lighthouse")
    without.close()
    monkeypatch.undo()
    again = Store(path)
    assert len(again.search("lighthouse")) == 2
    assert again._ask(schema.has_word_index)
    again.close()


def test_transaction_that_fails_is_rolled_back(store: Store) -> None:
    def fail(connection: sqlite3.Connection, *, rolled_back: bool) -> None:
        with schema.transaction(connection):
            connection.execute("DELETE FROM runs")
            if rolled_back:  # as a full disk does
                connection.execute("ROLLBACK")
            raise ValueError("stop")

    keep(store)
    for rolled_back in (True, False):
        with pytest.raises(ValueError, match="stop"):
            store._ask(lambda c, r=rolled_back: fail(c, rolled_back=r))  # type: ignore[misc]
    assert len(store.search()) == 1
