"""Every error that this package raises on purpose.

* `VigthoriaError` [error]
    * `ConfigError` [config]: a setting or an argument is wrong; nothing was sent
    * `ConnectFailed` [connection]: no connection, or it broke before the answer began
    * `TimedOut` [timeout]: a limit in seconds was reached
    * `Truncated` [truncated]: the stream ended before the answer was whole
    * `ProtocolError` [protocol]: what the server sent cannot be read as an answer
    * `TooLarge` [too_large]: a cap on a size was reached
    * `ServerReportedError` [api_error]: an error object inside a 200
    * `StatusError` [status]: any status that is not 2xx
        * `BadRequest` [bad_request]: 400, 413, 422 and every 4xx without a class of its own
        * `AuthError` [auth]: 401
        * `PaymentRequired` [payment]: 402
        * `PermissionDenied` [permission]: 403
        * `NotFound` [not_found]: 404
        * `Conflict` [conflict]: 409
        * `RateLimited` [rate_limit]: 429
        * `Overloaded` [overloaded]: 503, 529
        * `ServerError` [server]: every other 5xx

The word in brackets is `kind`. Catch `VigthoriaError` for all of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from vig_notebook.wire.accumulate import Completion

__all__ = [
    "AuthError",
    "BadRequest",
    "ConfigError",
    "Conflict",
    "ConnectFailed",
    "NotFound",
    "Overloaded",
    "PaymentRequired",
    "PermissionDenied",
    "ProtocolError",
    "RateLimited",
    "ServerError",
    "ServerReportedError",
    "StatusError",
    "TimedOut",
    "TooLarge",
    "Truncated",
    "VigthoriaError",
    "excerpt",
    "status_error",
]

# A terminal's colour or title sequence; what is left of one without its ESC would be noise.
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")


class VigthoriaError(Exception):
    """Something that was asked for did not happen.

    `str(error)` is the whole sentence: what failed, what was seen, what to do.

    Attributes:
        kind: One word for the class, for logs and tables.
        what: What failed.
        seen: What was seen, or "".
        advice: What to do about it, or "".
        status: The HTTP status, when there was one.
        retry_after_s: Seconds that the server asked to wait.
        request_id: The server's name for the request.
        server_message: The server's own words, made safe by `excerpt`.
        code: The server's own code for the error.
        completion: What had arrived of the answer, when a stream had begun.
    """

    kind: ClassVar[str] = "error"

    def __init__(
        self,
        what: str,
        *,
        seen: str = "",
        advice: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        server_message: str | None = None,
        code: str | None = None,
        completion: Completion | None = None,
    ) -> None:
        # Only `what`: pickle and copy make the object with `args` and set the other attributes.
        super().__init__(what)
        self.what = what
        self.seen = seen
        self.advice = advice
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.server_message = server_message
        self.code = code
        self.completion = completion

    def __str__(self) -> str:
        head = f"{self.what.rstrip('.')}: {self.seen}" if self.seen else self.what
        return " ".join(_as_sentence(part) for part in (head, self.advice) if part)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ConfigError(VigthoriaError):
    """A setting or an argument is wrong; nothing was sent."""

    kind = "config"


class ConnectFailed(VigthoriaError):
    """No connection was made, or it broke before the answer began."""

    kind = "connection"


class TimedOut(VigthoriaError):
    """A limit in seconds was reached."""

    kind = "timeout"


class Truncated(VigthoriaError):
    """The stream ended with neither a finish reason nor `[DONE]`: the text is not whole."""

    kind = "truncated"


class ProtocolError(VigthoriaError):
    """What the server sent cannot be read as an answer."""

    kind = "protocol"


class TooLarge(VigthoriaError):
    """A cap on a size was reached.

    Attributes:
        cap: The name of the limit, for example `max_line_bytes`.
    """

    kind = "too_large"

    def __init__(
        self,
        what: str,
        *,
        cap: str = "",
        seen: str = "",
        advice: str = "",
        status: int | None = None,
        request_id: str | None = None,
        completion: Completion | None = None,
    ) -> None:
        super().__init__(
            what,
            seen=seen,
            advice=advice,
            status=status,
            request_id=request_id,
            completion=completion,
        )
        self.cap = cap


class ServerReportedError(VigthoriaError):
    """The server answered 200 and then said inside the answer that it failed."""

    kind = "api_error"


class StatusError(VigthoriaError):
    """The server answered with a status that is not 2xx."""

    kind = "status"


class BadRequest(StatusError):
    """The server refuses the request as it is; sending it again will not help."""

    kind = "bad_request"


class AuthError(StatusError):
    """The server does not accept the key, or there was none."""

    kind = "auth"


class PaymentRequired(StatusError):
    """The account has no credit left, or no plan for this."""

    kind = "payment"


class PermissionDenied(StatusError):
    """The key is known, but may not do this."""

    kind = "permission"


class NotFound(StatusError):
    """The server knows no such address or model."""

    kind = "not_found"


class Conflict(StatusError):
    """The request is at odds with another one."""

    kind = "conflict"


class RateLimited(StatusError):
    """Too many requests; `retry_after_s` says when to come back, if the server did."""

    kind = "rate_limit"


class Overloaded(StatusError):
    """The server has too much to do."""

    kind = "overloaded"


class ServerError(StatusError):
    """The server, or a gateway before it, failed."""

    kind = "server"


_BY_STATUS: dict[int, type[StatusError]] = {
    401: AuthError,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
    503: Overloaded,
    # Not in the HTTP registry: "overloaded_error" of some model servers.
    529: Overloaded,
}


def status_error(status: int) -> type[StatusError]:
    """The error class for an HTTP status.

    `StatusError` itself stands for everything below 400, redirects too: they are not followed.
    """
    if status < 400:
        return StatusError
    return _BY_STATUS.get(status, BadRequest if status < 500 else ServerError)


def excerpt(text: str, *, max_chars: int = 500) -> str:
    """Words of a server, safe to put into a sentence on one line.

    Terminal sequences and invisible characters are taken out, white space is one space, and what
    is longer than `max_chars` ends in an ellipsis. Keys are not looked for here.
    """
    # Eight times the cap leaves room for what is taken out, and bounds the work on a large body.
    visible = _ESCAPE_SEQUENCE.sub("", text[: max_chars * 8])
    spaced = "".join(char if char.isprintable() else _space_for(char) for char in visible)
    line = " ".join(spaced.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def _space_for(char: str) -> str:
    return " " if char.isspace() else ""


def _as_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
