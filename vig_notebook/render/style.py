"""The style sheet of what we show, for light and dark themes alike."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["STYLE"]

# The JupyterLab extension ships this very file: saved records carry no style of their own.
STYLE = (files("vig_notebook") / "labextension" / "static" / "vig.css").read_text(encoding="utf-8")
