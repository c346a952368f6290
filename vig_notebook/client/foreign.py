"""Errors of aiohttp, TLS and the operating system become ours, here and nowhere else.

A foreign error must not get out: its traceback holds the frames in which the headers, and with them
the key, are local variables. So `Guard` cuts it off, cause, context and traceback, and what it says
is taken over as words.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http import HttpProcessingError

from vig_notebook.client.watchdog import Watchdog
from vig_notebook.errors import (
    ConfigError,
    ConnectFailed,
    ProtocolError,
    Truncated,
    VigthoriaError,
    excerpt,
)
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from types import TracebackType

    from vig_notebook.settings import Secret

__all__ = ["Guard", "Place", "cut_off"]

_TOO_MANY_FILES: Final = {errno.EMFILE, errno.ENFILE}
_UNDECODABLE: Final = re.compile(r"(?i)content-encoding|ContentEncodingError")


class Place:
    """Where a request goes: words for sentences, and what must be masked in them.

    Attributes:
        host: The host alone.
        label: Host and port, as in `127.0.0.1:8000`; the usual port is left out.
    """

    __slots__ = ("_secrets", "host", "label")

    def __init__(self, origin: str, secret: Secret | None) -> None:
        self.label = origin.partition("://")[2]
        self.host = re.sub(r":\d+$", "", self.label)
        self._secrets = () if secret is None else (secret,)

    def words(self, text: object) -> str:
        """Foreign words, safe to show: on one line, capped, without keys."""
        return excerpt(mask(str(text), *self._secrets))


class Guard(Watchdog):
    """The one way to await something of aiohttp: with a limit, and with errors of ours.

    ```
    with guard:
        data = await content.readany()
    ```

    Args:
        loop: The loop that the exchange runs on.
        place: The server.
        total_timeout_s: A limit on all waits together, from now; None is no limit.

    Attributes:
        answering: Whether the answer has begun; a connection that breaks then cuts it.
        is_final: Whether the error that was raised last would be the same at the next try.
    """

    __slots__ = ("_at", "answering", "is_final")

    def __init__(self, loop: AbstractEventLoop, place: Place, *, total_timeout_s: float | None) -> None:
        super().__init__(loop, place=place.label, total_timeout_s=total_timeout_s)
        self._at = place
        self.answering = False
        self.is_final = False

    __enter__ = Watchdog.enter

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()
        if error is None:
            return
        ours = self._ours(error)
        if ours is None:
            # Goes on as it is, a cancellation above all, but without the frames of others.
            error.__context__ = error.__traceback__ = None
        del error, kind, trace
        if ours is not None:
            _raise_alone(ours)

    def _ours(self, error: BaseException) -> VigthoriaError | None:
        if isinstance(error, asyncio.CancelledError):
            self.is_final = True  # three times a limit is not the limit
            return self.take_expiry(asyncio.current_task())
        ours = _translated(error, self._at, answering=self.answering)
        self.is_final = isinstance(ours, (ConfigError, ProtocolError)) or _is_final(error)
        return ours


def _raise_alone(error: VigthoriaError) -> None:
    """Raise with nothing hanging on it: Python links what is being handled, even with `from None`."""
    try:
        raise error from None
    finally:
        error.__context__ = None


def cut_off(place: Place, seen: str = "") -> Truncated:
    """The error for an answer that ended before it was whole."""
    return Truncated(
        f"The answer of {place.label} was cut off",
        seen=seen,
        advice="The text so far is kept. Run it again for the whole.",
    )


def _translated(error: BaseException, place: Place, *, answering: bool) -> VigthoriaError | None:
    """The error of ours that stands for a foreign one; None for what is not the network's."""
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return _not_http(error, place)
    if isinstance(error, aiohttp.ClientPayloadError):
        return _broken_body(error, place)
    if isinstance(error, aiohttp.InvalidURL):
        return ConfigError("The base URL cannot be used", seen=place.words(error))
    if not isinstance(error, (aiohttp.ClientError, OSError)):
        return None
    if answering:
        return cut_off(place, place.words(error) or type(error).__name__)
    return _no_connection(error, place)


