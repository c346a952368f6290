"""Words are indexed late, for many runs at once; whoever searches sees no difference."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import SERVER, come, keep, request
from vig_notebook.errors import ConfigError
from vig_notebook.run import Run
from vig_notebook.store import Store
from vig_notebook.store.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path


def unindexed(store: Store) -> int:
    count: int = store._ask(lambda connection: connection.execute("SELECT count(*) FROM runs_to_index").fetchone()[0])
    return count


def checked(store: Store) -> None:
    """Compare the index with the rows."""
    store._ask(
        lambda c: c.execute("INSERT INTO runs_words (runs_words, rank) VALUES ('integrity-check', 1)").fetchall()
    )


def test_words_are_indexed_when_someone_searches(store: Store) -> None:
    keep(store, "one lighthouse")
    keep(store, "two lighthouses")
    assert unindexed(store) == 2
    assert len(store.search("lighthouse")) == 2
    assert unindexed(store) == 0
    checked(store)


def test_words_of_many_runs_are_indexed_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.keeper.MAX_UNINDEXED", 3)
    for number in range(1, 8):
        keep(store, f"run {number}")
        assert unindexed(store) == number % 3
    assert len(store.search("run")) == 7


def test_words_that_cannot_be_indexed_are_no_failure_to_save(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vig_notebook.store.opening.BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("vig_notebook.store.keeper.MAX_UNINDEXED", 1)
    store.flush()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:

        class Locking(Recorder):
            def saved(self) -> None:
                super().saved()
                other.execute("BEGIN IMMEDIATE")

        run = Run(request("a lighthouse"), SERVER)
        Locking(store._wake, store.repeats).finish(run)
        store.flush()
        assert store.warning is None
        other.execute("ROLLBACK")
    assert len(store.search("lighthouse")) == 1
    checked(store)


def test_run_that_was_found_while_it_went_on_is_indexed_again(store: Store) -> None:
    recorder = store.recorder()
    run = Run(request("Where is the lighthouse?"), SERVER, sinks=(recorder,))
    recorder.start(run)
    assert [record.text for record in store.search("lighthouse")] == [""]
    come(run, "in Cuxhaven")
    recorder.finish(run)
    store._ask(lambda connection: connection.execute("UPDATE runs SET text = 'in Cuxhaven'"))
    assert [record.text for record in store.search("lighthouse cuxhaven")] == ["in Cuxhaven"]
    checked(store)


@pytest.mark.parametrize("searched", [True, False])
def test_forgotten_words_are_in_no_index(store: Store, *, searched: bool) -> None:
    keep(store, "one lighthouse")
    keep(store, "another lighthouse")
    if searched:
        store.search("lighthouse")
    assert store.forget(store.search(limit=1)[0].id) == 1
    assert [record.prompt for record in store.search("lighthouse")] == ["one lighthouse"]
    checked(store)


def test_file_that_is_locked_is_searched_without_the_index(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vig_notebook.store.opening.BUSY_TIMEOUT_S", 0.01)
    keep(store, "a lighthouse")
    store.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(store.search("lighthouse")) == 1
    other.execute("ROLLBACK")
    other.close()
    assert unindexed(store) == 1


def test_word_beside_signs_is_looked_up_in_the_index(store: Store) -> None:
    keep(store, "a -> lighthouse")
    keep(store, "a lighthouse")
    keep(store, "a -> tower")
    assert [record.prompt for record in store.search("LIGHTHOUSE ->")] == ["a -> lighthouse"]
    assert [record.prompt for record in store.search("->")] == ["a -> tower", "a -> lighthouse"]


def damage_words(store: Store) -> None:
    """Overwrite the index, and forget what is known of it."""
    store.search("lighthouse")
    statement = "UPDATE runs_words_data SET block = x'ff00ff' WHERE id > 10"
    store._ask(lambda connection: connection.execute(statement).fetchall())
    store.close()


def test_damaged_index_is_rebuilt_and_the_history_stays(store: Store, path: Path) -> None:
    keep(store, "a lighthouse")
    damage_words(store)
    again = Store(path)
    assert [record.prompt for record in again.search("lighthouse")] == ["a lighthouse"]
    checked(again)
    assert again.warning is None
    assert list(path.parent.glob("*.damaged-*")) == []
    again.close()


def test_damaged_index_holds_up_no_run_and_no_forgetting(store: Store, path: Path) -> None:
    recorder = store.recorder()
    run = Run(request("Where is the lighthouse?"), SERVER, sinks=(recorder,))
    recorder.start(run)
    damage_words(store)
    again = Store(path)
    keep(again, "another lighthouse")
    assert again.forget(run.id) == 1
    assert [record.prompt for record in again.search("lighthouse")] == ["another lighthouse"]
    checked(again)
    again.close()


def test_damaged_index_of_a_run_that_ends_is_rebuilt(store: Store) -> None:
    recorder = store.recorder()
    run = Run(request("Where is the lighthouse?"), SERVER, sinks=(recorder,))
    recorder.start(run)
    store.search("lighthouse")

    def damage(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE runs_words_data SET block = x'ff00ff'")

    store._ask(damage)
    come(run, "in Cuxhaven")
    recorder.finish(run)
    assert [record.id for record in store.search("lighthouse")] == [run.id]
    assert store.warning is None
    checked(store)


def test_damaged_index_of_a_locked_file_is_said(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.opening.BUSY_TIMEOUT_S", 0.01)
    keep(store, "a lighthouse")
    damage_words(store)
    again = Store(path)
    again.search()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigError, match=r"The run log cannot be read: .* Try again later\."):
            again.search("lighthouse")
    assert len(again.search("lighthouse")) == 1
    again.close()
