"""What `%load_ext vig_notebook` does, and `%unload_ext` undoes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from traitlets import TraitError

from vig_notebook.notebook.completion import Completion
from vig_notebook.notebook.magic import Vigthoria
from vig_notebook.tuning import Experiment

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load", "unload"]

_SET: WeakKeyDictionary[InteractiveShell, dict[str, Any]] = WeakKeyDictionary()
"""The settings of a magic that was taken away: `%reload_ext` unloads before it loads, and forgets none of them."""

PREFIXES = ("%%vigthoria", "%vigthoria", "vigthoria")
"""How a line may begin that is completed; the last for IPython's automagic."""


def load(shell: InteractiveShell) -> None:
    """Register the magic, its completion and its input transformer; loading twice changes nothing."""
    unload(shell)
    magic = _magic(shell)
    for name, value in _SET.pop(shell, {}).items():
        magic.set_trait(name, value)
    Experiment.viewer = _show
    shell.register_magics(magic)
    shell.input_transformers_post.append(magic.awaited)
    completion = Completion(magic)
    for prefix in PREFIXES:
        shell.set_hook("complete_command", completion, str_key=prefix)


def _magic(shell: InteractiveShell) -> Vigthoria:
    try:
        return Vigthoria(shell=shell)
    except TraitError:  # %config keeps also a value that it has refused
        del shell.config["Vigthoria"]
        return Vigthoria(shell=shell)


def _show(experiment: Experiment) -> None:
    from vig_notebook.notebook.grid.show import open_grid

    open_grid(experiment)


def unload(shell: InteractiveShell) -> None:
    """Take all of that away again. Runs that are under way go on, and their Stop buttons work."""
    magics: Any = shell.magics_manager.magics
    if "vigthoria" not in magics["cell"]:
        return
    Experiment.viewer = None
    magic = shell.magics_manager.registry["Vigthoria"]
    _SET[shell] = {name: getattr(magic, name) for name in magic.trait_names(config=True)}
    for kind in ("line", "cell"):
        magics[kind].pop("vigthoria", None)
    shell.magics_manager.registry.pop("Vigthoria", None)
    shell.configurables[:] = [one for one in shell.configurables if type(one).__name__ != "Vigthoria"]
    shell.input_transformers_post[:] = [
        one for one in shell.input_transformers_post if getattr(one, "__name__", "") != "awaited"
    ]
    for prefix in PREFIXES:
        shell.strdispatchers["complete_command"].strs.pop(prefix, None)
