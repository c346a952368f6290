"""Finding runs: words, model, state, chat, time. What a person types is never a syntax error."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from vig_notebook.errors import ConfigError
from vig_notebook.store.identity import to_json
from vig_notebook.store.interrupted import text_so_far
from vig_notebook.store.records import COLUMNS, Record
from vig_notebook.store.rows import spelled
from vig_notebook.store.schema import SHORT_WAIT_S, transaction, waiting_at_most
from vig_notebook.store.words import has_word_index, index_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Query",
    "all_keys",
    "by_id",
    "by_keys",
    "chat_messages",
    "find",
    "labels_with",
    "parse_moment",
    "read",
    "rename_chat",
]

_WORD: Final = re.compile(r'"([^"]*)"|(\S+)')

# Scripts written without blanks: the index has whole sentences as one word, so these are searched as they are.
_NO_BLANKS: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")

_DAYS: Final = {"today": 0, "yesterday": 1}
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for; what is None or empty does not narrow.

    Attributes:
        words: All must be in the prompt or the answer, as whole words, or with three letters or more as their
            beginnings (`lig hou` finds `lighthouse house`, `li` does not); "…" is a phrase, its last word likewise.
        model: Name of the model, or a part of it.
        since: No run before this moment.
        state: State of the run, in any case.
        chat: Name of the conversation.
        limit: At most so many, the newest; None is all.
    """

    words: str | None = None
    model: str | None = None
    since: datetime | None = None
    state: str | None = None
    chat: str | None = None
    limit: int | None = None


