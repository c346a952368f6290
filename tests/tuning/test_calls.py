"""Judges at the demo server: their calls are like any other call."""

from __future__ import annotations

import queue
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S, Demo, demo, where
from vig_notebook.engine import engine
from vig_notebook.errors import RateLimited, ServerError
from vig_notebook.tuning.asking import Address, endpoint_of
from vig_notebook.tuning.budget import Budget
from vig_notebook.tuning.calls import CALLS, Calls, ModelAsk, Unasked
from vig_notebook.tuning.experiment import Experiment
from vig_notebook.tuning.judge import PairJudge, ask_model
from vig_notebook.tuning.limiter import limiter_of
from vig_notebook.tuning.log import MemoryLog
from vig_notebook.tuning.scorers import as_scorers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.tuning.conftest import Maker
    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.tuning.judge import Ask

DATA = [{"text": "rain"}, {"text": "fire"}, {"text": "stone"}]


class Asking:
    """A judge that finds every answer good which it was told something about."""

    name = "judge"
    asks_a_server = True

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def __call__(self, response: str, example: Mapping[str, object]) -> tuple[bool, str]:
        said = self.ask(f"Write a haiku about {example['text']} and {response[:20]}")
        return bool(said), said


class Gate:
    """Holds the calls of judges back at the server's client, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.refuse = 0
        real = engine().client
        gate = self

        class Gated:
            def __init__(self, client: Any) -> None:
                self._client = client

            def stream(self, request: Any, **options: Any) -> Any:
                text = request.to_body()["messages"][-1]["content"]
                gate.asked.append(text)
                if gate.refuse:
                    gate.refuse -= 1
                    raise RateLimited("too many", retry_after_s=0.0)
                return self._client.stream(request, **options)

        monkeypatch.setattr(engine(), "client", lambda endpoint: Gated(real(endpoint)))

    @property
    def judged(self) -> int:
        return sum(" and " in text for text in self.asked)


@pytest.fixture
def gate(fast: Demo, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture
def slow() -> Iterator[Demo]:
    with demo(pace=20) as server:
        yield server


class Heard(MemoryLog):
    """A log that hears when the runs have their first text."""

    def __init__(self) -> None:
        super().__init__()
        self._speaking: queue.Queue[Run] = queue.Queue()

    def sinks(self, key: str) -> Sequence[Sink]:
        return (*super().sinks(key), Voice(self._speaking))

    def one(self) -> Run:
        return self._speaking.get(timeout=LIMIT_S)

    def judge(self) -> Run:
        while "judge" not in (run := self.one()).labels:
            pass
        return run


class Voice:
    def __init__(self, speaking: queue.Queue[Run]) -> None:
        self._speaking = speaking
        self._silent: list[Run] = []

    def start(self, run: Run) -> None:
        self._silent.append(run)

    def write(self, _delta: object) -> None:
        while self._silent:
            self._speaking.put(self._silent.pop())

    def finish(self, run: Run) -> None:
        pass


class Wakers(set["Callable[[], None]"]):
    """Tells when somebody waits for a place."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = threading.Event()

    def add(self, wake: Callable[[], None], /) -> None:
        super().add(wake)
        self.waited.set()


def test_judge_asks_the_experiments_own_server_and_is_kept(make: Maker, gate: Gate) -> None:
    log = MemoryLog()
    first = make(data=DATA, repeats=1, store=log, scorers=Asking(ask_model()))
    first.run().wait(LIMIT_S)
    assert first.df["score.judge"].tolist() == [1.0, 1.0, 1.0]
    assert gate.judged == 3
    spent = int(first.df.tokens_in.sum() + first.df.tokens_out.sum())
    assert first.progress.tokens > spent
    tokens = first.progress.tokens
    first.rescore(Asking(ask_model())).wait(LIMIT_S)
    assert first.progress.tokens == tokens  # of both rounds: the second asked nobody
    again = make(data=DATA, repeats=1, store=log, scorers=Asking(ask_model()))
    again.run().wait(LIMIT_S)
    assert again.df["score.judge"].tolist() == [1.0, 1.0, 1.0]
    assert (gate.judged, again.progress.tokens) == (3, 0)


