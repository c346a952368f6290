"""`Store`: the run log as the rest of the package sees it."""

from __future__ import annotations

import weakref
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vig_notebook.errors import ConfigError
from vig_notebook.store import cassette, search
from vig_notebook.store.forget import chosen, forget_runs, wipe
from vig_notebook.store.identity import Repeats
from vig_notebook.store.keeper import Keeper
from vig_notebook.store.marks import set_label
from vig_notebook.store.opening import OFF, log_path
from vig_notebook.store.recorder import Recorder
from vig_notebook.store.search import Query, parse_moment
from vig_notebook.store.writer import FLUSH_INTERVAL_S, Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from vig_notebook.store.records import Record

__all__ = ["Store"]

T = TypeVar("T")


class Store:
    """The run log: every run with its request, its text and how it ended, in a local SQLite file.

    Nothing is opened before the first use. Runs are written in a thread of the log's own and never wait for
    it; `warning` says what went wrong with it. Everything else here waits for the log, sees every run whose
    end was before the call, and may be called from any thread but the streaming one.

    Attributes:
        path: The file; None when no log is kept.
        repeats: How often each request came before in this process.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        log_prompts: bool = True,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        tape: Path | None = None,
    ) -> None:
        """Name the log; opens nothing.

        Args:
            path: The file, or "off"; by default `VIG_LOG`, else what the settings say, else a file in the
                user's data folder.
            log_prompts: Keep what was asked; without it only answers and figures are kept.
            flush_interval_s: Seconds after which text that has come is in the file.
            tape: A cassette that is to have every whole answer as well, in a whole path.
        """
        self.path = log_path(path)
        self.repeats = Repeats()
        self._records = self.path is not None or tape is not None
        self._log_prompts = log_prompts
        self._writer = Writer(self.path, flush_interval_s=flush_interval_s, tape=tape)
        # Whoever lets go of the last reference does not wait; the end of the program does.
        weakref.finalize(self, self._writer.close, limit_s=0).atexit = False

    @classmethod
    def read(cls, cassette_path: str | Path, *, record: bool = False) -> Store:
        """Give a store in memory that holds the runs of an exported file, for replay.

        Args:
            cassette_path: The file.
            record: What is recorded here is added to the file, soon after it has come; there need not be one yet.

        Raises:
            ConfigError: The file is not such a file.
        """
        # Whole, because the notebook may change the folder later.
        path = _file(cassette_path).absolute()
        store = cls(OFF, tape=path if record else None)
        try:
            if path.exists() or not record:
                store.import_(path)
        except ConfigError:
            store.close()
            raise
        return store

    @property
    def warning(self) -> str | None:
        """What a person should know about the log, in a sentence, or None. Never waits."""
        return self._writer.warning

    def recorder(self) -> Recorder:
        """Make the sink that logs one run; give it to the run before it starts."""
        if self._records:
            self._writer.start()
        wake = self._wake if self._records else _ignore
        return Recorder(wake, self.repeats, log_prompts=self._log_prompts)

    def search(
        self,
        words: str | None = None,
        *,
        model: str | None = None,
        since: str | datetime | None = None,
        state: str | None = None,
        chat: str | None = None,
        limit: int | None = 20,
    ) -> list[Record]:
        """Find runs, newest first.

        Args:
            words: All must be in the prompt or the answer, as whole words, or with three letters or more as their
                beginnings (`lig hou` finds `lighthouse house`, `li` does not); "…" is a phrase.
            model: Name of the model, or a part of it.
            since: No run before this moment, or this long ago: `2d`, `12h`, `2026-01-31`.
            state: done, stopped, failed, interrupted, streaming, queued.
            chat: Name of the conversation.
            limit: At most so many; None is all.

        Raises:
            ConfigError: `since` is not understood, or the log cannot be read.
        """
        moment = parse_moment(since) if isinstance(since, str) else since
        query = Query(words=words, model=model, since=moment, state=state, chat=chat, limit=limit)
        return self._ask(lambda connection: search.find(connection, query))

    def get(self, run_id: str) -> Record | None:
        """Give the run with this id, or whose id alone begins so; None when there is none.

        Raises:
            ConfigError: Several ids begin so, or the log cannot be read.
        """
        return self._ask(lambda connection: search.by_id(connection, run_id))

    def copy_answers(self, keys: Iterable[str], other: Store) -> int:
        """Put the newest whole answer of each identity key that has one into another store, for replay there.

        Returns:
            How many are new there.
        """
        wanted = list(keys)
        rows = self._ask(lambda connection: cassette.answers_to(connection, wanted))
        new = other._writer.call(lambda connection: cassette.add_runs(connection, rows)).result()
        other._writer.tell(Keeper.note_change)
        return new

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the newest whole answer of each identity key that has one."""
        return self.find_soon(keys).result()

    def find_soon(self, keys: Iterable[str], *, any_server: bool = False) -> Future[dict[str, Record]]:
        """As `find_all`, without waiting.

        Args:
            keys: Identity keys.
            any_server: They are keys that leave the server out.
        """
        wanted = list(keys)
        return self._writer.call(lambda connection: search.by_keys(connection, wanted, any_server=any_server))

    def keys(self) -> tuple[frozenset[str], frozenset[str]]:
        """Give the identity keys of all whole answers: with the server, and without."""
        return self._ask(lambda connection: (search.all_keys(connection), search.all_keys(connection, any_server=True)))

    def labels(self, name: str, value: str) -> list[dict[str, str]]:
        """Give the labels of every run that has the label `name` with this value, oldest run first."""
        return self._ask(lambda connection: search.labels_with(connection, name, value))

    def set_label(self, run_id: str, name: str, value: str) -> None:
        """Give a run that has ended a label; an empty value takes it away.

        Raises:
            ConfigError: The log cannot be written.
        """
        self._ask(lambda connection: set_label(connection, run_id, name, value))

    def chat_messages(self, name: str) -> list[dict[str, object]]:
        """Give a conversation up to its last answer, to go on with it; empty when there is none."""
        return self._ask(lambda connection: search.chat_messages(connection, name))

    def set_chat_aside(self, name: str) -> int:
        """Give the runs of a conversation another name, so that one of this name begins anew.

        Returns:
            How many runs there were.

        Raises:
            ConfigError: The log cannot be written.
        """
        aside = f"{name} (until {datetime.now():%Y-%m-%d %H:%M:%S})"
        return self._ask(lambda connection: search.rename_chat(connection, name, aside))

    def forget(self, *run_ids: str, before: str | datetime | None = None, everything: bool = False) -> int:
        """Delete runs for good: no byte of them stays in the files of the log, once `is_wiped` says so.

        It says so at once, unless another program is just reading the log: what that sees is kept for it, and
        overwritten with the first save after it.

        Args:
            run_ids: Whole ids, or beginnings that are clear.
            before: All runs from before this moment, or older than this: `30d`.
            everything: All runs.

        Returns:
            How many runs were deleted. One that still goes on is not logged any further.

        Raises:
            ConfigError: An id is unknown or not clear, `before` is not understood, or the log cannot be written.
        """
        moment = parse_moment(before) if isinstance(before, str) else before

        def delete(connection: sqlite3.Connection) -> list[str]:
            named = [_known(connection, run_id) for run_id in run_ids]
            ids = chosen(connection, named, before=moment, everything=everything)
            counts.append(forget_runs(connection, ids))
            return ids

        counts: list[int] = []
        ids = self._ask(delete)
        self._writer.tell(lambda keeper: keeper.forget(ids))
        return counts[0]

    def is_wiped(self) -> bool:
        """Whether nothing of forgotten runs is left in the files: not while another program reads them.

        Raises:
            ConfigError: The log cannot be read.
        """
        return self._ask(wipe)

    def export(self, path: str | Path) -> int:
        """Write every run that has ended into a JSON Lines file.

        Returns:
            How many runs were written.

        Raises:
            ConfigError: The file cannot be written, or is the log itself.
        """
        return self._ask(lambda connection: cassette.export_runs(connection, self._file_beside(path)))

    def export_cassette(self, path: str | Path) -> int:
        """Write the last whole answer to each request into a small file that is the same each time, for git.

        Returns:
            How many answers were written.

        Raises:
            ConfigError: The file cannot be written, or is the log itself.
        """
        return self._ask(lambda connection: cassette.export_cassette(connection, self._file_beside(path)))

    def import_(self, path: str | Path) -> int:
        """Read runs from an exported file of either kind; those that are there already stay as they are.

        Returns:
            How many runs are new.

        Raises:
            ConfigError: The file is not such a file; nothing was imported.
        """
        return self._ask(lambda connection: cassette.import_runs(connection, _file(path)))

    def check(self) -> None:
        """Open the log, and refuse one that cannot be kept.

        Raises:
            ConfigError: It cannot be kept there.
        """
        file = self._ask(lambda connection: connection.execute("PRAGMA database_list").fetchone()[2])
        if self.path is not None and not file:
            raise ConfigError("No log can be kept there", seen=self.warning or "", advice="Name another file.")

    def flush(self) -> None:
        """Wait until everything that has come is in the file, or cannot be written now."""
        self._writer.tell(_settle)
        self._ask(lambda _connection: None)

    def close(self) -> None:
        """Save what waits and close the file; waits at most a few seconds."""
        self._writer.close()

    def _wake(self, recorder: Recorder) -> None:
        """Have a recorder saved soon. A method of the store, so that it lives for as long as a run that it logs."""
        self._writer.wake(recorder)

    def _file_beside(self, path: str | Path) -> Path:
        file = _file(path)
        if self.path is not None and file.exists() and self.path.exists() and file.samefile(self.path):
            raise ConfigError(
                "The runs cannot be written", seen=f"{file} is the run log itself", advice="Name another file."
            )
        return file

    def _ask(self, function: Callable[[sqlite3.Connection], T]) -> T:
        return self._writer.call(function).result()


def _settle(keeper: Keeper) -> None:
    keeper.save()
    keeper.write_tape()


def _ignore(recorder: Recorder) -> None:
    """Take nothing: no log is kept."""


def _file(path: str | Path) -> Path:
    return Path(path).expanduser()


def _known(connection: sqlite3.Connection, run_id: str) -> str:
    record = search.by_id(connection, run_id)
    if record is None:
        raise ConfigError(f"There is no run {run_id[:40]!r} in the log", advice="See %vigthoria history.")
    return record.id
