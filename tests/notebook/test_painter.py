"""The painter: what it paints of a run, piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from tests.notebook.test_record import ended
from vig_notebook.engine import engine
from vig_notebook.notebook.painter import SEGMENT_CHARS, Painter
from vig_notebook.wire.chat import Delta

if TYPE_CHECKING:
    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.run import Run

KEY = "open-sesame/42"
LIMIT_S = 10.0


class Wall:
    """A canvas that keeps what it shows, and all that it has shown."""

    def __init__(self) -> None:
        self.answer = self.thoughts = self.seen = ""
        self.is_over = False
        self.endings = 0
        self.painted = asyncio.Event()

    def show_status(self, run: Run) -> None:
        pass

    def paint_answer(self, renderer: Renderer) -> None:
        self.answer = self._show(renderer)

    def paint_reasoning(self, renderer: Renderer, *, seconds: float, over: bool) -> None:
        self.thoughts, self.is_over = self._show(renderer), over

    def end(self, run: Run) -> None:
        self.endings += 1

    def _show(self, renderer: Renderer) -> str:
        self.painted.set()
        html = "".join([*renderer.frozen, renderer.tail_html()])
        self.seen += html
        return html


def painted(*deltas: Delta, plain: bool = False) -> Wall:
    """What is painted of these, each after the one before it was painted."""

    async def paint() -> Wall:
        wall, run = Wall(), cast("Run", ended(key=KEY))
        painter = Painter(wall, plain=plain)
        painter.start(run)
        for delta in deltas:
            wall.painted.clear()
            painter.write(delta)
            await wall.painted.wait()
        painter.finish(run)
        return wall

    return engine().run(paint()).result(LIMIT_S)


def test_key_that_comes_in_pieces_is_never_painted() -> None:
    wall = painted(
        Delta(reasoning=f"think {KEY[:6]}"),
        Delta(reasoning=KEY[6:]),
        Delta(content=f"*say* {KEY[:6]}"),
        Delta(content=f"{KEY[6:]} and a key s"),
        Delta(content="k-1A2b3C4d5E6f"),
    )
    assert "sesa" not in wall.seen
    assert "1A2b" not in wall.seen
    assert "think ••••" in wall.thoughts
    assert wall.answer == "<p><em>say</em> •••• and a key ••••</p>\n"
    assert wall.endings == 1


def test_what_is_held_back_is_painted_at_the_end() -> None:
    wall = painted(Delta(reasoning="thought: o"), Delta(content="text: op"), Delta(reasoning="once more: ope"))
    assert "thought: oonce more: ope<" in wall.thoughts
    assert wall.is_over
    assert wall.answer == "<p>text: op</p>\n"


def test_run_that_says_nothing_paints_nothing() -> None:
    wall = painted()
    assert (wall.answer, wall.thoughts, wall.endings) == ("", "", 1)


def test_long_text_is_painted_whole() -> None:
    text = "line of text\n" * SEGMENT_CHARS
    wall = painted(Delta(content=text[:-5]), Delta(content=text[-5:]), plain=True)
    assert wall.answer.count("line of text") == SEGMENT_CHARS
