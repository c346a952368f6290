from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import SERVER, ask, come, keep, request
from vig_notebook.errors import ConfigError
from vig_notebook.run import Run
from vig_notebook.store import Store

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "zanzibar"


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir()).lower()


@pytest.mark.parametrize("others", [0, 300])
def test_forgotten_run_leaves_no_byte_in_any_file(store: Store, path: Path, others: int) -> None:
    for number in range(others):
        keep(store, f"other {number}", f"answer {number}")
    run = ask(store, f"{CANARY} one", f"{CANARY} two " * 500, extra={"user": CANARY})
    keep(store, "kept", "kept")
    store.flush()
    assert CANARY.encode() in bytes_of(path)
    assert store.forget(run.id[:12]) == 1
    assert CANARY.encode() not in bytes_of(path)
    assert store.search(CANARY) == []
    assert len(store.search("kept")) == 1
    store._ask(lambda c: c.execute("INSERT INTO runs_words (runs_words) VALUES ('integrity-check')").fetchall())


def test_forgotten_run_leaves_no_byte_in_a_file_with_a_rollback_journal(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(path.name + "-shm").mkdir()
    store = Store(path)
    keep(store, CANARY)
    assert store.forget(everything=True) == 1
    assert CANARY.encode() not in path.read_bytes()
    store.close()


def age(store: Store, run_id: str, moment: str) -> None:
    update = "UPDATE runs SET created_at = ? WHERE id = ?"
    store._ask(lambda c: c.execute(update, (moment, run_id)).fetchall())


def test_forget_before_a_moment(store: Store) -> None:
    for day in (1, 2, 3):
        run = ask(store, f"day {day}")
        age(store, run.id, f"2026-01-0{day}T12:00:00.000+00:00")
    assert store.forget(before="2026-01-02T12:00:00+00:00") == 1
    assert store.forget(before="1d") == 2
    assert store.forget() == 0


def test_forget_all(store: Store) -> None:
    keep(store)
    keep(store)
    assert store.forget(everything=True) == 2
    assert store.search() == []


def test_forget_of_an_unknown_run_is_refused(store: Store) -> None:
    kept = ask(store)
    with pytest.raises(ConfigError, match="There is no run 'zzz' in the log"):
        store.forget(kept.id, "zzz")
    assert len(store.search()) == 1


def test_run_that_is_forgotten_while_it_goes_on_is_logged_no_further(store: Store, path: Path) -> None:
    recorder, other = store.recorder(), store.recorder()
    run = Run(request(CANARY), SERVER, sinks=(recorder,))
    recorder.start(run)
    going_on = Run(request("goes on"), SERVER, sinks=(other,))
    other.start(going_on)
    assert store.forget(run.id) == 1
    come(run, f"{CANARY} " * 1000)
    recorder.finish(run)
    come(going_on, "and on " * 1000)
    store.flush()
    assert [record.prompt for record in store.search()] == ["goes on"]
    assert store.search()[0].text == "and on " * 1000
    assert CANARY.encode() not in bytes_of(path)


def test_run_that_another_kernel_forgot_is_not_written_again(store: Store, path: Path) -> None:
    recorder = store.recorder()
    run = Run(request(CANARY), SERVER, sinks=(recorder,))
    recorder.start(run)
    store.flush()
    other = Store(path)
    assert other.forget(everything=True) == 1
    other.close()
    come(run, f"{CANARY} " * 1000)
    store.flush()
    recorder.finish(run)
    assert store.search() == []
    assert store.warning is None


def test_forgotten_run_that_another_program_reads_is_overwritten_after_it(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vig_notebook.store.opening.BUSY_TIMEOUT_S", 0.01)
    keep(store, CANARY)
    store.flush()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert store.forget(everything=True) == 1
    assert store.search() == []
    assert not store.is_wiped()
    assert CANARY.encode() in bytes_of(path)
    reader.close()
    keep(store, "a later run")
    store.flush()
    assert CANARY.encode() not in bytes_of(path)
    assert store.is_wiped()
