from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import ask, eventually, keep
from vig_notebook.errors import ConfigError, Truncated
from vig_notebook.store import Store, taping
from vig_notebook.store.cassette import claimed, write_cassette

if TYPE_CHECKING:
    from pathlib import Path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_export_and_import_give_the_same_runs(store: Store, path: Path, tmp_path: Path) -> None:
    keep(store, "one", labels={"a": "b"}, chat="c", temperature=0.5)
    keep(store, "two", error=Truncated("The answer is not whole"))
    store.recorder().start(ask(None, "not ended"))
    assert store.export(tmp_path / "all.jsonl") == 2
    copy = Store(tmp_path / "copy.sqlite")
    assert copy.import_(tmp_path / "all.jsonl") == 2
    assert copy.import_(tmp_path / "all.jsonl") == 0
    assert copy.search() == [record for record in store.search() if record.ended_at]
    assert len(copy.search("one")) == 1
    copy.close()


def test_cassette_has_nothing_of_the_machine_and_the_moment(store: Store, tmp_path: Path) -> None:
    keep(store, "Hi", "Hello", temperature=0.5, labels={"notebook": "secret.ipynb"})
    keep(store, "failed", error=Truncated("The answer is not whole"))
    assert store.export_cassette(tmp_path / "c.jsonl") == 1
    assert lines(tmp_path / "c.jsonl")[0] == {"format": "vig_notebook runs", "version": 1}
    [row] = lines(tmp_path / "c.jsonl")[1:]
    assert sorted(row) == list(row)
    assert set(row) == {
        "answer_model", "any_server_key", "base_url", "delta_count", "finish_reason", "key", "messages", "model",
        "parameters", "prompt", "server", "text", "usage",
    }  # fmt: skip


def test_cassette_recorded_again_in_another_order_is_the_same_file(tmp_path: Path) -> None:
    for name, order in (("a", (1, 2, 3)), ("b", (3, 1, 2))):
        store = Store(tmp_path / f"{name}.sqlite")
        for number in order:
            keep(store, f"question {number}")
        store.export_cassette(tmp_path / f"{name}.jsonl")
        store.close()
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_cassette_has_the_last_answer_to_each_request(path: Path, tmp_path: Path) -> None:
    for answer in ("old", "new"):  # two kernels
        store = Store(path)
        keep(store, "Hi", answer)
        keep(store, "Hi", answer, " again")
        assert store.export_cassette(tmp_path / "c.jsonl") == 2
        store.close()
    assert sorted(row["text"] for row in lines(tmp_path / "c.jsonl")[1:]) == ["new", "new again"]  # type: ignore[type-var]


def test_cassette_can_be_imported(store: Store, tmp_path: Path) -> None:
    run = ask(store, "Hi", "Hello")
    recorded = store.get(run.id)
    assert recorded is not None
    assert recorded.key is not None
    store.export_cassette(tmp_path / "c.jsonl")
    copy = Store.read(tmp_path / "c.jsonl")
    found = copy.find(recorded.key)
    assert found is not None
    assert (found.id, found.text, found.state) == (recorded.key, "Hello", "done")
    copy.close()


def test_cassette_imported_where_its_answers_are_known_adds_none(store: Store, tmp_path: Path) -> None:
    keep(store, "Hi", "Hello")
    store.export_cassette(tmp_path / "c.jsonl")
    keep(store, "other")
    store.export_cassette(tmp_path / "d.jsonl")
    assert (store.import_(tmp_path / "c.jsonl"), len(store.search())) == (0, 2)
    copy = Store.read(tmp_path / "c.jsonl")
    assert (copy.import_(tmp_path / "d.jsonl"), len(copy.search())) == (1, 2)
    copy.close()


