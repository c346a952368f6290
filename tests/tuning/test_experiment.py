"""Experiments end to end against the demo server."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import traceback
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S, Demo, demo, where
from vig_notebook.ending import Ending
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError, RateLimited
from vig_notebook.run import RunState
from vig_notebook.settings import Secret
from vig_notebook.store import Store, default_store
from vig_notebook.tuning.asking import Asking
from vig_notebook.tuning.experiment import Experiment
from vig_notebook.tuning.limiter import limiter_of
from vig_notebook.tuning.log import MemoryLog, StoreLog, as_log
from vig_notebook.tuning.prompts import Prompt
from vig_notebook.tuning.rounds import Rounds
from vig_notebook.tuning.scorers import scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.tuning.conftest import Maker
    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.responses import Response

DATA = [{"text": "rain", "label": "water"}, {"text": "fire", "label": "heat"}, {"text": "stone", "label": "earth"}]

COLUMNS = [
    "experiment", "prompt", "prompt_version", "model", "param.temperature", "example_id", "var.text", "var.label",
    "repeat", "seed", "status", "output", "finish_reason", "error", "queue_s", "retry_wait_s", "ttft_s", "latency_s",
    "output_tokens_per_s", "tokens_in", "tokens_out", "started_at", "score.long", "score.long.reason", "rating",
]  # fmt: skip


class Refusing:
    """A client that is refused where a test says so; `refused` has the prompts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuses: Callable[[str, str], bool]) -> None:
        self.refused: list[str] = []
        real, refusing = engine().client, self

        class Client:
            def __init__(self, client: Any) -> None:
                self._client = client

            def stream(self, request: Any, **options: Any) -> Any:
                prompt = request.to_body()["messages"][-1]["content"]
                if refuses(request.model, prompt):
                    refusing.refused.append(prompt)
                    raise RateLimited("too many", retry_after_s=0.0)
                return self._client.stream(request, **options)

        monkeypatch.setattr(engine(), "client", lambda endpoint: Client(real(endpoint)))


def long(response: str, example: Mapping[str, object]) -> tuple[bool, str]:
    return len(response) > 10, f"{len(response)} of {example['text']}"


class Watcher:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.over_reached = Ending()

    def sinks(self, cell: Cell) -> Sequence[Sink]:
        self.said.append(f"sinks {cell.index}")
        return ()

    def started(self, cell: Cell, run: Run) -> None:
        self.said.append(f"started {cell.index}")

    def ended(self, cell: Cell, response: Response) -> None:
        self.said.append(f"ended {cell.index} {response.status}")

    def scored(self, cell: Cell, response: Response) -> None:
        self.said.append(f"scored {cell.index} {len(response.scores)}")

    def over(self) -> None:
        self.said.append("over")


@pytest.fixture
def slow() -> Iterator[Demo]:
    with demo(pace=5) as server:
        yield server


def test_grid_runs_and_gives_the_tidy_table(make: Maker) -> None:
    experiment = make(
        {"short": "Write a haiku about {{ text }}", "long": "Write a poem about {{ text }}"},
        params={"temperature": [0, 0.7]}, data=DATA, repeats=2, scorers=long, name="verses",
    )  # fmt: skip
    assert experiment.run() is experiment
    assert experiment.wait(LIMIT_S)
    table = experiment.df
    assert list(table.columns) == COLUMNS
    assert len(table) == 2 * 2 * 3 * 2
    assert set(table["status"]) == {"ok"}
    assert list(table["example_id"]) == ["1"] * 8 + ["2"] * 8 + ["3"] * 8
    assert table["score.long"].eq(1.0).all()
    assert table["score.long.reason"].str.contains("of").all()
    assert (table["ttft_s"] <= table["latency_s"]).all()
    assert table["tokens_out"].gt(0).all()
    assert table["rating"].isna().all()
    progress = experiment.progress
    assert (progress.done, progress.total, progress.failed, progress.in_flight) == (24, 24, 0, 0)
    assert progress.tokens == table["tokens_in"].sum() + table["tokens_out"].sum()
    assert (progress.eta_s, progress.pause_left_s, progress.note) == (0.0, 0.0, "")
    assert repr(experiment) == "<Experiment verses 24/24 done, 0 cached, 0 failed>"


