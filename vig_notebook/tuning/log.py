"""Where an experiment finds the answers it already has, and leaves the new ones.

The key of an answer is that of the run log (`vig_notebook.store.identity_key`): base URL, model, messages,
parameters, seed and repeat. So the cache, the resumption after a crash and the log are one thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vig_notebook.run import RunState
from vig_notebook.store import Store, default_store, identity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.wire.accumulate import Completion
    from vig_notebook.wire.chat import Delta

__all__ = ["Answer", "AnswerLog", "MemoryLog", "StoreLog", "as_log"]

OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that was given before.

    Attributes:
        completion: What it was.
        run_id: The run that gave it.
        started_at: When that was started, in UTC.
    """

    completion: Completion
    run_id: str
    started_at: datetime | None


class AnswerLog(Protocol):
    """What keeps answers."""

    def find(self, keys: Iterable[str]) -> Mapping[str, Answer]:
        """The whole answers that it has, by key. May read a file: not to be called on the streaming thread."""

    def sinks(self) -> Sequence[Sink]:
        """What to give a run, so that its answer is kept."""


class MemoryLog:
    """Keeps answers for as long as the process lives."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def find(self, keys: Iterable[str]) -> Mapping[str, Answer]:
        """The whole answers that it has, by key."""
        return {key: self._answers[key] for key in keys if key in self._answers}

    def sinks(self) -> Sequence[Sink]:
        """What to give a run, so that its answer is kept."""
        return (_Keeper(self._answers),)


class _Keeper:
    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers

    def start(self, run: Run) -> None:
        pass

    def write(self, delta: Delta) -> None:
        pass

    def finish(self, run: Run) -> None:
        if run.state is RunState.DONE:
            repeat = int(run.labels.get("repeat", "0"))
            key = identity_of(run.request, run.endpoint, repeat=repeat).key
            self._answers[key] = Answer(completion=run.completion, run_id=run.id, started_at=run.created_at)


class StoreLog:
    """Keeps answers in the run log, where they outlive the process."""

    def __init__(self, store: Store | None = None) -> None:
        """Take a store; None is that of the process, also when it is changed later."""
        self._own = store

    @property
    def _store(self) -> Store:
        return self._own or default_store()

    def find(self, keys: Iterable[str]) -> Mapping[str, Answer]:
        """The whole answers that it has, by key. Waits for the log."""
        return {
            key: Answer(completion=record.completion(), run_id=record.id, started_at=record.created_at)
            for key, record in self._store.find_all(keys).items()
        }

    def sinks(self) -> Sequence[Sink]:
        """What to give a run, so that its answer is kept."""
        return (self._store.recorder(),)


def as_log(store: Store | AnswerLog | str | Path | None) -> AnswerLog:
    """Take a log: None is the process's run log, a path is another one, "off" keeps nothing beyond the process."""
    if store is None:
        return StoreLog()
    if isinstance(store, Store):
        return StoreLog(store)
    if isinstance(store, str | Path):
        return MemoryLog() if str(store) == OFF else StoreLog(Store(store))
    return store
