"""The view of one answer: its folded reasoning, its text while it grows, and what stands below it at the end.

```
┌──────────────────────────────────────────────────────────┐
│ ▸ Reasoned for 4 s                                       │  Fold, only when there is any
│ Output: a finished segment, sent once                    │  ┐
│ Output: the tail, sent anew at every paint               │  ┘ Segments
│ Output: error card, footer                               │  at the end
└──────────────────────────────────────────────────────────┘
```

The view of a cell and the turns of the panel are made of it. Made on any thread, painted on the streaming thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.notebook.record import ending_html, masked, record_parts
from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from vig_notebook.chats import Outcome
    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.notebook.record import Format

__all__ = ["AnswerView", "Fold", "Segments", "html_output"]


def html_output(html: str) -> tuple[dict[str, object], ...]:
    """What an Output widget's `outputs` is assigned to show our HTML."""
    return ({"output_type": "display_data", "data": {"text/html": html}, "metadata": {}},)


class Segments:
    """A growing text as a column of Output widgets, of which only the last is ever sent again."""

    def __init__(self) -> None:
        self._layout = widgets.Layout()  # one for all: each widget would open a comm for its own
        self._outputs = [self._output("")]
        self._painted = 0  # finished segments
        self._tail = ""
        self.box = widgets.VBox(self._outputs, layout=self._layout)

    @property
    def count(self) -> int:
        """How many Output widgets the column has."""
        return len(self._outputs)

    def paint(self, renderer: Renderer) -> int:
        """Bring the column up to date. Returns how many messages it took: 1, or 3 with a finished segment."""
        tail, before = renderer.tail_html(), self._tail
        frozen = renderer.frozen
        self._tail = tail
        if self._painted < len(frozen):
            # However many were finished since the last paint, they share one Output: a burst is no flood.
            self._outputs[-1].outputs = html_output("".join(frozen[self._painted :]))
            self._painted = len(frozen)
            self._outputs.append(self._output(tail))
            self.box.children = tuple(self._outputs)
            return 3
        if tail == before:
            return 0
        self._outputs[-1].outputs = html_output(tail)
        return 1

    def show(self, html: str) -> None:
        """Show a text that is whole."""
        self._outputs[-1].outputs = html_output(html)

    def close(self) -> None:
        """Close the widgets."""
        _close(*self._outputs, self.box, self._layout)

    def _output(self, html: str) -> widgets.Output:
        return widgets.Output(outputs=html_output(html) if html else (), layout=self._layout)


class Fold:
    """A button that opens and closes what is below it.

    The style sheet does it, from the class that a toggle button wears while it is on: so it works while
    the kernel is busy. An Accordion cannot be opened with the keyboard, and an icon's glyph would be read out
    as part of the name: so the style sheet draws the sign too.
    """

    def __init__(self, title: str, child: widgets.Widget) -> None:
        self._layout = widgets.Layout(width="auto")
        self.button = widgets.ToggleButton(description=title, tooltip="Open or close", layout=self._layout)
        self._inner = widgets.VBox([child], layout=self._layout)
        self._inner.add_class("vig-folded")
        self.box = widgets.VBox([self.button, self._inner], layout=self._layout)
        self.box.add_class("vig-fold")

    def rename(self, title: str) -> None:
        """Give it another title."""
        if self.button.description != title:
            self.button.description = title

    def close(self) -> None:
        """Close the widgets; the child is its owner's to close."""
        _close(self.button, self.button.style, self._inner, self.box, self._layout)


class AnswerView:
    """One answer; the part of a `Canvas` that is the text."""

    def __init__(self, *, form: Format = "markdown") -> None:
        self._form = form
        self._layout = widgets.Layout()
        self._segments = Segments()
        self._segments.box.add_class("vig-answer")
        self._thoughts: Segments | None = None
        self._fold: Fold | None = None
        self._ending: widgets.Output | None = None
        self.box = widgets.VBox([self._segments.box], layout=self._layout)

    @property
    def part_count(self) -> int:
        """How many Output widgets it has."""
        parts = (self._segments, self._thoughts)
        return sum(part.count for part in parts if part is not None) + (self._ending is not None)

    def paint_answer(self, renderer: Renderer) -> None:
        """Bring the segments up to date."""
        self._segments.paint(renderer)

    def paint_reasoning(self, renderer: Renderer, *, seconds: float, over: bool) -> None:
        """Bring the folded reasoning up to date; the fold appears with the first of it."""
        fold, thoughts = self._reasoning(f"Reasoning… {seconds:.0f} s")
        thoughts.paint(renderer)
        fold.rename(f"Reasoned for {seconds:.0f} s" if over else f"Reasoning… {seconds:.0f} s")

    def show(self, outcome: Outcome) -> None:
        """Show an answer that has ended and was never painted."""
        if outcome.reasoning_so_far:
            _, thoughts = self._reasoning("Reasoning")
            thoughts.show(f'<pre class="vig-plain">{escape_text(masked(outcome.reasoning_so_far, outcome))}</pre>')
        parts = record_parts(outcome, form=self._form)
        self._segments.show(parts.answer)
        self.end(outcome, parts.ending)

    def end(self, outcome: Outcome, html: str | None = None) -> None:
        """Show what stands below the text of an answer that has ended; `html` where it was made already."""
        if html is None:
            html = ending_html(outcome, form=self._form)
        self._ending = widgets.Output(outputs=html_output(html), layout=self._layout)
        self.box.children += (self._ending,)

    def close(self) -> None:
        """Close the widgets."""
        self._segments.close()
        if self._thoughts is not None and self._fold is not None:
            self._thoughts.close()
            self._fold.close()
        _close(*([self._ending] if self._ending is not None else []), self.box, self._layout)

    def _reasoning(self, title: str) -> tuple[Fold, Segments]:
        if self._thoughts is None or self._fold is None:
            self._thoughts = Segments()
            self._fold = Fold(title, self._thoughts.box)
            self.box.children = (self._fold.box, *self.box.children)
        return self._fold, self._thoughts


def _close(*made: widgets.Widget) -> None:
    for widget in made:
        widget.close()