def test_repeats_are_three_with_data_and_one_without(make: Maker) -> None:
    assert len(make(data=DATA).cells) == 9
    alone = make("Write a haiku about {{ topic }}", variables={"topic": "rain"})
    assert len(alone.cells) == 1
    assert alone.cells[0].messages[0]["content"] == "Write a haiku about rain"


def test_shared_variables_stand_behind_the_columns(make: Maker) -> None:
    experiment = make("{{ text }} {{ topic }}", data=DATA, variables={"text": "no", "topic": "yes"}, limit=1, repeats=1)
    assert [cell.messages[0]["content"] for cell in experiment.cells] == ["rain yes"]


def test_model_by_default_is_the_servers(make: Maker) -> None:
    assert [variant.model for variant in make(models=None, variables={"text": "x"}).variants] != [None]
    assert [v.model for v in make(models=["a", "b"], variables={"text": "x"}).variants] == ["a", "b"]


def test_what_is_wrong_is_said_before_anything_is_asked(make: Maker) -> None:
    for options in (
        {"prompts": "{{ nothing }}"},
        {"scorers": "exakt"},
        {"baseline": "v9"},
        {"max_concurrency": 0},
        {"repeats": -1},
        {"limit": 0},
    ):
        with pytest.raises(ConfigError):
            make(**{"data": DATA, **options})


def test_key_is_in_no_attribute_and_no_traceback() -> None:
    """`vars` shows the one, and a traceback with local variables the other."""
    key, server = "hunter2-canary", "http://127.0.0.1:9/v1"
    assert key not in repr(vars(Experiment("Hello", "demo", base_url=server, api_key=key, store="off")))
    with pytest.raises(ConfigError) as raised:
        Experiment("Hello", scorers="exakt", base_url=server, api_key=key)
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(raised.tb) if frame.f_code.co_filename != __file__]
    assert {type(shown["api_key"]) for shown in frames if "api_key" in shown} == {Secret}


async def test_experiment_is_awaited(make: Maker) -> None:
    experiment = await make(data=DATA, repeats=1)
    assert len(experiment.df) == 3
    assert await experiment.run() is experiment


async def test_cancelled_await_stops_the_experiment(slow: Demo) -> None:
    experiment = slow_experiment(slow)
    waiting = asyncio.ensure_future(experiment.run()._wait_in_loop())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(experiment.wait, LIMIT_S)


def slow_experiment(server: Demo, **options: Any) -> Experiment:
    address = {"base_url": server.server.base_url, "api_key": server.server.token}
    return Experiment(
        "Write a poem about {{ text }}", "demo", None, DATA, **{"repeats": 2, "store": "off", **address, **options}
    )


