from __future__ import annotations

import pytest

from vig_notebook.engine import engine
from vig_notebook.settings import Endpoint, Secret
from vig_notebook.tuning import limiter as limiters
from vig_notebook.tuning.limiter import MOST_PAUSE_S, Limiter, limiter_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def long_pauses(monkeypatch: pytest.MonkeyPatch, short_pauses: None) -> None:
    monkeypatch.setattr(limiters, "FIRST_PAUSE_S", 0.5)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(10, clock=clock)


def test_limit_is_reached(limiter: Limiter) -> None:
    for _ in range(10):
        assert limiter.ready
        limiter.take()
    assert not limiter.ready
    limiter.release()
    assert limiter.ready


def test_refusals_of_one_wave_shrink_once(limiter: Limiter, clock: Clock) -> None:
    wave = [limiter.take() for _ in range(10)]
    for taken in wave:
        limiter.refused(taken, 3.0, shrink=True)
        limiter.release()
    assert limiter.limit == 7
    assert limiter.pause_left_s == 3.0
    assert not limiter.ready
    clock.now += 3
    assert limiter.ready


def test_shrinking_starts_from_what_was_under_way(limiter: Limiter) -> None:
    taken = [limiter.take() for _ in range(4)]
    limiter.refused(taken[0], 0.0, shrink=True)
    assert limiter.limit == 2


def test_limit_never_falls_below_one(limiter: Limiter, clock: Clock) -> None:
    for _ in range(10):
        limiter.refused(limiter.take(), 0.0, shrink=True)
        limiter.release()
    assert limiter.limit == 1
    assert limiter.ready


def test_limit_grows_by_one_after_as_many_successes(limiter: Limiter) -> None:
    limiter.limit = 3
    for _ in range(3):
        limiter.succeeded()
    assert limiter.limit == 4
    for _ in range(100):
        limiter.succeeded()
    assert limiter.limit == 10


def test_pause_without_retry_after_doubles_up_to_a_bound(limiter: Limiter, clock: Clock) -> None:
    pauses = []
    for _ in range(9):
        limiter.refused(limiter.take(), None, shrink=True)
        pauses.append(limiter.pause_left_s)
        clock.now += pauses[-1]
        limiter.release()
    assert pauses[:4] == pytest.approx([0.5, 1.0, 2.0, 4.0])
    assert pauses[-1] == pytest.approx(MOST_PAUSE_S)
    limiter.succeeded()
    limiter.refused(limiter.take(), None, shrink=True)
    assert limiter.pause_left_s == pytest.approx(0.5)


def test_failures_that_are_no_refusal_make_the_same_short_pause(limiter: Limiter, clock: Clock) -> None:
    for _ in range(5):
        limiter.refused(limiter.take(), None, shrink=False)
        assert limiter.pause_left_s == pytest.approx(0.5)
        clock.now += 0.5
    assert limiter.limit == 10


def test_release_wakes_who_waits(limiter: Limiter) -> None:
    woken: list[int] = []
    limiter.wakers.add(lambda: woken.append(1))
    limiter.take()
    limiter.release()
    assert woken == [1]


def test_server_and_key_have_one_limiter() -> None:
    def of(url: str, key: str | None) -> Limiter:
        return limiter_of(engine(), Endpoint(base_url=url, api_key=Secret(key) if key else None))

    assert of("http://a/v1", "k") is of("http://a/v1", "k")
    different = {id(of(url, key)) for url in ("http://a/v1", "http://b/v1") for key in ("k", "l", None)}
    assert len(different) == 6
    assert of("http://a/v1", None).ceiling == Endpoint(base_url="x").limits.max_concurrency
