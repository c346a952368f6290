from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import SERVER, ask, come, eventually, keep, request
from vig_notebook.errors import ConfigError
from vig_notebook.run import Run
from vig_notebook.store import Store, opening
from vig_notebook.store.aside import set_aside
from vig_notebook.store.keeper import MAX_KEPT, Keeper
from vig_notebook.store.recorder import Recorder

if TYPE_CHECKING:
    from vig_notebook.store.processes import Process


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def other(path: Path) -> sqlite3.Connection:
    """Another program that has the file open."""
    return sqlite3.connect(path, isolation_level=None, timeout=0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are given up at once."""
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_S", 0.01)


def test_file_and_folder_are_the_owners_alone(store: Store, path: Path) -> None:
    keep(store)
    store.flush()
    assert mode(path.parent) == 0o700
    assert {file.name: mode(file) for file in path.parent.iterdir()} == {
        "runs.sqlite": 0o600,
        "runs.sqlite-shm": 0o600,
        "runs.sqlite-wal": 0o600,
    }


def test_default_place_is_the_users_data_folder(tmp_path: Path) -> None:
    assert opening.log_path() == tmp_path / "home" / "data" / "vig_notebook" / "runs.sqlite"


def test_place_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOG", "~/x.sqlite")
    assert opening.log_path() == Path.home() / "x.sqlite"
    monkeypatch.setenv("VIG_LOG", "OFF")
    assert opening.log_path() is None
    assert opening.log_path("y.sqlite") == Path("y.sqlite")


def test_store_opens_nothing_before_its_first_use(path: Path) -> None:
    Store(path).close()
    assert not path.parent.exists()


def test_file_that_cannot_be_made_leaves_a_log_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = Store(tmp_path / "file" / "runs.sqlite")
    keep(store, "Hi")
    assert [record.prompt for record in store.search()] == ["Hi"]
    assert store.warning is not None
    assert store.warning.startswith(f"Runs are not saved: the run log {tmp_path}/file/runs.sqlite cannot be used (")
    assert store.warning.endswith("); history lasts as long as the kernel")
    store.close()


READ_ONLY = """
import os, sys
from tests.store.runs import ask, come
from vig_notebook.store import Store
ask(None)
memory = Store("off")
memory.search()
memory.close()
os.setuid(65534)
store = Store(sys.argv[1])
print(ask(store).state, len(store.search()), store.warning)
store.close()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="gives up the rights of root to have none")
@pytest.mark.parametrize("there", [True, False])
def test_folder_that_is_read_only_lets_the_run_end(there: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "runs.sqlite"
        if there:
            store = Store(path)
            keep(store)
            store.close()
        path.parent.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, check=True, timeout=60
        )
    assert done.stdout.startswith("DONE 1 Runs are not saved: the run log")
    assert done.stderr == ""


def test_wal_that_is_refused_is_replaced_by_a_journal(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(path.name + "-shm").mkdir()  # no memory that processes share, as on a network disk
    store = Store(path)
    keep(store, "Hi")
    assert store.warning is None
    assert store._ask(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0]) == "delete"
    store.close()
    assert other(path).execute("SELECT prompt FROM runs").fetchall() == [("Hi",)]


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"\x07" * 5000])
def test_damaged_file_is_set_aside_and_said(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    store = Store(path)
    keep(store, "Hi")
    assert [record.prompt for record in store.search()] == ["Hi"]
    [aside] = path.parent.glob("runs.sqlite.damaged-*")
    assert aside.read_bytes() == content
    assert store.warning == f"The run log was damaged: it is kept as {aside}, and a new one was begun"
    store.close()


def test_damaged_file_that_cannot_be_renamed_leaves_a_log_in_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("in use")

    path.parent.mkdir()
    path.write_bytes(b"no database at all, " * 100)
    monkeypatch.setattr(Path, "rename", refuse)
    store = Store(path)
    keep(store, "Hi")
    assert len(store.search()) == 1
    assert store.warning is not None
    assert store.warning.startswith("Runs are not saved")
    store.close()


def damage(store: Store, path: Path) -> None:
    """Overwrite the pages of an open file, as a failing disk would."""
    store._ask(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 100))
    store._ask(lambda c: c.execute("PRAGMA cache_size = 0").fetchall())


def test_file_damaged_while_a_run_goes_on_is_set_aside_and_the_run_is_kept(store: Store, path: Path) -> None:
    keep(store, "before")
    recorder = store.recorder()
    run = Run(request("during"), SERVER, sinks=(recorder,))
    recorder.start(run)
    damage(store, path)
    come(run, "x " * 4096)
    store.flush()
    assert [record.prompt for record in store.search()] == ["during"]
    assert store.warning is not None
    assert "The run log was damaged: it is kept as" in store.warning
    assert len(list(path.parent.glob("runs.sqlite.damaged-*"))) >= 1


