"""What the settings of the magic give to whatever was not told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython import get_ipython

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["magic_settings", "server_choice", "settings_of"]

SERVER = ("base_url", "key_env", "profile")


def magic_settings() -> Mapping[str, Any]:
    """The settings that `%config Vigthoria` shows; empty where the extension is not loaded."""
    shell: Any = get_ipython()
    magic = shell.magics_manager.registry.get("Vigthoria") if shell is not None else None
    return settings_of(magic) if magic is not None else {}


def settings_of(magic: Any) -> Mapping[str, Any]:
    """The settings of a magic, by their names."""
    return {name: getattr(magic, name) for name in magic.trait_names(config=True)}


def server_choice(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What chooses the server: `base_url`, `key_env` and `profile`.

    A key that was set for one server must not go to another: where a server is given, nothing of the settings is
    taken. A key that is given alone is for the server of the settings.
    """
    names_a_server = given.get("base_url") or given.get("profile")
    chosen = given if names_a_server else {**settings, "key_env": given.get("key_env") or settings.get("key_env")}
    return {name: chosen.get(name) for name in SERVER}
