from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vig_notebook.tuning.scorers import Score, scorer
from vig_notebook.tuning.scoring import Scoring, Threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.tuning.scorers import Scorer


def has_label(response: str, example: Mapping[str, object]) -> bool:
    return str(example["label"]) in response


class Asking:
    name = "judge"
    asks_a_server = True

    def __call__(self, response: str, example: Mapping[str, object]) -> float:
        return 0.5


def scored(scorers: Sequence[Scorer], executor: Executor | None = None) -> dict[str, Score]:
    """The scores of one response."""
    found: queue.Queue[dict[str, Score]] = queue.Queue()
    scoring = Scoring(scorers, executor)
    scoring.submit("an x", {"label": "x"}, found.put)
    scoring.close()
    return found.get(timeout=30)


def test_scores_come_from_threads() -> None:
    assert scored([scorer("contains:label"), scorer("json")]) == {
        "contains": Score(1.0),
        "json": Score(0.0, "no JSON: Expecting value: line 1 column 1 (char 0)"),
    }


def test_scores_come_from_an_executor_but_a_judge_stays_here() -> None:
    class Noting(ThreadPoolExecutor):
        names: list[str] = []  # noqa: RUF012

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.names += [one.name for one in args[0]]
            return super().submit(fn, *args, **kwargs)

    with Noting(1) as executor:
        found = scored([scorer(has_label), Asking()], executor)
    assert found == {"has_label": Score(1.0), "judge": Score(0.5)}
    assert Noting.names == ["has_label"]


def test_judge_alone_needs_no_executor() -> None:
    with ThreadPoolExecutor(1) as executor:
        assert scored([Asking()], executor) == {"judge": Score(0.5)}


def test_executor_that_fails_marks_its_scorers() -> None:
    class Broken(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("a worker died"))
            return future

    found = scored([scorer("json"), Asking()], Broken())
    assert found == {"json": Score(None, "RuntimeError: a worker died"), "judge": Score(0.5)}


def test_executor_that_takes_nothing_marks_all() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    found = scored([scorer("json")], executor)
    assert found["json"].value is None
    assert "cannot schedule new futures" in found["json"].reason


NEVER = """
import threading, time
from vig_notebook.tuning import PairJudge
from vig_notebook.tuning.calls import Calls
from vig_notebook.tuning.asking import Address
from vig_notebook.tuning.judging import PairJudging
from vig_notebook.tuning.log import MemoryLog
from vig_notebook.tuning.rating import Pair
from vig_notebook.tuning.dataset import Example
from vig_notebook.tuning.scoring import Scoring

begun = threading.Semaphore(0)
def never(*_):
    begun.release()
    threading.Event().wait()

class Answer:
    output = property(lambda self: str(id(self)))

scoring = Scoring([type("Never", (), {"name": "never", "__call__": never})()])
calls = Calls(Address(), MemoryLog())
pairs = [Pair(Example(id="1", variables={}), Answer(), Answer()) for _ in range(40)]
judging = PairJudging(PairJudge("better?", ask=never), pairs, calls)
for _ in range(40):
    scoring.submit("an answer", {}, print)
scoring.close()
for _ in range(4 + 32):
    assert begun.acquire(timeout=20)
print("the end")
"""


def test_program_ends_whatever_is_scored_and_judged(tmp_path: Path) -> None:
    """Neither what is under way nor what waits for a thread holds it up."""
    script = tmp_path / "never.py"
    script.write_text(NEVER, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=environment, timeout=30, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


def test_threads_are_as_many_as_allowed_and_end_when_all_is_done() -> None:
    threads = Threads(2, name="vig-test", calls=None)
    for number in range(5):
        assert threads.submit(partial(abs, -number)).result(30) == number
    gate = threading.Event()
    waiting = [threads.submit(gate.wait) for _ in range(3)]
    threads.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("vig-test")] == ["vig-test"] * 2
    gate.set()
    assert all(future.result(30) for future in waiting)  # what was taken is done


def test_scorer_that_leaves_the_program_marks_its_response() -> None:
    def leave(response: str, example: Mapping[str, object]) -> float:
        raise SystemExit("no")

    assert scored([scorer(leave)]) == {"leave": Score(None, "SystemExit: no")}


DASK = """
import queue, sys
import distributed
from vig_notebook.tuning.scorers import scorer
from vig_notebook.tuning.scoring import Scoring

def has_label(response, example):
    return example["label"] in response

if __name__ == "__main__":
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        found = queue.Queue()
        scoring = Scoring([scorer("contains:label"), scorer(has_label)], client.get_executor())
        for i in range(20):
            scoring.submit(f"an x{i}", {"label": f"x{i}"}, found.put)
        scoring.close()
        values = [[one.value for one in found.get(timeout=60).values()] for _ in range(20)]
    sys.exit(0 if values == [[1.0, 1.0]] * 20 else str(values))
"""


@pytest.mark.slow
def test_scores_come_from_processes_of_dask(tmp_path: Path) -> None:
    """The way to more than one machine: `Client(address).get_executor()`. Dask leaves threads: a process of its own."""
    pytest.importorskip("distributed")
    script = tmp_path / "scoring.py"
    script.write_text(DASK, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=environment, timeout=110, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