def test_judge_names_another_server(make: Maker, gate: Gate) -> None:
    with demo() as other:
        ask = ask_model("demo-500", **where(other))
        experiment = make(data=DATA[:1], repeats=1, scorers=Asking(ask))
        experiment.run().wait(LIMIT_S)
    assert experiment.df["score.judge"].isna().all()
    assert experiment.df["score.judge.reason"].str.startswith("ServerError: ").all()


def test_refused_judge_slows_all_and_is_asked_again(make: Maker, gate: Gate) -> None:
    experiment = make(data=DATA, repeats=1, scorers=Asking(ask_model()))
    experiment.run().wait(LIMIT_S)
    limiter = limiter_of(engine(), experiment.endpoint)
    before = limiter.limit
    gate.refuse = 1
    experiment.rescore(Asking(lambda prompt: ask_model()(prompt + " too"))).wait(LIMIT_S)
    assert experiment.df["score.judge"].tolist() == [1.0, 1.0, 1.0]
    assert (gate.judged, limiter.in_flight) == (7, 0)
    assert limiter.limit < before


def test_judge_keeps_to_the_limit_of_the_server(fast: Demo, gate: Gate) -> None:
    """A place that a cell has taken is none that a judge can have."""
    calls = Calls(Address(**where(fast)), MemoryLog())
    ask = ModelAsk(model="demo")
    calls.ask(ask, "Say hello")
    limiter = limiter_of(engine(), endpoint_of(Address(**where(fast))))

    async def set_limit(limit: int) -> None:
        limiter.limit = limit
        for wake in tuple(limiter.wakers):
            wake()

    engine().run(set_limit(0)).result(LIMIT_S)
    limiter.wakers = wakers = Wakers()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(calls.ask, ask, "Say hello again")
        assert wakers.waited.wait(LIMIT_S)
        assert len(gate.asked) == 1
        engine().run(set_limit(1)).result(LIMIT_S)
        assert waiting.result(LIMIT_S)
    assert len(gate.asked) == 2


def test_budget_leaves_judges_unasked_until_the_next_round(make: Maker, gate: Gate) -> None:
    experiment = make(data=DATA, repeats=1, scorers="length:9999")
    experiment.run().wait(LIMIT_S)
    experiment._budget = 1
    experiment.rescore(Asking(ask_model()), "length:9999").wait(LIMIT_S)
    assert gate.judged == 0
    assert experiment.df["score.judge"].isna().all()
    assert experiment.df["score.length"].eq(1.0).all()
    assert experiment.progress.note == "The rest was not asked: the budget of 1 tokens is used up."
    experiment._budget = None
    experiment.run().wait(LIMIT_S)
    assert experiment.df["score.judge"].eq(1.0).all()
    assert experiment.progress.note == ""


def test_budget_knows_what_a_long_prompt_takes(fast: Demo, gate: Gate) -> None:
    calls = Calls(Address(**where(fast)), MemoryLog(), budget=Budget(200))
    with pytest.raises(Unasked, match="the budget of 200 tokens is used up"):
        calls.ask(ModelAsk(model="demo"), "Say hello. " * 100)
    assert calls.ask(ModelAsk(model="demo"), "Say hello.")
    assert calls.tokens > 0


def test_budget_of_judges_counts_the_cells_under_way(make: Maker, slow: Demo) -> None:
    log = Heard()
    experiment = make("Write a poem", repeats=1, store=log, budget=250, **where(slow)).run()
    log.one()
    experiment._calls[0]._budget.spend(100)  # as an answer takes that has ended: that under way will, too
    with pytest.raises(Unasked, match="the budget of 250 tokens is used up"):
        experiment._calls[0].ask(ModelAsk(model="demo"), "Say hello.")
    experiment.stop()
    assert experiment.wait(LIMIT_S)


