"""Base URLs and origins: what a key may be sent to."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from vig_notebook.errors import ConfigError

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?|[0-9a-f:.]{2,45}")
_EXAMPLE: Final = "Write it like https://api.vigthoria.io/v1 or http://127.0.0.1:11434/v1."


def normal_base_url(text: str) -> str:
    """Give a base URL in one spelling.

    Scheme and host in lower case, no default port, no slash at the end. A pasted
    ``/chat/completions`` is dropped.

    Raises:
        ConfigError: no http or https scheme, no host, a user name or password, a query, a fragment,
        or characters that two programs may read as two different hosts (backslash, blanks, letters
        beyond ASCII).
    """
    found = _split(text.strip())
    del text  # it may hold a key, and a traceback can show local variables
    parts = _accepted(found)
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    return f"{_origin(parts)}{path}"


def origin(base_url: str) -> str:
    """Give scheme, host and port of a base URL, as in ``https://api.vigthoria.io``.

    A key belongs to one origin.

    Raises:
        ConfigError: as `normal_base_url`.
    """
    found = _split(base_url.strip())
    del base_url
    return _origin(_accepted(found))


def is_loopback(base_url: str) -> bool:
    """Say whether a base URL stays on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _accepted(found: SplitResult | ConfigError) -> SplitResult:
    if isinstance(found, ConfigError):
        raise found
    return found


def _split(text: str) -> SplitResult | ConfigError:
    """Split and check; the sentences never quote the text, it may hold a password.

    What is wrong is returned and raised where the text is gone: the error has neither it in a frame nor a
    cause, as the parser's own words quote what stands for a port.
    """
    if not text.isascii() or re.search(r"[\s\\\x00-\x1f\x7f]", text):
        return _refused("it holds a blank, a backslash or a letter beyond ASCII")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return _refused("its host or port cannot be read")
    if parts.scheme not in _DEFAULT_PORTS:
        return _refused("it does not start with https:// or http://")
    if parts.username is not None or parts.password is not None:
        return _refused(
            "it holds a user name or a password",
            advice="Put the key into VIGTHORIA_API_KEY, or name its variable with key_env.",
        )
    if not _HOST.fullmatch(parts.hostname or "") or port == 0:
        return _refused("it names no host that can be called")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        return _refused(
            "it has a query (?…) or a fragment (#…)",
            advice="Leave that out; request members go into parameters.",
        )
    return parts


def _origin(parts: SplitResult) -> str:
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"


def _refused(seen: str, *, advice: str = _EXAMPLE) -> ConfigError:
    return ConfigError("The base URL cannot be used", seen=seen, advice=advice)