class Started:
    """Tells when a cell has text."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.reached = threading.Event()

    def sinks(self, cell: Cell) -> Sequence[Sink]:
        return (self,)

    def start(self, run: Run) -> None:
        pass

    def write(self, _delta: object) -> None:
        self._left -= 1
        if self._left <= 0:
            self.reached.set()

    def finish(self, run: Run) -> None:
        pass

    def started(self, cell: Cell, run: Run) -> None:
        pass

    def ended(self, cell: Cell, response: Response) -> None:
        pass

    def scored(self, cell: Cell, response: Response) -> None:
        pass

    def over(self) -> None:
        pass


def test_table_is_there_while_cells_stream_and_stop_keeps_the_text(slow: Demo) -> None:
    experiment = slow_experiment(slow, max_concurrency=2, scorers=long)
    streaming = Started(3)
    experiment.watch(streaming)
    experiment.run()
    assert streaming.reached.wait(LIMIT_S)
    assert experiment.running
    assert len(experiment.df) == 0
    assert experiment.run() is experiment
    assert len(experiment.runs) == 2
    assert experiment.progress.eta_s is None
    assert experiment.progress.in_flight == 2
    assert not experiment.wait(0.0)
    with pytest.raises(ConfigError, match="Scores cannot be changed now"):
        experiment.rescore("json")
    assert experiment.plan().calls == 6
    experiment.stop()
    assert experiment.wait(LIMIT_S)
    assert [r.status for r in experiment.responses] == ["stopped", "stopped"]
    assert any(r.output for r in experiment.responses)
    assert len(experiment.missing) == 6
    slow.wait_closed_early(2)


def test_one_cell_is_stopped_and_asked_again(slow: Demo) -> None:
    experiment = slow_experiment(slow, max_concurrency=1, repeats=1)
    streaming = Started(1)
    experiment.watch(streaming)
    experiment.run()
    assert streaming.reached.wait(LIMIT_S)
    experiment.stop(experiment.cells[0])
    experiment.stop(experiment.cells[2])
    experiment.retry(experiment.cells[2])
    slow.wait_closed_early(1)
    experiment.stop()
    assert experiment.wait(LIMIT_S)
    statuses = {r.cell.index: r.status.value for r in experiment.responses}
    assert statuses[0] == statuses[2] == "stopped"


def test_run_again_asks_only_what_is_missing(make: Maker) -> None:
    experiment = make(data=DATA, repeats=1, models=["demo", "demo-500"])
    experiment.run().wait(LIMIT_S)
    failed = [r for r in experiment.responses if r.status == "error"]
    assert len(failed) == 3
    assert failed[0].error_kind == "server"
    assert failed[0].error
    assert experiment.progress.failed == 3
    watcher = Watcher()
    experiment.watch(watcher)
    experiment.resume().wait(LIMIT_S)
    assert [said for said in watcher.said if said.startswith("ended")] == [
        f"ended {r.cell.index} error" for r in failed
    ]


def test_failed_cell_is_retried(make: Maker) -> None:
    experiment = make(data=DATA, repeats=1, models=["demo-500"])
    experiment.run().wait(LIMIT_S)
    before = experiment.responses[1]
    experiment.retry(before.cell)
    assert experiment.wait(LIMIT_S)
    assert experiment.responses[1].run_id != before.run_id
    assert experiment.responses[0].run_id != ""


def test_answers_are_found_in_the_log(make: Maker, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    first = make(data=DATA, repeats=2, store=path, scorers=long)
    first.run().wait(LIMIT_S)
    first._log._store.flush()  # type: ignore[attr-defined]  # as another process finds it a moment later
    store = Store(path)
    second = make(data=[*DATA, {"text": "wind", "label": "air"}], repeats=3, store=store, scorers=long)
    plan = second.plan()
    assert (plan.calls, plan.cached) == (6, 6)
    second.run().wait(LIMIT_S)
    counts = second.df["status"].value_counts().to_dict()
    assert counts == {"ok": 6, "cached": 6}
    assert second.df["score.long"].notna().all()
    assert repr(second) == "<Experiment experiment 12/12 done, 6 cached, 0 failed>"
    old = {r.run_id for r in first.responses}
    assert {r.run_id for r in second.responses if r.status == "cached"} == old
    record = store.get(next(iter(old)))
    assert record is not None
    assert record.labels is not None
    assert record.labels["prompt"] == "p1@v1"
    assert record.labels["template"] == "Write a haiku about {{ text }}"
    store.close()


def test_versions_leave_their_lineage_in_the_log(make: Maker) -> None:
    first = Prompt(name="short", text="Write a haiku about {{ text }}", system="Be {{ label }}")
    labels: list[dict[str, str]] = []

    class Noting(MemoryLog):
        def sinks(self, key: str) -> Sequence[Sink]:
            return (*super().sinks(key), Note())

    class Note:
        def start(self, run: Run) -> None:
            labels.append(run.labels)

        def write(self, _delta: object) -> None:
            pass

        def finish(self, run: Run) -> None:
            pass

    log = Noting()
    make([first, first.revise("A haiku: {{ text }}")], data=DATA, limit=1, repeats=1, store=log).run().wait(LIMIT_S)
    assert labels[0]["system_template"] == "Be {{ label }}"
    assert labels[1]["parent"] == "short@v1"
    again = make([first], data=DATA, limit=1, repeats=1, store=log)
    again.run().wait(LIMIT_S)
    assert again.progress.cached == 1


def test_prompt_against_itself_is_asked_twice(make: Maker) -> None:
    same = {"a": "Write a haiku about {{ text }}", "b": "Write a haiku about {{ text }}"}
    experiment = make(same, data=DATA, repeats=1)
    keys = experiment._asking().keys
    assert len(set(keys.values())) == 6
    experiment.run().wait(LIMIT_S)
    assert len({r.run_id for r in experiment.responses}) == 6


def test_hopeless_error_ends_the_asking(make: Maker) -> None:
    experiment = make(data=DATA, repeats=3, models="demo-401", max_concurrency=1)
    experiment.run().wait(LIMIT_S)
    assert experiment.progress.done == 1
    assert experiment.progress.note.startswith("The rest was not asked, since it would fail in the same way: ")


def test_budget_ends_the_asking(make: Maker) -> None:
    whole = make(data=DATA, repeats=1)
    whole.run().wait(LIMIT_S)
    each = whole.progress.tokens / 3
    experiment = make(data=DATA, repeats=10, budget=round(each * 6), max_concurrency=1)
    experiment.run().wait(LIMIT_S)
    assert 1 <= experiment.progress.done < 30
    assert experiment.progress.tokens <= each * 6
    assert experiment.progress.note == f"The rest was not asked: the budget of {round(each * 6):,} tokens is used up."
    several = make(data=DATA, repeats=10, budget=round(each * 6), max_concurrency=4)
    several.run().wait(LIMIT_S)
    assert 1 <= several.progress.done < 30
    assert several.progress.tokens <= each * 8  # answers differ in length: the mean may fall short by some
    enough = make(data=DATA, repeats=1, budget=1_000_000)
    assert enough.run().wait(LIMIT_S)
    assert enough.progress.done == 3


def test_observer_is_told_of_every_cell(make: Maker) -> None:
    experiment = make(data=DATA, repeats=1, scorers=long, max_concurrency=1)
    watcher = Watcher()
    experiment.watch(watcher)
    experiment.run().wait(LIMIT_S)
    assert watcher.said[:3] == ["sinks 0", "started 0", "ended 0 ok"]
    assert sum(said.startswith("scored") for said in watcher.said) == 3
    assert watcher.said[-1] == "over"
    experiment.run().wait(LIMIT_S)
    assert watcher.said[-2:] == ["over", "over"]


def test_observer_that_fails_is_dropped(make: Maker, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Watcher):
        def started(self, cell: Cell, run: Run) -> None:
            raise RuntimeError("no display")

    experiment = make(data=DATA, repeats=1)
    broken = Broken()
    experiment.watch(broken)
    experiment.run().wait(LIMIT_S)
    assert experiment.progress.done == 3
    assert broken.said == ["sinks 0"]
    assert "an observer of an experiment failed" in caplog.text


def test_failure_inside_is_raised_by_wait(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make(data=DATA, repeats=1)

    def broken(*_args: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("vig_notebook.tuning.asking.Asking.ask", broken)
    experiment.run()
    with pytest.raises(RuntimeError, match="a fault"):
        experiment.wait(LIMIT_S)


def test_interrupt_while_waiting_stops_the_experiment(slow: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = slow_experiment(slow)
    experiment.run()
    current = experiment._round
    assert current is not None
    with monkeypatch.context() as patched:
        patched.setattr(current.end, "wait", lambda _timeout_s: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            experiment.wait()
    assert experiment.wait(LIMIT_S)
    assert len(experiment.missing) == 6


def test_nothing_is_waited_for_or_stopped_before_the_run(make: Maker) -> None:
    experiment = make(data=DATA)
    assert not experiment.wait(0)
    experiment.stop()
    assert experiment.runs == {}
    assert experiment.progress.eta_s is None
    assert not experiment.running


def test_scores_are_changed_without_asking(make: Maker) -> None:
    experiment = make(data=DATA, repeats=1, scorers="contains:label")
    experiment.run().wait(LIMIT_S)
    runs = [r.run_id for r in experiment.responses]
    experiment.rescore(long, scorer("length:5"), lambda r, e: bool(e["missing"])).wait(LIMIT_S)
    table = experiment.df
    assert [name for name in map(str, table) if name.startswith("score.") and not name.endswith("reason")] == [
        "score.long", "score.length", "score.lambda",
    ]  # fmt: skip
    assert table["score.long"].eq(1.0).all()
    assert table["score.lambda"].isna().all()
    assert table["score.lambda.reason"].eq("KeyError: 'missing'").all()
    assert [r.run_id for r in experiment.responses] == runs


def test_verdict_compare_flips_and_summary(make: Maker) -> None:
    data = [{"text": f"t{i}"} for i in range(16)]
    prompts = [first := Prompt(name="p", text="Write a haiku about {{ text }}"), first.revise("Classify {{ text }}")]
    experiment = make(prompts, data=data, repeats=2, scorers=[lambda r, e: len(r) > 10], prices={"demo": (1.0, 2.0)})
    assert experiment.verdict().startswith("p@v2 and p@v1 have no example")
    experiment.run().wait(LIMIT_S)
    table = experiment.compare("v1")
    assert list(table["variant"]) == ["p@v2"]
    assert table["n"].item() == 16
    assert table["verdict"].item() == experiment.verdict()
    assert "p@v2 is worse than p@v1 on lambda" in experiment.verdict()
    flips = experiment.flips()
    assert len(flips) == 16
    assert set(flips["change"]) == {"broken"}
    assert set(flips["scorer"]) == {"lambda"}
    summary = experiment.summary()
    assert list(summary["variant"]) == ["p@v1", "p@v2"]
    assert list(summary["responses"]) == [32, 32]
    assert summary["cost"].gt(0).all()
    assert summary["score.lambda.high"].le(1).all()
    assert len(experiment.flips(baseline="v2", scorer="lambda")) == 16
    with pytest.raises(ConfigError, match="There is no score 'exact': there is lambda"):
        experiment.compare(scorer="exact")


def test_flips_are_found_on_every_score(make: Maker) -> None:
    first = Prompt(name="p", text="Write a haiku about {{ text }}")
    scorers = [scorer("length:100000"), lambda r, e: len(r) > 10]
    experiment = make([first, first.revise("Classify {{ text }}")], data=DATA, repeats=2, scorers=scorers)
    experiment.run().wait(LIMIT_S)
    assert experiment.flips()["scorer"].tolist() == ["lambda"] * 3
    assert experiment.flips(scorer="length").empty


def test_demo_server_is_started_where_nothing_chooses_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    experiment = Experiment("Say hello", max_concurrency=2, repeats=2, store="off")
    assert experiment.variants[0].model == "demo"
    experiment.run()
    try:
        assert experiment.wait(LIMIT_S)
        assert [r.status for r in experiment.responses] == ["ok", "ok"]
    finally:
        experiment.stop()


def test_summary_of_shares_has_an_interval_by_t(make: Maker) -> None:
    experiment = make(data=DATA, repeats=1, scorers=lambda r, e: 0.1 * len(str(e["text"])))
    assert experiment.plan().smallest_difference is None
    experiment.run().wait(LIMIT_S)
    row = experiment.summary().iloc[0]
    assert row["score.lambda.low"] < row["score.lambda"] < row["score.lambda.high"]
    assert make(data=DATA).plan().calls == 9


def test_verdict_without_scorer_or_second_variant(make: Maker) -> None:
    assert make(data=DATA).verdict() == "There is no verdict without a scorer."
    assert make(data=DATA, scorers="json").verdict() == "There is no verdict without a second variant."
    assert len(make(data=DATA).flips()) == 0


def test_rating_is_in_the_table(make: Maker) -> None:
    experiment = make(["Write a haiku about {{ text }}", "Say hello to {{ text }}"], data=DATA, repeats=1, scorers=long)
    experiment.run().wait(LIMIT_S)
    rating = experiment.rate(seed=1)
    rating.press("0")
    assert experiment.df["rating"].value_counts().to_dict() == {"tie": 2}
    experiment.rescore("json").wait(LIMIT_S)
    assert experiment.df["rating"].value_counts().to_dict() == {"tie": 2}
    with pytest.raises(ConfigError, match="There is no variant 'x' to rate"):
        experiment.rate("x")


@pytest.mark.parametrize("kept", ["memory", "store"])
def test_rating_is_kept_with_the_answer(make: Maker, kept: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    log = StoreLog(store) if kept == "store" else MemoryLog()

    def asked() -> Experiment:
        prompts = ["Write a haiku about {{ text }}", "Say hello to {{ text }}"]
        experiment = make(prompts, data=DATA, repeats=1, store=log)
        experiment.run().wait(LIMIT_S)
        return experiment

    rating = asked().rate(seed=1)
    rating.press("1")
    rating.press("0")
    rating.press("u")
    assert asked().df["rating"].value_counts().to_dict() == {"win": 1, "loss": 1}
    assert asked().df["status"].eq("cached").all()
    store.close()


def test_rating_of_an_answer_that_is_not_in_the_log_is_kept_here(make: Maker, tmp_path: Path) -> None:
    experiment = make(["Say hello to {{ text }}", "Say {{ text }}"], data=DATA, repeats=1, store=tmp_path / "a.sqlite")
    experiment.run().wait(LIMIT_S)
    store = experiment._log._store  # type: ignore[attr-defined]
    store.forget(everything=True)
    experiment.rate(seed=1).press("0")
    assert experiment.df["rating"].value_counts().to_dict() == {"tie": 2}
    assert store.search(limit=None) == []
    store.close()


def test_show_asks_the_viewer(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make(data=DATA, repeats=1)
    assert list(experiment.show()["variant"]) == ["p1@v1"]  # type: ignore[index]
    monkeypatch.setattr(Experiment, "viewer", staticmethod(lambda shown: f"shown {shown.name}"))
    assert experiment.show() == "shown experiment"


def test_refused_calls_are_asked_again_and_slow_all_down(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses the first wave: nothing fails, and the limit has shrunk."""
    left = [4]

    def refuses(_model: str, _prompt: str) -> bool:
        left[0] -= 1
        return left[0] >= 0

    Refusing(monkeypatch, refuses)
    experiment = make(data=DATA, repeats=2, max_concurrency=4)
    experiment.run().wait(LIMIT_S)
    assert experiment.df["status"].eq("ok").all()
    assert experiment.df["retry_wait_s"].gt(0).sum() == 4
    assert all(run.state is RunState.DONE for run in experiment.runs.values())