def test_budget_counts_what_is_under_way() -> None:
    budget = Budget(100)
    assert budget.has_room(0)
    assert not budget.has_room(1)  # nobody knows yet what it takes
    assert budget.has_room(1, tokens=100)
    budget.spend(30)
    assert budget.has_room(1)
    assert not budget.has_room(2)
    assert budget.has_room(1, tokens=40)
    assert not budget.has_room(1, tokens=41)
    assert Budget().has_room(9)


def test_stop_stops_judges_and_running_again_asks_them(make: Maker, fast: Demo, slow: Demo) -> None:
    log = Heard()
    experiment = make(data=DATA, repeats=1, store=log, scorers=Asking(ask_model("demo", **where(slow))))
    experiment.run()
    assert log.judge().text_so_far
    experiment.stop()
    assert experiment.wait(LIMIT_S)
    assert experiment.df["status"].eq("ok").all()
    assert experiment.df["score.judge"].isna().all()
    assert not any("judge" in one.scores for one in experiment.responses)
    asked: list[str] = []

    def note(prompt: str) -> str:
        asked.append(prompt)
        return "good"

    experiment.scorers = as_scorers(Asking(note))
    experiment.run().wait(LIMIT_S)
    assert len(asked) == 3
    assert experiment.df["score.judge"].eq(1.0).all()


def test_recall_takes_what_the_log_has_and_asks_nobody(make: Maker, gate: Gate) -> None:
    log = MemoryLog()
    make(data=DATA[:2], repeats=1, store=log, scorers=Asking(ask_model())).run().wait(LIMIT_S)
    asked = len(gate.asked)
    experiment = make(data=DATA, repeats=1, store=log, scorers=[Asking(ask_model()), Asking(other)])
    experiment.recall().wait(LIMIT_S)
    assert len(gate.asked) == asked
    assert experiment.df["status"].tolist() == ["cached", "cached"]
    assert experiment.df["score.judge"].eq(1.0).all()
    assert experiment.df["score.judge_2"].isna().all()
    assert [cell.example.id for cell in experiment.missing] == ["3"]


def other(prompt: str) -> str:
    return ask_model()(prompt + " once more")


def test_recalling_leaves_a_round_alone(make: Maker, slow: Demo) -> None:
    log = Heard()
    experiment = make("Write a poem", repeats=2, store=log, **where(slow)).run()
    assert log.one() is not log.one()
    assert experiment.recall().running
    experiment.stop()
    assert experiment.wait(LIMIT_S)
    assert len(experiment.responses) == 2


def test_failed_call_raises_its_error_and_recalling_never_asks(fast: Demo) -> None:
    calls = Calls(Address(**where(fast)), MemoryLog())
    with pytest.raises(ServerError):
        calls.ask(ModelAsk(model="demo-500"), "Hello")
    with pytest.raises(Unasked, match="The judge was stopped"):
        Calls(Address(**where(fast)), MemoryLog(), recalls_only=True).ask(ModelAsk(model="demo"), "Hello")
    assert CALLS.get() is None


def test_renamed_judge_is_a_judge() -> None:
    first, second = as_scorers([Asking(other), Asking(other)])
    assert (second.name, getattr(second, "asks_a_server", False)) == ("judge_2", True)
    assert first.name == "judge"


def longer(prompt: str) -> str:
    found = re.search(r"answer A\n(.*?)\n=== \w+ answer B\n(.*?)\n===", prompt, re.DOTALL)
    assert found
    ask_model()("Write a haiku about rain and " + found[1][:30] + found[2][:30])
    return f'{{"better": "{"AB"[len(found[2]) > len(found[1])]}"}}'


def test_pairs_of_an_experiment_are_judged_in_both_orders(make: Maker, gate: Gate) -> None:
    prompts = {"haiku": "Write a haiku about {{ text }}", "story": "Write a long story about {{ text }}"}
    experiment = make(prompts, data=DATA, repeats=1)
    experiment.run().wait(LIMIT_S)
    verdicts = experiment.judge(PairJudge("longer", ask=longer))
    assert (verdicts.wins, verdicts.losses, verdicts.ties, verdicts.self_agreement) == (3, 0, 0, 1.0)
    assert gate.judged == 6
    assert experiment.progress.tokens > int(experiment.df.tokens_in.sum() + experiment.df.tokens_out.sum())
    experiment.judge(PairJudge("longer", ask=longer))
    assert gate.judged == 6  # kept, as every answer


