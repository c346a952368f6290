from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.runs import DEMO, KEY, SERVER, ask, keep, request, text_chunks
from vig_notebook.errors import ConfigError, Truncated
from vig_notebook.run import Run
from vig_notebook.store import Record, Replay, Store, identity_of, replayed_chunks

if TYPE_CHECKING:
    from pathlib import Path

RICH: list[dict[str, Any]] = [
    {"id": "c-1", "model": "small-2", "choices": [{"delta": {"reasoning_content": "let me think"}}], "badge": "by us"},
    {"choices": [{"delta": {"content": "one "}}, {"index": 1, "delta": {"content": "eins"}}]},
    {"choices": [{"delta": {"content": "two", "refusal": "no more"}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]}}]},
    {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}, {"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 7, "cached": 1}},
]


def texts(store: Store, replay: Replay, *prompts: str) -> list[str]:
    return [ask(store, prompt, "LIVE", source=replay).text for prompt in prompts]


@pytest.fixture
def recorded(path: Path) -> Path:
    """A log that another kernel has left: the same question twice, and another."""
    store = Store(path)
    keep(store, "a", "first a")
    keep(store, "a", "second a")
    keep(store, "b", "only b")
    store.close()
    return path


def test_replay_gives_each_repeat_its_own_answer(recorded: Path) -> None:
    store = Store(recorded)
    assert texts(store, Replay("on", store), "a", "b", "a", "a") == ["first a", "only b", "second a", "LIVE"]
    store.close()


def test_request_that_was_asked_again_because_it_failed_is_answered_the_first_time(path: Path) -> None:
    store = Store(path)
    for error in (Truncated("The answer is not whole"), Truncated("The answer is not whole"), None):
        ask(store, "a", "whole", error=error)
    keep(store, "a", "second")
    store.close()
    store = Store(path)
    assert texts(store, Replay("only", store), "a", "a") == ["whole", "second"]
    store.close()


async def test_replay_that_is_stopped_gives_the_same_answer_again(recorded: Path) -> None:
    store = Store(recorded)
    replay = await asyncio.to_thread(Replay, "only", store)

    async def stopped() -> None:
        opening = replay(Run(request("a"), SERVER))
        assert opening is not None
        async with opening as replayed:
            assert replayed.record.text == "first a"
            raise asyncio.CancelledError

    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await stopped()
    await asyncio.to_thread(store.close)


def test_request_that_is_missing_is_not_counted(recorded: Path) -> None:
    store = Store(recorded)
    missing = Run(request("nowhere"), SERVER)
    with pytest.raises(ConfigError):
        Replay("only", store)(missing)
    assert store.repeats.identity(Run(missing.request, SERVER)) == identity_of(missing.request, SERVER)
    store.close()


def test_replay_off_asks_the_server(recorded: Path) -> None:
    store = Store(recorded)
    replay = Replay("off", store)
    assert texts(store, replay, "a") == ["LIVE"]
    replay.close()
    store.close()


def test_replay_only_makes_a_missing_answer_an_error_that_names_it(recorded: Path) -> None:
    store = Store(recorded)
    replay = Replay("only", store)
    run = ask(store, f"where is it? {KEY} " + "x" * 100, source=replay)
    assert str(run.state) == "FAILED"
    assert str(run.error) == (
        "There is no recorded answer: 'where is it? •••• xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' to small is "
        "not in the run log as often as it is asked. Ask the server for it once, with replay on instead of only "
        "(%vigthoria replay, VIG_REPLAY)."
    )
    run = ask(store, messages=[{"role": "user", "content": [{"type": "text", "text": "x"}]}], source=replay)
    assert "'a message with parts' to small" in str(run.error)
    store.close()


def test_replayed_run_says_so_and_is_not_answered_from(recorded: Path) -> None:
    store = Store(recorded)
    [original] = store.search("only b")
    run = ask(store, "b", source=Replay("on", store))
    record = store.get(run.id)
    assert record is not None
    assert run.labels == record.labels == {"replayed": original.id}
    assert (record.state, record.text, record.key) == ("done", "only b", None)
    store.close()


