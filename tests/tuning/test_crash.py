"""A process that dies in the middle of an experiment costs what was in flight, and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.demos import LIMIT_S, demo
from vig_notebook.store import Store
from vig_notebook.tuning.experiment import Experiment

CELLS = 100
AT_ONCE = 10
SCRIPT = """
import sys
from tests.tuning.test_crash import Told, experiment
one = experiment(sys.argv[1], sys.argv[2], sys.argv[3])
one.watch(Told())
one.run().wait()
"""


class Told:
    """Says a line for each answer."""

    def sinks(self, cell: object) -> tuple[()]:
        return ()

    def started(self, cell: object, run: object) -> None:
        pass

    def ended(self, cell: object, response: object) -> None:
        sys.stdout.write("one\n")
        sys.stdout.flush()

    def scored(self, cell: object, response: object) -> None:
        pass

    def over(self) -> None:
        pass


def experiment(base_url: str, key: str, store: str | Store) -> Experiment:
    data = [{"text": f"t{i}"} for i in range(CELLS // 2)]
    return Experiment(
        "Write a haiku about {{ text }}", "demo", None, data, 2, store=store, base_url=base_url, api_key=key,
        max_concurrency=AT_ONCE,
    )  # fmt: skip


def test_killed_experiment_asks_exactly_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with demo(pace=2000) as server:
        address = (server.server.base_url, server.server.token)
        root = str(Path(__file__).parents[2])
        child = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *address, str(path)],
            stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
        assert child.stdout is not None
        for _ in range(CELLS // 2):
            assert child.stdout.readline() == "one\n"
        child.send_signal(signal.SIGKILL)
        said = CELLS // 2 + child.stdout.read().count("one")
        child.wait(LIMIT_S)
        child.stdout.close()
        store = Store(path)
        kept = len(store.search(state="done", limit=None))
        again = experiment(*address, store)
        assert again.run().wait(60)
        store.close()
    statuses = [str(response.status) for response in again.responses]
    assert statuses.count("cached") == kept
    assert statuses.count("ok") == CELLS - kept
    # What had just ended may have been on its way to the log's thread.
    assert said - 2 * AT_ONCE <= kept < CELLS
