"""The rows of the live grid: the answers that come, and one budget of messages for all that is shown of them.

What changed is noted when it happens, and shown when there is room; a place that ends before its turn costs no more
than its last state. All of it happens on the streaming thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.engine import engine
from vig_notebook.notebook.answer_view import html_output
from vig_notebook.notebook.grid.cells import LiveAnswer, Shared
from vig_notebook.notebook.grid.rows import RowView
from vig_notebook.notebook.grid.sheet import place_of
from vig_notebook.notebook.grid.words import column_facts
from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vig_notebook.notebook.grid.sheet import Place, Sheet
    from vig_notebook.tuning import Cell, Response

__all__ = ["Board", "on_loop"]

RATE_PER_S = 35.0
"""Messages a second in the long run: 60 kept the browser's main thread busy for 68 % of the time, 35 for half of that;
the default 8 answers at once are painted four times a second each."""

BURST = 480.0
"""Messages that may be sent at once at the beginning, so that 64 places are open within a second. The server's
limit is 1,000 a second, over three seconds; beyond it messages are lost for good."""

MOST_PER_TICK = 120.0
"""Messages in one tick, so that reading the answers is not held up by opening widgets."""

NEAR_S = 0.16
FAR_S = 3.0
"""Between two paints of a streaming place, in the first screenful and below it: JupyterLab takes some 5 ms for each,
seen or not."""

SCREENFUL = 5
"""Rows that stay open: about what a screen shows. Those below fold when they have ended."""

MOST_UNFINISHED = 10
"""Rows with failures that stay open for their Retry buttons; with more, the header's Retry is what one wants."""


def on_loop(call: Callable[[], object]) -> None:
    """Have it done on the streaming thread, soon."""
    engine().loop.call_soon_threadsafe(call)


