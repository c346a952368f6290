"""The painter: a sink that brings a growing answer into a view, at a pace the browser can bear.

A browser fell 3 s behind when the whole text was painted ten times a second. So the text is painted in
segments: a finished one is sent once and never again, only the last one is sent anew. All of it happens on
the streaming thread, so it goes on while a cell blocks the kernel.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from vig_notebook.engine import engine
from vig_notebook.notebook.keys import masked_stream
from vig_notebook.render import MaskedStream, StreamRenderer, escape_text
from vig_notebook.settings import mask

if TYPE_CHECKING:
    import asyncio

    from vig_notebook.run import Run
    from vig_notebook.wire.chat import Delta

__all__ = ["Canvas", "Intake", "Painter", "PlainRenderer", "Renderer"]

PAINT_S = 0.16
"""Between two paints of one run: 6 a second read as motion, and leaves room for the status and new
segments under 12 messages a second."""

SHARE_S = 0.015
"""What each run that is under way adds to that, so that all together stay under 100 messages a second:
above 1,000 the server drops messages for good."""

MESSAGE_S = 0.11
"""What each message that a paint took adds to the wait for the next one, where that is more: so a fast answer, which
finishes three segments a second, stays under 12 messages a second too."""

STATUS_S = 1.0
"""Between two status lines when nothing but the time has changed."""

SEGMENT_CHARS = 4_000
"""Size of a plain segment: with smaller ones the list of segments, sent again for each, outweighs the text."""


class Renderer(Protocol):
    """What turns a growing text into segments; `StreamRenderer` for Markdown, `PlainRenderer` for the rest."""

    @property
    def frozen(self) -> list[str]:
        """HTML of the finished segments; only ever grows."""

    def feed(self, text: str) -> None:
        """Take the next piece."""

    def tail_html(self) -> str:
        """HTML of what is not finished yet."""


class Canvas(Protocol):
    """What the painter paints on."""

    def show_status(self, run: Run) -> None:
        """Show state, times and tokens."""

    def paint_answer(self, renderer: Renderer) -> None:
        """Bring the segments up to date."""

    def paint_reasoning(self, renderer: Renderer, *, seconds: float, over: bool) -> None:
        """Bring the folded reasoning up to date."""

    def end(self, run: Run) -> None:
        """Replace what moves by the record."""


class PlainRenderer:
    """Text as it is, in `<pre>` segments that end at line ends where there are any."""

    def __init__(self) -> None:
        self.frozen: list[str] = []
        self._tail = ""

    def feed(self, text: str) -> None:
        """Take the next piece."""
        self._tail += text
        while len(self._tail) > 2 * SEGMENT_CHARS:
            cut = self._tail.rfind("\n", 0, SEGMENT_CHARS) + 1 or SEGMENT_CHARS
            self.frozen.append(self._html(self._tail[:cut].removesuffix("\n")))
            self._tail = self._tail[cut:]

    def tail_html(self) -> str:
        """HTML of what is not finished yet."""
        return self._html(self._tail) if self._tail else ""

    def _html(self, text: str) -> str:
        return f'<pre class="vig-plain">{escape_text(text)}</pre>'


class Intake:
    """A text on its way to its renderer: without keys, and many pieces at once, which costs little.

    Attributes:
        renderer: What turns it into segments; has what was settled.
    """

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._keys = MaskedStream(mask)
        self._pieces: list[str] = []
        self._length = 0

    def start(self, run: Run) -> None:
        """Say whose text it is: the key of its server is taken out, too."""
        self._keys = masked_stream(run)

    def feed(self, text: str) -> None:
        """Take the next piece."""
        self._pieces.append(text)
        self._length += len(text)
        if self._length >= SEGMENT_CHARS:
            self.settle()

    def settle(self, *, last: bool = False) -> None:
        """Pass on what came; what may be the beginning of a key only with the `last` of it."""
        text = self._keys.feed("".join(self._pieces))
        self._pieces, self._length = [], 0
        self.renderer.feed(text + self._keys.flush() if last else text)


class Painter:
    """A sink that paints a run. Holds at most one timer, and none after `finish`."""

    def __init__(self, canvas: Canvas, *, plain: bool = False) -> None:
        self._canvas = canvas
        self._answer = Intake(PlainRenderer() if plain else StreamRenderer())
        self._reasoning = Intake(PlainRenderer())
        self._reasoning_began: float | None = None
        self._reasoning_s: float | None = None
        self._dirty = self._thinking = False
        self._finished = 0
        self._shown: tuple[object, ...] = ()
        self._shown_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, run: Run) -> None:
        """Begin to paint."""
        self._answer.start(run)
        self._reasoning.start(run)
        self._tick(run)

    def write(self, delta: Delta) -> None:
        """Take a piece; it is painted at the next turn of the timer."""
        if delta.reasoning:
            self._reasoning_began = self._reasoning_began or time.monotonic()
            self._reasoning.feed(delta.reasoning)
            self._thinking = True
        text = delta.content or delta.refusal
        if text:
            self._end_reasoning()
            self._answer.feed(text)
            self._dirty = True

    def finish(self, run: Run) -> None:
        """Paint what is left, then the record."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_reasoning()
        self._paint(last=True)
        self._canvas.show_status(run)
        self._canvas.end(run)

    def _end_reasoning(self) -> None:
        if self._reasoning_began is not None and self._reasoning_s is None:
            self._reasoning.settle(last=True)
            self._reasoning_s = time.monotonic() - self._reasoning_began
            self._thinking = True

    def _tick(self, run: Run) -> None:
        share_s = SHARE_S * engine().busy
        messages = self._paint() + self._paint_status(run, share_s)
        pace_s = max(PAINT_S, share_s, messages * MESSAGE_S)
        self._timer = engine().loop.call_later(pace_s, self._tick, run)

    def _paint(self, *, last: bool = False) -> int:
        """Paint what is new. Returns how many messages it took, about."""
        messages = 0
        if (self._thinking or last) and self._reasoning_began is not None:
            self._thinking, over = self._reasoning_s is None, self._reasoning_s is not None
            seconds = self._reasoning_s or time.monotonic() - self._reasoning_began
            self._reasoning.settle(last=last)
            self._canvas.paint_reasoning(self._reasoning.renderer, seconds=seconds, over=over)
            messages += 2
        if self._dirty or last:
            self._dirty = False
            self._answer.settle(last=last)
            self._canvas.paint_answer(self._answer.renderer)
            frozen = len(self._answer.renderer.frozen)
            finished, self._finished = frozen - self._finished, frozen
            messages += 3 if finished else 1
        return messages

    def _paint_status(self, run: Run, share_s: float) -> int:
        """Show the status where it is new or old enough. Returns how many messages it took."""
        shown, now = (run.state, run.status, run.endpoint), time.monotonic()
        if shown == self._shown and now - self._shown_at < max(STATUS_S, 5 * share_s):
            return 0
        self._shown, self._shown_at = shown, now
        self._canvas.show_status(run)
        return 1
