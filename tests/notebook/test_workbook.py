"""What the cells of a notebook have written, and how one of them makes way for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.demos import LIMIT_S, Demo, demo, where
from vig_notebook.notebook.workbook import Workbook
from vig_notebook.tuning import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slow() -> Iterator[Demo]:
    with demo(pace=100) as server:
        yield server


@pytest.mark.parametrize(("cell", "waits"), [("two", True), ("one", False), (None, False)])
def test_cell_waits_for_another_of_its_name_and_stops_what_it_asked_itself(
    slow: Demo, cell: str | None, waits: bool
) -> None:
    book = Workbook()
    experiment = Experiment("Describe rain", params={"max_tokens": 20}, name="short", store="off", **where(slow))
    book.make_way("short", cell="one")  # nothing to make way for
    book.keep(experiment, line="", cell="one")
    _ = experiment.run()
    book.make_way("short", cell=cell)
    assert experiment.wait(LIMIT_S)
    assert (experiment.missing == []) is waits
    book.make_way("short", cell="two")  # it has ended
