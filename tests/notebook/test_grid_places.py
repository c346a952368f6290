"""The places and rows of the live grid, and what they send to the page; no server, no browser."""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Any, cast

import ipywidgets
import pytest

from tests.notebook.test_grid import filled
from tests.notebook.test_record import ended as answered
from vig_notebook.notebook.grid import board as board_module
from vig_notebook.notebook.grid.board import Board
from vig_notebook.notebook.grid.cells import LiveAnswer, PlaceView, Shared
from vig_notebook.notebook.grid.sheet import Sheet
from vig_notebook.notebook.grid.strip import strip_of
from vig_notebook.notebook.grid.words import column_facts, row_head
from vig_notebook.tuning import Example, Experiment, Prompt, Response
from vig_notebook.tuning.responses import Status
from vig_notebook.wire.chat import Delta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vig_notebook.run import Run
    from vig_notebook.tuning import Cell

LONG = "A first paragraph.\n\nA second one, still growing"


@pytest.fixture
def sent(widgets: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Counts the messages to the page since it was last asked."""
    count = [0]
    gc.disable()  # it would close what other tests have left

    def counted(method: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            count[0] += 1
            return method(*given, **named)

        return call

    for name in ("open", "send_state", "close"):
        monkeypatch.setattr(ipywidgets.Widget, name, counted(getattr(ipywidgets.Widget, name)))

    def since() -> int:
        found, count[0] = count[0], 0
        return found

    yield since
    gc.enable()


def saying(cell: Cell, text: str, status: Status = Status.OK) -> Response:
    return Response(cell=cell, status=status, output=text)


def live(board: Board, cell: Cell, text: str) -> LiveAnswer:
    answer = board.open(cell)
    answer.write(Delta(content=text))
    return answer


def board_of(**options: Any) -> tuple[Board, list[Cell]]:
    experiment = filled([], **options)
    return Board(Sheet(experiment), stop=print, retry=print, plain=False), list(experiment.cells)


def paint_all(board: Board) -> None:
    """Paint as if each tick came long after the one before."""
    for _ in range(5):
        board.earn(board._now + 100)
        board.paint()


def place_of(board: Board, cell: Cell) -> PlaceView:
    return board.rows[cell.example.id]._places[cell.example.id, cell.variant.index]


def shown(place: PlaceView) -> str:
    return str(place._output.outputs)


def test_place_keeps_one_button_that_stops_then_asks_again_then_goes(sent: Callable[[], int]) -> None:
    asked: list[str] = []
    place = PlaceView(Shared(), stop=lambda: asked.append("stop"), retry=lambda: asked.append("retry"), plain=False)
    board, (cell, *_) = board_of(repeats=1)
    place.sync({0: live(board, cell, "one")}, [], total=1, base_text=None)
    button: Any = place.box.children[-1]
    button.click()
    place.sync({}, [saying(cell, "one", Status.STOPPED)], total=1, base_text=None)
    assert place.box.children[-1] is button  # so that the focus stays where it is
    assert button.description == "Retry"
    assert "tabindex" not in place._facts.value
    button.click()
    assert asked == ["stop", "retry"]
    place.sync({}, [saying(cell, "one")], total=1, base_text=None)
    assert place.box.children == (place._output, place._facts)
    assert 'tabindex="0"' in place._facts.value  # something must take the focus, or no key scrolls it


KEY = "open-sesame-and-be-quick"


@pytest.mark.parametrize("plain", [False, True])
def test_answer_that_comes_shows_no_key_not_even_its_beginning(widgets: None, plain: bool) -> None:
    place = PlaceView(Shared(), stop=print, retry=print, plain=plain)
    answer = LiveAnswer(lambda: None, plain=plain)
    answer.start(cast("Run", answered(key=KEY)))
    for letter in f"you sent {KEY} and sk-abcdEFGH12345678, Authorization: Bearer abcdef1234567890XYZ":
        answer.write(Delta(content=letter))
        place.sync({0: answer}, [], total=1, base_text=None)
        assert not re.search("open-s|abcd", shown(place))
    assert "you sent •••• and ••••" in shown(place)


def test_place_says_no_fewer_messages_than_it_sends(sent: Callable[[], int]) -> None:
    board, (cell, *_) = board_of(repeats=1)
    place = PlaceView(Shared(), stop=print, retry=print, plain=False)
    answer = live(board, cell, "one")
    for text, ended in (("", None), (" more", None), (LONG, None), (LONG, None), ("", Status.ERROR), ("", Status.OK)):
        answer.write(Delta(content=text))
        sent()
        responses = [saying(cell, "one", ended)] if ended is not None else []
        said = place.sync({} if ended else {0: answer}, responses, total=1, base_text=None)
        assert sent() <= said


def test_row_says_no_fewer_messages_than_it_sends(sent: Callable[[], int]) -> None:
    board, cells = board_of(repeats=1)
    sent()
    row, said = board._row(cells[0].example.id)
    assert sent() <= said
    responses = {cell.index: saying(cell, "one") for cell in cells}
    said = row.fold(responses, differences=False)
    assert sent() <= said


def test_board_shows_differences_also_when_the_baseline_comes_last(widgets: None) -> None:
    board, cells = board_of(repeats=1)
    before, after = cells[:2]
    board.compare(differences=True)
    board.end(saying(after, "the blue car"))
    paint_all(board)
    assert "vig-came" not in shown(place_of(board, after))
    board.end(saying(before, "the red car"))
    paint_all(board)
    assert '<strong class="vig-came">blue</strong>' in shown(place_of(board, after))
    board.compare(differences=False)
    paint_all(board)
    assert "vig-came" not in shown(place_of(board, after))


def test_board_folds_rows_below_a_screenful_and_opens_them_again(
    widgets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "SCREENFUL", 1)
    monkeypatch.setattr(board_module, "MOST_UNFINISHED", 2)
    board, cells = board_of(data=[{"text": f"t{i}"} for i in range(4)], repeats=1)
    for cell in cells:
        live(board, cell, "one")
    paint_all(board)
    assert not any(row.folded for row in board.rows.values())
    for cell in cells:
        board.end(saying(cell, "one", Status.ERROR if cell.example.id == "3" and not cell.variant.index else Status.OK))
    paint_all(board)
    assert [row.folded for row in board.rows.values()] == [False, True, False, True]
    assert [cell.example.id for cell in board.failed] == ["3"]
    board._turn("1")
    assert board.rows["1"].folded
    board._turn("2")
    assert board.rows["2"].unfolded_by_hand
    board._turn("2")
    assert not board.rows["2"].unfolded_by_hand


def test_row_has_the_beginning_of_its_example_at_its_head(widgets: None) -> None:
    example = Example(id="t07", variables={"id": "t07", "text": "one\n two " * 20, "label": "x"})
    assert row_head(example, most_chars=12) == "t07 · one two one…"
    assert row_head(Example(id="9", variables={}), most_chars=12) == "9"


@pytest.mark.parametrize("revised", [False, True])
def test_column_names_its_prompt_only_where_there_is_something_to_tell(revised: bool) -> None:
    first = Prompt(name="short", text="a")
    variants = Experiment([first.revise("b") if revised else first], models=["m", "n"], store="off").variants
    assert column_facts(variants[0], all_of=variants) == (["short@v2"] if revised else [])


def test_strip_says_why_a_version_cannot_be_compared_with() -> None:
    before = Prompt(name="short", text="a {{ text }}")
    experiment = Experiment(
        [before.revise("b {{ text }}")], reference=[before], data=[{"text": "x"}], scorers="exact:text", store="off"
    )
    note = "short@v1 was never asked with these models, parameters and examples"
    assert note in strip_of(experiment).plain
    (cell, *_) = [one for one in experiment.cells if one.variant.prompt == before]
    experiment._responses[cell.index] = saying(cell, "x")
    assert note not in strip_of(experiment).plain
