from __future__ import annotations

import asyncio
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.runs import KEY, SERVER, Answer, Server, ask, come, drive, eventually, keep, request, text_chunks
from vig_notebook.errors import ConfigError, RateLimited, Truncated
from vig_notebook.run import Plan, Run
from vig_notebook.settings import Secret
from vig_notebook.sinks import TextSink
from vig_notebook.store import Store
from vig_notebook.store.identity import Repeats
from vig_notebook.store.keeper import Keeper
from vig_notebook.store.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from vig_notebook.wire.chat import Delta

MANY = 4096


class Shown:
    """A sink that tells when some text has come."""

    def __init__(self, shown: asyncio.Event) -> None:
        self.shown = shown

    def start(self, run: Run) -> None:
        """Wait on."""

    def write(self, delta: Delta) -> None:
        self.shown.set()

    def finish(self, run: Run) -> None:
        """Nothing more."""


def begun(store: Store, prompt: str = "Hi", **members: object) -> tuple[Run, Recorder]:
    """A run whose sink has been told of the start, and nothing more."""
    recorder = store.recorder()
    run = Run(request(prompt, **members), SERVER, sinks=(recorder,))
    recorder.start(run)
    return run, recorder


def test_start_before_any_answer_is_in_the_log(store: Store) -> None:
    run, _ = begun(store, "Where is the lighthouse?", temperature=0.5, seed=7)
    [record] = store.search("lighthouse")
    assert (record.id, record.state, record.text, record.ended_at) == (run.id, "queued", "", None)
    assert record.messages == [{"role": "user", "content": "Where is the lighthouse?"}]
    assert record.parameters == {"temperature": 0.5, "seed": 7}
    assert (record.base_url, record.server, record.model) == (SERVER.base_url, "Example", "small")


def test_finish_keeps_all_that_the_run_left_behind(store: Store) -> None:
    run = ask(store, "Hi", "Hello ", "world", labels={"cell": "3", "notebook": "a.ipynb", "rank": "1"}, chat="c")
    record = store.get(run.id)
    assert record is not None
    assert (record.state, record.text, record.finish_reason) == ("done", "Hello world", "stop")
    assert (record.tokens_in, record.tokens_out) == (3, 7)
    assert record.usage == {"prompt_tokens": 3, "completion_tokens": 7, "cached": 1}
    assert (record.answer_id, record.answer_model, record.request_id) == ("cmpl-1", "small-2", "req-7")
    assert (record.chat, record.notebook, record.cell) == ("c", "a.ipynb", "3")
    assert record.labels == {"cell": "3", "notebook": "a.ipynb", "rank": "1"}
    assert record.total_s is not None
    assert record.total_s >= 0
    assert record.ended_at is not None
    assert record.ended_at >= record.created_at


def test_text_that_was_flushed_is_in_the_log_before_the_end(store: Store) -> None:
    run, _ = begun(store)
    come(run, "some words ")
    store.flush()
    [record] = store.search()
    assert (record.state, record.text) == ("streaming", "some words ")


def test_text_of_many_flushes_is_appended_and_never_written_again(store: Store) -> None:
    run, _ = begun(store)
    for number in range(5):
        come(run, f"{number} " * MANY, f"r{number} ")
        store.flush()
    [record] = store.search()
    assert record.text == "".join(f"{number} " * MANY for number in range(5))
    assert record.reasoning == "r0 r1 r2 r3 r4 "
    sizes = store._ask(lambda c: c.execute("SELECT length(text) FROM text_parts").fetchall())
    assert [size[0] for size in sizes] == [2 * MANY] * 5


def test_text_is_in_the_log_after_the_interval(path: Path) -> None:
    store = Store(path, flush_interval_s=0.02)
    run, _ = begun(store)
    store.flush()
    come(run, "a few words ")
    assert eventually(lambda: store.search()[0].text == "a few words ")
    store.close()


def test_runs_that_begin_and_end_do_not_have_the_text_of_others_saved_before_its_time(path: Path) -> None:
    store = Store(path, flush_interval_s=3600)
    run, _ = begun(store)
    assert [record.state for record in store.search()] == ["queued"]
    come(run, "some words ")
    keep(store, "Hi", "done")
    begun(store, "Another")
    assert [record.text for record in store.search()] == ["", "done", ""]
    store.flush()
    assert [record.text for record in store.search()] == ["", "done", "some words "]
    store.close()


