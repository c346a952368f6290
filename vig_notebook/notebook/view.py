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

from vig_notebook.notebook.answer_view import AnswerView
from vig_notebook.notebook.record import record_parts
from vig_notebook.notebook.words import announcement, status_html, unfinished
from vig_notebook.render import STYLE, StreamRenderer, escape_text

if TYPE_CHECKING:
    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.notebook.record import Format, Parts
    from vig_notebook.run import Run

__all__ = ["RunView"]


class RunView:
    """The view of one run: a `Canvas` for the painter, displayed under an id that the record takes over."""

    def __init__(self, *, form: Format = "markdown") -> None:
        self._form = form
        self._run: Run | None = None
        self._display_id: str | None = None
        self._renderer: Renderer | None = None
        self._record: Parts | None = None
        self._announced = ""
        self._answer = AnswerView(form=form)
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
        self.box = widgets.VBox([style, header, self._announcer, self._answer.box])
        self.box.add_class("vig-view")

    def watch(self, run: Run) -> None:
        """Say which run the Stop button stops."""
        self._run = run

    def display(self) -> None:
        """Show the view as this cell's output; the record alone when the run has ended already."""
        if self._record is not None:
            display(self._record.bundle, raw=True, metadata=self._record.metadata)
            return
        # What is saved in mid-stream, and shown where there are no widgets. The page knows a live view by its run.
        bundle, known = self.box._repr_mimebundle_(), {}
        run = self._run
        if run is not None:
            bundle["text/plain"] = unfinished(run)
            known = {"vig_notebook": {"run": run.id}}
        handle = display(bundle, raw=True, display_id=True, metadata=known)
        self._display_id = handle.display_id if handle is not None else None
        self._replace()  # the run may have ended meanwhile, when there was no id yet

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
        """Bring the segments up to date; after the end only once the record stands in the view's place."""
        self._renderer = renderer
        if self._run is None or not self._run.state.ended:
            self._answer.paint_answer(renderer)

    def paint_reasoning(self, renderer: Renderer, *, seconds: float, over: bool) -> None:
        """Bring the folded reasoning up to date; the fold appears with the first of it."""
        self._answer.paint_reasoning(renderer, seconds=seconds, over=over)

    def end(self, run: Run) -> None:
        """Replace the view by the record; a page that was reloaded in mid-stream keeps the view, with its ending."""
        rendered = self._renderer if isinstance(self._renderer, StreamRenderer) else None
        self._record = record_parts(run, form=self._form, rendered=rendered)
        # First of all: whoever sees the end and saves has the record in the file, and the page paints nothing in vain.
        self._replace()
        if self._renderer is not None:
            self._answer.paint_answer(self._renderer)
        self.stop_button.on_click(self._stop, remove=True)
        self.stop_button.layout.display = "none"
        self._run = None  # the widgets stay open for that page; what they hold goes
        self._answer.end(run, self._record.ending)
        # For a page that is opened only now, and has to know when all of it is there.
        self.box.add_class(f"vig-{run.state.lower()}-{self._answer.part_count}")

    def _replace(self) -> None:
        if self._record is not None and self._display_id is not None:
            # A page that was reloaded in mid-stream has forgotten the display id, but not which view it shows.
            view = {"vig_view": self.box.model_id}
            update_display(
                self._record.bundle,
                raw=True,
                metadata=self._record.metadata,
                display_id=self._display_id,
                transient=view,
            )

    def _stop(self, _button: widgets.Button) -> None:
        if self._run is not None:
            self._run.stop()