def test_import_of_a_run_that_failed_gives_no_answer(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(HEAD + '{"id": "x", "state": "failed", "key": "k", "any_server_key": "a"}\n')
    assert store.import_(tmp_path / "x.jsonl") == 1
    assert store.keys() == (frozenset(), frozenset())


HEAD = '{"format": "vig_notebook runs", "version": 1}\n'


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ('{"cells": []}', "was not exported from a run log"),
        ('{"format": "vig_notebook runs", "version": 2}', "was written by a newer vig_notebook (version 2)"),
        ("not JSON", "line 1: "),
        (HEAD + "[1]", "line 2 is not an object"),
        (HEAD + '{"id": null}', "line 2: NOT NULL constraint failed: runs.id"),
        (HEAD + '{"id": "x", "text": [1]}', "line 2: "),
        (HEAD + '{"id": "x", "pid": 99999999999999999999999}', ""),
    ],
)
def test_import_of_what_is_no_export_is_refused(store: Store, tmp_path: Path, content: str, seen: str) -> None:
    keep(store, "kept")
    (tmp_path / "x.jsonl").write_text(content)
    if not seen:  # what is of the machine is left out, whatever it is
        assert store.import_(tmp_path / "x.jsonl") == 1
        return
    with pytest.raises(ConfigError) as refused:
        store.import_(tmp_path / "x.jsonl")
    assert seen in str(refused.value)
    assert len(store.search()) == 1


def test_import_of_bytes_that_are_no_text_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(HEAD.encode() + b'{"id": "\xff"}')
    with pytest.raises(ConfigError, match=r"The runs cannot be read: .*x\.jsonl, line 2"):
        store.import_(tmp_path / "x.jsonl")


def test_import_of_a_missing_file_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        store.import_(tmp_path / "missing.jsonl")


def test_export_that_cannot_be_written_leaves_the_old_file(store: Store, tmp_path: Path) -> None:
    keep(store)
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"The runs cannot be written: .*x\.jsonl: Is a directory"):
        store.export(tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl.new").exists()


def recorded_at_once(file: Path, *prompts: str) -> list[Store]:
    """Kernels that record into one file at the same time, each having read it before the others wrote."""
    tapes = [Store.read(file, record=True) for _ in prompts]
    for tape, prompt in zip(tapes, prompts, strict=True):
        keep(tape, prompt)
        tape.flush()
    return tapes


def test_cassette_that_two_kernels_record_has_the_answers_of_both(tmp_path: Path) -> None:
    tapes = recorded_at_once(tmp_path / "c.jsonl", "one", "two", "three")
    keep(tapes[0], "four")
    for tape in tapes:
        tape.close()
    assert sorted(str(row["prompt"]) for row in lines(tmp_path / "c.jsonl")[1:]) == ["four", "one", "three", "two"]


def test_cassette_of_two_answers_to_one_request_keeps_the_one_that_came_last(tmp_path: Path) -> None:
    for tape in recorded_at_once(tmp_path / "c.jsonl", "one", "one"):
        tape.close()
    assert len(lines(tmp_path / "c.jsonl")) == 2


def test_cassette_is_not_written_once_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(taping, "write_cassette", lambda *given: written.append(write_cassette(*given)))
    tape = Store.read(tmp_path / "c.jsonl", record=True)
    for number in range(100):
        keep(tape, f"question {number}")
    tape.close()
    assert written[-1] == 100
    assert len(written) <= 30


def test_cassette_that_was_damaged_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taping, "PAUSE_S", 0.01)
    tape = Store.read(tmp_path / "c.jsonl", record=True)
    keep(tape, "one")
    tape.flush()
    (tmp_path / "c.jsonl").write_text(HEAD + "<<<<<<< HEAD\n")
    keep(tape, "two")
    tape.flush()
    assert "c.jsonl, line 2: " in str(tape.warning)
    assert "<<<" in (tmp_path / "c.jsonl").read_text()
    (tmp_path / "c.jsonl").unlink()
    assert eventually(lambda: tape.warning is None)
    assert len(lines(tmp_path / "c.jsonl")) == 3
    (tmp_path / "c.jsonl").unlink()
    keep(tape, "three")
    tape.close()
    assert len(lines(tmp_path / "c.jsonl")) == 4


def test_file_that_another_program_writes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        (tmp_path / "c.jsonl.new").rename(tmp_path / "c.jsonl")

    monkeypatch.setattr("vig_notebook.store.cassette.time.sleep", wait)
    (tmp_path / "c.jsonl.new").touch()
    with claimed(tmp_path / "c.jsonl") as fresh:
        fresh.write_text("mine")
    assert len(waited) == 1
    assert (tmp_path / "c.jsonl").read_text() == "mine"


def test_file_whose_writer_has_died_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.cassette.CLAIM_LIMIT_S", 0.02)
    (tmp_path / "c.jsonl.new").touch()
    with claimed(tmp_path / "c.jsonl") as fresh:
        fresh.write_text("mine")
    assert (tmp_path / "c.jsonl").read_text() == "mine"
