"""What goes wrong on purpose: models that refuse, and models that break off.

==============  =========================================================================================
``demo-401``    401: the key is wrong
``demo-429``    429 with ``Retry-After: 2``, each time: the wait and then the error can be seen
``demo-500``    500
``demo-html``   200 with an HTML page, as the sign-in page of a network sends it
``demo-cut``    the connection is cut in mid-stream
``demo-stall``  silence in mid-stream, until the client hangs up
``demo-error``  an error object in mid-stream, inside the 200
==============  =========================================================================================
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["BREAKS", "HTML_PAGE", "REFUSALS", "REPORTED_ERROR", "Refusal", "error_body"]


class Refusal(Exception):  # noqa: N818  # what a server does, not a mistake in it
    """A request that is answered by an error status and a body in OpenAI's shape."""

    def __init__(
        self, status: int, message: str, *, code: str, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> bytes:
        """The body in OpenAI's shape."""
        return error_body(
            self.message, type_=_TYPES.get(self.status, "invalid_request_error"), param=self.param, code=self.code
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


_TYPES: Final = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}


def error_body(message: str, *, type_: str, code: str, param: str | None = None) -> bytes:
    """Give an error object as OpenAI's API writes it."""
    return msgspec.json.encode({"error": {"message": message, "type": type_, "param": param, "code": code}})


REFUSALS: Final = {
    "demo-401": Refusal(
        401, "Incorrect API key provided. This is the fault that demo-401 shows.", code="invalid_api_key"
    ),
    "demo-429": Refusal(
        429,
        "Rate limit reached: try again in 2 s. This is the fault that demo-429 shows.",
        code="rate_limit_exceeded",
        retry_after_s=2,
    ),
    "demo-500": Refusal(500, "The server had an error. This is the fault that demo-500 shows.", code="internal_error"),
}

BREAKS: Final = frozenset({"demo-cut", "demo-stall", "demo-error"})

REPORTED_ERROR: Final = error_body(
    "The model stopped in mid-sentence. This is the fault that demo-error shows.",
    type_="server_error",
    code="model_error",
)

HTML_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Sign in to the network</title></head>"
    "<body><h1>Sign in</h1><p>This is the fault that demo-html shows.</p></body></html>"
)
