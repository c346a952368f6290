"""The notice above the prompt: an error, a sentence, or the request before it is sent."""

from __future__ import annotations

import ipywidgets as widgets

from vig_notebook.notebook.answer_view import html_output

__all__ = ["Notice"]


class Notice:
    """One piece of our HTML at a time, which its button takes away."""

    def __init__(self) -> None:
        self._output = widgets.Output(tabbable=True)  # a long request is scrolled with the keys
        close = widgets.Button(description="Close", tooltip="Close the notice", layout=widgets.Layout(width="auto"))
        close.on_click(lambda _: self.hide())
        self.widget = widgets.VBox([self._output, close], layout=widgets.Layout(display="none"))
        self.widget.add_class("vig-notice")

    def show(self, html: str) -> None:
        """Show it."""
        self._output.outputs = html_output(html)
        self.widget.layout.display = ""

    def hide(self) -> None:
        """Take it away."""
        self.widget.layout.display = "none"
