"""The log of the process: its place, its replay, its cassette."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store.runs import eventually
from vig_notebook.api import start
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.run import RunState
from vig_notebook.settings import profile_file
from vig_notebook.store import Replaying, RunLog, Store, default_store, run_log
from vig_notebook.tuning import Experiment

if TYPE_CHECKING:
    from vig_notebook.run import Run


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "0")


def asked(prompt: str = "Hello", **members: object) -> Run:
    run = start(prompt, **members)  # type: ignore[arg-type]
    assert run.wait(30)
    return run


def written(file: Path) -> list[str]:
    """The lines of the cassette, once it is written."""
    if (cassette := run_log()._cassette) is not None:
        cassette.flush()
    return file.read_text().splitlines() if file.exists() else []


def settings(text: str) -> None:
    profile_file().parent.mkdir(parents=True)
    profile_file().write_text(text)


def test_every_run_is_in_the_log_with_its_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "work/talk.ipynb")
    run = asked(labels={"rank": "1"})
    record = default_store().get(run.id)
    assert record is not None
    assert (record.text, record.base_url, record.notebook) == (run.text, "demo:", "work/talk.ipynb")
    assert record.labels == {"notebook": "work/talk.ipynb", "rank": "1"}


def test_log_that_is_off_keeps_nothing_and_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOG", "off")
    assert asked().state is RunState.DONE
    assert default_store().path is None
    assert default_store()._writer._thread is None


def test_log_is_where_the_settings_say_and_has_no_prompts(tmp_path: Path) -> None:
    settings(f'log = "{tmp_path}/mine.sqlite"\nlog_prompts = false\n')
    asked("Hello", labels={"template": "private", "rank": "1"})
    [record] = default_store().search()
    assert (record.prompt, record.messages, record.labels) == (None, None, {"rank": "1"})
    default_store().close()
    assert b"private" not in (tmp_path / "mine.sqlite").read_bytes()


def test_profile_may_leave_its_prompts_out(monkeypatch: pytest.MonkeyPatch) -> None:
    settings('[profiles.work]\nbase_url = "http://127.0.0.1:9/v1"\nlog_prompts = false\n')
    asked("kept")
    asked("private", profile="work")
    assert [record.prompt for record in default_store().search()] == [None, "kept"]


def test_log_may_be_moved_while_a_run_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "30")
    before = default_store()
    run = start("Tell me of the sea")
    run_log().use(tmp_path / "new.sqlite")
    run.stop()
    run.wait(30)
    assert before.get(run.id) is not None
    assert default_store().get(run.id) is None


def test_log_that_was_left_is_closed_when_its_last_run_has_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "30")
    run = start("Tell me of the sea")
    thread = default_store()._writer._thread
    assert thread is not None
    run_log().use("off")
    gc.collect()
    assert thread.is_alive()
    run.stop()
    run.wait(30)
    del run
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_log_that_cannot_be_kept_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    before = default_store()
    for path in (tmp_path, tmp_path / "talk.jsonl"):
        with pytest.raises(ConfigError):
            run_log().use(path)
    assert default_store() is before


def test_log_named_as_a_cassette_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cassette = tmp_path / "talk.jsonl"
    cassette.write_text("mine")
    monkeypatch.setenv("VIG_LOG", str(cassette))
    assert asked().state is RunState.DONE
    with pytest.raises(ConfigError, match="The run log is no JSON Lines file"):
        default_store().search()
    assert [path.name for path in tmp_path.glob("talk*")] == ["talk.jsonl"]


def test_replay_of_the_environment_answers_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    live = [asked().text, asked("Other").text]
    run_log().close()
    engine().kept.clear()  # another process
    monkeypatch.setenv("VIG_REPLAY", "only")
    again = asked()
    assert (again.text, again.endpoint.name, again.endpoint.api_key) == (live[0], "the scripted demo server", None)
    assert "replayed" in again.labels
    assert asked("Other").text == live[1]
    missing = asked("Never asked")
    assert isinstance(missing.error, ConfigError)
    monkeypatch.setenv("VIG_REPLAY", "off")
    assert "replayed" not in asked("Other").labels


def test_replay_of_an_unknown_word_fails_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_REPLAY", "maybe")
    with pytest.raises(ConfigError, match=r"VIG_REPLAY is not understood: 'maybe'. It is off, on or only"):
        start("Hello")


def test_replay_only_of_the_environment_makes_the_notebooks_on_only_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "talk.jsonl"
    run_log().replay(Replaying(mode="on", file=str(file)))
    asked()
    assert len(written(file)) == 2
    monkeypatch.setenv("VIG_REPLAY", "only")
    assert run_log().replaying == Replaying(mode="only", file=str(file))
    assert isinstance(asked("Other").error, ConfigError)
    run_log().replay(Replaying(mode="off"))
    assert asked("Other").state is RunState.DONE
    assert len(written(file)) == 2


def test_cassette_that_cannot_be_read_leaves_all_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="The runs cannot be read"):
        run_log().replay(Replaying(mode="only", file=str(tmp_path / "missing.jsonl")))
    assert run_log().replaying == Replaying()


def test_cassette_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    run_log().replay(Replaying(mode="on", file=str(tmp_path / "nowhere" / "talk.jsonl")))
    assert asked().state is RunState.DONE
    cassette = run_log()._cassette
    assert cassette is not None
    cassette.flush()
    assert str(run_log().warning).startswith("The runs cannot be written")


def test_cassette_has_no_answer_that_was_stopped_or_replayed(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    run_log().replay(Replaying(mode="on", file=str(file)))
    asked(model="demo-cut")
    assert written(file) == []
    asked()
    assert len(written(file)) == 2
    recorded = file.stat().st_mtime_ns
    run_log().replay(Replaying(mode="on", file=str(file)))
    assert "replayed" in asked().labels
    run_log().close()
    assert file.stat().st_mtime_ns == recorded


def test_run_that_outlives_its_cassette_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "300")
    file = tmp_path / "talk.jsonl"
    run_log().replay(Replaying(mode="on", file=str(file)))
    run = start("Hello")
    run_log().replay(Replaying(mode="off"))
    assert run.wait(30)
    assert eventually(lambda: len(written(file)) == 2)


def test_cassette_that_is_chosen_again_has_what_came_before(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    for number in range(3):  # a notebook whose first cell is run again
        run_log().replay(Replaying(mode="on", file=str(file)))
        assert ("replayed" in asked().labels) is bool(number)
        asked(f"Say {number}")
    assert len(written(file)) == 1 + 4


def test_cassette_is_made_once_by_threads_that_ask_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIG_REPLAY", f"on {tmp_path / 'talk.jsonl'}")
    log, together, read = run_log(), threading.Barrier(4), Store.read
    made: list[Store] = []

    def read_slowly(path: str, *, record: bool) -> Store:
        threading.Event().wait(0.02)
        made.append(read(path, record=record))
        return made[-1]

    def ask_for_sinks() -> None:
        together.wait(10)
        log.sinks()

    monkeypatch.setattr(Store, "read", read_slowly)
    threads = [threading.Thread(target=ask_for_sinks) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1


def test_answer_that_the_log_had_is_in_the_cassette_too(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    known = default_store().get(asked().id)
    assert known is not None
    assert known.key is not None
    assert run_log().answers([known.key, "other"]) == {known.key: known}
    run_log().replay(Replaying(mode="on", file=str(file)))
    for _ in range(2):
        [found] = run_log().answers([known.key, "other"]).values()
        assert found.text == known.text
        assert len(written(file)) == 2
    run_log().replay(Replaying(mode="only", file=str(file)))
    assert run_log().answers([known.key]) == {}
    assert "replayed" in asked().labels


def test_experiment_that_the_log_answers_is_in_the_cassette_as_well(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    for cassette in (Replaying(), Replaying(mode="on", file=str(file)), Replaying(mode="only", file=str(file))):
        run_log().replay(cassette)
        assert Experiment(["Say {{ x }}"], data=[{"x": "one"}, {"x": "two"}], repeats=2).run().wait(30)
        assert len(default_store().search(state="done", limit=None)) == (8 if cassette.mode == "only" else 4)
        run_log().close()
        engine().kept.clear()  # another process
    assert len(written(file)) == 1 + 4


def test_run_that_leaves_the_log_out_is_not_in_it() -> None:
    assert run_log().sinks(log=False) == ()


def test_log_in_another_place_is_a_store_of_its_own(tmp_path: Path) -> None:
    own = Store(Path(tmp_path / "own.sqlite"))
    run = asked(sinks=[own.recorder()])
    assert own.get(run.id) is not None
    own.close()


def test_cassette_that_is_left_is_flushed_while_runs_are_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = run_log()
    log.replay(Replaying(mode="on", file=str(tmp_path / "c.jsonl")))
    log.ready()
    waited = []

    def ask() -> None:
        log.source()
        log.sinks()

    def flush(_store: Store) -> None:
        asks = threading.Thread(target=ask)
        asks.start()
        asks.join(30)
        waited.append(asks.is_alive())

    monkeypatch.setattr(Store, "flush", flush)
    log.use(tmp_path / "other.sqlite")
    log.source()
    log.replay(Replaying(mode="off"))
    assert waited == [False, False]


def test_cassette_whose_thread_has_ended_can_be_left(tmp_path: Path) -> None:
    log = run_log()
    log.replay(Replaying(mode="on", file=str(tmp_path / "c.jsonl")))
    assert log._cassette is not None
    log._cassette.close()
    log.replay(None)
    assert log.replaying.mode == "off"


def test_log_that_another_thread_has_just_made_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunLog()
    made = Store("off")

    class Waited:
        """A lock that another thread has held, to make the log."""

        def __enter__(self) -> None:
            log._store = made

        def __exit__(self, *_: object) -> None:
            """Nothing more."""

    monkeypatch.setattr(log, "_lock", Waited())
    assert log.store is made
    assert log.store is made
