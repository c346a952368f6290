from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.demos import Demo, demo
from vig_notebook.tuning import limiter
from vig_notebook.tuning.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits half a second for a server that fails on purpose."""
    monkeypatch.setattr(limiter, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def fast() -> Iterator[Demo]:
    with demo() as server:
        yield server


class Maker(Protocol):
    def __call__(self, prompts: Any = ..., **options: Any) -> Experiment: ...


@pytest.fixture
def make(fast: Demo) -> Maker:
    """Makes experiments that ask the demo server and keep no log."""

    def made(prompts: Any = ("Write a haiku about {{ text }}",), **options: Any) -> Experiment:
        server = {"base_url": fast.server.base_url, "api_key": fast.server.token}
        return Experiment(prompts, **{"models": "demo", "store": "off", **server, **options})

    return made
