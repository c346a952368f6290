"""Runs of the log as a table, in our closed HTML and as plain text.

```
Run       When          State    Asked                    Answer                        Model
3f2a91c4  today 14:02   done     Write a haiku about tea  Steam climbs from the cup, …  demo
```
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from vig_notebook.render import escape_text, visible
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vig_notebook.store import Record

__all__ = ["cut", "moment", "table_bundle"]

LONGEST = 160
"""Characters of a question or an answer: two lines of a wide page, enough to know it again."""

PLAIN_LONGEST = 44
"""The same in plain text, so that a row fits into a terminal of 120 columns beside the rest."""

_MARKS = re.compile(r"(?m:^ {0,3}>+)|[|*#`]+|[-:]{3,}")
"""Marks of Markdown that are noise on one line."""

ID_LENGTH = 8
"""Of an id this much is shown, and taken: clear among some ten thousand runs."""


def table_bundle(records: Sequence[Record], note: str) -> dict[str, str]:
    """The display bundle of some runs; the note stands below."""
    # What is cut off in a narrow window comes last.
    heads = ["Run", "When", "State", "Asked", "Answer", "Model"]
    heads += ["Chat"] if any(record.chat for record in records) else []
    rows = [_cells(record, heads) for record in records]
    return {"text/html": _html(heads, rows, note), "text/plain": _plain(heads, rows, note)}


def moment(when: datetime, *, now: datetime | None = None) -> str:
    """A time as a person says it: local, and no longer than it must be."""
    here, today = when.astimezone(), (now or datetime.now().astimezone()).astimezone()
    clock = f"{here:%H:%M}"
    if here.date() == today.date():
        return f"today {clock}"
    day = f"{here.day} {here:%b}"
    return f"{day} {clock}" if here.year == today.year else f"{day} {here.year}"


def cut(text: str | None, length: int = LONGEST) -> str:
    """The beginning of a text, on one line."""
    # Of a long text no more is looked at than can be shown.
    line = " ".join(mask((text or "")[: 4 * length]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _cells(record: Record, heads: Sequence[str]) -> list[str]:
    values = {
        "When": moment(record.created_at),
        "State": record.state,
        "Model": cut(record.model, 40),
        "Chat": cut(record.chat, 40),
        "Asked": cut(record.prompt) if record.prompt is not None else "(not logged)",
        "Answer": cut(_MARKS.sub(" ", record.text[: 8 * LONGEST])) or cut(record.error) or "–",
        "Run": record.id[:ID_LENGTH],
    }
    return [values[head] for head in heads]


def _html(heads: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, heads, row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    shown = f'<div class="vig-table vig-runs">{table}</div>' if rows else ""
    return f'<div class="vig-answer">{shown}<div class="vig-note">{escape_text(note)}</div></div>'


def _cell(head: str, value: str) -> str:
    text = escape_text(value)
    return f"<td><code>{text}</code></td>" if head == "Run" else f"<td>{text}</td>"


def _plain(heads: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    shown = [[cut(visible(value), PLAIN_LONGEST) for value in row] for row in [heads, *rows]] if rows else []
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(f"{value:{width}}" for value, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return "\n".join([*lines, "", note] if rows else [note])
