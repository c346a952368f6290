from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import keep
from vig_notebook.store import Store, processes
from vig_notebook.store.processes import Process, is_alive, this_process

if TYPE_CHECKING:
    from pathlib import Path

STREAM = """
import sys, time
from tests.store.runs import SERVER, come, request
from vig_notebook.run import Run
from vig_notebook.store import Store
store = Store(sys.argv[1])
recorder = store.recorder()
run = Run(request("tell me"), SERVER, sinks=(recorder,))
recorder.start(run)
store.flush()
number = 0
while True:
    for _ in range(10):
        come(run, f"{number} ")
        number += 1
    print(number, time.monotonic(), flush=True)
    time.sleep(0.005)
"""


def killed_mid_stream(path: Path, *, after_s: float) -> list[tuple[int, float]]:
    """Kill -9 a process that streams; give the numbers of pieces that it had said, each with its time."""
    said: list[tuple[int, float]] = []
    with subprocess.Popen([sys.executable, "-c", STREAM, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if len(words := line.split()) == 2:
                said.append((int(words[0]), float(words[1])))
            if said[-1][1] - said[0][1] > after_s:
                process.send_signal(signal.SIGKILL)
    return said[:-1]  # the last line may be half a line


def text_of(numbers: int) -> str:
    return "".join(f"{number} " for number in range(numbers))


LAST_S = 1.0 + 0.5
"""What may be lost: the last second, and what a slow machine takes to save."""


def test_kill_mid_stream_costs_at_most_the_last_second(path: Path) -> None:
    said = killed_mid_stream(path, after_s=2.5)
    store = Store(path)
    [record] = store.search(state="interrupted")
    assert text_of(said[-1][0] + 1000).startswith(record.text)
    kept = max(number for number, moment in said if moment < said[-1][1] - LAST_S)
    assert record.text.startswith(text_of(kept))
    assert record.delta_count is not None
    assert 0 <= record.delta_count - len(record.text.split()) <= 10  # of a last piece that was not whole
    assert record.total_s == pytest.approx(said[-1][1] - said[0][1], abs=LAST_S)
    assert store._ask(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    assert store.search("tell")[0].prompt == "tell me"
    store.close()


@pytest.mark.slow
def test_kill_mid_stream_leaves_the_file_whole_20_times_of_20(path: Path) -> None:
    for number in range(20):
        killed_mid_stream(path, after_s=0.07 * number)
    store = Store(path)
    assert len(store.search(state="interrupted", limit=None)) == 20
    assert store._ask(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    store.close()


def unended(path: Path, process: Process, created_at: str = "2026-01-01T00:00:00.000+00:00") -> None:
    """A row that some process never ended."""
    store = Store(path)
    keep(store)
    keep(store, "beside it")
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "UPDATE runs SET state = 'streaming', ended_at = NULL, host = ?, pid = ?, process_start = ?, created_at = ?",
        (process.host, process.pid, process.started, created_at),
    )
    for day, *part in ((2, "so ", "r", 2), (3, "far", "", 3)):
        connection.execute(
            "INSERT INTO text_parts (run, written_at, text, reasoning, delta_count)"
            " SELECT number, ?, ?, ?, ? FROM runs",
            (f"2026-02-0{day}T00:00:00.000+00:00", *part),
        )
    connection.close()


def state_after_a_start(path: Path) -> str:
    store = Store(path)
    [state] = {record.state for record in store.search()}
    store.close()
    return state


def test_row_of_a_dead_process_becomes_interrupted_with_its_text(path: Path) -> None:
    me = this_process()
    unended(path, Process(host=me.host, pid=me.pid, started="before the boot"))  # the number was given again
    store = Store(path)
    record = store.search("far")[0]
    assert (record.state, record.text, record.reasoning) == ("interrupted", "so far", "r")
    assert record.ended_at is not None
    assert record.ended_at.isoformat() == "2026-02-03T00:00:00+00:00"
    assert (record.total_s, record.delta_count) == (33 * 86400.0, 3)
    assert record.key is not None
    assert store.find_all([record.key]) == {}
    store.close()


def test_row_of_a_live_process_is_left_alone(path: Path) -> None:
    unended(path, this_process())
    store = Store(path)
    record = store.search()[0]
    assert (record.state, record.text) == ("streaming", "so far")
    store.close()


def test_row_of_another_machine_is_left_alone_for_two_days(path: Path) -> None:
    far = Process(host="elsewhere", pid=1, started="x")
    unended(path, far, created_at="2999-01-01T00:00:00.000+00:00")
    assert state_after_a_start(path) == "streaming"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE runs SET created_at = '2026-01-01T00:00:00.000+00:00'")
    connection.close()
    assert state_after_a_start(path) == "interrupted"


def test_dead_rows_are_left_to_the_next_start_while_the_file_is_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    unended(path, Process(host=this_process().host, pid=1, started="x"))
    monkeypatch.setattr("vig_notebook.store.keeper.mark_interrupted", locked)
    assert state_after_a_start(path) == "streaming"


def test_process_is_alive_until_it_has_ended() -> None:
    me = this_process()
    assert is_alive(me)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        other = Process(host=me.host, pid=child.pid, started=processes._started(child.pid) or "")
        assert is_alive(other)
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(other) is False  # ended, and not yet waited for
    assert is_alive(other) is False
    assert is_alive(Process(host="elsewhere", pid=me.pid, started=me.started)) is None


def test_process_without_proc_is_told_by_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes._started_elsewhere(os.getpid()) == processes._started_elsewhere(os.getpid())
    assert processes._started_elsewhere(2**22 + 1) is None
    monkeypatch.setattr(processes, "_started_linux", processes._started_elsewhere)
    monkeypatch.setattr(processes, "find_spec", lambda _: None)
    assert processes._started_elsewhere(os.getpid()) is None
    assert this_process().started == ""
    assert is_alive(this_process()) is None


FORK = """
import os, sys
from tests.store.runs import ask
from vig_notebook.store import Store
store = Store(sys.argv[1])
ask(store, "parent")
store.flush()
if (child := os.fork()) == 0:
    ask(store, "child")
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
ask(store, "parent again")
print(sorted(record.prompt for record in store.search()))
"""


def test_store_that_was_made_before_a_fork_begins_anew(store: Store) -> None:
    store._writer._pid = 0  # the parent's
    keep(store)
    assert len(store.search()) == 1
    assert store._writer._pid == os.getpid()


def test_fork_leaves_both_with_a_log(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "['child', 'parent', 'parent again']\n"


def test_end_of_the_program_saves_what_waits(path: Path) -> None:
    script = (
        "import sys; from tests.store.runs import ask; from vig_notebook.store import Store; ask(Store(sys.argv[1]))"
    )
    whole = "store = Store(sys.argv[1]); [ask(store, str(n)) for n in range(50)]"
    script = script.replace("ask(Store(sys.argv[1]))", whole)
    subprocess.run([sys.executable, "-c", script, str(path)], timeout=60, check=True)
    store = Store(path)
    assert len(store.search(state="done", limit=None)) == 50
    store.close()


WRITE = """
import sys, time
from tests.store.runs import ask
from vig_notebook.store import Store
store = Store(sys.argv[1])
store.flush()
print("ready", flush=True)
sys.stdin.readline()
times = []
for number in range(int(sys.argv[2])):
    ask(store, f"run {number}")
    begun = time.perf_counter()
    store.flush()
    times.append(time.perf_counter() - begun)
store.close()
print(store.warning, sorted(times)[int(len(times) * 0.99)])
"""


def write_at_once(path: Path, *, writers: int, rows: int) -> list[tuple[str, float]]:
    """Let processes log at once; give the warning and the 99th percentile of the waits of each, in seconds."""
    command = [sys.executable, "-c", WRITE, str(path), str(rows)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(writers)
    ]
    results = []
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        out, _ = process.communicate(timeout=100)
        warning, p99_s = out.split()
        results.append((warning, float(p99_s)))
    return results


@pytest.mark.slow
def test_eight_processes_lose_nothing(path: Path) -> None:
    results = write_at_once(path, writers=8, rows=200)
    assert {warning for warning, _ in results} == {"None"}
    store = Store(path)
    assert len(store.search(state="done", limit=None)) == 1600
    assert store._ask(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    store.close()
    print([round(p99, 3) for _, p99 in results])  # noqa: T201  the figure
    assert max(p99_s for _, p99_s in results) <= 0.5
