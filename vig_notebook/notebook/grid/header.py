"""The header of the live grid: how far it is, and what can be done with all of it.

```
┌────────────────────────────────────────────────────────────────────────────────────┐
│ [demo] 31 of 60 done · 8 streaming · 2,140 tokens · about 4 s left                 │
│                          [Differences to baseline] [Retry 2] [■ Stop all]          │
└────────────────────────────────────────────────────────────────────────────────────┘
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.notebook.words import badge
from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.settings import Endpoint

__all__ = ["Header"]


class Header:
    """Status, announcements and buttons.

    Attributes:
        box: What is shown.
    """

    def __init__(
        self,
        *,
        has_baseline: bool,
        stop_all: Callable[[], object],
        retry_all: Callable[[], object],
        compare: Callable[[bool], object],
    ) -> None:
        self._status = widgets.HTML(layout=widgets.Layout(flex="1 1 auto", width="auto"))
        self._announcer = widgets.HTML()
        self._announced = ""
        auto = widgets.Layout(width="auto")
        self._stop = widgets.Button(
            description="Stop all", icon="stop", tooltip="Stop every answer; what has come is kept", layout=auto
        )
        self._stop.add_class("vig-stop")
        self._stop.on_click(lambda _: stop_all())
        self._retry = widgets.Button(icon="refresh", tooltip="Ask again what failed or was stopped", layout=auto)
        self._retry.on_click(lambda _: retry_all())
        self._differences = widgets.ToggleButton(
            description="Differences to baseline",
            tooltip="Show each answer as its differences, word by word, to the baseline's",
            layout=auto,
        )
        self._differences.observe(lambda change: compare(bool(change["new"])), names="value")
        self._always = [self._differences] if has_baseline else []
        self._row = widgets.HBox([self._status, *self._always, self._stop])
        self._row.add_class("vig-header")
        self._shown: tuple[str, ...] = ()
        self.box = widgets.VBox([self._row, self._announcer])

    def show(self, facts: Sequence[str], endpoint: Endpoint, *, running: bool, failures: int) -> int:
        """Show the facts and the buttons that mean something now; gives the number of messages it took."""
        mark = badge(endpoint)
        words = " · ".join(escape_text(fact) for fact in facts)
        html = f'<div class="vig-status">{f"""<span class="vig-badge">{mark}</span> """ if mark else ""}{words}</div>'
        cost = 0
        if self._status.value != html:
            self._status.value = html
            cost = 1
        buttons = ("Stop all" if running else "", f"Retry {failures}" if failures else "")
        if buttons != self._shown:
            self._shown = buttons
            self._retry.description = buttons[1]
            shown = [self._retry] if failures else []
            self._row.children = (self._status, *self._always, *shown, *([self._stop] if running else []))
            cost += 2
        return cost

    def announce(self, sentence: str) -> None:
        """Say a sentence to a screen reader."""
        if sentence != self._announced:
            self._announced = sentence
            said = escape_text(sentence)
            self._announcer.value = f'<div class="vig-visually-hidden" role="status" aria-live="polite">{said}</div>'
