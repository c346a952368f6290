"""A run from its request to its end, against a demo server on a real socket."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import weakref
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import pytest

from tests.demos import LIMIT_S, Demo, where
from vig_notebook.api import ask, question
from vig_notebook.chats import Chat
from vig_notebook.engine import engine
from vig_notebook.errors import AuthError, Truncated, VigthoriaError
from vig_notebook.run import Plan, Run, RunState
from vig_notebook.run.run import TURN_CHARS
from vig_notebook.servers import DEMO
from vig_notebook.settings import Endpoint
from vig_notebook.wire.chat import ChatCompletionChunk, ChatRequest, Choice, Delta, Message
from vig_notebook.wire.completion import Completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Recorded:
    """A sink that keeps what it is told, and sets an event at the first text and at the end."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[str] = []
        self.states: list[RunState] = []
        self.first = threading.Event()

    def start(self, run: Run) -> None:
        self.calls.append("start")

    def write(self, delta: Delta) -> None:
        self.calls.append("write")
        self.text += delta.content or ""
        self.first.set()

    def finish(self, run: Run) -> None:
        self.calls.append("finish")
        self.states.append(run.state)


def test_run_that_is_done_has_its_text_and_its_timings(fast: Demo) -> None:
    sink = Recorded()
    run = fast.ask(sinks=(sink,))
    completion = run.result(LIMIT_S)
    assert run.state is RunState.DONE
    assert completion.text == run.text == str(run) == run.text_so_far == sink.text
    assert "rain" in run.text
    assert sink.calls[0] == "start"
    assert sink.calls[-1] == "finish"
    assert set(sink.calls[1:-1]) == {"write"}
    assert completion.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.output_tokens == completion.usage.completion_tokens
    assert completion.timings.first_token_s is not None
    assert completion.timings.total_s is not None
    assert 0 <= completion.timings.first_token_s <= completion.timings.total_s
    assert run.error is None


def test_run_of_n_answers_gives_the_first_as_its_text_and_keeps_the_others(fast: Demo) -> None:
    run = fast.ask(n=2)
    assert [choice.index for choice in run.result(LIMIT_S).choices] == [0, 1]
    assert run.text == run.completion.choices[0].text != run.completion.choices[1].text


def test_run_with_reasoning_keeps_it_apart_from_the_text(fast: Demo) -> None:
    run = fast.ask(model="demo-reasoning")
    completion = run.result(LIMIT_S)
    assert completion.reasoning == run.reasoning_so_far != ""
    assert completion.reasoning not in run.text


def test_run_stopped_in_mid_answer_keeps_the_text_and_closes_the_socket(slow: Demo) -> None:
    sink = Recorded()
    run = slow.ask(sinks=(sink,))
    assert sink.first.wait(LIMIT_S)
    run.stop()
    assert run.wait(LIMIT_S)
    assert run.state is RunState.STOPPED
    assert run.text == sink.text != ""
    assert run.result().finish_reason is None
    slow.wait_closed_early()
    assert sink.calls.count("finish") == 1


def test_run_stopped_at_once_never_asks(slow: Demo) -> None:
    sink = Recorded()
    run = slow.ask(sinks=(sink,))
    run.stop()
    assert run.wait(LIMIT_S)
    assert (run.state, run.text, sink.calls[-1]) == (RunState.STOPPED, "", "finish")


def test_run_stopped_before_the_first_byte_ends_and_the_server_sees_it(slow: Demo) -> None:
    run = slow.ask(model="demo-slow")
    wait_for_requests(slow, 1)
    run.stop()
    assert run.wait(LIMIT_S)
    assert (run.state, run.text) == (RunState.STOPPED, "")
    slow.wait_closed_early()


def test_run_stopped_while_it_waits_to_try_again_ends_at_once(fast: Demo) -> None:
    run = fast.ask(model="demo-429")
    wait_for_status(run, "waiting")
    assert "rate limit" in run.status
    run.stop()
    assert run.wait(1.0)
    assert run.state is RunState.STOPPED


