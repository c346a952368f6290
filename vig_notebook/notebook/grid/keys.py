"""The keys of a rating as an anywidget. Imported only where anywidget is installed."""

from __future__ import annotations

from importlib.resources import files

import anywidget

__all__ = ["Keys"]


class Keys(anywidget.AnyWidget):
    """Sends `{"kind": "key", "key": …}` for each key that a rating knows."""

    _esm = (files("vig_notebook") / "notebook" / "grid" / "keys.js").read_text(encoding="utf-8")