def _not_http(error: aiohttp.ClientResponseError | HttpProcessingError, place: Place) -> ProtocolError:
    if _UNDECODABLE.search(error.message):
        return ProtocolError(
            f"The compressed answer of {place.label} cannot be read",
            seen=place.words(error.message),
            advice="It came although none was asked for: a proxy on the way may do it.",
        )
    return ProtocolError(
        f"What {place.label} sent is not HTTP",
        seen=place.words(error.message),
        advice="Check the base URL: another service may listen there.",
    )


def _broken_body(error: aiohttp.ClientPayloadError, place: Place) -> VigthoriaError:
    seen = f"{error} {error.__cause__!r}"
    if _UNDECODABLE.search(seen):
        return ProtocolError(f"The compressed answer of {place.label} cannot be read", seen="its data are broken")
    return cut_off(place, "the connection ended in the middle")


def _is_final(error: BaseException) -> bool:
    """Whether a next try would end the same."""
    if isinstance(error, (ssl.SSLError, aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError)):
        return True
    if isinstance(error, OSError) and error.errno in _TOO_MANY_FILES:
        return True
    return isinstance(error, aiohttp.ClientConnectorDNSError) and not _may_pass(error)


def _may_pass(error: aiohttp.ClientConnectorDNSError) -> bool:
    """Whether the name server only had no answer yet (EAI_AGAIN)."""
    return "temporary" in str(error.os_error).lower()


def _no_connection(error: aiohttp.ClientError | OSError, place: Place) -> ConnectFailed:
    """The sentence for a connection that was not made, or broke before the answer."""
    if isinstance(error, OSError) and error.errno in _TOO_MANY_FILES:
        return _too_many_files(place)
    if isinstance(error, (ssl.SSLError, aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError)):
        return _not_secure(error, place)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ConnectFailed(
            f"The host {place.host} was not found",
            seen=place.words(error.os_error.strerror or error.os_error),
            advice="Check the spelling of the base URL, and the network.",
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return _refused(error, place)
    return ConnectFailed(
        f"{place.label} closed the connection before it answered",
        seen=_reason(error, place),
        advice="Try again; if it stays so, look into the server's log.",
    )


def _too_many_files(place: Place) -> ConnectFailed:
    return ConnectFailed(
        f"No connection to {place.label}",
        seen="this process has too many open files",
        advice="Raise the limit (ulimit -n), or set max_concurrency lower.",
    )


def _not_secure(error: BaseException, place: Place) -> ConnectFailed:
    reason = place.words(getattr(error, "certificate_error", None) or getattr(error, "os_error", error))
    plain = "WRONG_VERSION_NUMBER" in reason.upper().replace(" ", "_")
    return ConnectFailed(
        f"No secure connection to {place.label}",
        seen=reason,
        advice="The server seems to speak http://, not https://: check the base URL."
        if plain
        else "Check the base URL and this machine's clock. A company's own authority is named with "
        "SSL_CERT_FILE; the check is never left out.",
    )


def _refused(error: aiohttp.ClientConnectorError, place: Place) -> ConnectFailed:
    if error.errno == errno.ECONNREFUSED:
        return ConnectFailed(
            f"{place.label} refuses the connection",
            seen="no server listens there",
            advice="Check that it runs, and the port in the base URL.",
        )
    return ConnectFailed(
        f"No connection to {place.label}",
        seen=_reason(error.os_error, place),
        advice="Check the base URL and the network.",
    )


def _reason(error: BaseException, place: Place) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "not one byte came"
    strerror = error.strerror if isinstance(error, OSError) else None
    return place.words(strerror or str(error) or type(error).__name__)
