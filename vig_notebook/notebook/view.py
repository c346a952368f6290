"""The view of one run in a cell: what is seen while it streams, and the record that replaces it.

```
┌──────────────────────────────────────────────────────────────┐
│ [demo] Streaming · model · 3.2 s · first token 0.2 s   [■ Stop] │  status, Stop
│ ▸ Reasoning, 4 s                                             │  folded, only when there is any
│ ┌──────────────────────────────────────────────────────────┐ │
│ │ Output: a finished segment, sent once                    │ │
│ │ Output: the tail, sent anew at every paint               │ │
│ └──────────────────────────────────────────────────────────┘ │
└──────────────────────────────────────────────────────────────┘
```

Made on any thread; painted on the streaming thread. The models are not closed at the end: a page that was
reloaded in mid-stream no longer knows the display id, and still shows the text from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets
from IPython.display import display, update_display

from vig_notebook.notebook.record import ending_html, record
from vig_notebook.notebook.words import announcement, status_html
from vig_notebook.render import STYLE, escape_text

if TYPE_CHECKING:
    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.notebook.record import Format
    from vig_notebook.run import Run

__all__ = ["RunView", "Segments"]


def html_output(html: str) -> tuple[dict[str, object], ...]:
    """What an Output widget's `outputs` is assigned to show our HTML."""
    return ({"output_type": "display_data", "data": {"text/html": html}, "metadata": {}},)


class Segments:
    """A growing text as a column of Output widgets, of which only the last is ever sent again."""

    def __init__(self) -> None:
        self._layout = widgets.Layout()  # one for all: each widget would open a comm for its own
        self._outputs = [self._output("")]
        self._tail = ""
        self.box = widgets.VBox(self._outputs, layout=self._layout)

    def paint(self, renderer: Renderer) -> None:
        """Bring the column up to date: at most one message, and three where a segment was finished."""
        tail = renderer.tail_html()
        frozen = renderer.frozen
        first = len(self._outputs) - 1
        if first < len(frozen):
            self._outputs[first].outputs = html_output(frozen[first])
            self._outputs += [self._output(html) for html in (*frozen[first + 1 :], tail)]
            self.box.children = tuple(self._outputs)
        elif tail != self._tail:
            self._outputs[-1].outputs = html_output(tail)
        self._tail = tail

    def _output(self, html: str) -> widgets.Output:
        return widgets.Output(outputs=html_output(html) if html else (), layout=self._layout)


class RunView:
    """The view of one run: a `Canvas` for the painter, displayed under an id that the record takes over."""

    def __init__(self, *, form: Format = "markdown") -> None:
        self._form = form
        self._run: Run | None = None
        self._display_id: str | None = None
        self._announced = ""
        self._segments = Segments()
        self._thoughts: Segments | None = None
        self._fold: widgets.Accordion | None = None
        self._status = widgets.HTML(layout=widgets.Layout(flex="1 1 auto", width="auto"))
        self._announcer = widgets.HTML()
        self.stop_button = widgets.Button(
            description="Stop",
            icon="stop",
            tooltip="Stop this answer; what has come is kept",
            layout=widgets.Layout(width="auto"),
        )
        self.stop_button.add_class("vig-stop")
        self.stop_button.on_click(self._stop)
        header = widgets.HBox([self._status, self.stop_button])
        header.add_class("vig-header")
        style = widgets.HTML(f"<style>{STYLE}</style>", layout=widgets.Layout(display="none"))
        self.box = widgets.VBox([style, header, self._announcer, self._segments.box])
        self.box.add_class("vig-view")

    def watch(self, run: Run) -> None:
        """Say which run the Stop button stops."""
        self._run = run

    def display(self) -> None:
        """Show the view as this cell's output."""
        handle = display(self.box, display_id=True)
        self._display_id = handle.display_id if handle is not None else None

    def show_status(self, run: Run) -> None:
        """Show state, times and tokens, and announce a new state as a sentence."""
        self._status.value = f'<div class="vig-status">{status_html(run)}</div>'
        sentence = announcement(run)
        if sentence != self._announced:
            self._announced = sentence
            self._announcer.value = (
                f'<div class="vig-visually-hidden" role="status" aria-live="polite">{escape_text(sentence)}</div>'
            )

    def paint_answer(self, renderer: Renderer) -> None:
        """Bring the segments up to date."""
        self._segments.paint(renderer)

    def paint_reasoning(self, renderer: Renderer, *, seconds: float, over: bool) -> None:
        """Bring the folded reasoning up to date; the fold appears with the first of it."""
        if self._thoughts is None or self._fold is None:
            self._thoughts = Segments()
            self._fold = widgets.Accordion([self._thoughts.box], selected_index=None)
            self._fold.add_class("vig-fold")
            self.box.children = (*self.box.children[:3], self._fold, *self.box.children[3:])
        self._thoughts.paint(renderer)
        title = f"Reasoned for {seconds:.0f} s" if over else f"Reasoning… {seconds:.0f} s"
        if self._fold.titles != (title,):
            self._fold.titles = (title,)

    def end(self, run: Run) -> None:
        """Replace the view by the record, and take the button away where the view stays."""
        bundle, metadata = record(run, form=self._form)
        self.stop_button.layout.display = "none"
        self._segments.box.children += (widgets.Output(outputs=html_output(ending_html(run, form=self._form))),)
        if self._display_id is not None:
            update_display(bundle, raw=True, metadata=metadata, display_id=self._display_id)

    def _stop(self, _button: widgets.Button) -> None:
        if self._run is not None:
            self._run.stop()
