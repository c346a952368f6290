from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import keep
from vig_notebook.store import Store, schema, words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def other(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


WORDS_OF_VERSION_1 = """
CREATE VIRTUAL TABLE runs_words USING fts5 (
    prompt, text, content = 'runs', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2', prefix = '3'
);
CREATE TRIGGER runs_words_insert AFTER INSERT ON runs BEGIN
    INSERT INTO runs_words (rowid, prompt, text) VALUES (new.number, new.prompt, new.text);
END;
CREATE TRIGGER runs_words_delete AFTER DELETE ON runs BEGIN
    INSERT INTO runs_words (runs_words, rowid, prompt, text) VALUES ('delete', old.number, old.prompt, old.text);
END;
CREATE TRIGGER runs_words_update AFTER UPDATE OF prompt, text ON runs BEGIN
    INSERT INTO runs_words (runs_words, rowid, prompt, text) VALUES ('delete', old.number, old.prompt, old.text);
    INSERT INTO runs_words (rowid, prompt, text) VALUES (new.number, new.prompt, new.text);
END;
"""
RUN = (
    "INSERT INTO runs (id, created_at, ended_at, state, prompt, messages, text, key, any_server_key)"
    " VALUES (?, '2026-01-01T00:00:00.000+00:00', '2026-01-01T00:00:01.000+00:00', ?, ?, '[]', 'kept', ?, ?)"
)


def of_version(path: Path, version: int) -> None:
    """A file as the program of that version left it, with a run that is done and one that failed."""
    path.parent.mkdir()
    connection = other(path)
    for number, step in enumerate(schema.MIGRATIONS[:version], start=1):
        connection.executescript(step + WORDS_OF_VERSION_1 if number == 1 else step)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    for state in ("done", "failed"):
        connection.execute(RUN, (f"id-{state}", state, f"{state} through the step", f"key-{state}", f"any-{state}"))
    connection.close()


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS) + 1))
def test_file_of_each_older_version_is_brought_forward(path: Path, version: int) -> None:
    of_version(path, version)
    store = Store(path)
    keep(store, "new")
    assert [record.prompt for record in store.search("through")] == ["failed through the step", "done through the step"]
    assert len(store.search("kept")) == 2
    for keys, done, failed in zip(store.keys(), ("key-done", "any-done"), ("key-failed", "any-failed"), strict=True):
        assert done in keys
        assert (failed in keys) is (version > 1)  # what failed has had none since then
    store._ask(
        lambda c: c.execute("INSERT INTO runs_words (runs_words, rank) VALUES ('integrity-check', 1)").fetchall()
    )
    store.close()
    connection = other(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
    connection.close()


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
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS) - 1
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
    monkeypatch.setattr(words, "_fts5", lambda _: False)
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
    assert again._ask(words.has_word_index)
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


def test_file_that_another_program_writes_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.opening.BUSY_TIMEOUT_S", 0.01)
    first = Store(path)
    keep(first, "Hi")
    first.close()
    connection = other(path)
    connection.execute("BEGIN IMMEDIATE")
    second = Store(path)
    assert [record.prompt for record in second.search()] == ["Hi"]
    assert second.warning is None
    second.close()
    connection.close()


def test_tables_and_index_that_another_program_made_meanwhile_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    first, second = other(path), other(path)
    for step in (lambda c: schema.prepare(c, "the log"), words.keep_word_index):

        def made_meanwhile(statement: str, step: Callable[[sqlite3.Connection], None] = step) -> None:
            if statement == "BEGIN IMMEDIATE":
                first.set_trace_callback(None)
                step(second)

        first.set_trace_callback(made_meanwhile)
        step(first)
    assert words.has_word_index(first)
    for connection in (first, second):
        connection.close()
