"""The notice above the prompt: an error, a sentence, or the request before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.engine import engine
from vig_notebook.notebook.answer_view import html_output

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Notice"]

PASSING_S = 6.0
"""How long a sentence stays that nobody needs to act on; a screen reader is told of it apart."""


class Notice:
    """One piece of our HTML at a time, which its button takes away."""

    def __init__(self, on_close: Callable[[], object]) -> None:
        self._output = widgets.Output(tabbable=True)  # a long request is scrolled with the keys
        self._shown = 0
        close = widgets.Button(description="Close", tooltip="Close the notice", layout=widgets.Layout(width="auto"))
        close.on_click(lambda _: self.hide())
        close.on_click(lambda _: on_close())
        self.widget = widgets.VBox([self._output, close], layout=widgets.Layout(display="none"))
        self.widget.add_class("vig-notice")

    def show(self, html: str, *, passing: bool = False) -> None:
        """Show it.

        Args:
            html: What is shown.
            passing: It goes away by itself.
        """
        self._shown += 1
        self._output.outputs = html_output(html)
        self.widget.layout.display = ""
        if passing:
            engine().loop.call_soon_threadsafe(self._pass, self._shown)

    def hide(self) -> None:
        """Take it away."""
        self.widget.layout.display = "none"

    def _pass(self, shown: int) -> None:
        engine().loop.call_later(PASSING_S, lambda: self.hide() if shown == self._shown else None)
