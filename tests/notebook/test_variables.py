"""The variables that a prompt may name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from vig_notebook.notebook.variables import user_variables

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Meanwhile(dict[str, Any]):
    """What IPython hides; whenever it is looked at, another thread has bound a name."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__()
        self._names = names

    def __contains__(self, name: object) -> bool:
        self._names[f"new{len(self._names)}"] = None
        return super().__contains__(name)


def test_names_that_are_bound_meanwhile_disturb_nothing() -> None:
    names: dict[str, Any] = {"one": 1, "two": 2}
    shell = SimpleNamespace(user_ns=names, user_ns_hidden=Meanwhile(names))
    assert user_variables(cast("InteractiveShell", shell)) == {"one": 1, "two": 2}
