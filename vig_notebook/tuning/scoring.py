"""Runs scorers and judges away from the streaming thread: on threads of their own, or on any executor."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from vig_notebook.tuning.calls import CALLS, Unasked
from vig_notebook.tuning.scorers import Score, apply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from vig_notebook.tuning.calls import Calls
    from vig_notebook.tuning.scorers import Scorer

__all__ = ["Scoring", "Threads", "score_all"]

OWN_THREADS = 4
"""Scorers are short; the two or four cores of a notebook's machine run no more at once."""

WAITING_THREADS = 32
"""With an executor elsewhere, or a judge, a thread only waits: this many scorings are under way."""


T = TypeVar("T")


class Threads:
    """Calls functions on threads of its own, of which none holds up the end of the program.

    That is why it is none of the standard library's pools: on its way out, Python waits for all that was given them.
    """

    def __init__(self, most: int, *, name: str, calls: Calls | None) -> None:
        """Start none yet.

        Args:
            most: How many threads at once.
            name: Of each of them.
            calls: What the judges among the functions ask through.
        """
        self._most = most
        self._name = name
        self._calls = calls
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = 0

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Call a function as soon as a thread is free. Not from several threads at once, nor after `close`."""
        future: Future[T] = Future()
        self._work.put(lambda: _settle(future, function))
        if self._started < self._most:
            self._started += 1
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        return future

    def close(self) -> None:
        """Let the threads end when all that was submitted is done; returns at once."""
        self._work.put(None)

    def _serve(self) -> None:
        CALLS.set(self._calls)
        while (work := self._work.get()) is not None:
            work()
        self._work.put(None)  # for the next thread


def _settle(future: Future[T], function: Callable[[], T]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001  whoever has the future is told, also of a scorer that exits
        future.set_exception(error)
    else:
        future.set_result(result)


def score_all(scorers: Sequence[Scorer], response: str, example: Mapping[str, object]) -> dict[str, Score]:
    """Apply scorers to a response; never raises. Module level, so that processes can run it.

    A judge that was not asked leaves its score out.
    """
    scores = {}
    for scorer in scorers:
        with contextlib.suppress(Unasked):
            scores[scorer.name] = apply(scorer, response, example)
    return scores


class Scoring:
    """Scorers and where they run; whoever makes it calls `close`, which waits for no scorer.

    Attributes:
        scorers: The scorers.
    """

    def __init__(
        self, scorers: Sequence[Scorer], executor: Executor | None = None, *, calls: Calls | None = None
    ) -> None:
        """Take scorers, and what they run on and with.

        Args:
            scorers: The scorers.
            executor: Runs those that ask no server; by default threads do.
            calls: What the judges among them ask through; by default each call stands alone.
        """
        self.scorers = scorers
        self._executor = executor
        # A judge asks a server: its calls belong to this process, whose limits they count against.
        self._here = [one for one in scorers if executor is None or getattr(one, "asks_a_server", False)]
        self._there = [one for one in scorers if one not in self._here]
        waits = self._there or any(getattr(one, "asks_a_server", False) for one in scorers)
        self._threads = Threads(WAITING_THREADS if waits else OWN_THREADS, name="vig-score", calls=calls)

    def submit(self, response: str, example: Mapping[str, object], then: Callable[[dict[str, Score]], object]) -> None:
        """Score a response; `then` is called with the scores on another thread."""
        self._threads.submit(lambda: self._score(response, example)).add_done_callback(
            lambda future: then(self._scores_of(future))
        )

    def close(self) -> None:
        """Let the threads end when what they do is done."""
        self._threads.close()

    def _score(self, response: str, example: Mapping[str, object]) -> dict[str, Score]:
        there: Future[dict[str, Score]] | None = None
        if self._executor is not None and self._there:
            there = self._executor.submit(score_all, self._there, response, example)
        scores = score_all(self._here, response, example)
        return scores if there is None else {**scores, **_result(there, self._there)}

    def _scores_of(self, future: Future[dict[str, Score]]) -> dict[str, Score]:
        return _result(future, self.scorers)


def _result(future: Future[dict[str, Score]], scorers: Sequence[Scorer]) -> dict[str, Score]:
    """The scores; where the executor failed (a process died, a scorer cannot be pickled), its error as the reason."""
    error = future.exception()
    if error is None:
        return future.result()
    return {scorer.name: Score(None, f"{type(error).__name__}: {error}"[:500]) for scorer in scorers}
