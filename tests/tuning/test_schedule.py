"""The schedule with runs that end when the test says so, and a clock of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.tuning.grids import cells, variants
from vig_notebook.errors import (
    AuthError,
    ConfigError,
    ConnectFailed,
    Overloaded,
    RateLimited,
    ServerError,
    VigthoriaError,
)
from vig_notebook.run import RunState
from vig_notebook.tuning.limiter import Limiter
from vig_notebook.tuning.schedule import TRIES, Schedule
from vig_notebook.wire.accumulate import Completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.responses import Waits
    from vig_notebook.tuning.schedule import Finish


class FakeRun:
    """Ends when it is told to."""

    def __init__(self, finish: Finish) -> None:
        self.state = RunState.STREAMING
        self.error: VigthoriaError | None = None
        self.completion = Completion()
        self._finish = finish

    def end(self, error: VigthoriaError | None = None, text: str = "") -> None:
        self.state = RunState.DONE if error is None else RunState.FAILED
        self.error = error
        self.completion = Completion(text=text)
        self._finish.finish(self)  # type: ignore[arg-type]

    def stop(self) -> None:
        self.state = RunState.STOPPED
        asyncio.get_running_loop().call_soon(self._finish.finish, self)  # type: ignore[arg-type]


class FakeOwner:
    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.asked: list[str] = []
        self.done: dict[str, tuple[RunState, Waits]] = {}
        self.skipped_cells: list[str] = []
        self.asked_again = asyncio.Event()
        self.room = 1000

    def ask(self, cell: Cell, finish: Finish) -> Any:
        finish.start(None)  # type: ignore[arg-type]
        finish.write(None)  # type: ignore[arg-type]
        if cell.name in self.asked:
            self.asked_again.set()
        self.asked.append(cell.name)
        self.runs[cell.name] = FakeRun(finish)
        return self.runs[cell.name]

    def ended(self, cell: Cell, run: Any, waits: Waits) -> None:
        self.done[cell.name] = (run.state, waits)

    def skipped(self, cell: Cell) -> None:
        self.skipped_cells.append(cell.name)

    def may_ask(self, in_flight: int) -> bool:
        return len(self.asked) < self.room


class Clock:
    """Stands still until something waits for it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def working(
    limiter: Limiter, examples: int = 4, *, most: int = 2
) -> AsyncIterator[tuple[Schedule[Cell], FakeOwner, list[Cell]]]:
    owner, grid = FakeOwner(), cells(variants(), examples=examples)
    schedule = Schedule(grid, owner, limiter, max_concurrency=most, max_wait_s=60)
    task = asyncio.create_task(schedule.work())
    await settle()
    try:
        yield schedule, owner, grid
        await asyncio.wait_for(task, 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(64, clock=clock)


async def test_cells_are_asked_in_order_as_many_at_once_as_allowed(limiter: Limiter) -> None:
    async with working(limiter) as (schedule, owner, grid):
        names = [cell.name for cell in grid]
        assert owner.asked == names[:2]
        assert schedule.waiting == 2
        owner.runs[names[1]].end()
        await settle()
        assert owner.asked == names[:3]
        for name in (names[0], names[2]):
            owner.runs[name].end()
            owner.runs[name].end()  # what was told once is not told again
        await settle()
        owner.runs[names[3]].end()
    assert set(owner.done) == set(names)
    assert schedule.over
    assert limiter.in_flight == 0


async def test_refused_cell_is_asked_again_after_the_pause(limiter: Limiter, clock: Clock) -> None:
    async with working(limiter, examples=2, most=1) as (schedule, owner, grid):
        first, second = (cell.name for cell in grid)
        owner.runs[first].end(RateLimited("too many", retry_after_s=0.02))
        assert schedule.pause_left_s == pytest.approx(0.02)
        await settle()
        assert owner.asked == [first]
        clock.now += 0.02
        await asyncio.wait_for(owner.asked_again.wait(), 5)  # the schedule wakes by its own timer
        assert owner.asked == [first, first]
        owner.runs[first].end()
        await settle()
        owner.runs[second].end()
    waits = owner.done[first][1]
    assert waits.retry_s > 0
    assert owner.done[second][1].retry_s == 0
    assert owner.done[second][1].queue_s >= waits.retry_s


@pytest.mark.parametrize("error", [RateLimited, Overloaded, ConnectFailed, ServerError])
async def test_cell_is_given_up_after_some_tries(limiter: Limiter, error: type[VigthoriaError]) -> None:
    limiter.refused = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
    async with working(limiter, examples=1) as (_, owner, grid):
        name = grid[0].name
        for _ in range(TRIES[error.kind]):
            assert name not in owner.done
            owner.runs[name].end(error("no"))
            await settle()
    assert len(owner.asked) == TRIES[error.kind]
    assert owner.done[name][0] is RunState.FAILED


async def test_only_too_many_calls_shrink_the_limit(limiter: Limiter, clock: Clock) -> None:
    async with working(limiter, examples=1) as (_, owner, grid):
        owner.runs[grid[0].name].end(ServerError("no", retry_after_s=0))
        await settle()
        assert limiter.limit == 64
        owner.runs[grid[0].name].end(RateLimited("no", retry_after_s=0))
        await settle()
        assert limiter.limit == 1
        owner.runs[grid[0].name].end()


async def test_what_cannot_pass_is_reported_at_once(limiter: Limiter, clock: Clock) -> None:
    async with working(limiter, examples=3, most=3) as (_, owner, grid):
        names = [cell.name for cell in grid]
        owner.runs[names[0]].end(AuthError("no"))
        owner.runs[names[1]].end(ConnectFailed("broke off"), text="half an answer")
        owner.runs[names[2]].end(RateLimited("tomorrow", retry_after_s=3600))
    assert {state for state, _ in owner.done.values()} == {RunState.FAILED}
    assert len(owner.asked) == 3
    assert limiter.pause_left_s == 60


async def test_stop_of_one_leaves_the_others(limiter: Limiter) -> None:
    async with working(limiter) as (schedule, owner, grid):
        names = [cell.name for cell in grid]
        schedule.stop(grid[0])
        schedule.stop(grid[3])
        await settle()
        assert owner.done[names[0]][0] is RunState.STOPPED
        assert owner.skipped_cells == [names[3]]
        assert owner.asked == names[:3]
        for name in names[1:3]:
            owner.runs[name].end()


async def test_stop_all_forgets_who_waits(limiter: Limiter) -> None:
    async with working(limiter) as (schedule, owner, _):
        schedule.stop()
        await settle()
    assert [state for state, _ in owner.done.values()] == [RunState.STOPPED] * 2
    assert owner.skipped_cells == []
    schedule.stop()


async def test_cell_is_added_in_front(limiter: Limiter) -> None:
    async with working(limiter, examples=3, most=1) as (schedule, owner, grid):
        names = [cell.name for cell in grid]
        owner.runs[names[0]].end(AuthError("no"))
        await settle()
        schedule.add(grid[0])
        owner.runs[names[1]].end()
        await settle()
        assert owner.asked == [names[0], names[1], names[0]]
        owner.runs[names[0]].end()
        await settle()
        owner.runs[names[2]].end()


async def test_what_is_added_after_the_end_is_asked_by_working_again(limiter: Limiter) -> None:
    owner, grid = FakeOwner(), cells(variants(), examples=1)
    schedule: Schedule[Cell] = Schedule([], owner, limiter, max_concurrency=2, max_wait_s=60)
    await schedule.work()
    assert schedule.over
    schedule.add(grid[0])
    task = asyncio.create_task(schedule.work())
    await settle()
    assert not schedule.over
    owner.runs[grid[0].name].end()
    await asyncio.wait_for(task, 5)
    assert owner.asked == [grid[0].name]
    assert limiter.wakers == set()


async def test_cell_that_waits_or_flies_is_not_added_twice(limiter: Limiter) -> None:
    async with working(limiter, examples=2, most=1) as (schedule, owner, grid):
        for cell in grid:
            schedule.add(cell)
        assert schedule.waiting == 1
        owner.runs[grid[0].name].end()
        await settle()
        owner.runs[grid[1].name].end()
    assert owner.asked == [cell.name for cell in grid]


async def test_place_of_a_cell_that_cannot_be_asked_is_free_again(limiter: Limiter) -> None:
    class Broken(FakeOwner):
        def ask(self, cell: Cell, finish: Finish) -> Any:
            raise ConfigError("no")

    schedule = Schedule(cells(variants()), Broken(), limiter, max_concurrency=2, max_wait_s=60)
    with pytest.raises(ConfigError):
        await schedule.work()
    assert (limiter.in_flight, limiter.wakers) == (0, set())


async def test_cells_are_skipped_in_one_pass(limiter: Limiter) -> None:
    looked: list[int] = []

    def is_odd(cell: Cell) -> bool:
        looked.append(cell.index)
        return cell.index % 2 == 1

    async with working(limiter, examples=6, most=2) as (schedule, owner, grid):
        schedule.skip(is_odd)
        assert looked == [2, 3, 4, 5]
        assert owner.skipped_cells == [grid[3].name, grid[5].name]
        assert schedule.waiting == 2
        schedule.stop()


async def test_owner_ends_the_asking(limiter: Limiter) -> None:
    owner = FakeOwner()
    owner.room = 0
    schedule = Schedule(cells(variants()), owner, limiter, max_concurrency=2, max_wait_s=60)
    await schedule.work()
    assert owner.asked == []


async def test_cancelled_schedule_stops_its_runs(limiter: Limiter) -> None:
    owner, grid = FakeOwner(), cells(variants())
    schedule = Schedule(grid, owner, limiter, max_concurrency=2, max_wait_s=60)
    task = asyncio.create_task(schedule.work())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert [state for state, _ in owner.done.values()] == [RunState.STOPPED] * 2
    assert not limiter.wakers
