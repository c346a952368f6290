"""The run log as a table."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from vig_notebook.store.current import default_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from vig_notebook.store.log import Store
    from vig_notebook.store.records import Record

__all__ = ["history", "to_table"]

_FIRST: Final = ("id", "created_at", "state", "model", "prompt", "text", "chat", "error", "first_token_s", "total_s")
_LEFT_OUT: Final = frozenset({"key", "any_server_key"})


def history(
    words: str | None = None,
    *,
    model: str | None = None,
    since: str | datetime | None = None,
    state: str | None = None,
    chat: str | None = None,
    limit: int | None = None,
    store: Store | None = None,
) -> Any:  # noqa: ANN401  a DataFrame, or a list of dicts where pandas is not installed
    """Give the run log as a table, newest run first.

    Args:
        words: All must be in the prompt or the answer; "…" is a phrase.
        model: Name of the model, or a part of it.
        since: No run before this moment, or this long ago: `2d`, `12h`, `2026-01-31`.
        state: done, stopped, failed, interrupted, streaming, queued.
        chat: Name of the conversation.
        limit: At most so many.
        store: Another log than the default one.

    Returns:
        A pandas DataFrame, or a list of dicts where pandas is not installed.

    Raises:
        ConfigError: `since` is not understood, or the log cannot be read.
    """
    log = store or default_store()
    return to_table(log.search(words, model=model, since=since, state=state, chat=chat, limit=limit))


def to_table(records: Sequence[Record]) -> Any:  # noqa: ANN401  as `history`
    """Give runs as a DataFrame, or as a list of dicts where pandas is not installed."""
    rows = [_row(record) for record in records]
    if find_spec("pandas") is None:
        return rows
    return import_module("pandas").DataFrame(rows, columns=None if rows else list(_FIRST))


def _row(record: Record) -> dict[str, object]:
    columns = asdict(record)
    names = [*_FIRST, *(name for name in columns if name not in _LEFT_OUT and name not in _FIRST)]
    return {name: columns[name] for name in names}
