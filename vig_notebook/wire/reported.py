"""What a server says went wrong, found in every shape that servers say it in.

Inside a 200 and in the body of an error status the shapes are the same: `{"error": {…}}`, `{"error": "…"}`,
`{"object": "error", …}`, `{"detail": …}`, `{"success": false, …}`, the message at the top, bare text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from vig_notebook.errors import ServerReportedError, excerpt
from vig_notebook.wire.lenient_json import loads

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Reported", "find_reported", "read_reported", "server_reported_error"]

_MESSAGES: Final = ("message", "detail", "msg", "error_message", "error_msg", "error_description", "title")
_CODES: Final = ("code", "status_code", "status", "type")
# Errors inside errors: a gateway's around a server's. Deeper ones say nothing new.
_DEEPEST: Final = 4


class Reported(Struct, frozen=True):
    """An error in a server's words.

    Attributes:
        message: The words, made safe; "" when there were none.
        code: The server's code for it, as text.
        status: The code as an HTTP status, when it is one.
    """

    message: str = ""
    code: str | None = None
    status: int | None = None


def find_reported(members: Mapping[str, object]) -> Reported | None:
    """The error that an object of the stream or of a body holds; None when it holds none.

    A message without an error's name counts only where there is no answer beside it.
    """
    answers = "choices" in members or "usage" in members
    error = members.get("error", members.get("errors"))
    if error or (error is not None and error is not False and error != 0 and not answers):
        return _describe(error, members)
    if members.get("object") == "error" or members.get("type") == "error" or members.get("success") is False:
        return _describe(members, {})
    if not answers and any(_is_telling(members.get(name)) for name in _MESSAGES):
        return _describe(members, {})
    return None


def read_reported(text: str) -> Reported:
    """The error in a text of which it is known that it is one: JSON of any shape, or words."""
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        return Reported(excerpt(text))
    if not isinstance(value, Mapping):
        return _describe(value, {})
    return find_reported(value) or _describe(value, {})


def server_reported_error(reported: Reported) -> ServerReportedError:
    """The error to raise for what a server reported inside a 200."""
    code = "" if reported.code is None else f" (code {reported.code})"
    return ServerReportedError(
        "The server reported an error instead of going on with the answer",
        seen=(reported.message or "it gave no message") + code,
        advice="What had arrived is kept; ask again, or change what the message names.",
        server_message=reported.message or None,
        code=reported.code,
        status=reported.status,
    )


def _describe(error: object, around: Mapping[str, object]) -> Reported:
    """The error's own words and code, else those of the object around it."""
    message = _message(error) or _message({name: around.get(name) for name in _MESSAGES})
    layers = [*_layers(error), around]
    code = next((code for code in map(_code, layers) if code is not None), None)
    return Reported(message, code, next((status for status in map(_status, layers) if status is not None), None))


def _layers(error: object) -> Iterator[object]:
    """The error and the errors inside it, outermost first."""
    for _ in range(_DEEPEST):
        yield error
        if not isinstance(error, Mapping):
            return
        error = error.get("error")


def _message(error: object, *, depth: int = 0) -> str:
    if isinstance(error, str):
        return excerpt(error)
    if depth == _DEEPEST:
        return ""
    if isinstance(error, list):
        parts = [_message(item, depth=depth + 1) for item in error[:8]]
        return excerpt("; ".join(part for part in parts if part))
    if isinstance(error, Mapping):
        for name in (*_MESSAGES, "error", "errors"):
            if found := _message(error.get(name), depth=depth + 1):
                return found
    return ""


def _code(error: object) -> str | None:
    if isinstance(error, bool):
        return None
    if isinstance(error, int | float):
        return str(error)
    if isinstance(error, Mapping):
        for name in _CODES:
            code = error.get(name)
            if isinstance(code, str | int) and not isinstance(code, bool) and code != "":
                return excerpt(str(code), max_chars=80)
    return None


def _status(error: object) -> int | None:
    """The first code that is a number of an HTTP error."""
    found: list[object] = [error]
    if isinstance(error, Mapping):
        found = [error.get(name) for name in _CODES]
    for value in found:
        digits = str(value) if isinstance(value, int | str) else ""
        if len(digits) == len("404") and digits.isascii() and digits.isdigit() and "400" <= digits < "600":
            return int(digits)
    return None


def _is_telling(value: object) -> bool:
    return isinstance(value, str | list) and bool(value)
