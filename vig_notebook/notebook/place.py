"""Where a run is started: the notebook and the cell, as far as the front end says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["place_of"]


def place_of(shell: InteractiveShell) -> dict[str, str]:
    """Labels of the notebook and the cell that run now.

    The cell's id comes with the request that runs it. VS Code puts the notebook's path among the variables;
    Jupyter's server puts it into the environment, which is read wherever a run is started.
    """
    kernel: Any = getattr(shell, "kernel", None)
    metadata = kernel.get_parent("shell").get("metadata", {}) if kernel is not None else {}
    places = {"notebook": shell.user_ns.get("__vsc_ipynb_file__"), "cell": metadata.get("cellId")}
    return {name: place for name, place in places.items() if isinstance(place, str) and place}