def test_replayed_answer_is_whole(path: Path) -> None:
    store = Store(path)
    live = ask(store, "a", chunks=RICH, n=2).completion
    store.close()
    store = Store(path)
    again = ask(store, "a", source=Replay("only", store), n=2).completion
    assert replace(again, timings=live.timings, delta_count=live.delta_count) == live
    kept = store.search("one")[-1].completion()
    assert kept.timings.total_s == pytest.approx(live.timings.total_s)
    assert replace(kept, timings=live.timings) == live
    store.close()


def test_replay_from_a_cassette_needs_no_log(recorded: Path, tmp_path: Path) -> None:
    store = Store(recorded)
    store.export_cassette(tmp_path / "c.jsonl")
    store.close()
    log = Store("off")
    replay = Replay("only", tmp_path / "c.jsonl")
    assert texts(log, replay, "a", "a", "b") == ["first a", "second a", "only b"]
    assert "is not in c.jsonl as often" in str(ask(log, "b", source=replay).error)
    replay.close()
    log.close()


def test_replay_where_no_server_is_chosen_takes_the_answer_of_any(recorded: Path) -> None:
    store = Store(recorded)
    assert ask(store, "a", "LIVE", endpoint=DEMO, source=Replay("on", store)).text == "first a"
    other = replace(SERVER, base_url="https://other.example.org/v1")
    assert ask(store, "b", "LIVE", endpoint=other, source=Replay("on", store)).text == "LIVE"
    replayed = ask(store, "b", source=Replay("only", store), endpoint=other, labels={"repeat": "0"})
    assert replayed.text == "LIVE"  # its own server's comes first
    store.close()


def test_replay_of_an_answer_that_was_forgotten_meanwhile_is_an_error(recorded: Path) -> None:
    store = Store(recorded)
    replay = Replay("on", store)
    store.forget(everything=True)
    assert isinstance(ask(store, "a", source=replay).error, ConfigError)
    store.close()


@pytest.mark.parametrize(("mode", "pace"), [("maybe", "instant"), ("on", "slow")])
def test_replay_of_an_unknown_word_is_refused(mode: str, pace: str) -> None:
    with pytest.raises(ConfigError, match=r"The replay (mode|pace) is not known: .* Take (off or|recorded or)"):
        Replay(mode, Store("off"), pace=pace)  # type: ignore[arg-type]


def record(**columns: object) -> Record:
    values: dict[str, object] = dict.fromkeys(Record.__dataclass_fields__)
    values |= {"id": "x", "state": "done", "text": "one two three four", "reasoning": "", "delta_count": 4, **columns}
    return Record(**values)  # type: ignore[arg-type]


async def pieces(what: Record, pace: str) -> list[str]:
    chunks = [chunk async for chunk in replayed_chunks(what, pace=pace)]  # type: ignore[arg-type]
    return [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]


async def test_recorded_pace_has_as_many_pieces_and_takes_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    async def note(wait_s: float) -> None:
        waits.append(wait_s)

    monkeypatch.setattr(asyncio, "sleep", note)
    what = record(queue_s=1.0, first_token_s=0.5, total_s=3.5)
    assert len(await pieces(what, "recorded")) == 4
    assert waits == pytest.approx([0.5, 0.4, 0.4, 0.4, 0.4])
    waits.clear()
    assert await pieces(what, "instant") == ["one two three four"]
    assert waits == []
    assert await pieces(record(delta_count=None), "recorded") == ["one two three four"]
    assert await pieces(record(text=""), "recorded") == []


def test_record_can_be_asked_again(store: Store) -> None:
    whole = request("a", model="large", temperature=0.5, stop=["x"], extra={"user": "me"})
    run = ask(store, "a", model="large", temperature=0.5, stop=["x"], extra={"user": "me"})
    found = store.get(run.id)
    assert found is not None
    assert found.request() == whole
    with pytest.raises(ConfigError, match=r"The run cannot be asked again: its prompt was not logged"):
        replace(found, messages=None).request()


def test_record_of_a_plain_answer_has_one_choice(store: Store) -> None:
    run = ask(store, "a", chunks=text_chunks("x"))
    found = store.get(run.id)
    assert found is not None
    assert found.choices is None
    assert found.completion().choices == run.completion.choices
