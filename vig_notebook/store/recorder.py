"""The sink that logs one run. The streaming thread tells it of start and end; the log's own thread takes the text.

Nothing is done for a token: the run keeps its text anyway, and once a second the log's thread looks how far it
has come. A call for each token, with its size counted, made streaming 60 % dearer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vig_notebook.render import MaskedStream
from vig_notebook.run import RunState
from vig_notebook.settings import key_begins
from vig_notebook.store.rows import REPLAYED, clean, end_columns, now, request_columns, start_columns

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from vig_notebook.run import Run
    from vig_notebook.store.identity import Repeats
    from vig_notebook.store.processes import Process
    from vig_notebook.store.rows import Columns

__all__ = ["Recorder"]

_LATE_S: Final = 1.0
"""A row that could only be written this long after the start has the text that has come meanwhile at once."""


@dataclass(frozen=True, slots=True)
class _Saved:
    """What of a run is in the log.

    Attributes:
        request: The request and the server of its row; None where it has none.
        deltas: How many deltas its text has.
        has_parts: Whether some text is there in parts.
        ended: Whether its end is there.
    """

    request: object = None
    deltas: int = 0
    has_parts: bool = False
    ended: bool = False


class _Growing:
    """A text that is saved as it comes. Where its end may be the beginning of a key, that waits for the rest.

    Attributes:
        unsaved: What has come and is not in the log.
    """

    def __init__(self, run: Run) -> None:
        self._masked = MaskedStream(
            lambda text: clean(text, run.endpoint.api_key), lambda text: key_begins(text, run.endpoint.api_key)
        )
        self._taken = 0
        self.unsaved = ""

    def take(self, text: str) -> None:
        """Take the text as far as it has come."""
        self.unsaved += self._masked.feed(text[self._taken :])
        self._taken = len(text)


class Recorder:
    """Logs one run: its row before the request is sent, its text as it comes, its end.

    `start` and `finish` only leave word here and never wait. The log's thread calls `save` inside a
    transaction, and `saved` when that was committed; until then everything is kept for the next try.

    Attributes:
        finished: Whether the run has ended.
        queued: Whether it waits for the log's thread.
        forgotten: Whether it is not to be saved any further.
    """

    def __init__(self, wake: Callable[[Recorder], None], repeats: Repeats, *, log_prompts: bool = True) -> None:
        self._wake = wake
        self._repeats = repeats
        self._log_prompts = log_prompts
        self._run: Run | None = None
        self._saved = self._next = _Saved()
        self._texts: tuple[_Growing, _Growing] | None = None  # the text and the reasoning
        self.finished = False
        self.queued = False
        self.forgotten = False

    # The streaming thread.

    def start(self, run: Run) -> None:
        """Take note of a run before its request is sent."""
        self._run = run
        self._wake(self)

    def finish(self, run: Run) -> None:
        """Take note of the end. A run that was stopped before its first step begins here, too."""
        self._run = run
        self.finished = True
        if run.state is not RunState.DONE:
            self._repeats.give_back(run)
        self._wake(self)

    # The thread of the log.

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._run.id if self._run is not None else ""

    @property
    def answered(self) -> bool:
        """Whether the run has ended with a whole answer of its own, which others may be answered from."""
        run = self._run
        return run is not None and run.state is RunState.DONE and REPLAYED not in run.labels

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to save, ever."""
        return self._saved.ended

    @property
    def urgent(self) -> bool:
        """Whether there is more to save than text: the beginning or the end."""
        return not self.ended and (self.finished or (self._saved.request is None and not self.forgotten))

    @property
    def waiting(self) -> bool:
        """Whether there is something to save."""
        if self.urgent or self.forgotten or self._run is None:
            return self.urgent
        return self._run.delta_count != self._saved.deltas

    def save(self, connection: sqlite3.Connection, process: Process, *, text: bool = True) -> None:
        """Write what is not yet in the log. Changes nothing here that a second try would need.

        Args:
            connection: The log, in a transaction.
            process: This process.
            text: Write the text of a run that goes on as well.
        """
        run, saved, ended = self._run, self._saved, self.finished
        self._next = replace(saved, ended=ended)
        if run is None or self.forgotten:
            return
        request = (run.request, run.endpoint)
        self._next = replace(self._next, request=request)
        if saved.request is None:
            row = self._first_row(run, process, ended=ended)
            if not _insert(connection, row):  # a copy of the file has taken its place, and has the row
                _delete_parts(connection, run.id)
                _update(connection, run.id, row)
        elif ended:
            self._save_end(connection, run)
        elif saved.request != request:
            _update(connection, run.id, self._request(run))
        if not ended and (text or (saved.request is None and run.elapsed_s > _LATE_S)):
            self._save_part(connection, run)

    def saved(self) -> None:
        """Take note that what `save` wrote was committed."""
        if self._next.deltas != self._saved.deltas:
            for growing in self._texts or ():
                growing.unsaved = ""
        self._saved = self._next

    def lost(self) -> None:
        """Begin again in another file: the one with the row is no longer there."""
        self._saved = self._next = _Saved()
        self._texts = None

    def _first_row(self, run: Run, process: Process, *, ended: bool) -> Columns:
        row = start_columns(run, process, log_prompts=self._logs_prompts(run)) | self._request(run)
        return row | self._end(run) if ended else row

    def _request(self, run: Run) -> Columns:
        return request_columns(run, log_prompts=self._logs_prompts(run))

    def _end(self, run: Run) -> Columns:
        identity = self._repeats.identity(run) if self.answered else None
        return end_columns(run, identity, log_prompts=self._logs_prompts(run))

    def _logs_prompts(self, run: Run) -> bool:
        return self._log_prompts and run.endpoint.log_prompts

    def _save_end(self, connection: sqlite3.Connection, run: Run) -> None:
        # In a chat the request was made when the turn before had ended.
        request = self._request(run) if self._saved.request != self._next.request else {}
        _update(connection, run.id, request | self._end(run))
        if self._saved.has_parts:
            _delete_parts(connection, run.id)

    def _save_part(self, connection: sqlite3.Connection, run: Run) -> None:
        deltas = run.delta_count  # counted first: what comes meanwhile is looked at once more
        if deltas == self._saved.deltas:
            return
        if self._texts is None:
            self._texts = (_Growing(run), _Growing(run))
        text, reasoning = self._texts
        text.take(run.text_so_far)
        reasoning.take(run.reasoning_so_far)
        self._next = replace(self._next, deltas=deltas)
        if text.unsaved or reasoning.unsaved:
            connection.execute(
                "INSERT INTO text_parts (run, written_at, text, reasoning, delta_count)"
                " SELECT number, ?, ?, ?, ? FROM runs WHERE id = ?",
                (now(), text.unsaved, reasoning.unsaved, deltas, run.id),
            )
            if not self._saved.has_parts:
                connection.execute("UPDATE runs SET state = 'streaming' WHERE id = ?", (run.id,))
            self._next = replace(self._next, has_parts=True)


def _delete_parts(connection: sqlite3.Connection, run_id: str) -> None:
    connection.execute("DELETE FROM text_parts WHERE run = (SELECT number FROM runs WHERE id = ?)", (run_id,))


def _insert(connection: sqlite3.Connection, row: Columns) -> bool:
    """Insert a row; whether there was none."""
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    # Names of columns, written in this package; the values are bound.
    inserted = connection.execute(f"INSERT OR IGNORE INTO runs ({names}) VALUES ({values})", row)  # noqa: S608
    return inserted.rowcount > 0


def _update(connection: sqlite3.Connection, run_id: str, columns: Columns) -> None:
    settings = ", ".join(f"{name} = :{name}" for name in columns)
    connection.execute(f"UPDATE runs SET {settings} WHERE id = :run_id", {**columns, "run_id": run_id})  # noqa: S608
