"""Which server is asked, and with which key: argument > environment > profile > default.

A key belongs to an origin (scheme, host, port):

- ``VIGTHORIA_API_KEY`` goes to ``VIGTHORIA_BASE_URL``, or to the default server when that is not
  set, and nowhere else;
- another base URL gets a key only from ``api_key``, from ``key_env``, or from the profile that
  names that origin;
- the model and the parameters of a profile go to its origin only, as its key does;
- over ``http://`` a key goes no further than this machine, unless the profile of that origin says
  ``insecure_http = true``.

A profile that an argument names ranks as an argument (as with ``aws --profile``): its base URL and
its key come before the environment's. One that ``VIG_PROFILE`` or ``default_profile`` names comes
after the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from vig_notebook.errors import ConfigError
from vig_notebook.settings.addresses import is_loopback, normal_base_url, origin
from vig_notebook.settings.environment import read_environment
from vig_notebook.settings.limits import Limits
from vig_notebook.settings.profiles import Profile, read_profiles
from vig_notebook.settings.secret import Secret, concealed

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BASE_URL: Final = "https://api.vigthoria.io/v1"
DEFAULT_MODEL: Final = "vigthoria-creative-v2"

Kind = Literal["vigthoria", "custom", "profile", "local", "demo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server and what is known about asking it.

    `name` and `note` are words for people. `api_key` is None when no key is sent. `parameters` are
    request members and `limits` the client's numbers that a profile set for this server. Without `log_prompts`
    the run log keeps its answers and not what it was asked.
    """

    base_url: str
    api_key: Secret | None = None
    kind: Kind = "custom"
    name: str = ""
    default_model: str = DEFAULT_MODEL
    note: str = ""
    insecure_http: bool = False
    log_prompts: bool = True
    parameters: Mapping[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


def resolve(
    *,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    key_env: str | None = None,
    profile: str | None = None,
) -> Endpoint | None:
    """Decide which server is asked, and with which key.

    The environment and the profile file are read as they are now. `key_env` is the name of the
    environment variable that holds the key. `api_key` comes before `key_env`.

    Returns:
        The endpoint, or None when nothing chooses a server: neither a base URL nor a key anywhere.

    Raises:
        ConfigError: a base URL, key or profile cannot be used, or a key would leave this machine over http://.
    """
    api_key = concealed(api_key)
    chosen, named = _profile(profile)
    address, kind = _address(base_url, chosen, named=named)
    target = address or DEFAULT_BASE_URL
    # A profile that names no server is of the one that VIGTHORIA_API_KEY belongs to.
    own = origin(target) == (origin(chosen.base_url) if chosen.base_url else _home())
    key = _key(target, api_key, key_env, chosen if own else None, named=named)
    if address is None and key is None:
        return None
    insecure_http = own and chosen.insecure_http
    if key is not None:
        _refuse_open_http(target, insecure_http=insecure_http)
    return Endpoint(
        base_url=target,
        api_key=key,
        kind=kind,
        name=_name(target, kind, chosen.name),
        default_model=(chosen.model if own else None) or DEFAULT_MODEL,
        note="" if key is not None else _note(target),
        insecure_http=insecure_http,
        log_prompts=chosen.log_prompts,
        parameters=chosen.parameters if own else {},
        limits=chosen.limits,
    )


_NO_PROFILE: Final = Profile(name="")


def _profile(argument: str | None) -> tuple[Profile, bool]:
    """Give the profile in use, and whether an argument named it."""
    profiles = read_profiles()
    name = argument or read_environment("VIG_PROFILE") or profiles.default_name
    return (profiles.get(name) if name else _NO_PROFILE), bool(argument)


def _address(argument: str | None, chosen: Profile, *, named: bool) -> tuple[str | None, Kind]:
    environment = read_environment("VIGTHORIA_BASE_URL")
    if not argument and chosen.base_url is not None and (named or environment is None):
        return chosen.base_url, "profile"
    text = argument or environment
    address = None if text is None else normal_base_url(text)
    default = address is None or origin(address) == origin(DEFAULT_BASE_URL)
    return address, "vigthoria" if default else "custom"


def _key(
    target: str,
    api_key: Secret | None,
    key_env: str | None,
    chosen: Profile | None,
    *,
    named: bool,
) -> Secret | None:
    """Give the key of this base URL; `chosen` is the profile when it names that origin."""
    if api_key:
        return _checked(api_key, "The key in api_key")
    if key_env:
        return _key_in(key_env)
    profile_env = None if chosen is None else chosen.key_env
    if profile_env and named:
        return _key_in(profile_env)
    if origin(target) == _home() and (key := _read_key("VIGTHORIA_API_KEY")):
        return _checked(key, "The key in VIGTHORIA_API_KEY")
    return _key_in(profile_env) if profile_env else None


def _home() -> str:
    """Give the origin that VIGTHORIA_API_KEY belongs to."""
    return origin(read_environment("VIGTHORIA_BASE_URL") or DEFAULT_BASE_URL)


def _key_in(variable: str) -> Secret:
    if key := _read_key(variable):
        return _checked(key, f"The key in {variable}")
    # What stands there instead of a name may be the key itself: it is named only when it looks like
    # a variable.
    shown = variable if re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", variable) else "that key_env names"
    raise ConfigError(
        f"The environment variable {shown} holds no key",
        seen="it is unset or empty",
        advice="Set it before Jupyter starts, or name another with key_env.",
    )


def _read_key(variable: str) -> Secret | None:
    return concealed(read_environment(variable))


def _checked(key: Secret, what: str) -> Secret:
    if re.search(r"[^\x21-\x7e]", key.reveal()):
        raise ConfigError(
            what + " cannot be sent",
            seen="it holds a blank, a line break or a character beyond ASCII",
            advice="Copy it again, alone.",
        )
    return key


def _refuse_open_http(target: str, *, insecure_http: bool) -> None:
    if target.startswith("http://") and not is_loopback(target) and not insecure_http:
        raise ConfigError(
            "The key is not sent over http://",
            seen=f"{origin(target)} is not this machine, and all on the way could read it",
            advice="Use https://, or make a profile for it that says insecure_http = true.",
        )


def _name(target: str, kind: Kind, profile: str) -> str:
    host = urlsplit(target).netloc
    return {"vigthoria": "Vigthoria", "profile": f"{profile} ({host})"}.get(kind, host)


def _note(target: str) -> str:
    if origin(target) != _home() and read_environment("VIGTHORIA_API_KEY"):
        return f"no key is sent: VIGTHORIA_API_KEY belongs to {_home()}; name this server's with key_env"
    return "no key is sent"
