from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import ask, eventually, keep
from vig_notebook.errors import ConfigError, Truncated, VigthoriaError
from vig_notebook.store import Store, past_of, taping
from vig_notebook.store.cassette import claimed, import_runs, write_cassette
from vig_notebook.store.records import Record
from vig_notebook.store.schema import prepare
from vig_notebook.store.search import Query, find

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
    [found] = copy.find_all([recorded.key]).values()
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
        (HEAD + '{"id": null}', "line 2: Expected `str`, got `null` - at `$.id`"),
        (HEAD + '{"id": "x", "text": [1]}', "line 2: Expected `str`, got `array` - at `$.text`"),
        (HEAD + '{"id": "x", "delta_count": 1' + "0" * 30 + "}", "line 2: "),
        (HEAD + '{"key": 1' + "0" * 30 + "}", "line 2: "),
        (HEAD + '{"id": "x", "created_at": "0001-01-01T00:00:00+14:00"}', "line 2: "),
        (HEAD + '{"id": "x", "usage": ' + "[" * 3000 + "]" * 3000 + "}", "line 2: "),
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


HOSTILE = (
    "1" + "0" * 30, "-1" + "0" * 30, "1" + "0" * 400, "9223372036854775808", "1e999", "NaN", "1.5", "3", "true", "null",
    '"x"', '"\\ud800"', '"a\\u0000b"', "[1]", "[[[{}]]]", '{"a": 1}', '{"a": "\\ud800"}', '[{"a": 1}]',
    '[{"index": "x"}]', "[" * 3000 + "]" * 3000,
)  # fmt: skip
"""Values of members of a line; each is wrong for most of them."""


def test_import_of_any_line_gives_a_run_that_can_be_read_or_an_error_of_the_line(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, "in memory")
    whole = {"key": "k", "any_server_key": "a", "text": "hello", "labels": {}, "messages": [{"role": "user"}]}
    taken = 0
    for name, value in itertools.product([field.name for field in fields(Record)], HOSTILE):
        members = {**{member: json.dumps(good) for member, good in whole.items()}, name: value}
        file.write_text(HEAD + "{" + ", ".join(f'"{member}": {text}' for member, text in members.items()) + "}")
        with suppress(ConfigError):
            taken += import_runs(connection, file)
        for record in find(connection, Query()):
            assert record.ended_at
            with suppress(VigthoriaError):  # what the answer has in it is looked at when it is wanted
                record.completion()
                past_of(record)
                record.chunks(record.delta_count or 1)
        write_cassette(connection, file)
        connection.execute("DELETE FROM runs")
    connection.close()
    assert taken > len(HOSTILE)


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


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", '{"key": "<<<", "delta_count": 1' + "0" * 30 + "}"])
def test_cassette_that_was_damaged_meanwhile_is_left_alone(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taping, "PAUSE_S", 0.01)
    tape = Store.read(tmp_path / "c.jsonl", record=True)
    keep(tape, "one")
    tape.flush()
    (tmp_path / "c.jsonl").write_text(f"{HEAD}{line}\n")
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


def test_cassette_that_sqlite_cannot_give_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taping, "PAUSE_S", 0.01)
    tries = iter([sqlite3.OperationalError("disk I/O error")])

    def write(connection: sqlite3.Connection, fresh: Path) -> int:
        for error in tries:
            raise error
        return write_cassette(connection, fresh)

    monkeypatch.setattr(taping, "write_cassette", write)
    tape = Store.read(tmp_path / "c.jsonl", record=True)
    keep(tape, "one")
    assert eventually(lambda: (tmp_path / "c.jsonl").exists())
    tape.flush()
    assert (tape.warning, len(lines(tmp_path / "c.jsonl"))) == (None, 2)
    tape.close()


def test_bug_in_what_writes_the_cassette_leaves_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[object] = []
    monkeypatch.setattr("threading.excepthook", caught.append)

    def bug(connection: sqlite3.Connection, fresh: Path) -> int:
        raise LookupError(fresh.name)

    monkeypatch.setattr(taping, "write_cassette", bug)
    tape = Store.read(tmp_path / "c.jsonl", record=True)
    keep(tape, "one")
    with pytest.raises(ConfigError, match="The run log is closed"):
        tape.flush()
    assert "met an error of its own (LookupError(" in str(tape.warning)
    tape.close()
    assert len(caught) == 1


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
    for left in ("c.jsonl.new", "c.jsonl.new.1a2b", "c.jsonl2.new"):
        (tmp_path / left).touch()
    with claimed(tmp_path / "c.jsonl") as fresh:
        fresh.write_text("mine")
    assert (tmp_path / "c.jsonl").read_text() == "mine"
    assert sorted(left.name for left in tmp_path.glob("c*")) == ["c.jsonl", "c.jsonl2.new"]


def test_file_taken_over_from_a_slow_writer_is_never_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vig_notebook.store.cassette.CLAIM_LIMIT_S", 0.02)
    file = tmp_path / "c.jsonl"
    file.write_text("before")
    slow = claimed(file)
    slow.__enter__().write_text("slow")
    with claimed(file) as fresh:
        fresh.write_text("ha")
        with pytest.raises(ConfigError, match=r"c\.jsonl: another program writes it"):
            slow.__exit__(None, None, None)
        assert file.read_text() == "before"
        assert (tmp_path / "c.jsonl.new").exists()
        fresh.write_text("half and half")
    assert [left.name for left in tmp_path.glob("c*")] == ["c.jsonl"]
    assert file.read_text() == "half and half"