class Board:
    """The columns' heads and the rows.

    Attributes:
        box: What is shown.
        rows: The rows that were opened, by their example.
        responses: What has come, by the cells' index.
        dirty: The places that wait to be painted, the longest first.
    """

    def __init__(
        self, sheet: Sheet, *, stop: Callable[[Place], object], retry: Callable[[Place], object], plain: bool
    ) -> None:
        """Make the heads; rows are opened when there is something in them.

        Args:
            sheet: What stands where.
            stop: Stops a place; called on any thread, as `retry` is.
            retry: Asks a place again.
            plain: Show answers as text, not as Markdown.
        """
        self._sheet = sheet
        self._stop = stop
        self._retry = retry
        self._plain = plain
        self._shared = Shared()
        self._live: dict[Place, dict[int, LiveAnswer]] = {}
        self._painted_at: dict[Place, float] = {}
        self._differences = False
        self._budget = BURST
        self._now = 0.0
        self.rows: dict[str, RowView] = {}
        self.responses: dict[int, Response] = {}
        self.dirty: dict[Place, None] = {}
        self._columns = widgets.Output(outputs=html_output(_columns_html(sheet)))
        self.box = widgets.VBox([self._columns])
        self.box.add_class("vig-gridbody")
        if not sheet.has_rows:
            self.box.add_class("vig-single")

    @property
    def failed(self) -> list[Cell]:
        """The cells whose answer is not whole."""
        return [one.cell for one in tuple(self.responses.values()) if not one.status.whole]

    def open(self, cell: Cell) -> LiveAnswer:
        """The sink that keeps the answer of a cell until it is painted."""
        place = place_of(cell)
        answer = LiveAnswer(lambda: self._touch(place), plain=self._plain)
        self.responses.pop(cell.index, None)
        self._live.setdefault(place, {})[cell.index] = answer
        return answer

    def end(self, response: Response) -> None:
        """Take what an answer has become."""
        place = place_of(response.cell)
        self._live.get(place, {}).pop(response.cell.index, None)
        self.responses[response.cell.index] = response
        self._touch(place)

    def take(self, responses: Iterable[Response]) -> None:
        """Take responses that are there already, or have changed."""
        for response in responses:
            if self.responses.get(response.cell.index) is not response:
                self.responses[response.cell.index] = response
                self._touch(place_of(response.cell))

    def compare(self, *, differences: bool) -> None:
        """Show answers as differences to the baseline's, or as they are."""
        self._differences = differences
        for place in self._sheet.places:
            if place[0] in self.rows:
                self._touch(place)

    def earn(self, now: float) -> None:
        """Let the budget grow until now."""
        if self._now:
            self._budget = min(BURST, self._budget + RATE_PER_S * (now - self._now))
        self._now = now

    def spend(self, messages: float) -> None:
        """Take messages that something else has sent off the budget."""
        self._budget -= messages

    def paint(self) -> None:
        """Show what there is room for."""
        least = self._budget - MOST_PER_TICK
        for place in tuple(self.dirty):
            if self._budget <= max(0.0, least):
                return
            if self._is_early(place):
                continue
            del self.dirty[place]
            self._painted_at[place] = self._now
            self._budget -= self._paint_place(place)
            if self._live.get(place):
                self.dirty[place] = None  # its clock runs on; behind all others

    def _touch(self, place: Place) -> None:
        self.dirty[place] = None
        if self._differences:
            self.dirty |= dict.fromkeys(self._sheet.against(place))  # they show what differs from this one

    def _is_early(self, place: Place) -> bool:
        """Whether a streaming place was painted so lately that it can wait."""
        pause_s = FAR_S if self._sheet.rows[place[0]] >= SCREENFUL else NEAR_S
        return bool(self._live.get(place)) and self._now - self._painted_at.get(place, 0.0) < pause_s

    def _paint_place(self, place: Place) -> float:
        row, cost = self._row(place[0])
        if not row.folded and self._may_fold(place[0]):
            return cost + row.fold(self.responses, differences=self._differences)
        live = self._live.get(place) or {}
        return cost + row.sync_place(place, live, self.responses, differences=self._differences)

    def _row(self, example_id: str) -> tuple[RowView, int]:
        """The row of an example, opened now where it was not, and the messages that took."""
        if example_id in self.rows:
            return self.rows[example_id], 0
        row = RowView(
            example_id,
            self._sheet,
            self._shared,
            stop=self._stop,
            retry=self._retry,
            unfold=lambda example: on_loop(lambda: self._turn(example)),
            plain=self._plain,
        )
        self.rows[example_id] = row
        opened = sorted(self.rows, key=self._sheet.rows.__getitem__)
        self.box.children = (self._columns, *(self.rows[one].box for one in opened))
        for variant in self._sheet.variants:
            self._touch((example_id, variant.index))
        return row, row.cost + 1

    def _may_fold(self, example_id: str) -> bool:
        """Whether the row has ended below the first screenful, and none of its buttons is wanted."""
        if self._sheet.rows[example_id] < SCREENFUL or self._is_live(example_id):
            return False
        asked = self._sheet.asked(example_id)
        if not all(cell.index in self.responses for cell in asked):
            return False
        whole = all(self.responses[cell.index].status.whole for cell in asked)
        return whole or sum(not row.folded for row in self.rows.values()) > SCREENFUL + MOST_UNFINISHED

    def _is_live(self, example_id: str) -> bool:
        return any(self._live.get((example_id, variant.index)) for variant in self._sheet.variants)

    def _turn(self, example_id: str) -> None:
        row = self.rows[example_id]
        if row.folded:
            row.turn(self.responses, differences=self._differences)
        elif not self._is_live(example_id):
            row.fold(self.responses, differences=self._differences)


def _columns_html(sheet: Sheet) -> str:
    head = '<div class="vig-rowhead"></div>' if sheet.has_rows else ""
    for variant in sheet.variants:
        facts = column_facts(variant, all_of=sheet.variants)
        facts += ["from before"] if variant.prompt in sheet.reference else []
        note = f'<div class="vig-note">{escape_text(" · ".join(facts))}</div>' if facts else ""
        head += f'<div class="vig-place"><strong>{escape_text(variant.label)}</strong>{note}</div>'
    return f'<div class="vig-gridrow vig-columns">{head}</div>'
