"""The sink that logs one run. The streaming thread tells it of start and end; the log's own thread takes the text.

Nothing is done for a token: the run keeps its text anyway, and once a second the log's thread looks how far it
has come. A call for each token, with its size counted, made streaming 60 % dearer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vig_notebook.run import RunState
from vig_notebook.store.rows import REPLAYED, clean, end_columns, now, request_columns, secrets_of, start_columns

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from vig_notebook.run import Run
    from vig_notebook.store.identity import Repeats
    from vig_notebook.store.processes import Process
    from vig_notebook.store.rows import Columns

__all__ = ["Recorder"]

_LONGEST_WORD: Final = 256
"""A word that is not whole waits for its end, so that no key is cut in two and missed; longer is no word."""


class Recorder:
    """Logs one run: its row before the request is sent, its text as it comes, its end.

    `start` and `finish` only leave word here and never wait. The log's thread calls `save` inside a
    transaction, and `saved` when that was committed; until then everything is kept for the next try.
    """

    def __init__(self, wake: Callable[[Recorder], None], repeats: Repeats, *, log_prompts: bool = True) -> None:
        self._wake = wake
        self._repeats = repeats
        self._log_prompts = log_prompts
        self._run: Run | None = None
        self.finished = False
        self._saved_deltas = self._next_deltas = 0
        self._saved_chars = self._next_chars = (0, 0)  # of text and reasoning, in committed parts
        self._saved_request: object = None
        self._next_request: object = None
        self.queued = False
        self.ended = False
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
    def urgent(self) -> bool:
        """Whether there is more to save than text: the beginning or the end."""
        return self._saved_request is None or self.finished

    @property
    def waiting(self) -> bool:
        """Whether there is something to save."""
        return self.urgent or (self._run is not None and self._run.delta_count != self._saved_deltas)

    def save(self, connection: sqlite3.Connection, process: Process, *, text: bool = True) -> None:
        """Write what is not yet in the log. Changes nothing here that a second try would need.

        Args:
            connection: The log, in a transaction.
            process: This process.
            text: Write the text of a run that goes on as well.
        """
        run, self.ended = self._run, self.finished
        if run is None or self.forgotten:
            return
        self._next_request = (run.request, run.endpoint)
        if self._saved_request is None:
            _insert(connection, self._first_row(run, process))
            if self.ended:
                return
        elif self._saved_request != self._next_request:
            _update(connection, run.id, request_columns(run, log_prompts=self._logs_prompts(run)))
        if self.ended:
            self._save_end(connection, run)
        elif text:
            self._save_part(connection, run)

    def saved(self) -> None:
        """Take note that what `save` wrote was committed."""
        self._saved_request, self._saved_deltas = self._next_request, self._next_deltas
        self._saved_chars = self._next_chars

    def lost(self) -> None:
        """Begin again in another file: the one with the row is no longer there."""
        self._saved_request = None
        self._saved_deltas = self._next_deltas = 0
        self._saved_chars = self._next_chars = (0, 0)

    def _first_row(self, run: Run, process: Process) -> Columns:
        log_prompts = self._logs_prompts(run)
        row = start_columns(run, process, log_prompts=log_prompts) | request_columns(run, log_prompts=log_prompts)
        return {**row, **self._end(run)} if self.ended else row

    def _end(self, run: Run) -> Columns:
        identity = self._repeats.identity(run) if self.answered else None
        return end_columns(run, identity, log_prompts=self._logs_prompts(run))

    def _logs_prompts(self, run: Run) -> bool:
        return self._log_prompts and run.endpoint.log_prompts

    def _save_end(self, connection: sqlite3.Connection, run: Run) -> None:
        _update(connection, run.id, self._end(run))
        if self._saved_chars != (0, 0):
            connection.execute("DELETE FROM text_parts WHERE run = (SELECT number FROM runs WHERE id = ?)", (run.id,))

    def _save_part(self, connection: sqlite3.Connection, run: Run) -> None:
        self._next_deltas = run.delta_count  # counted first: what comes meanwhile is looked at once more
        text, reasoning = self._saved_chars
        whole, part = _whole_words(run.text_so_far[text:]), _whole_words(run.reasoning_so_far[reasoning:])
        self._next_chars = (text + len(whole), reasoning + len(part))
        if whole or part:
            secrets = secrets_of(run)
            connection.execute(
                "INSERT INTO text_parts (run, written_at, text, reasoning, delta_count)"
                " SELECT number, ?, ?, ?, ? FROM runs WHERE id = ?",
                (now(), clean(whole, secrets), clean(part, secrets), self._next_deltas, run.id),
            )
            if self._saved_chars == (0, 0):
                connection.execute("UPDATE runs SET state = 'streaming' WHERE id = ?", (run.id,))


def _whole_words(text: str) -> str:
    """Leave out a last word that may go on. A key has no blank, and nothing beyond ASCII."""
    for index in range(len(text) - 1, max(len(text) - _LONGEST_WORD, 0) - 1, -1):
        if not "!" <= text[index] <= "~":
            return text[: index + 1]
    return text if len(text) > _LONGEST_WORD else ""


def _insert(connection: sqlite3.Connection, row: Columns) -> None:
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    # Names of columns, written in this package; the values are bound.
    connection.execute(f"INSERT OR IGNORE INTO runs ({names}) VALUES ({values})", row)  # noqa: S608


def _update(connection: sqlite3.Connection, run_id: str, columns: Columns) -> None:
    settings = ", ".join(f"{name} = :{name}" for name in columns)
    connection.execute(f"UPDATE runs SET {settings} WHERE id = :run_id", {**columns, "run_id": run_id})  # noqa: S608