def test_rating_says_how_far_the_judge_agrees(make: Maker, gate: Gate) -> None:
    prompts = {"haiku": "Write a haiku about {{ text }}", "story": "Write a long story about {{ text }}"}
    experiment = make(prompts, data=DATA, repeats=1, scorers=Asking(ask_model()))
    experiment.run().wait(LIMIT_S)
    rating = experiment.rate(judge=PairJudge("longer", ask=longer), seed=1)
    assert rating._judging is not None
    rating._judging.wait()
    pair = rating.current
    assert pair is not None
    rating.press("1" if len(pair.left.output) > len(pair.right.output) else "2")
    rating.press("0")
    said = str(rating.result())
    assert "judge says the same as you on 1 of 2 pairs (50 %). The judge says the same as you on 1 of 2 pairs" in said
    assert said.endswith("and agrees with itself in 100 % of pairs, asked in both orders.")


def test_judge_that_gave_no_score_is_in_no_agreement(make: Maker, gate: Gate) -> None:
    prompts = {"haiku": "Write a haiku about {{ text }}", "story": "Write a long story about {{ text }}"}
    experiment = make(prompts, data=DATA[:1], repeats=1, scorers="judge:polite?")
    experiment.run().wait(LIMIT_S)
    rating = experiment.rate()
    rating.press("1")
    assert str(rating.result()).endswith("judge has judged none of them.")


@pytest.mark.parametrize("stop", [Experiment.stop, lambda _experiment: engine().stop_all()])
def test_judge_of_pairs_is_stopped_and_says_what_it_has(
    make: Maker, fast: Demo, slow: Demo, stop: Callable[[Experiment], object]
) -> None:
    prompts = {"haiku": "Write a haiku about {{ text }}", "story": "Write a long story about {{ text }}"}
    log = Heard()
    experiment = make(prompts, data=DATA, repeats=1, store=log)
    experiment.run().wait(LIMIT_S)
    rating = experiment.rate(judge=PairJudge("longer", ask=ask_model("demo", **where(slow))))
    judging = rating._judging
    assert judging is not None
    rating.press("1")
    assert str(rating.result()).endswith("The judge has judged none of them.")
    log.judge()
    stop(experiment)
    judging.wait()
    assert rating.verdicts().failed == 3
    assert judging.first_error() == "Unasked: The judge was stopped"
    assert judging.stop not in engine().askers


def test_interrupt_stops_the_judge_of_pairs(
    make: Maker, fast: Demo, slow: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {"haiku": "Write a haiku about {{ text }}", "story": "Write a long story about {{ text }}"}
    experiment = make(prompts, data=DATA[:1], repeats=1)
    experiment.run().wait(LIMIT_S)
    rating = experiment.rate(judge=PairJudge("longer", ask=ask_model("demo", **where(slow))))
    judging = rating._judging
    assert judging is not None
    ((_, future),) = judging._judged.items()

    def interrupted() -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(future, "exception", interrupted)
    with pytest.raises(KeyboardInterrupt):
        judging.wait()
    assert isinstance(future.exception(LIMIT_S), Unasked)


def test_criterion_alone_makes_a_judge(make: Maker, gate: Gate) -> None:
    """The demo server is no judge: what it says cannot be read, and that is said."""
    prompts = {"haiku": "Write a haiku about {{ text }}", "story": "Write a long story about {{ text }}"}
    experiment = make(prompts, data=DATA[:1], repeats=1)
    experiment.run().wait(LIMIT_S)
    why = "1 not judged (ValueError: the judge chose neither A nor B, but 'NONE')"
    assert why in str(experiment.judge("Which is longer?"))
    rating = experiment.rate(judge="Which is longer?")
    rating.press("1")
    assert rating._judging is not None
    rating._judging.wait()
    assert str(rating.result()).endswith(
        "The judge has judged none of them (ValueError: the judge chose neither A nor B, but 'NONE')."
    )
