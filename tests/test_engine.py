"""The streaming thread: what it runs, how much at once, and what is left of it."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.demos import LIMIT_S, Demo
from vig_notebook import engine as engine_module
from vig_notebook.engine import Engine, engine
from vig_notebook.run import RunState
from vig_notebook.store import default_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vig_notebook.run import Run
    from vig_notebook.wire.chat import Delta


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def test_engine_is_one_in_a_process() -> None:
    assert engine() is engine()


def test_engine_in_a_forked_child_is_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    second = engine()
    assert second is not first
    second.close()
    engine_module._engine = first


def test_engine_close_leaves_no_thread() -> None:
    made = Engine()
    made.close()
    assert made.loop.is_closed()
    assert not made._thread.is_alive()


def test_runs_over_the_limit_are_queued_and_all_end(fast: Demo) -> None:
    class Highest:
        """A sink that notes how many runs were under way at once."""

        most = 0

        def start(self, run: Run) -> None:
            pass

        def write(self, delta: Delta) -> None:
            under_way = [run for run in engine().runs if run.state is not RunState.QUEUED]
            self.most = max(self.most, len(under_way))

        def finish(self, run: Run) -> None:
            pass

    highest = Highest()
    runs = [fast.ask("Write a haiku", sinks=(highest,)) for _ in range(200)]
    for run in runs:
        assert run.wait(60)
    assert {run.state for run in runs} == {RunState.DONE}
    assert len({run.text for run in runs}) == 1
    assert 1 < highest.most <= runs[0].endpoint.limits.max_concurrency


def test_runs_that_are_stopped_or_fail_leave_no_socket_and_no_task(fast: Demo) -> None:
    fast.ask().wait(LIMIT_S)
    default_store().flush()  # its files stay open
    before = open_files()
    for turn in range(200):
        run = fast.ask(model=("demo", "demo-cut", "demo-401", "demo-error")[turn % 4])
        if turn % 4 == 0:
            run.stop()
        assert run.wait(LIMIT_S)
    assert engine().busy == 0

    async def tasks() -> list[str]:
        await asyncio.sleep(0)
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("run ")]

    assert engine().run(tasks()).result(LIMIT_S) == []
    # Both ends of a connection are in this process, and one may be kept for the next request.
    assert open_files() <= before + 2


def test_shared_is_made_once_for_all_who_ask(own_engine: Engine) -> None:
    made: list[int] = []

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0)
        return 7

    async def ask_twice() -> list[int]:
        first, second = await asyncio.gather(own_engine.shared("x", make), own_engine.shared("x", make))
        return [first, second]

    assert own_engine.run(ask_twice()).result(LIMIT_S) == [7, 7]
    assert own_engine.run(own_engine.shared("x", make)).result(LIMIT_S) == 7
    assert made == [1]


def test_shared_that_failed_is_made_anew(own_engine: Engine) -> None:
    tries: list[int] = []

    async def make() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no port")
        return "made"

    with pytest.raises(OSError, match="no port"):
        own_engine.run(own_engine.shared("x", make)).result(LIMIT_S)
    assert own_engine.run(own_engine.shared("x", make)).result(LIMIT_S) == "made"


def test_shared_waited_for_by_one_who_leaves_is_made_for_the_others(own_engine: Engine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def make() -> str:
        begun.set()
        await asyncio.to_thread(go_on.wait, LIMIT_S)
        return "made"

    first = own_engine.run(own_engine.shared("x", make))
    assert begun.wait(LIMIT_S)
    second = own_engine.run(own_engine.shared("x", make))
    first.cancel()
    go_on.set()
    assert second.result(LIMIT_S) == "made"


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  each is a link that need not resolve


def test_engine_asked_for_in_a_signal_handler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine()
    with engine_module._lock:  # as a handler finds it that runs inside `engine()`
        assert engine() is first
        monkeypatch.setattr(engine_module, "_engine", None)
        second = engine()
    assert second is not first
    second.close()
    monkeypatch.setattr(engine_module, "_engine", first)


def test_engine_whose_thread_has_ended_is_followed_by_a_new_one() -> None:
    first = engine()
    first.close()
    second = engine()
    assert second is not first
    assert second.serves
