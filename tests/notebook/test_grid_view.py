"""A live grid in which something is broken: it ends all the same, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.demos import LIMIT_S, Demo, demo
from tests.notebook.test_grid import asking, broken, run_in_view, until
from vig_notebook.notebook.grid import view as view_module
from vig_notebook.notebook.grid.board import Board
from vig_notebook.notebook.grid.view import GridView

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fast(widgets: None) -> Iterator[Demo]:
    with demo() as server:
        yield server


def shown_by(view: GridView) -> str:
    return str(view.box.children[0].outputs[0]["data"]["text/html"])


def test_grid_that_cannot_be_painted_gives_way_to_a_card(fast: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Board, "paint", broken)
    experiment = asking(fast, "Describe rain")
    experiment.run()
    assert experiment.wait(LIMIT_S)
    view = GridView(experiment, stays=True)
    view.begin()
    until(lambda: len(view.box.children) == 1)
    for words in ("The grid cannot be shown", "ValueError", "see df of the experiment"):
        assert words in shown_by(view)
    assert "a bug" not in shown_by(view)  # which may quote a server
    assert view._ended


def test_grid_that_is_told_nothing_more_looks_itself(fast: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "HEADER_S", 0.0)
    monkeypatch.setattr(Board, "end", broken)  # the experiment drops who raises
    assert "1 answer" in shown_by(run_in_view(asking(fast, "Describe rain")))
