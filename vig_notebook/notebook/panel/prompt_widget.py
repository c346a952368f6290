"""The prompt box as an anywidget. Imported only where anywidget is installed."""

from __future__ import annotations

from importlib.resources import files

import anywidget
from traitlets import Bool, Unicode

__all__ = ["PromptWidget"]


class PromptWidget(anywidget.AnyWidget):
    """What `prompt.js` shows. Its other messages, both ways, are in `prompt.py`."""

    _esm = (files("vig_notebook") / "notebook" / "panel" / "prompt.js").read_text(encoding="utf-8")
    busy = Bool(default_value=False).tag(sync=True)
    value = Unicode("").tag(sync=True)
    last = Unicode("").tag(sync=True)
    announcement = Unicode("").tag(sync=True)
    panel = Unicode("").tag(sync=True)