def parse_moment(text: str, *, now: datetime | None = None) -> datetime:
    """Read `2d` (two days ago; s, m, h, d, w), today, yesterday, or a date or time in ISO 8601.

    What names no zone is local; a day begins at its midnight.

    Raises:
        ConfigError: It is none of these.
    """
    if (days := _DAYS.get(text.strip().lower())) is not None:
        text = f"{(now or datetime.now(UTC)).astimezone().date() - timedelta(days=days)}"
    span = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhdw])", text.strip().lower())
    try:
        if span:
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[span[2]]: float(span[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            "The time is not understood",
            seen=repr(text[:40]),
            advice="Write 30m, 12h, 2d or 1w for so long ago, or a date such as 2026-01-31.",
        ) from None


def find(connection: sqlite3.Connection, query: Query) -> list[Record]:
    """Find runs, newest first."""
    phrases = [phrase.strip() for phrase in _phrases(query.words or "")]
    words = list(filter(_is_indexed, phrases)) if _index_is_ready(connection, phrases) else []
    # Where every row may have to be read, in the order in which they lie in the file.
    source, order = "runs", "runs.number DESC" if phrases else "runs.created_at DESC, runs.number DESC"
    conditions, values = _conditions(query)
    if words:
        # The index is walked from its newest row, and only as far as the limit needs; what else narrows is in
        # the index by time, so that no row is looked at in vain.
        source, order = "runs_words CROSS JOIN runs ON runs.number = runs_words.rowid", "runs_words.rowid DESC"
        narrowed = " AND ".join(conditions)
        # The plus keeps SQLite from asking the index anew for each of these rows.
        inside = f"+runs_words.rowid IN (SELECT number FROM runs WHERE {narrowed})"  # noqa: S608  own words
        conditions = [inside] if narrowed else []
        conditions.append("runs_words MATCH ?")
        values.append(" AND ".join(map(_quoted, words)))
    for phrase in phrases:
        if phrase not in words:
            conditions.append("(runs.prompt LIKE ? ESCAPE '\\' OR runs.text LIKE ? ESCAPE '\\')")
            values += [_pattern(phrase)] * 2
    where = " AND ".join(conditions) or "1"
    limit = -1 if query.limit is None else query.limit
    tail = f"FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
    return sorted(read(connection, tail, (*values, limit)), key=lambda record: record.created_at, reverse=True)


def by_id(connection: sqlite3.Connection, run_id: str) -> Record | None:
    """Give the run with this id, or the only one whose id begins so.

    Raises:
        ConfigError: Several ids begin so.
    """
    found = list(
        read(connection, "FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (run_id, run_id + "\U0010ffff"))
    )
    exact = [record for record in found if record.id == run_id]
    if len(found) > 1 and not exact:
        raise ConfigError("The run is not clear", seen=f"several ids begin with {run_id}", advice="Give more of it.")
    return next(iter(exact or found), None)


def by_keys(connection: sqlite3.Connection, keys: Sequence[str], *, any_server: bool = False) -> dict[str, Record]:
    """Give the newest whole answer of each identity key that has one."""
    column = "any_server_key" if any_server else "key"
    tail = f"FROM runs WHERE {column} = ? AND state = 'done' ORDER BY number DESC LIMIT 1"
    return {key: record for key in keys for record in read(connection, tail, (key,))}


def all_keys(connection: sqlite3.Connection, *, any_server: bool = False) -> frozenset[str]:
    """Give the identity keys of all whole answers; only those have one. Reads nothing but the index of the keys."""
    column = "any_server_key" if any_server else "key"
    # As one text, which is cut in C: 100,000 rows would be 100,000 tuples.
    (joined,) = connection.execute(
        f"SELECT group_concat({column}, char(31)) FROM runs WHERE {column} IS NOT NULL"  # noqa: S608  own words
    ).fetchone()
    return frozenset(joined.split("\x1f")) if joined else frozenset()


def chat_messages(connection: sqlite3.Connection, name: str) -> list[dict[str, object]]:
    """Give the conversation up to its last answer, that included: a turn without any text is left out."""
    tail = (
        "FROM runs WHERE chat = ? AND messages IS NOT NULL AND ended_at IS NOT NULL AND trim(text) <> ''"
        " ORDER BY number DESC LIMIT 1"
    )
    for record in read(connection, tail, (name,)):
        return [*(record.messages or []), {"role": "assistant", "content": record.text}]
    return []


def labels_with(connection: sqlite3.Connection, name: str, value: str) -> list[dict[str, str]]:
    """Give the labels of every run that has one label of this value, oldest run first."""
    written = to_json({name: value}).decode()[1:-1]  # narrows to what is worth decoding
    statement = "SELECT labels FROM runs WHERE labels LIKE ? ESCAPE '\\' ORDER BY number"
    found = (msgspec.json.decode(row[0]) for row in connection.execute(statement, (_pattern(written),)))
    return [labels for labels in found if labels.get(name) == value]


def rename_chat(connection: sqlite3.Connection, name: str, new_name: str) -> int:
    """Give a conversation another name.

    Returns:
        How many runs it has.
    """
    with transaction(connection):
        return connection.execute("UPDATE runs SET chat = ? WHERE chat = ?", (new_name, name)).rowcount


def read(connection: sqlite3.Connection, tail: str, values: Sequence[object]) -> Iterator[Record]:
    """Read runs; `tail` is the statement from FROM on."""
    # Every name in the statement is written in this package; what a person gave is bound.
    statement = f"SELECT runs.number, {COLUMNS} {tail}"
    for number, *row in connection.execute(statement, tuple(values)).fetchall():
        record = Record.from_row(row)
        yield record if record.ended_at else record.with_text(*text_so_far(connection, number))


def _index_is_ready(connection: sqlite3.Connection, phrases: Sequence[str]) -> bool:
    """Whether the index can be asked for any of these, and has every run; locked, it may not."""
    if not any(map(_is_indexed, phrases)) or not has_word_index(connection):
        return False
    try:
        with waiting_at_most(connection, SHORT_WAIT_S):
            index_words(connection)
    except sqlite3.OperationalError:
        return False
    return True


def _phrases(words: str) -> Iterator[str]:
    # A NUL would end the text of the query for SQLite, in the middle of a quoted phrase.
    for quoted, bare in _WORD.findall(words.replace("\0", " ")):
        if quoted.strip() or bare:
            yield quoted or bare


def _quoted(phrase: str) -> str:
    """A phrase of the index's language; its last word may go on, if it has the three letters that are indexed."""
    return '"' + phrase.replace('"', '""') + ('"*' if len(phrase.split()[-1]) >= 3 else '"')


def _is_indexed(phrase: str) -> bool:
    return any(map(str.isalnum, phrase)) and not _NO_BLANKS.search(phrase)


def _pattern(text: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _conditions(query: Query) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if query.model:
        conditions.append("runs.model LIKE ? ESCAPE '\\'")
        values.append(_pattern(query.model))
    if query.since:
        conditions.append("runs.created_at >= ?")
        values.append(spelled(query.since))
    if query.state:
        conditions.append("runs.state = ?")
        values.append(query.state.lower())
    if query.chat:
        conditions.append("runs.chat = ?")
        values.append(query.chat)
    return conditions, values
