"""What a panel begins with: what it was given, before the settings of the magic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython import get_ipython

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["magic_settings", "server_choice"]

SERVER = ("base_url", "key_env", "profile")


def magic_settings() -> Mapping[str, Any]:
    """The settings that `%config Vigthoria` shows; empty where the extension is not loaded."""
    shell: Any = get_ipython()
    magic = shell.magics_manager.registry.get("Vigthoria") if shell is not None else None
    return {name: getattr(magic, name) for name in magic.trait_names(config=True)} if magic is not None else {}


def server_choice(given: Mapping[str, str | None], settings: Mapping[str, Any]) -> dict[str, str | None]:
    """What chooses the server: what was given, or all of the settings, never some of each.

    A key that was set for one server must not go to another.
    """
    chosen = given if any(given.values()) else settings
    return {name: chosen.get(name) for name in SERVER}
