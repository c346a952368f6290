"""The live grid of an experiment: header, verdict strip, columns, rows; and the record that replaces it at the end.

```
┌──────────────────────────────────────────────────────────────┐
│ Header: 31 of 60 done · 2,140 tokens · 4 s left   [Stop all] │
│ Strip: what changed in the prompt, flips, verdict            │
│          │ short@v1 · a        │ short@v1 · b                │  ┐
│ ▾ t01    │ PlaceView           │ PlaceView                   │  │ Board
│ ▸ t02    │ a line              │ a line                      │  ┘
└──────────────────────────────────────────────────────────────┘
```

Everything is painted from one timer on the streaming thread, within the board's budget of messages.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import ipywidgets as widgets
from IPython.display import display, update_display

from vig_notebook.engine import engine
from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.answer_view import html_output
from vig_notebook.notebook.grid.board import Board, on_loop
from vig_notebook.notebook.grid.header import Header
from vig_notebook.notebook.grid.record import grid_record
from vig_notebook.notebook.grid.sheet import Sheet, place_of
from vig_notebook.notebook.grid.strip import strip_of
from vig_notebook.notebook.grid.words import header_facts
from vig_notebook.notebook.words import error_card, error_text
from vig_notebook.render import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vig_notebook.notebook.grid.sheet import Place
    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.tuning import Cell, Experiment, Response

__all__ = ["GridView"]

_Made = TypeVar("_Made")

TICK_S = 0.1
"""Between two paints: ten a second, for all places together."""

HEADER_S = 0.5
STRIP_S = 3.0
"""Between two looks at the verdict: a person reads it, and it takes a thread some milliseconds."""

UNFINISHED = (
    "This grid was still coming when its notebook was saved or its kernel ended. Run its cell again: what the run log "
    "has of it is not asked again."
)


class GridView:
    """An `Observer` that shows an experiment. Made and displayed on any thread."""

    def __init__(self, experiment: Experiment, *, plain: bool = False, stays: bool = False) -> None:
        """Make the widgets that are always there.

        Args:
            experiment: The experiment; `watch` it with this view.
            plain: Show answers as text, not as Markdown.
            stays: Keep the view after the end until it is closed by its button.
        """
        self._experiment = experiment
        self._plain = plain
        self._stays = stays
        self._sheet = Sheet(experiment)
        self._differences = False
        self._ended = False
        self._is_late = experiment.running  # nobody tells it of the round that is under way: it looks itself
        self._followed: set[str] = set()
        self._header_at = self._strip_at = 0.0
        self._strip_busy = self._scored = False
        self._display_id: str | None = None
        self._board = Board(self._sheet, stop=self._stop_place, retry=self._retry_place, plain=plain)
        self._make_widgets()

    def _make_widgets(self) -> None:
        several = len(self._sheet.variants) > 1
        self._header = Header(
            has_baseline=several, stop_all=self._experiment.stop, retry_all=self._retry_all, compare=self._compare
        )
        self._strip = widgets.Output()
        style = widgets.HTML(f"<style>{STYLE}</style>", layout=widgets.Layout(display="none"))
        self.box = widgets.VBox([style, self._header.box, self._strip, self._board.box])
        self.box.add_class("vig-view")
        self.box.add_class("vig-grid")
        self._close = widgets.Button(description="Close", icon="check", tooltip="Put the record in place of this view")
        self._close.on_click(lambda _: on_loop(self._finish))

    # From any thread.

    def display(self) -> None:
        """Show the view as this cell's output."""
        # What is saved in mid-stream, and shown where there are no widgets. The page knows a live view by its name.
        bundle = self.box._repr_mimebundle_() | {"text/plain": UNFINISHED}
        known = {"vig_notebook": {"run": self._experiment.name}}
        handle = display(bundle, raw=True, display_id=True, metadata=known)
        self._display_id = handle.display_id if handle is not None else None

    def begin(self) -> None:
        """Take what is there already, and begin to paint."""
        on_loop(self._begin)

    def fail(self, error: VigthoriaError) -> None:
        """Show why there is nothing else to show."""
        self._end()
        self._replace({"text/html": error_card(error), "text/plain": error_text(error)}, {})

    # What the experiment calls, on the streaming thread.

    def sinks(self, cell: Cell) -> Sequence[Sink]:
        """The sink that keeps the answer of a cell until it is painted."""
        return (self._board.open(cell),)

    def started(self, cell: Cell, run: Run) -> None:
        """Nothing to do: the sink has the run."""

    def ended(self, _cell: Cell, response: Response) -> None:
        """Take a response."""
        self._board.end(response)

    def scored(self, _cell: Cell, response: Response) -> None:
        """Take its scores."""
        self._scored = True
        self._board.take([response])

    def over(self) -> None:
        """Replace the view by the record, unless it stays."""
        self._scored = True
        self._board.take(self._experiment.responses)
        if not self._stays:
            self._finish()

    # Painting, on the streaming thread.

    def _begin(self) -> None:
        if self._ended:
            return
        self._board.take(self._experiment.responses)
        self._header.announce(f"{self._experiment.progress.total} answers are asked for.")
        if self._stays:
            self.box.children = (*self.box.children, self._close)
        self._tick()

    def _tick(self) -> None:
        if self._ended:
            return
        try:
            self._paint(time.monotonic())
        except Exception as error:  # noqa: BLE001  a grid that stands still would pass for one that waits
            self.fail(_failure("The grid cannot be shown", error))
        else:
            engine().loop.call_later(TICK_S, self._tick)

    def _paint(self, now: float) -> None:
        self._board.earn(now)
        if now - self._header_at >= HEADER_S:
            self._header_at = now
            self._show_header()
            if self._is_late:
                self._catch_up()
            if not (self._stays or self._experiment.running):
                self.over()  # the experiment may have dropped this view
        if self._scored and not self._strip_busy and now - self._strip_at >= STRIP_S:
            self._look_at_strip(now)
        self._board.paint()

    def _catch_up(self) -> None:
        """See what a round does that began before this view watched."""
        for response in self._experiment.responses:
            if self._board.responses.get(response.cell.index) is not response:
                self.ended(response.cell, response)
                self._scored = True
        for index, run in self._experiment.runs.items():
            if run.id not in self._followed:
                self._followed.add(run.id)
                run.follow(self._board.open(self._experiment.cells[index]))

    def _show_header(self) -> None:
        failures = len(self._board.failed)
        errors = sum(one.status == "error" for one in self._board.responses.values())
        aside = len(self._experiment.held_out or ())
        facts = header_facts(self._experiment.progress, failures=errors, aside=aside)
        running = self._experiment.running
        self._board.spend(self._header.show(facts, self._experiment.endpoint, running=running, failures=failures))

    def _look_at_strip(self, now: float) -> None:
        self._strip_at, self._strip_busy, self._scored = now, True, False
        _aside(
            lambda: strip_of(self._experiment).html,
            self._show_strip,
            lambda error: self._show_strip(error_card(_failure("The verdict cannot be found", error))),
        )

    def _show_strip(self, html: str) -> None:
        self._strip_busy = False
        if not self._ended:
            self._strip.outputs = html_output(html) if html else ()

    # Buttons, on any thread.

    def _stop_place(self, place: Place) -> None:
        for cell in self._sheet.places[place]:
            self._experiment.stop(cell)

    def _retry_place(self, place: Place) -> None:
        self._retry([cell for cell in self._board.failed if place_of(cell) == place])

    def _retry_all(self) -> None:
        self._retry(self._board.failed)

    def _retry(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            self._experiment.retry(cell)

    def _compare(self, differences: bool) -> None:  # noqa: FBT001  what a toggle button says
        self._differences = differences
        on_loop(lambda: self._board.compare(differences=differences))

    # The end.

    def _finish(self) -> None:
        if self._ended:
            return
        self._end()
        left = len(self._experiment.missing)
        self._header.announce(f"Ended, and {left} answers are missing." if left else "All answers are there.")
        _aside(
            lambda: grid_record(self._experiment, plain=self._plain, differences=self._differences),
            lambda made: self._replace(*made),
            lambda error: self.fail(_failure("The record cannot be made", error)),
        )

    def _end(self) -> None:
        self._ended = True
        self._experiment.unwatch(self)

    def _replace(self, bundle: Mapping[str, str], metadata: Mapping[str, object]) -> None:
        if self._display_id is not None:
            # A page that was reloaded in mid-stream has forgotten the display id, but not which view it shows.
            view = {"vig_view": self.box.model_id}
            update_display(dict(bundle), raw=True, metadata=dict(metadata), display_id=self._display_id, transient=view)
        self.box.children = (widgets.Output(outputs=html_output(bundle["text/html"])),)
        self.box.add_class("vig-done-1")  # for a page that opens the notebook only now: all that is in it is one record


def _failure(what: str, error: Exception) -> VigthoriaError:
    """What a person is told; not the error's own words, which may quote the server."""
    advice = "The answers are there all the same: see df of the experiment."
    return VigthoriaError(what, seen=type(error).__name__, advice=advice)


def _aside(
    make: Callable[[], _Made], then: Callable[[_Made], object], otherwise: Callable[[Exception], object]
) -> None:
    """Make on a thread of its own what takes long, and go on with it on the streaming thread.

    Args:
        make: Makes it.
        then: Takes it.
        otherwise: Takes the error where it cannot be made: whoever waits must not wait for ever.
    """

    def work() -> None:
        try:
            made = make()
        except Exception as error:  # noqa: BLE001  whatever the answers are
            on_loop(partial(otherwise, error))
        else:
            on_loop(lambda: then(made))

    threading.Thread(target=work, name="vig-grid", daemon=True).start()
