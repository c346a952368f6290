"""`%vigthoria profile`: the profiles of the settings file, and which of them the cells ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from vig_notebook.errors import ConfigError
from vig_notebook.servers import choose
from vig_notebook.settings import read_environment, read_profiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.notebook.commands import Defaults
    from vig_notebook.settings import Profile, Profiles

__all__ = ["run_profile"]

NONE = ("-", "none")

EXAMPLE = """for example:

    [profiles.lab]
    base_url = "https://lab.example/v1"
    model = "llama-3"
    key_env = "LAB_KEY"      # the environment variable that holds the key; never the key itself"""


def run_profile(magic: Defaults, words: list[str], say: Callable[[str], None]) -> None:
    """List the profiles, or take one of them for the cells that follow; `-` takes none.

    Raises:
        UsageError: More than one name was given.
        ConfigError: There is no such profile, or the file cannot be read.
    """
    profiles = read_profiles()
    match words:
        case []:
            say("\n".join(_listed(magic, profiles)))
        case [name] if name in NONE and name not in profiles.by_name:
            magic.profile = None
            say(_asked(magic))
        case [name]:
            magic.profile = profiles.get(name).name
            say(_asked(magic))
        case _:
            raise UsageError("profile wants one name, nothing for the list, or - for none")


def _listed(magic: Defaults, profiles: Profiles) -> list[str]:
    if not profiles.by_name:
        return [f"there is no profile yet; they stand in {profiles.path}, {EXAMPLE}"]
    chosen = magic.profile or read_environment("VIG_PROFILE") or profiles.default_name
    lines = [f"{'*' if name == chosen else ' '} {_line(profile)}" for name, profile in profiles.by_name.items()]
    return [*lines, f"* is the one in use; the file is {profiles.path}"]


def _line(profile: Profile) -> str:
    key = "no key of its own"
    if profile.key_env is not None:
        is_set = read_environment(profile.key_env) is not None
        key = f"key from {profile.key_env} ({'set' if is_set else 'not set'})"
    return f"{profile.name}: {profile.base_url or 'the default server'}, {profile.model or 'its usual model'}, {key}"


def _asked(magic: Defaults) -> str:
    """What the cells ask now, in words; a profile may be taken before its key is set."""
    chosen = "no profile is chosen" if magic.profile is None else f"the profile {magic.profile} is chosen"
    try:
        endpoint = choose(base_url=magic.base_url, key_env=magic.key_env, profile=magic.profile).endpoint
    except ConfigError as error:
        return f"{chosen}, but it cannot be asked yet. {error}"
    where = f" ({endpoint.base_url})" if endpoint.base_url else ""
    return f"{chosen}; cells ask {endpoint.name}{where}, model {magic.model or endpoint.default_model}"
