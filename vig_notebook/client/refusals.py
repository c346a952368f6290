"""A status that is not 2xx becomes an error with the server's own words, whatever shape its body has.

The body is JSON of any shape (`wire.reported`), HTML of a proxy, plain text, nothing.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from vig_notebook.client.retries import asked_wait_s
from vig_notebook.errors import StatusError, status_error
from vig_notebook.wire.reported import Reported, read_reported
from vig_notebook.wire.sse import EventStreamDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vig_notebook.client.foreign import Place
    from vig_notebook.settings import Endpoint

__all__ = ["page_title", "refusal", "request_id"]

_REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-amzn-requestid",
    "apim-request-id",
    "cf-ray",
)
_REQUEST_ID: Final = re.compile(r"[\w.:/+=@-]{1,200}")

_TITLE: Final = re.compile(r"(?is)<(title|h1)[^>]{0,200}>([^<]{1,1000})")
_MARKUP: Final = re.compile(r"(?i)\s*(?:<!doctype|<html|<head|<body|<\?xml)")

_EVENT: Final = re.compile(r"(?:data|event|id)?:")

_PHRASES: Final[dict[int, str]] = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    529: "Overloaded",
}

_TOO_LONG: Final = re.compile(r"(?i)\bcontext[ _](?:size|length|window)\b")
"""Of OpenAI ("maximum context length is"), llama.cpp ("exceeds the available context size") and others."""

_ADVICE: Final[dict[int, str]] = {
    402: "Check the credit and the plan of your account.",
    403: "The key may not do this: check its scopes, and whether this model is in your plan.",
    404: "Check the base URL and the model's name.",
    408: "Try again.",
    409: "Try again in a moment.",
    413: "Send a shorter prompt.",
    429: "Wait, then try again; fewer runs at once help.",
    502: "A proxy got no answer from the server behind it: try again later.",
    503: "Try again later.",
    504: "A proxy got no answer from the server behind it: try again later.",
    529: "Try again later.",
}


def read_body(body: bytes) -> Reported:
    """What a body of any shape says about a failure."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if _EVENT.match(text):
        decoder = EventStreamDecoder()
        events = decoder.feed(body) + decoder.flush()
        text = events[0].data if events else text
    return Reported(page_title(text)) if _MARKUP.match(text) else read_reported(text)


def page_title(text: str) -> str:
    """The title of an HTML page, or its first heading, or "an HTML page"."""
    found = _TITLE.search(text[:20_000])
    return " ".join(html.unescape(found[2]).split()) if found else "an HTML page"


def request_id(headers: Mapping[str, str]) -> str | None:
    """The server's name for a request, for its support; only when it looks like one."""
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name, "").strip()
        if _REQUEST_ID.fullmatch(value):
            return value
    return None


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, endpoint: Endpoint, place: Place) -> StatusError:
    """The error for a status that is not 2xx."""
    reported = read_body(body)
    message = place.words(reported.message)
    if 300 <= status < 400 and headers.get("location"):
        return _redirect(status, headers["location"], endpoint, place)
    phrase = _PHRASES.get(status, "")
    return status_error(status)(
        f"{place.label} answered {status} {phrase}".rstrip(),
        seen=message,
        advice=_advice(status, endpoint, message),
        status=status,
        retry_after_s=asked_wait_s(headers),
        request_id=_named(headers, place),
        server_message=message or None,
        code=place.words(reported.code) if reported.code else None,
    )


def _named(headers: Mapping[str, str], place: Place) -> str | None:
    """The request id, unless it holds a key."""
    name = request_id(headers)
    return name if name is None else place.words(name)


def _redirect(status: int, location: str, endpoint: Endpoint, place: Place) -> StatusError:
    try:
        target = urlsplit(urljoin(endpoint.base_url + "/", location[:2000])).hostname
    except ValueError:  # no address at all
        target = None
    host = place.words(target or "another address")
    return status_error(status)(
        f"{place.label} answered {status} and points to {host}",
        seen="nothing was sent there",
        advice="If that is the right server, make it the base URL.",
        status=status,
    )


def _advice(status: int, endpoint: Endpoint, message: str) -> str:
    if status == 401:
        return _advice_on_key(endpoint)
    if status in {400, 413, 422} and _TOO_LONG.search(message):
        more = ", or have it read more with %vigthoria local --context-size N" if endpoint.kind == "local" else ""
        return f"Shorten the prompt, or begin the conversation anew{more}."
    fallback = "Check the request: model, parameters, length." if status < 500 else "Try again later."
    return _ADVICE.get(status, fallback)


def _advice_on_key(endpoint: Endpoint) -> str:
    if endpoint.kind == "vigthoria":
        return "Set VIGTHORIA_API_KEY to a valid key, without blanks around it."
    if endpoint.kind == "profile":
        return "Check the environment variable that the profile names in key_env."
    if endpoint.api_key is None:
        return "No key was sent: name the environment variable that holds this server's with key_env."
    return "Check the key that is meant for this server."