def test_model_that_is_always_refused_is_left_out(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its quota is used up: the other model is asked, and nobody waits for each cell of this one."""
    gate = Refusing(monkeypatch, lambda model, _prompt: model == "tired")
    data = [{"text": str(i)} for i in range(20)]
    experiment = make(models=["demo", "tired"], data=data, repeats=1, max_concurrency=2)
    experiment.run().wait(LIMIT_S)
    table = experiment.df.groupby("model")["status"].value_counts().to_dict()
    assert table["demo", "ok"] == 20
    assert table["tired", "stopped"] >= 17
    assert experiment.progress.note.startswith("The rest of tired was not asked, since the server refuses it: ")
    tries = len(gate.refused)
    assert tries <= 3 * 8
    experiment.run().wait(LIMIT_S)
    assert tries < len(gate.refused) <= 2 * 3 * 8  # a person may try again


def test_one_cell_that_is_always_refused_holds_up_no_other(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Refusing(monkeypatch, lambda _model, prompt: "too long" in prompt)
    data = [{"text": "too long" if i in {2, 4} else str(i)} for i in range(8)]
    experiment = make(data=data, repeats=1, max_concurrency=1)
    experiment.run().wait(LIMIT_S)
    assert experiment.df["status"].tolist() == ["ok", "ok", "error", "ok", "error", "ok", "ok", "ok"]
    assert (len(gate.refused), experiment.progress.note) == (16, "")


def test_retry_after_the_end_begins_a_new_round(make: Maker) -> None:
    experiment = make(data=DATA, repeats=1, models=["demo-500"])
    experiment.run().wait(LIMIT_S)
    current = experiment._round
    assert current is not None
    again = threading.Event()
    current.retry(experiment.cells[0], again.set)
    assert again.wait(LIMIT_S)


@pytest.mark.parametrize("model", ["demo-500", "demo-401"])
def test_retry_while_scores_are_made_is_of_the_same_round(make: Maker, model: str) -> None:
    """Whoever watches is told of the end when the answer that was asked again is there, too."""
    gate, failed = threading.Event(), threading.Semaphore(0)

    class Watching(Watcher):
        def ended(self, cell: Cell, response: Response) -> None:
            super().ended(cell, response)
            if response.status == "error":
                failed.release()

    def slowly(response: str, example: Mapping[str, object]) -> bool:
        return gate.wait(LIMIT_S)

    experiment = make(models=["demo", model], data=DATA, limit=1, repeats=1, scorers=slowly, max_concurrency=1)
    watcher = Watching()
    experiment.watch(watcher)
    experiment.run()
    assert failed.acquire(timeout=LIMIT_S)
    engine().run(asyncio.sleep(0)).result(LIMIT_S)
    experiment.retry(experiment.cells[1])
    assert failed.acquire(timeout=LIMIT_S)
    assert "over" not in watcher.said
    gate.set()
    assert experiment.wait(LIMIT_S)
    assert watcher.said.count("over") == 1
    assert watcher.said[-2:] == ["scored 0 1", "over"]


def test_retries_that_miss_the_end_begin_one_round(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make(data=DATA, repeats=1, models="demo-500")
    experiment.run().wait(LIMIT_S)
    before, watcher = [one.run_id for one in experiment.responses], Watcher()
    experiment.watch(watcher)
    still = iter([True, True])  # it runs when each is asked for, and no more when its turn comes
    monkeypatch.setattr(Experiment, "running", property(lambda own: next(still, False) or Rounds.running.fget(own)))  # type: ignore[attr-defined]

    async def retry_both() -> None:
        experiment.retry(experiment.cells[0])
        experiment.retry(experiment.cells[1])

    engine().run(retry_both()).result(LIMIT_S)
    engine().run(asyncio.sleep(0)).result(LIMIT_S)
    assert experiment.wait(LIMIT_S)
    assert [one.run_id == was for one, was in zip(experiment.responses, before, strict=True)] == [False, False, True]
    assert watcher.said.count("over") == 1


def test_cell_that_cannot_be_asked_ends_the_round_and_says_why(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make(data=DATA, repeats=1, max_concurrency=1)
    watcher = Watcher()
    experiment.watch(watcher)
    real = Asking.ask

    def ask_first(self: Asking, cell: Cell, sinks: Sequence[Sink]) -> Run:
        if cell.index:
            raise ConfigError("The settings are wrong")
        return real(self, cell, sinks)

    monkeypatch.setattr(Asking, "ask", ask_first)
    experiment.run()
    with pytest.raises(ConfigError, match="The settings are wrong"):
        experiment.wait(LIMIT_S)
    assert experiment.progress.note == "The rest was not asked: The settings are wrong."
    assert (experiment.progress.done, experiment.progress.in_flight, watcher.said[-1]) == (1, 0, "over")
    assert limiter_of(engine(), experiment.endpoint).in_flight == 0
    monkeypatch.undo()
    assert experiment.run().wait(LIMIT_S)
    assert experiment.progress.done == 3


def test_default_log_is_the_run_log(make: Maker) -> None:
    for cached in (0, 1):
        experiment = make(data=DATA, limit=1, repeats=1, store=None)
        experiment.run().wait(LIMIT_S)
        assert experiment.progress.cached == cached
    assert len(default_store().search()) == 1


def test_log_that_cannot_be_read_holds_up_no_answer(make: Maker, tmp_path: Path) -> None:
    path = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE notes (text)")
    log = StoreLog(Store(path))
    for status in ("ok", "cached"):  # kept for as long as the process lives
        experiment = make(data=DATA, repeats=1, store=log, scorers=long)
        experiment.run().wait(LIMIT_S)
        assert experiment.df["status"].tolist() == [status] * 3
    with pytest.raises(ConfigError, match="is a database of another program"):
        log.labels("experiment", "experiment")
    log._store.close()


def test_log_is_taken_in_any_form(tmp_path: Path) -> None:
    own = MemoryLog()
    assert as_log(own) is own
    assert isinstance(as_log("off"), MemoryLog)
    assert isinstance(as_log(str(tmp_path / "a.sqlite")), StoreLog)
    assert own.find(["nothing"]) == {}


def test_table_without_a_row_has_its_columns_in_the_same_order(make: Maker) -> None:
    experiment = make(data=[{"text": "rain"}])
    empty = list(experiment.df.columns)
    assert len(experiment.df) == 0
    experiment.run().wait(LIMIT_S)
    assert [name for name in experiment.df.columns if name in empty] == empty


def test_earlier_version_is_taken_from_the_log_and_never_asked(make: Maker) -> None:
    log = MemoryLog()
    first = Prompt(name="short", text="Is it bug or praise? {{ text }}")
    second = first.revise("Classify as bug or praise: {{ text }}")
    rows = [{"text": f"crash {i}", "label": "bug"} for i in range(4)]
    options: dict[str, Any] = {"repeats": 2, "scorers": "exact:label", "store": log}
    make(first, data=rows[:3], **options).run().wait(LIMIT_S)
    later = make(second, data=rows, reference=[first], baseline=first.label, **options)
    assert later.plan().calls == 8
    later.run().wait(LIMIT_S)
    table = later.df
    assert dict(table.groupby("prompt_version").size()) == {"v1": 6, "v2": 8}
    assert set(table[table.prompt_version == "v1"].status) == {"cached"}
    assert (later.progress.done, later.progress.total, later.missing) == (8, 8, [])
    assert later.compare().n.tolist() == [3]
    assert later.reference == {first}


def test_version_that_is_asked_is_no_reference(make: Maker) -> None:
    prompt = Prompt(name="short", text="Say {{ text }}")
    assert not make(prompt, data=[{"text": "rain"}], reference=[prompt]).reference


def test_stopping_every_run_stops_the_asking(make: Maker) -> None:
    begun = threading.Semaphore(0)

    class Counting(Watcher):
        def started(self, cell: Cell, run: Run) -> None:
            begun.release()

    with demo(pace=50) as slow:
        experiment = make("Write a long story", repeats=20, max_concurrency=2, **where(slow))
        experiment.watch(Counting())
        experiment.run()
        assert all(begun.acquire(timeout=LIMIT_S) for _ in range(2))
        engine().stop_all()
        assert experiment.wait(LIMIT_S)
        assert len(experiment.responses) == 2
        assert not engine().askers


def test_wrong_scorer_is_refused_before_anything_is_asked(make: Maker, fast: Demo) -> None:
    with pytest.raises(ConfigError, match=r"no column 'lable' .* Did you mean label\?"):
        make(data=DATA, scorers="exact:lable")
    with pytest.raises(ConfigError, match="The scorer lambda cannot be called"):
        make(data=DATA, scorers=lambda response: True)
    assert make("{{ text }}", variables={"text": "rain"}, scorers="exact:text").cells  # a shared variable will do
    experiment = make(data=DATA, scorers="exact:label")
    before = experiment.scorers
    with pytest.raises(ConfigError, match=r"Did you mean label\?"):
        experiment.rescore("exact:lable")
    assert experiment.scorers is before
    assert not fast.server.requests
