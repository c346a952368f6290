"""The full-text index over what was asked and answered, where this SQLite has FTS5.

Words are indexed when someone searches, or for many runs at once: one at a time they took six times as long, which
was half of what a short answer costs in all. Triggers note which rows are to be indexed, so every program that
writes the file keeps the index right.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from vig_notebook.store.schema import transaction

__all__ = ["has_word_index", "index_words", "is_word_damage", "keep_word_index", "rebuild_words"]

_REBUILD: Final = (
    "INSERT INTO runs_words (runs_words) VALUES ('rebuild')",
    "DELETE FROM runs_to_index",
)

_WORD_INDEX: Final = (
    """
    CREATE VIRTUAL TABLE IF NOT EXISTS runs_words USING fts5 (
        prompt, text, content = 'runs', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2',
        prefix = '3'
    )
    """,
    "CREATE TRIGGER runs_words_insert AFTER INSERT ON runs BEGIN INSERT INTO runs_to_index VALUES (new.number); END",
    """
    CREATE TRIGGER runs_words_delete AFTER DELETE ON runs BEGIN
        INSERT INTO runs_words (runs_words, rowid, prompt, text)
            SELECT 'delete', old.number, old.prompt, old.text
            WHERE NOT EXISTS (SELECT 1 FROM runs_to_index WHERE number = old.number);
        DELETE FROM runs_to_index WHERE number = old.number;
    END
    """,
    """
    CREATE TRIGGER runs_words_update AFTER UPDATE OF prompt, text ON runs
    WHEN NOT EXISTS (SELECT 1 FROM runs_to_index WHERE number = old.number) BEGIN
        INSERT INTO runs_words (runs_words, rowid, prompt, text)
            VALUES ('delete', old.number, old.prompt, old.text);
        INSERT INTO runs_to_index VALUES (old.number);
    END
    """,
    *_REBUILD,
)

_TRIGGERS: Final = ("runs_words_insert", "runs_words_delete", "runs_words_update")


def keep_word_index(connection: sqlite3.Connection) -> None:
    """Have the triggers exactly where FTS5 is: without it they would make every write fail.

    An index that went without its triggers for a while is built anew.
    """
    fts5 = _fts5(connection)
    if has_word_index(connection) == fts5:
        return
    with transaction(connection):
        if has_word_index(connection) != fts5:  # another program may have been faster
            for statement in _WORD_INDEX if fts5 else map("DROP TRIGGER IF EXISTS {}".format, _TRIGGERS):
                connection.execute(statement)


def has_word_index(connection: sqlite3.Connection) -> bool:
    """Whether full-text search can be used: this SQLite has FTS5, and the triggers keep the index."""
    wanted = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name = ?"
    return bool(connection.execute(wanted, (_TRIGGERS[0],)).fetchone()[0])


def index_words(connection: sqlite3.Connection) -> None:
    """Index the words of the runs that are not indexed yet. Asks for the write lock only when there are any."""
    if not (has_word_index(connection) and connection.execute("SELECT 1 FROM runs_to_index LIMIT 1").fetchone()):
        return
    with transaction(connection):
        connection.execute(
            "INSERT INTO runs_words (rowid, prompt, text)"
            " SELECT number, prompt, text FROM runs_to_index JOIN runs USING (number)"
        )
        connection.execute("DELETE FROM runs_to_index")


def is_word_damage(error: BaseException) -> bool:
    """Whether the index alone is damaged: the runs themselves are whole."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CORRUPT_VTAB


def rebuild_words(connection: sqlite3.Connection) -> None:
    """Make a damaged index anew from the runs."""
    with transaction(connection):
        for statement in _REBUILD:
            connection.execute(statement)


def _fts5(connection: sqlite3.Connection) -> bool:
    modules = connection.execute("SELECT name FROM pragma_module_list WHERE name = 'fts5'")
    return modules.fetchone() is not None
