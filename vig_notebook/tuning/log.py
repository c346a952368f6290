"""Where an experiment finds the answers it already has, and leaves the new ones.

The key of an answer is that of the run log (`vig_notebook.store.identity_key`): base URL, model, messages,
parameters, seed and repeat. So the cache, the resumption after a crash and the log are one thing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.run import RunState
from vig_notebook.store import REPLAYED, Store, default_store, run_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.sinks import Sink
    from vig_notebook.store import Record
    from vig_notebook.wire.accumulate import Completion

__all__ = ["Answer", "AnswerLog", "MemoryLog", "StoreLog", "as_log"]

OFF = "off"

RATING = "rating"
"""Label of an answer that a person has rated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that was given before.

    Attributes:
        completion: What it was.
        run_id: The run that gave it.
        started_at: When that was started, in UTC.
        model: The model that was asked for.
        endpoint: The server that answered.
        rating: What a person said of it: win, loss or tie; empty when nobody did.
    """

    completion: Completion
    run_id: str
    started_at: datetime | None
    model: str
    endpoint: Endpoint
    rating: str = ""


class AnswerLog(Protocol):
    """What keeps answers."""

    def find(self, keys: Iterable[str]) -> Mapping[str, Answer]:
        """The whole answers that it has, by key. May read a file: not to be called on the streaming thread."""

    def sinks(self, key: str) -> Sequence[Sink]:
        """What to give a run, so that its answer is kept under this key."""

    def labels(self, name: str, value: str) -> Sequence[Mapping[str, str]]:
        """The labels of the runs that have the label `name` with this value, oldest first. May read a file.

        Raises:
            ConfigError: The file cannot be read.
        """

    def rate(self, run_id: str, rating: str) -> None:
        """Keep what a person said of an answer; empty takes it back. May write a file."""


class MemoryLog:
    """Keeps answers for as long as the process lives."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._labels: list[Mapping[str, str]] = []

    def find(self, keys: Iterable[str]) -> Mapping[str, Answer]:
        """The whole answers that it has, by key."""
        return {key: self._answers[key] for key in keys if key in self._answers}

    def sinks(self, key: str) -> Sequence[Sink]:
        """What to give a run, so that its answer is kept under this key."""
        return (_Keeper(self._answers, key), _Labels(self._labels))

    def labels(self, name: str, value: str) -> Sequence[Mapping[str, str]]:
        """The labels of the runs that have the label `name` with this value, oldest first."""
        return _labelled(self._labels, name, value)

    def rate(self, run_id: str, rating: str) -> None:
        """Keep what a person said of an answer; empty takes it back."""
        _rate(self._answers, run_id, rating)


class _Keeper:
    def __init__(self, answers: dict[str, Answer], key: str, *, replayed_only: bool = False) -> None:
        self._answers = answers
        self._key = key
        self._replayed_only = replayed_only

    def start(self, run: Run) -> None:
        pass

    def finish(self, run: Run) -> None:
        if run.state is RunState.DONE and (REPLAYED in run.labels or not self._replayed_only):
            self._answers[self._key] = Answer(
                completion=run.completion,
                run_id=run.id,
                started_at=run.created_at,
                model=run.request.model,
                endpoint=run.endpoint,
            )


class _Labels:
    def __init__(self, kept: list[Mapping[str, str]]) -> None:
        self._kept = kept

    def start(self, run: Run) -> None:
        self._kept.append(run.labels)

    def finish(self, run: Run) -> None:
        pass


def _labelled(kept: Iterable[Mapping[str, str]], name: str, value: str) -> list[Mapping[str, str]]:
    return [labels for labels in kept if labels.get(name) == value]


class StoreLog:
    """Keeps answers in the run log, where they outlive the process.

    What is replayed is not asked, and so the log does not keep it under its question: this does, for as long as the
    process lives. Where no log is kept, or none that can be read, it does so with every answer.
    """

    def __init__(self, store: Store | None = None) -> None:
        """Take a store; None is that of the process, also when it is changed later."""
        self._own = store
        self._unlogged: dict[str, Answer] = {}
        self._labels: list[Mapping[str, str]] = []
        self._readable = True

    @property
    def _store(self) -> Store:
        return self._own or default_store()

    def find(self, keys: Iterable[str]) -> Mapping[str, Answer]:
        """The whole answers that it has, by key. Waits for the log; one that cannot be read holds up no answer."""
        wanted = list(keys)
        here = {key: self._unlogged[key] for key in wanted if key in self._unlogged}
        try:
            found = self._own.find_all(wanted) if self._own is not None else run_log().answers(wanted)
        except ConfigError:
            self._readable = False
            return here
        return here | {key: _answer(record) for key, record in found.items()}

    def sinks(self, key: str) -> Sequence[Sink]:
        """What to give a run, so that its answer is kept under this key."""
        kept = self._readable and self._store.path is not None
        keeper = _Keeper(self._unlogged, key, replayed_only=kept)
        return (self._store.recorder(), keeper, *(() if kept else (_Labels(self._labels),)))

    def labels(self, name: str, value: str) -> Sequence[Mapping[str, str]]:
        """The labels of the runs that have the label `name` with this value, oldest first. Waits for the log.

        Raises:
            ConfigError: It cannot be read: that nothing was found would be untrue.
        """
        return [*self._store.labels(name, value), *_labelled(self._labels, name, value)]

    def rate(self, run_id: str, rating: str) -> None:
        """Keep what a person said of an answer; empty takes it back. Waits for the log."""
        _rate(self._unlogged, run_id, rating)
        with contextlib.suppress(ConfigError):  # the log's own warning says that it cannot be written
            self._store.set_label(run_id, RATING, rating)


def _answer(record: Record) -> Answer:
    return Answer(
        completion=record.completion(),
        run_id=record.id,
        started_at=record.created_at,
        model=record.model or "",
        endpoint=record.endpoint(),
        rating=(record.labels or {}).get(RATING, ""),
    )


def _rate(answers: dict[str, Answer], run_id: str, rating: str) -> None:
    for key, answer in answers.items():
        if answer.run_id == run_id:
            answers[key] = replace(answer, rating=rating)


def as_log(store: Store | AnswerLog | str | Path | None) -> AnswerLog:
    """Take a log: None is the process's run log, a path is another one, "off" keeps nothing beyond the process."""
    if store is None:
        return cast("StoreLog", engine().kept.setdefault("answers of experiments", StoreLog()))
    if isinstance(store, Store):
        return StoreLog(store)
    if isinstance(store, str | Path):
        return MemoryLog() if str(store) == OFF else StoreLog(Store(store))
    return store