def test_run_that_says_nothing_more_is_not_saved_again(store: Store) -> None:
    run, recorder = begun(store)
    come(run, "words ")
    store.flush()
    assert not recorder.waiting


def test_recorder_is_told_of_no_token() -> None:
    assert not isinstance(Recorder(lambda _: None, Repeats()), TextSink)


def test_finish_folds_the_parts(store: Store) -> None:
    keep(store, "Hi", "long " * MANY, "end")
    assert store.search()[0].text == "long " * MANY + "end"
    assert store._ask(lambda c: c.execute("SELECT count(*) FROM text_parts").fetchone()[0]) == 0


@pytest.mark.parametrize("secret", [KEY, "vg-live-sk-0123456789abcdef"])
@pytest.mark.parametrize("cut", range(1, 24, 4))
def test_key_cut_over_two_flushes_is_never_in_the_file(store: Store, path: Path, secret: str, cut: int) -> None:
    run, _ = begun(store)
    come(run, "x " * MANY + secret[:cut])
    store.flush()
    come(run, secret[cut:] + " y" * MANY)
    store.flush()
    [record] = store.search()
    assert record.text == "x " * MANY + "••••" + " y" * MANY
    assert not any(secret[8:].encode() in file.read_bytes() for file in path.parent.iterdir())


LONG_KEY = "eyJ" + "aB3-_." * 150
HEX_KEY = "c0ffee00112233445566778899aabbcc"


@pytest.mark.parametrize(
    ("key", "before", "cut"),
    [
        (LONG_KEY, "Your key is ", 500),
        (HEX_KEY, '{"a":"' + "x" * 300 + '","b":"', 20),
        ('quoted "key" with ends', 'x{"a":"', 9),
    ],
)
def test_own_key_of_any_form_cut_over_two_flushes_is_never_in_the_file(
    store: Store, path: Path, key: str, before: str, cut: int
) -> None:
    recorder = store.recorder()
    run = Run(request(), replace(SERVER, api_key=Secret(key)), sinks=(recorder,))
    recorder.start(run)
    come(run, before + key[:cut])
    store.flush()
    come(run, key[cut:] + '","b":1} ok ')
    store.flush()
    [record] = store.search()
    assert record.text == f'{before}••••","b":1}} ok '
    files = [file.read_bytes() for file in path.parent.iterdir()]
    assert not any(part.encode() in content for content in files for part in (key[:cut], key[cut:]))


def test_key_of_others_whose_label_came_a_flush_before_is_never_in_the_file(store: Store, path: Path) -> None:
    token = "QWxhZGRpbjpvcGVuIHNlc2FtZQ0123456789"
    run, _ = begun(store)
    come(run, "Authorization: Bearer ")
    store.flush()
    come(run, f"{token} ok ")
    store.flush()
    assert store.search()[0].text == "Authorization: Bearer •••• ok "
    assert not any(token.encode() in file.read_bytes() for file in path.parent.iterdir())


@pytest.mark.parametrize(
    "chunk",
    [
        {"id": KEY},
        {"model": KEY},
        {"choices": [{"index": 0, "delta": {"content": KEY}, "finish_reason": KEY}]},
        {"usage": {"prompt_tokens": 3, "completion_tokens": 7, "user": KEY, "details": {KEY: 1}}},
        {KEY: 5, "note": KEY},
    ],
)
def test_key_that_the_server_sends_back_anywhere_is_not_in_the_file(
    store: Store, path: Path, chunk: dict[str, Any]
) -> None:
    ask(store, chunks=[{"choices": [], **chunk}, *text_chunks("Hello")])
    store.flush()
    assert [record.state for record in store.search()] == ["done"]
    assert not any(KEY.encode() in file.read_bytes() for file in path.parent.iterdir())


def test_row_that_comes_late_has_its_text_at_once(path: Path) -> None:
    keeper = Keeper(path)
    recorder = Recorder(lambda _: None, Repeats())
    run = Run(request(), SERVER)
    run._progress._created -= 2
    recorder.start(run)
    come(run, "some words ")
    keeper.add([recorder])
    keeper.save(text=False)
    keeper.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT text FROM text_parts").fetchall() == [("some words ",)]
    connection.close()