@pytest.mark.parametrize("noticed", ["by the next search", "at the end"])
def test_file_that_took_the_place_of_the_log_is_left_whole(tmp_path: Path, path: Path, noticed: str) -> None:
    backup = Store(tmp_path / "backup.sqlite")
    for number in range(40):
        keep(backup, f"backup {number}", "words " * 200)
    backup.close()
    store = Store(path)
    for number in range(10):
        keep(store, f"live {number}", "words " * 200)
    store.flush()
    (tmp_path / "backup.sqlite").replace(path)
    if noticed == "by the next search":
        assert len(store.search("backup", limit=None)) == 40
        assert store.warning == f"The run log {path} was replaced: runs go on in the file that is there now"
        keep(store, "after")
    store.close()
    assert {name.suffix for name in path.parent.glob("*.replaced-*")} != set()
    again = Store(path)
    assert len(again.search("backup", limit=None)) == 40
    assert again._ask(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    again.close()


def test_side_files_that_another_program_uses_are_left_where_they_are(tmp_path: Path, path: Path) -> None:
    backup = Store(tmp_path / "backup.sqlite")
    keep(backup, "backup")
    backup.close()
    store = Store(path)
    keep(store, "live")
    store.flush()
    (tmp_path / "backup.sqlite").replace(path)
    hold = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM runs').fetchall();"
        " print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        store.close()
        assert path.with_name(path.name + "-wal").exists()
        assert list(path.parent.glob("*.replaced-*")) == []
        process.communicate("")


def test_second_log_on_the_file_leaves_the_first_its_locks(store: Store, path: Path) -> None:
    keep(store, "Hi")
    store.flush()
    second = Store(path)
    second.flush()
    read = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM runs'); c.close()"
    subprocess.run([sys.executable, "-c", read, str(path)], check=True, timeout=60)
    assert path.with_name(path.name + "-wal").exists()
    second.close()


def test_new_log_of_another_kernel_is_not_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all, " * 100)
    damaged = path.stat().st_ino
    first = Store(path)
    keep(first, "Hi")
    first.flush()
    assert set_aside(path, damaged) is None
    assert len(first.search()) == 1
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    first.close()


def test_file_of_a_user_is_refused_and_left_alone(tmp_path: Path) -> None:
    notebook = tmp_path / "work.ipynb"
    notebook.write_text('{"cells": []}' * 50)
    store = Store(notebook)
    keep(store, "not logged")
    with pytest.raises(ConfigError) as refused:
        store.search()
    assert str(refused.value) == f"The run log is no SQLite file: {notebook}. Name a .sqlite file, or a new one."
    store.close()
    assert notebook.read_text() == '{"cells": []}' * 50
    assert [file.name for file in tmp_path.glob("work*")] == ["work.ipynb"]


def test_damaged_log_of_another_name_is_told_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "runs.log"
    path.write_bytes(b"SQLite format 3\0" + b"\x07" * 5000)
    store = Store(path)
    keep(store, "Hi")
    assert len(store.search()) == 1
    assert len(list(tmp_path.glob("runs.log.damaged-*"))) == 1
    store.close()


@pytest.mark.skipif(os.getuid() != 0, reason="makes a small disk")
def test_disk_that_is_full_when_the_log_is_opened_is_tried_again(path: Path) -> None:
    path.parent.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(path.parent)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a disk")
    try:
        first = Store(path)
        keep(first, "before")
        first.close()
        with suppress(OSError), (path.parent / "fill").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        store = Store(path, flush_interval_s=0.01)
        keep(store, "meanwhile")
        assert eventually(lambda: "cannot be written (" in str(store.warning))
        with pytest.raises(ConfigError, match=r"The run log cannot be read: .*\. Make room on the disk, or try again"):
            store.search()
        (path.parent / "fill").unlink()
        assert eventually(lambda: store.warning is None)
        assert [record.prompt for record in store.search()] == ["meanwhile", "before"]
        store.close()
    finally:
        subprocess.run(["umount", str(path.parent)], check=True)


def test_file_found_damaged_by_a_search_is_set_aside(store: Store, path: Path) -> None:
    keep(store, "before")
    store.flush()
    damage(store, path)
    with pytest.raises(ConfigError, match=r"The run log cannot be read: .*malformed.* it is kept as"):
        store.search()
    assert store.search() == []


def test_file_damaged_and_held_by_another_program_is_said(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("in use")

    keep(store, "before")
    store.flush()
    damage(store, path)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ConfigError, match="is damaged and cannot be renamed"):
        store.search()


def test_newer_file_is_refused_with_a_sentence_and_left_alone(store: Store, path: Path) -> None:
    keep(store)
    store.close()
    connection = other(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    newer = Store(path)
    keep(newer, "not logged")
    sentence = (
        f"The run log cannot be opened: {path} was written by a newer vig_notebook "
        "(version 99 of the log, this one knows 2). Update vig_notebook, or name another file with VIG_LOG."
    )
    with pytest.raises(ConfigError) as refused:
        newer.search()
    assert str(refused.value) == newer.warning == sentence
    newer.close()
    assert other(path).execute("SELECT count(*) FROM runs").fetchone()[0] == 1


def test_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    connection = other(path)
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    store = Store(path)
    with pytest.raises(ConfigError, match="is a database of another program"):
        store.search()
    store.close()
    assert other(path).execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]


@pytest.mark.usefixtures("impatient")
def test_file_locked_by_another_program_gets_its_rows_later(path: Path) -> None:
    store = Store(path, flush_interval_s=0.01)
    keep(store, "before")
    store.flush()
    connection = other(path)
    connection.execute("BEGIN IMMEDIATE")
    run = ask(store, "meanwhile", "the ", "answer")
    assert str(run.state) == "DONE"
    assert eventually(lambda: store.warning is not None)
    assert store.warning == (
        f"The run log {path} cannot be written (another program has it locked): "
        "runs are kept and saved when it can be written again"
    )
    assert [record.prompt for record in store.search()] == ["before"]
    connection.execute("COMMIT")
    assert eventually(lambda: store.warning is None)
    assert [record.text for record in store.search()] == ["the answer", "Hello world"]
    connection.close()
    store.close()


@pytest.mark.usefixtures("impatient")
def test_file_locked_when_it_is_opened_gets_its_rows_later(path: Path) -> None:
    path.parent.mkdir()
    connection = other(path)
    connection.execute("BEGIN EXCLUSIVE")
    store = Store(path, flush_interval_s=0.01)
    keep(store, "Hi")
    with pytest.raises(ConfigError, match=r"The run log cannot be read: .* database is locked. Try again later."):
        store.search()
    connection.execute("COMMIT")
    connection.close()
    assert eventually(lambda: store.warning is None)
    assert [record.prompt for record in store.search()] == ["Hi"]
    store.close()


def test_disk_that_is_full_lets_the_run_end_and_is_tried_again(path: Path) -> None:
    store = Store(path, flush_interval_s=0.01)
    keep(store, "before")
    pages = store._ask(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    store._ask(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    run = ask(store, "large", "word " * 20_000)
    assert len(run.text) == 100_000
    assert eventually(lambda: store.warning is not None)
    assert store.warning is not None
    assert "cannot be written (database or disk is full): runs are kept" in store.warning
    store._ask(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert eventually(lambda: store.warning is None)
    assert [record.prompt for record in store.search()] == ["large", "before"]
    store.close()


@pytest.mark.usefixtures("impatient")
def test_log_that_is_never_writable_keeps_only_the_last_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.keeper.MAX_KEPT", 3)
    store = Store(path, flush_interval_s=0.01)
    keep(store, "before")
    store.flush()
    connection = other(path)
    connection.execute("BEGIN IMMEDIATE")
    asked = []
    for number in range(6):
        asked.append(ask(store, f"run {number}").id)
        assert eventually(lambda: store.warning is not None)
    assert eventually(lambda: "only the last 3 runs are kept" in str(store.warning))
    kept = store._writer._keeper._recorders
    assert eventually(lambda: [recorder.run_id for recorder in tuple(kept)] == asked[3:])
    connection.execute("COMMIT")
    connection.close()
    assert eventually(lambda: store.warning is None)
    assert [record.prompt for record in store.search()][:2] == ["run 5", "run 4"]
    assert len(store.search()) == 4
    store.close()
    assert MAX_KEPT == 1000


def test_file_that_was_deleted_is_made_again_with_the_run_that_goes_on(store: Store, path: Path) -> None:
    keep(store, "before")
    recorder = store.recorder()
    run = Run(request("during"), SERVER, sinks=(recorder,))
    recorder.start(run)
    come(run, "lost? ")
    store.flush()
    for file in path.parent.iterdir():
        file.unlink()
    come(run, "x " * 4096)
    store.flush()
    assert [record.text for record in store.search()] == ["lost? " + "x " * 4096]
    assert store.warning == f"The run log {path} was deleted: a new one was begun"


class Odd(Recorder):
    """The recorder of a run that nothing can be made of."""

    def save(self, connection: sqlite3.Connection, process: Process, *, text: bool = True) -> None:
        raise RuntimeError("no such thing")


def test_run_that_cannot_be_saved_is_left_out_and_said(store: Store) -> None:
    recorder = Odd(store._wake, store.repeats)
    store._writer.start()
    run = Run(request("odd"), SERVER, sinks=(recorder,))
    recorder.start(run)
    keep(store, "beside it")
    assert [record.prompt for record in store.search()] == ["beside it"]
    assert store.warning == f"Run {run.id[:8]} is not saved: no such thing"
    keep(store, "after it")
    assert len(store.search()) == 2


def test_calls_that_come_when_the_thread_has_ended_are_refused(store: Store) -> None:
    keeper = Keeper(None)
    keeper._set_aside()  # in memory there is nothing to set aside
    keeper.broken = True
    answer: Future[int] = Future()
    keeper.answer(lambda _: 1, answer)
    with pytest.raises(ConfigError, match="The run log is closed"):
        answer.result(0)
    cancelled: Future[int] = Future()
    cancelled.cancel()
    keeper.answer(lambda _: 1, cancelled)
    keeper.close()


def test_thread_that_a_bug_ends_leaves_nobody_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[object] = []
    monkeypatch.setattr("threading.excepthook", caught.append)
    store = Store(path)
    keep(store)
    store.flush()

    def bug(_: object) -> None:
        store._writer._queue.put(lambda keeper: keeper.answer(lambda _: 1, late))
        raise LookupError

    late: Future[int] = Future()
    taken: Future[int] = Future()

    def together(_: object) -> None:
        for action in (bug, bug, lambda keeper: keeper.answer(lambda _: 1, taken)):
            store._writer._queue.put(action)

    store._writer.tell(together)
    with pytest.raises(ConfigError, match="The run log is closed"):
        late.result(5)
    with pytest.raises(ConfigError, match="The run log is closed"):
        taken.result(5)
    assert len(caught) == 1
    assert store.warning == "Runs are not saved any more: the run log met an error of its own (LookupError())"
    with pytest.raises(ConfigError, match="The run log is closed"):
        store.search()
    store.close()


def test_more_runs_than_the_queue_takes_are_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.writer.MAX_QUEUED", 0)
    keep(store)
    assert store.warning == "Some runs are not saved: more than 0 waited for the run log"


def test_error_that_is_no_databases_is_raised_where_it_was_asked(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        store._ask(lambda _: 1 / 0)


def test_close_twice_and_calls_after_it(store: Store) -> None:
    keep(store)
    store.close()
    store.close()
    with pytest.raises(ConfigError, match=r"The run log is closed\. Make a new Store\."):
        store.search()


def test_export_onto_the_log_itself_is_refused(store: Store, path: Path) -> None:
    keep(store, "Hi")
    for export in (store.export, store.export_cassette):
        with pytest.raises(ConfigError) as refused:
            export(path.parent / ".." / path.parent.name / path.name)
        assert str(refused.value).endswith(" is the run log itself. Name another file.")
    assert len(store.search()) == 1


def test_log_that_was_replaced_leaves_the_side_files_to_another_log_of_the_process(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.sqlite"
    saved = Store(backup)
    keep(saved, "old")
    saved.close()
    first = Store(path)
    keep(first, "lost with its file")
    first.flush()
    backup.replace(path)
    second = Store(path)
    keep(second, "second")
    second.flush()
    keep(first, "first")
    assert [record.prompt for record in first.search("first")] == ["first"]
    keep(second, "second again")
    first.close()
    second.close()
    last = Store(path)
    assert {"first", "second", "second again"} <= {record.prompt for record in last.search()}
    assert last.warning is None
    last.close()


def test_link_to_a_log_that_is_not_there_yet_makes_it(tmp_path: Path) -> None:
    link, target = tmp_path / "link.sqlite", tmp_path / "target.sqlite"
    link.symlink_to(target)
    store = Store(link)
    keep(store, "Hi")
    store.close()
    assert store.warning is None
    assert target.stat().st_size > 0


def test_row_that_a_copy_of_the_file_has_already_is_gone_on_with(path: Path, tmp_path: Path) -> None:
    store = Store(path)
    recorder = store.recorder()
    run = Run(request("Hi"), SERVER, sinks=(recorder,))
    recorder.start(run)
    come(run, "one ")
    store.flush()
    store._ask(lambda connection: connection.execute(f"VACUUM INTO '{tmp_path / 'copy'}'").fetchall())
    (tmp_path / "copy").replace(path)
    come(run, "two ")
    store.flush()
    assert [record.text for record in store.search()] == ["one two "]
    recorder.finish(run)
    store.flush()
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM runs WHERE ended_at IS NULL").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM text_parts").fetchone() == (0,)
    connection.close()
