"""The sink of one turn of the panel, and what a screen reader is told of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from vig_notebook.notebook.painter import Painter
from vig_notebook.notebook.panel.words import sentences
from vig_notebook.notebook.words import announcement

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.notebook.panel.turns import TurnView
    from vig_notebook.run import Run
    from vig_notebook.wire.chat import Delta

__all__ = ["Announcer", "Stage"]

ANNOUNCE_S = 2.0
"""Between two announcements of an answer's sentences: a screen reader needs about as long for one."""


class Panelled(Protocol):
    """What a stage needs of the panel's view. On the streaming thread."""

    def announces(self, run: Run) -> bool:
        """Whether a screen reader is told here of a run: a cell's own view tells of a cell's."""

    def show_status(self, run: Run) -> None:
        """Show state and times."""

    def ended(self) -> None:
        """A run has ended."""


class Announcer:
    """Says states and whole sentences, never tokens."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._state = ""
        self._said_at = 0.0
        self._read = 0

    def state(self, run: Run) -> None:
        """Say a new state; with the end, the sentences that are left."""
        sentence = announcement(run)
        if sentence != self._state:
            self._state = sentence
            rest = sentences(run.text_so_far[self._read :] + "\n")[0] if run.state.ended else ""
            self._say(f"{rest} {sentence}".strip())
            self._said_at = time.monotonic()

    def text(self, run: Run) -> None:
        """Say the sentences that have come since the last time, not too often."""
        if time.monotonic() - self._said_at < ANNOUNCE_S:
            return
        said, end = sentences(run.text_so_far[self._read :])
        if said:
            self._read += end
            self._said_at = time.monotonic()
            self._say(said)


class Stage:
    """Paints the answer of a turn as it comes, whoever asked: this panel, a cell, or another panel."""

    def __init__(self, panel: Panelled, turn: TurnView, announcer: Announcer) -> None:
        self._panel = panel
        self._turn = turn
        self._announcer = announcer
        self._painter = Painter(self)
        self._run: Run | None = None

    def start(self, run: Run) -> None:
        """Begin to paint."""
        self._run = run
        self._painter.start(run)

    def write(self, delta: Delta) -> None:
        """Take a piece."""
        self._painter.write(delta)

    def finish(self, run: Run) -> None:
        """Paint what is left."""
        self._run = run  # also of one that was stopped before its first step
        self._painter.finish(run)
        self._panel.ended()

    def show_status(self, run: Run) -> None:
        """Show state, times and tokens, and announce a new state."""
        self._panel.show_status(run)
        if self._panel.announces(run):
            self._announcer.state(run)

    def paint_answer(self, renderer: Renderer) -> None:
        """Bring the segments up to date."""
        if not self._turn.is_closed:
            self._turn.answer.paint_answer(renderer)
        if self._run is not None and self._panel.announces(self._run):
            self._announcer.text(self._run)

    def paint_reasoning(self, renderer: Renderer, *, seconds: float, over: bool) -> None:
        """Bring the folded reasoning up to date."""
        if not self._turn.is_closed:
            self._turn.answer.paint_reasoning(renderer, seconds=seconds, over=over)

    def end(self, run: Run) -> None:
        """Show what stands below the text, and the buttons."""
        if not self._turn.is_closed:
            self._turn.answer.end(run)
            self._turn.end()
