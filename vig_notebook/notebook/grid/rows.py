"""A row of the live grid: one example with every variant, live at first, one line of summary later.

```
┌─────────┬───────────┬───────────┐       ┌─────────┬─────────────────────────────────┐
│ ▾ t07   │ PlaceView │ PlaceView │  ──>  │ ▸ t07   │ Output: a line for each variant │
└─────────┴───────────┴───────────┘       └─────────┴─────────────────────────────────┘
```
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.notebook.answer_view import html_output
from vig_notebook.notebook.grid.cells import PlaceView
from vig_notebook.notebook.grid.sheet import distinct
from vig_notebook.notebook.grid.words import answers_html, marks, row_head
from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vig_notebook.notebook.grid.cells import LiveAnswer, Shared
    from vig_notebook.notebook.grid.sheet import Place, Sheet
    from vig_notebook.tuning import Response

__all__ = ["RowView"]

SUMMARY_CHARS = 70
"""Of an answer, in the line of a folded row."""

HEAD_CHARS = 70
"""Of the example's own text, at the head of its row."""

ROW_COST = 4
PLACE_COST = 3
"""Messages that open a row, and each place of it."""


class RowView:
    """The widgets of one row.

    Attributes:
        box: What is shown.
        folded: Whether the row is one line of summary.
    """

    def __init__(
        self,
        example_id: str,
        sheet: Sheet,
        shared: Shared,
        *,
        stop: Callable[[Place], object],
        retry: Callable[[Place], object],
        unfold: Callable[[str], object],
        plain: bool,
    ) -> None:
        self._sheet = sheet
        self._plain = plain
        self._shared = shared
        self.folded = False
        self.unfolded_by_hand = False
        self._places: dict[Place, PlaceView] = {}
        self._columns = [(example_id, variant.index) for variant in sheet.variants]
        for place in self._columns:
            self._places[place] = PlaceView(shared, stop=partial(stop, place), retry=partial(retry, place), plain=plain)
        self._summary: widgets.Output | None = None
        self._toggle: widgets.Button | None = None
        if sheet.has_rows:
            self._toggle = widgets.Button(
                description=row_head(sheet.examples[sheet.rows[example_id]], most_chars=HEAD_CHARS),
                icon="caret-down",
                tooltip="Fold or unfold this row",
                layout=shared.button_layout,
                style=shared.button_style,
                _dom_classes=("vig-rowhead",),
            )
            self._toggle.on_click(lambda _: unfold(example_id))
        self.box = widgets.HBox(self._children(), layout=shared.layout, _dom_classes=("vig-gridrow",))
        self.cost = ROW_COST + PLACE_COST * len(self._columns)

    def sync_place(
        self,
        place: Place,
        live: dict[int, LiveAnswer],
        responses: Mapping[int, Response],
        *,
        differences: bool,
    ) -> int:
        """Bring one place up to date; gives the number of messages it took."""
        if self.folded:
            return self._show_summary(responses, differences=differences)
        base = self._sheet.base_text(place, responses) if differences else None
        found = self._sheet.at(place, responses)
        return self._places[place].sync(live, found, total=len(self._sheet.places[place]), base_text=base)

    def fold(self, responses: Mapping[int, Response], *, differences: bool) -> int:
        """Make the row one line of summary, and close the widgets of its places."""
        self.folded = True
        self._summary = widgets.Output(layout=self._shared.layout, _dom_classes=("vig-summary",))
        cost = self._show_summary(responses, differences=differences)
        self.box.children = self._children()
        for place in self._places.values():
            place.close()
        return cost + 3 + (PLACE_COST + 1) * len(self._places)

    def turn(self, responses: Mapping[int, Response], *, differences: bool) -> int:
        """Show the whole answers of a folded row, or its summary again."""
        self.unfolded_by_hand = not self.unfolded_by_hand
        return self._show_summary(responses, differences=differences)

    def _children(self) -> Sequence[widgets.Widget]:
        head = [self._toggle] if self._toggle is not None else []
        if self.folded:
            return (*head, self._summary)
        return (*head, *(place.box for place in self._places.values()))

    def _show_summary(self, responses: Mapping[int, Response], *, differences: bool) -> int:
        if self._summary is None or self._toggle is None:
            return 0
        self._toggle.icon = "caret-down" if self.unfolded_by_hand else "caret-right"
        parts = []
        for place in self._columns:
            base = self._sheet.base_text(place, responses) if differences else None
            found = self._sheet.at(place, responses)
            html = answers_html(found, base_text=base, plain=self._plain) if self.unfolded_by_hand else _line(found)
            parts.append(f'<div class="vig-place">{html}</div>')
        self._summary.outputs = html_output(f'<div class="vig-gridrow">{"".join(parts)}</div>')
        return 2


def _line(responses: Sequence[Response]) -> str:
    lines = []
    for group in distinct(responses)[:3]:
        words = " · ".join([*marks(group)[:2], _cut(group.text or group.first.error)])
        lines.append(f'<div class="vig-line">{escape_text(words)}</div>')
    return "".join(lines) or '<div class="vig-note">not asked</div>'


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SUMMARY_CHARS else flat[: SUMMARY_CHARS - 1] + "…"