def test_run_that_was_forgotten_has_nothing_to_save_until_it_ends(store: Store) -> None:
    run, recorder = begun(store)
    store.flush()
    store.forget(everything=True)
    come(run, "words ")
    store.flush()
    assert not recorder.waiting
    recorder.finish(run)
    store.flush()
    assert recorder.ended
    assert store.search() == []


def test_end_that_was_saved_before_word_of_it_came_is_saved_once(path: Path) -> None:
    store = Store(path)
    words: list[Recorder] = []
    recorder = Recorder(words.append, Repeats())
    run = Run(request(), SERVER)
    recorder.start(run)
    recorder.finish(run)
    store._writer.wake(recorder)
    store.flush()
    [record] = store.search()
    assert recorder.ended
    store._writer.wake(recorder)
    store.flush()
    assert store.search() == [record]
    assert not store._writer._keeper.busy
    store.close()


def test_log_that_gets_no_thread_fails_no_run_and_no_question_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = Store(path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        run, recorder = begun(store)
        assert "Runs are not saved yet: the run log gets no thread (can't start new thread)" in str(store.warning)
        with pytest.raises(ConfigError, match="The run log cannot be read"):
            store.search()
    recorder.finish(run)
    assert [record.id for record in store.search()] == [run.id]
    assert store.warning is None
    store.close()


def test_runs_that_cannot_be_saved_at_the_end_are_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(path)
    store.check()
    store._ask(lambda connection: connection.execute("PRAGMA busy_timeout = 10").fetchone())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun(store)
    store.close()
    assert caplog.messages == [f"The last runs are not saved. {store.warning}"]
    other.close()


def test_log_that_is_locked_answers_without_the_long_wait_and_saves_when_it_is_free(path: Path) -> None:
    store = Store(path, flush_interval_s=0.05)
    keep(store, "the first")
    store._ask(lambda connection: connection.execute("PRAGMA busy_timeout = 10").fetchone())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    keep(store, "the second")
    assert eventually(lambda: "another program has it locked" in str(store.warning))
    store._ask(lambda connection: connection.execute("PRAGMA busy_timeout = 3600000").fetchone())
    assert [record.prompt for record in store.search("first")] == ["the first"]
    keep(store, "the third")
    assert [record.prompt for record in store.search()] == ["the first"]
    other.execute("ROLLBACK")
    other.close()
    assert eventually(lambda: store.warning is None)
    assert len(store.search()) == 3
    store.close()


def test_word_without_an_end_is_not_held_back_for_ever(store: Store) -> None:
    run, _ = begun(store)
    come(run, "x" * MANY)
    store.flush()
    assert store.search()[0].text == "x" * MANY


def test_keys_in_prompt_answer_error_and_labels_are_masked(store: Store, path: Path) -> None:
    error = RateLimited("No answer", seen=f"the server says: {KEY}", status=429)
    messages = [{"role": "user", "content": [{"type": "text", "text": f'mine is "api_key": "{KEY}"'}]}]
    run = ask(store, messages=messages, chunks=text_chunks(KEY, " ok"), error=error, labels={"a": KEY})
    record = store.get(run.id)
    assert record is not None
    assert record.error == "No answer: the server says: ••••."
    assert record.error_kind == "rate_limit"
    assert record.text == "•••• ok"
    assert record.prompt == 'mine is "api_key": "••••"'
    store.close()
    assert not any(KEY.encode() in file.read_bytes() for file in path.parent.iterdir())


def test_failed_run_keeps_its_text_and_says_why(store: Store) -> None:
    keep(
        store, "Hi", chunks=[{"choices": [{"delta": {"content": "half"}}]}], error=Truncated("The answer is not whole")
    )
    [record] = store.search(state="FAILED")
    assert (record.state, record.text, record.error_kind) == ("failed", "half", "truncated")


async def test_stopped_run_keeps_its_text(path: Path) -> None:
    store = Store(path)
    shown, hold = asyncio.Event(), asyncio.Event()
    run = Run(request(), SERVER, sinks=(store.recorder(), Shown(shown)))
    driven = asyncio.get_running_loop().create_task(
        drive(run, Server(lambda: Answer(text_chunks("some text ")[:1], None, hold)))
    )
    await asyncio.wait_for(shown.wait(), 5)
    run.stop()
    await driven
    record = await asyncio.to_thread(store.get, run.id)
    assert record is not None
    assert (record.state, record.text) == ("stopped", "some text ")
    await asyncio.to_thread(store.close)


async def test_run_stopped_before_its_first_step_is_in_the_log(path: Path) -> None:
    store = Store(path)
    run = Run(request("never sent"), SERVER, sinks=(store.recorder(),))
    run.stop()
    await drive(run, Server(lambda: Answer([], None, None)))
    record = await asyncio.to_thread(store.get, run.id)
    assert record is not None
    assert (record.state, record.prompt) == ("stopped", "never sent")
    await asyncio.to_thread(store.close)


def test_prompts_that_are_not_logged_are_nowhere(path: Path) -> None:
    store = Store(path, log_prompts=False)
    run = ask(store, "a private matter", "the answer", chat="c")
    record = store.get(run.id)
    assert record is not None
    assert (record.prompt, record.messages, record.text) == (None, None, "the answer")
    assert store.chat_messages("c") == []
    store.close()
    assert not any(b"private" in file.read_bytes() for file in path.parent.iterdir())


async def test_request_that_is_final_only_later_is_logged_as_it_was_sent(path: Path) -> None:
    store = Store(path)
    whole = request(messages=[{"role": "system", "content": "short"}, {"role": "user", "content": "Hi"}])
    recorder = store.recorder()

    def prepare(_: object) -> object:
        recorder._wake(recorder)
        return whole

    run = Run(request("Hi"), SERVER, sinks=(recorder,), plan=Plan(prepare=prepare))  # type: ignore[arg-type]
    await drive(run, Server(lambda: Answer(text_chunks("yes"), None, None)))
    record = await asyncio.to_thread(store.get, run.id)
    assert record is not None
    assert record.messages == whole.messages
    await asyncio.to_thread(store.close)


def test_request_that_changes_after_its_row_is_updated(store: Store) -> None:
    run, _ = begun(store, "first")
    store.flush()
    run.request = request("second")
    come(run, "x ")
    store.flush()
    assert store.search()[0].prompt == "second"


def test_half_a_surrogate_pair_does_not_cost_the_row(store: Store) -> None:
    keep(store, "odd \ud83d", "fine", labels={"x": "\udc00"})
    [record] = store.search("odd")
    assert record.prompt == "odd \ufffd"


def test_run_that_cannot_be_said_is_left_out_and_no_other(store: Store) -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    begun(store, "left out", extra={"deep": deep})
    begun(store, "kept")
    assert [record.prompt for record in store.search()] == ["kept"]
    assert store.warning is not None
    assert store.warning.startswith("Run ")
    assert "recursion" in store.warning


def test_disk_that_fails_while_one_run_is_left_out_is_tried_again(path: Path) -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    keeper = Keeper(path)
    left_out, later = (Recorder(lambda _: None, Repeats()) for _ in range(2))
    left_out.start(Run(request("left out", extra={"deep": deep}), SERVER))
    later.start(Run(request("later"), SERVER))
    save = later.save

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    later.save = fail  # type: ignore[method-assign]
    keeper.add([left_out, later])
    keeper.save()
    assert "cannot be written (disk I/O error)" in str(keeper.warning)
    later.save = save  # type: ignore[method-assign]
    keeper.save()
    keeper.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT prompt FROM runs").fetchall() == [("later",)]
    connection.close()


def test_recorder_that_was_not_started_has_nothing_to_lose(store: Store) -> None:
    recorder = store.recorder()
    recorder.lost()
    assert recorder.run_id == ""


def test_messages_without_a_user_have_no_prompt(store: Store) -> None:
    run = ask(store, messages=[{"role": "system", "content": "begin"}])
    record = store.get(run.id)
    assert record is not None
    assert record.prompt is None


def test_recorder_without_a_log_takes_nothing_and_starts_no_thread() -> None:
    store = Store("off")
    keep(store, "Hi")
    assert store.search() == []
    assert store.path is None
    store.close()


def test_recorder_after_the_log_was_closed_is_silent(path: Path) -> None:
    store = Store(path)
    recorder = store.recorder()
    store.close()
    recorder.start(Run(request(), SERVER))
    assert store.warning is None
