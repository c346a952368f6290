"""Untrusted Markdown becomes HTML that is safe to show, also while it is still growing."""

from __future__ import annotations

from vig_notebook.render.inline import escape_text
from vig_notebook.render.segments import StreamRenderer, render_html
from vig_notebook.render.streamed import MaskedStream, VisibleStream
from vig_notebook.render.style import STYLE
from vig_notebook.render.visible import visible

__all__ = ["STYLE", "MaskedStream", "StreamRenderer", "VisibleStream", "escape_text", "render_html", "visible"]
