"""The live grid of an experiment: header, verdict strip, columns, rows; and the record that replaces it at the end.

```
┌──────────────────────────────────────────────────────────────┐
│ Header: 31 of 60 done · 2,140 tokens · 4 s left   [Stop all] │
│ Strip: what changed in the prompt, flips, verdict            │
│          │ short@v1 · a        │ short@v1 · b                │
│ ▾ t01    │ PlaceView           │ PlaceView                   │  RowView, live
│ ▸ t02    │ a line              │ a line                      │  RowView, folded
└──────────────────────────────────────────────────────────────┘
```

Everything is painted from one timer on the streaming thread, within one budget of messages: what changed is noted
when it happens, and shown when there is room. A place that ends before its turn costs no more than its last state.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import ipywidgets as widgets
from IPython.display import display, update_display

from vig_notebook.engine import engine
from vig_notebook.notebook.answer_view import html_output
from vig_notebook.notebook.grid.cells import LiveAnswer, Shared
from vig_notebook.notebook.grid.header import Header
from vig_notebook.notebook.grid.record import grid_record
from vig_notebook.notebook.grid.rows import RowView
from vig_notebook.notebook.grid.sheet import Sheet, place_of
from vig_notebook.notebook.grid.strip import strip_of
from vig_notebook.notebook.grid.words import column_facts, header_facts
from vig_notebook.notebook.words import error_card, error_text
from vig_notebook.render import STYLE, escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vig_notebook.errors import VigthoriaError
    from vig_notebook.notebook.grid.sheet import Place
    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.tuning import Cell, Experiment, Response

__all__ = ["GridView"]

TICK_S = 0.1
"""Between two paints: ten a second, for all places together."""

RATE_PER_S = 35.0
"""Messages a second in the long run: 60 kept the browser's main thread busy for 68 % of the time, 35 for half of that;
the default 8 answers at once are painted four times a second each."""

BURST = 400.0
"""Messages that may be sent at once at the beginning, so that 64 places are open within a second. The server's
limit is 1,000 a second, over three seconds; beyond it messages are lost for good."""

MOST_PER_TICK = 120.0
"""Messages in one tick, so that reading the answers is not held up by opening widgets."""

HEADER_S = 0.5
STRIP_S = 3.0
"""Between two looks at the verdict: a person reads it, and it takes a thread some milliseconds."""

NEAR_S = 0.16
FAR_S = 3.0
"""Between two paints of a streaming place, in the first screenful and below it: JupyterLab takes some 5 ms for each,
seen or not."""

SCREENFUL = 5
"""Rows that stay open: about what a screen shows. Those below fold when they have ended."""

MOST_UNFINISHED = 10
"""Rows with failures that stay open for their Retry buttons; with more, the header's Retry is what one wants."""


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
        self._shared = Shared()
        self._rows: dict[str, RowView] = {}
        self._live: dict[Place, dict[int, LiveAnswer]] = {}
        self._responses: dict[int, Response] = {}
        self._dirty: dict[Place, None] = {}
        self._painted_at: dict[Place, float] = {}
        self._differences = False
        self._over = self._ended = False
        self._budget = BURST
        self._looked_at = self._header_at = self._strip_at = 0.0
        self._strip_busy = self._scored = False
        self._display_id: str | None = None
        self._make_widgets()

    def _make_widgets(self) -> None:
        several = len(self._sheet.variants) > 1
        self._header = Header(
            has_baseline=several, stop_all=self._experiment.stop, retry_all=self._retry_all, compare=self._compare
        )
        self._strip = widgets.Output()
        self._columns = widgets.Output(outputs=html_output(self._columns_html()))
        self._body = widgets.VBox([self._columns])
        self._body.add_class("vig-gridbody")
        style = widgets.HTML(f"<style>{STYLE}</style>", layout=widgets.Layout(display="none"))
        self.box = widgets.VBox([style, self._header.box, self._strip, self._body])
        self.box.add_class("vig-view")
        self.box.add_class("vig-grid")
        self._close = widgets.Button(description="Close", icon="check", tooltip="Put the record in place of this view")
        self._close.on_click(lambda _: self._on_loop(self._finish))

    # From any thread.

    def display(self) -> None:
        """Show the view as this cell's output."""
        handle = display(self.box, display_id=True)
        self._display_id = handle.display_id if handle is not None else None

    def begin(self) -> None:
        """Take what is there already, and begin to paint."""
        self._on_loop(self._begin)

    def fail(self, error: VigthoriaError) -> None:
        """Show why nothing could be asked."""
        self._replace({"text/html": error_card(error), "text/plain": error_text(error)}, {})

    # What the experiment calls, on the streaming thread.

    def sinks(self, cell: Cell) -> Sequence[Sink]:
        """The sink that keeps the answer of a cell until it is painted."""
        place = place_of(cell)
        answer = LiveAnswer(lambda: self._touch(place), plain=self._plain)
        self._responses.pop(cell.index, None)
        self._live.setdefault(place, {})[cell.index] = answer
        return (answer,)

    def started(self, cell: Cell, run: Run) -> None:
        """Nothing to do: the sink has the run."""

    def ended(self, cell: Cell, response: Response) -> None:
        """Take a response."""
        place = place_of(cell)
        self._live.get(place, {}).pop(cell.index, None)
        self._responses[cell.index] = response
        self._touch(place)

    def scored(self, cell: Cell, response: Response) -> None:
        """Take its scores."""
        self._responses[cell.index] = response
        self._scored = True
        self._touch(place_of(cell))

    def over(self) -> None:
        """Replace the view by the record, unless it stays."""
        self._over = True
        self._scored = True
        self._load()
        if not self._stays:
            self._finish()

    # Painting, on the streaming thread.

    def _on_loop(self, call: Callable[[], object]) -> None:
        engine().loop.call_soon_threadsafe(call)

    def _begin(self) -> None:
        if self._ended:
            return
        self._load()
        self._looked_at = time.monotonic()
        self._header.announce(f"{self._experiment.progress.total} answers are asked for.")
        if self._stays:
            self.box.children = (*self.box.children, self._close)
        self._tick()

    def _load(self) -> None:
        for response in self._experiment.responses:
            if self._responses.get(response.cell.index) is not response:
                self._responses[response.cell.index] = response
                self._touch(place_of(response.cell))

    def _touch(self, place: Place) -> None:
        self._dirty[place] = None

    def _tick(self) -> None:
        if self._ended:
            return
        now = time.monotonic()
        self._budget = min(BURST, self._budget + RATE_PER_S * (now - self._looked_at))
        self._looked_at = now
        if now - self._header_at >= HEADER_S:
            self._header_at = now
            self._show_header()
        if self._scored and not self._strip_busy and now - self._strip_at >= STRIP_S:
            self._look_at_strip(now)
        self._paint()
        engine().loop.call_later(TICK_S, self._tick)

    def _paint(self) -> None:
        least = self._budget - MOST_PER_TICK
        for place in tuple(self._dirty):
            if self._budget <= max(0.0, least):
                return
            if self._is_early(place):
                continue
            del self._dirty[place]
            self._painted_at[place] = self._looked_at
            self._budget -= self._paint_place(place)
            if self._live.get(place):
                self._dirty[place] = None  # its clock runs on; behind all others

    def _is_early(self, place: Place) -> bool:
        """Whether a streaming place was painted so lately that it can wait."""
        pause_s = FAR_S if self._sheet.rows[place[0]] >= SCREENFUL else NEAR_S
        return bool(self._live.get(place)) and self._looked_at - self._painted_at.get(place, 0.0) < pause_s

    def _paint_place(self, place: Place) -> float:
        live = self._live.get(place) or {}
        row, cost = self._row(place[0])
        if row is None:
            return 0
        if not row.folded and self._may_fold(place[0]):
            return cost + row.fold(self._responses, differences=self._differences)
        return cost + row.sync_place(place, live, self._responses, differences=self._differences)

    def _row(self, example_id: str) -> tuple[RowView | None, int]:
        """The row of an example, opened now where it was not, and the messages that took."""
        if example_id in self._rows:
            return self._rows[example_id], 0
        row = RowView(
            example_id,
            self._sheet,
            self._shared,
            stop=self._stop_place,
            retry=self._retry_place,
            unfold=lambda example: self._on_loop(lambda: self._turn(example)),
            plain=self._plain,
        )
        self._rows[example_id] = row
        opened = sorted(self._rows, key=self._sheet.rows.__getitem__)
        self._body.children = (self._columns, *(self._rows[one].box for one in opened))
        for variant in self._sheet.variants:
            self._touch((example_id, variant.index))
        return row, row.cost + 1

    def _may_fold(self, example_id: str) -> bool:
        """Whether the row has ended below the first screenful, and none of its buttons is wanted."""
        places = [(example_id, variant.index) for variant in self._sheet.variants]
        if self._sheet.rows[example_id] < SCREENFUL or any(self._live.get(place) for place in places):
            return False
        cells = [cell for place in places for cell in self._sheet.places[place]]
        asked = [cell for cell in cells if cell.variant.prompt not in self._experiment.reference]
        if not all(cell.index in self._responses for cell in asked):
            return False
        whole = all(self._responses[cell.index].status.whole for cell in asked)
        return whole or sum(not row.folded for row in self._rows.values()) > SCREENFUL + MOST_UNFINISHED

    def _show_header(self) -> None:
        failures = len(self._failed())
        progress = self._experiment.progress
        facts = header_facts(progress, failures=sum(one.status == "error" for one in self._responses.values()))
        running = self._experiment.running
        self._budget -= self._header.show(facts, self._experiment.endpoint, running=running, failures=failures)

    def _failed(self) -> list[Cell]:
        return [one.cell for one in tuple(self._responses.values()) if not one.status.whole]

    def _look_at_strip(self, now: float) -> None:
        self._strip_at, self._strip_busy, self._scored = now, True, False

        def look() -> None:
            html = strip_of(self._experiment).html
            self._on_loop(lambda: self._show_strip(html))

        threading.Thread(target=look, name="vig-verdict", daemon=True).start()

    def _show_strip(self, html: str) -> None:
        self._strip_busy = False
        if not self._ended:
            self._strip.outputs = html_output(html) if html else ()

    def _turn(self, example_id: str) -> None:
        row = self._rows[example_id]
        if row.folded:
            row.turn(self._responses, differences=self._differences)
        elif not any(self._live.get((example_id, variant.index)) for variant in self._sheet.variants):
            row.fold(self._responses, differences=self._differences)

    # Buttons, on any thread.

    def _stop_place(self, place: Place) -> None:
        for cell in self._sheet.places[place]:
            self._experiment.stop(cell)

    def _retry_place(self, place: Place) -> None:
        self._retry([cell for cell in self._failed() if place_of(cell) == place])

    def _retry_all(self) -> None:
        self._retry(self._failed())

    def _retry(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            self._experiment.retry(cell)

    def _compare(self, differences: bool) -> None:  # noqa: FBT001  what a toggle button says
        def show() -> None:
            self._differences = differences
            for place in self._sheet.places:
                if place[0] in self._rows:
                    self._touch(place)

        self._on_loop(show)

    # The end.

    def _finish(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._header.announce("All answers are there.")

        def make() -> None:
            bundle, metadata = grid_record(self._experiment, plain=self._plain, differences=self._differences)
            self._on_loop(lambda: self._replace(bundle, metadata))

        threading.Thread(target=make, name="vig-record", daemon=True).start()

    def _replace(self, bundle: Mapping[str, str], metadata: Mapping[str, object]) -> None:
        # A page that was reloaded in mid-stream no longer knows the display id: it still shows these widgets.
        self.box.children = (widgets.Output(outputs=html_output(bundle["text/html"])),)
        if self._display_id is not None:
            update_display(dict(bundle), raw=True, metadata=dict(metadata), display_id=self._display_id)

    def _columns_html(self) -> str:
        head = '<div class="vig-rowhead"></div>' if self._sheet.has_rows else ""
        for variant in self._sheet.variants:
            facts = column_facts(variant, all_of=self._sheet.variants)
            facts += ["from before"] if variant.prompt in self._experiment.reference else []
            note = f'<div class="vig-note">{escape_text(" · ".join(facts))}</div>' if facts else ""
            head += f'<div class="vig-place"><strong>{escape_text(variant.label)}</strong>{note}</div>'
        return f'<div class="vig-gridrow vig-columns">{head}</div>'