def test_run_stopped_twice_from_several_threads_stops_once(slow: Demo) -> None:
    sink = Recorded()
    run = slow.ask(sinks=(sink,))
    assert sink.first.wait(LIMIT_S)
    threads = [threading.Thread(target=run.stop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert run.wait(LIMIT_S)
    assert sink.calls.count("finish") == 1


def test_run_stopped_after_its_end_stays_done(fast: Demo) -> None:
    run = fast.ask()
    assert run.wait(LIMIT_S)
    run.stop()
    assert run.state is RunState.DONE
    assert run.text


def test_run_that_failed_raises_its_error_with_what_had_come(fast: Demo) -> None:
    run = fast.ask(model="demo-cut")
    with pytest.raises(Truncated) as caught:
        run.result(LIMIT_S)
    assert run.state is RunState.FAILED
    assert caught.value.completion is not None
    assert caught.value.completion.text == run.text_so_far != ""
    assert run.completion.text == run.text_so_far
    with pytest.raises(Truncated):
        str(run)


def test_run_refused_has_the_error_of_the_status(fast: Demo) -> None:
    run = fast.ask(model="demo-401")
    assert run.wait(LIMIT_S)
    assert isinstance(run.error, AuthError)
    assert "FAILED" in repr(run)


def test_run_not_ended_in_time_raises_timeout_and_goes_on(slow: Demo) -> None:
    run = slow.ask()
    with pytest.raises(TimeoutError, match="goes on"):
        run.result(0.01)
    assert not run.wait(0)
    assert not run.state.ended
    run.stop()
    assert run.wait(LIMIT_S)


def test_run_interrupted_while_its_value_waits_is_stopped(slow: Demo) -> None:
    sink = Recorded()
    run = slow.ask(sinks=(sink,))

    def interrupt() -> None:
        sink.first.wait(LIMIT_S)
        signal.raise_signal(signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        str(run)
    helper.join(LIMIT_S)
    assert run.wait(LIMIT_S)
    assert run.state is RunState.STOPPED


async def test_run_awaited_gives_its_completion(fast: Demo) -> None:
    run = fast.ask()
    completion = await run
    assert completion.text == run.text
    assert await run == completion


async def test_run_awaited_in_a_task_that_is_cancelled_is_stopped(slow: Demo) -> None:
    run = slow.ask()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run, 0.2)
    await run.ended()
    assert run.state is RunState.STOPPED


async def test_run_awaited_that_failed_raises(fast: Demo) -> None:
    with pytest.raises(VigthoriaError):
        await fast.ask(model="demo-error")


def test_run_waited_for_on_the_streaming_thread_is_refused(slow: Demo) -> None:
    run = slow.ask()

    async def wait_there() -> None:
        run.wait()

    with pytest.raises(RuntimeError, match="await run"):
        engine().run(wait_there()).result(LIMIT_S)
    run.stop()
    assert run.wait(LIMIT_S)


def test_run_whose_sink_fails_goes_on_without_it(fast: Demo, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Recorded):
        def write(self, delta: Delta) -> None:
            raise OSError("the display is gone")

    broken, sound = Broken(), Recorded()
    run = fast.ask(sinks=(broken, sound))
    assert run.result(LIMIT_S).text == sound.text
    assert "finish" not in broken.calls
    assert "was dropped" in caplog.text


def test_run_json_takes_a_fence_off_and_says_where_it_does_not_parse(fast: Demo) -> None:
    assert isinstance(fast.ask(model="demo-json").json(), dict)
    with pytest.raises(VigthoriaError, match="not JSON"):
        fast.ask("Write a poem").json()


def wait_for_requests(server: Demo, count: int) -> None:
    """Wait until the server has let that many requests in."""
    wait_until(lambda: server.server.requests >= count)


def wait_for_status(run: Run, words: str) -> None:
    """Wait until the status of a run has these words."""
    wait_until(lambda: words in run.status)


def wait_until(holds: object) -> None:
    """Let the streaming thread turn until something holds."""
    assert callable(holds)

    async def turn() -> None:
        while not holds():  # noqa: ASYNC110  what is waited for sets no event
            await asyncio.sleep(0)

    engine().run(asyncio.wait_for(turn(), LIMIT_S)).result(LIMIT_S)


def test_run_counts_and_times_its_deltas(slow: Demo) -> None:
    sink = Recorded()
    run = slow.ask(sinks=(sink,))
    assert (run.delta_count, run.streaming_s, run.first_token_s) == (0, 0.0, None)
    assert sink.first.wait(LIMIT_S)
    assert run.delta_count >= 1
    run.stop()
    assert run.wait(LIMIT_S)
    assert run.delta_count == sink.calls.count("write")
    assert run.first_token_s is not None
    assert 0 < run.streaming_s < run.elapsed_s
    assert run.elapsed_s == run.completion.timings.total_s


def test_run_with_a_defect_of_ours_fails_with_a_sentence_and_keeps_its_text(
    fast: Demo, caplog: pytest.LogCaptureFixture
) -> None:
    async def connect(say: object) -> None:
        assert callable(say)
        say("starting")
        raise ZeroDivisionError("a defect")

    run = Run(question("Hello", **where(fast)).request, DEMO, plan=Plan(connect=connect))  # type: ignore[arg-type]
    engine().submit(run)
    assert run.wait(LIMIT_S)
    assert run.state is RunState.FAILED
    assert "failed inside vig_notebook: ZeroDivisionError" in str(run.error)
    assert "a defect" in caplog.text


def test_turn_of_a_chat_waits_for_the_one_before_and_goes_on_with_it(slow: Demo) -> None:
    chat = Chat("c", system="Be brief")
    asked = question("First", chat=chat, **where(slow))
    first, second = ask(asked, chat=chat), ask(question("Second", chat=chat, **where(slow)), chat=chat)
    wait_for_status(second, "the turn before")
    assert second.state is RunState.QUEUED
    wait_until(lambda: first.text_so_far)
    first.stop()
    wait_until(lambda: second.state is not RunState.QUEUED)
    sent = [message["content"] for message in second.request.to_body()["messages"]]
    assert sent == ["Be brief", "First", first.text, "Second"]
    second.stop()
    assert second.wait(LIMIT_S)


class Silent:
    """A sink that takes no text, and breaks at the start."""

    def start(self, run: Run) -> None:
        raise RuntimeError("broken")

    def finish(self, run: Run) -> None:
        raise AssertionError("it was dropped")


def test_sink_that_fails_at_the_start_is_dropped_and_the_run_goes_on(
    fast: Demo, caplog: pytest.LogCaptureFixture
) -> None:
    run = fast.ask(sinks=(Silent(),))
    assert run.wait(LIMIT_S)
    assert run.state is RunState.DONE
    assert "a sink of run" in caplog.text


def test_run_that_has_ended_holds_no_sink_and_no_stream(fast: Demo) -> None:
    sink = Recorded()
    seen = weakref.ref(sink)
    run = fast.ask(sinks=(sink,))
    del sink
    text = run.text
    gc.collect()
    assert seen() is None
    assert run.text_so_far == text


def test_run_whose_sink_wants_to_end_the_program_goes_on_without_it(fast: Demo) -> None:
    class Leaving(Recorded):
        def write(self, delta: Delta) -> None:
            raise SystemExit

    assert fast.ask(sinks=(Leaving(),)).text
    assert fast.ask().text


def test_run_waited_for_in_a_forked_child_is_refused(slow: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    run = slow.ask()
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: -1)
        with pytest.raises(RuntimeError, match="forked child"):
            run.wait()
    run.stop()
    assert run.wait(LIMIT_S)


def test_run_that_failed_raises_without_the_frames_of_those_who_asked_before(fast: Demo) -> None:
    run = fast.ask(model="demo-401")
    depths = []
    for _ in range(3):
        with pytest.raises(AuthError) as caught:
            run.result(LIMIT_S)
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


@pytest.mark.parametrize("model", ["demo", "demo-reasoning"])
def test_sink_that_follows_in_mid_answer_is_told_all_of_it_once(slow: Demo, model: str) -> None:
    class Whole(Recorded):
        def write(self, delta: Delta) -> None:
            super().write(delta)
            self.text += f"{delta.reasoning or ''}"

    first, late = Whole(), Whole()
    run = slow.ask(model=model, sinks=(first,), max_tokens=12)
    assert first.first.wait(LIMIT_S)
    engine().loop.call_soon_threadsafe(run.follow, late)
    assert run.wait(LIMIT_S)
    assert late.text == first.text != ""
    assert (late.calls[0], late.calls[-1]) == ("start", "finish")
    assert late.calls.count("start") == late.calls.count("finish") == 1


def test_sink_that_follows_before_the_first_step_is_told_as_any_other(slow: Demo) -> None:
    sink, broken = Recorded(), Silent()
    turn = threading.Event()
    engine().loop.call_soon_threadsafe(turn.wait, LIMIT_S)
    run = slow.ask(max_tokens=3)
    engine().loop.call_soon_threadsafe(run.follow, broken)
    run.follow(sink)
    turn.set()
    assert run.result(LIMIT_S).text == sink.text
    assert (sink.calls[0], sink.calls.count("start"), sink.calls[-1]) == ("start", 1, "finish")


NOWHERE = Endpoint(base_url="http://127.0.0.1:9/v1")


class Flood:
    """An answer that never lets anyone else have a turn: all of it is there."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        for piece in self._pieces:
            yield ChatCompletionChunk(choices=[Choice(delta=Delta(content=piece))])

    def completion(self) -> Completion:
        return Completion(text="whole")


def test_answer_that_is_all_there_at_once_leaves_others_their_turn() -> None:
    turns: list[int] = []
    answer = Flood(*["x" * 1000] * 200)

    async def drive() -> None:
        run = Run(ChatRequest([Message("user", "hi")]), NOWHERE, plan=Plan(source=lambda _: answer))
        driving = asyncio.get_running_loop().create_task(run.drive(engine()))
        while not driving.done():
            turns.append(run.delta_count)
            await asyncio.sleep(0)
        await driving

    engine().run(drive()).result(LIMIT_S)
    waits = [after - before for before, after in pairwise(turns)]
    assert sum(waits) >= 180
    assert max(waits) * 1000 <= TURN_CHARS + 1000
