"""The variables that a prompt may name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["user_variables"]


def user_variables(shell: InteractiveShell) -> dict[str, Any]:
    """The variables that the user has; what IPython and Python put among them is left out.

    A prompt that was copied from elsewhere must not reach `open`, `exit`, `get_ipython`, `__builtins__` or the
    cells that were typed before. A variable of the user's own with such a name is one like any other.
    """
    hidden = shell.user_ns_hidden
    names = shell.user_ns.copy()  # the streaming thread asks too, while a cell binds names

    def is_the_users(name: str, value: object) -> bool:
        put_there = name in hidden and hidden[name] is value
        return not put_there and not (name.startswith("__") and name.endswith("__"))

    return {name: value for name, value in names.items() if is_the_users(name, value)}
