"""One question to the server and its answer: sent, sent again while nothing has come, read, closed."""

from __future__ import annotations

import asyncio
import io
import itertools
from time import monotonic
from typing import TYPE_CHECKING, Final

from vig_notebook.client.connections import NO_TIMEOUT, USER_AGENT, hang_up
from vig_notebook.client.content import next_bytes, watch_parser
from vig_notebook.client.foreign import Guard, Place
from vig_notebook.client.refusals import refusal, request_id
from vig_notebook.client.retries import backoff_s, is_worth_retrying
from vig_notebook.errors import ConnectFailed, ProtocolError, StatusError, TimedOut, Truncated, VigthoriaError
from vig_notebook.settings import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from vig_notebook.client.connections import Connections
    from vig_notebook.settings import Endpoint, Limits

__all__ = ["Exchange"]

REFUSAL_S: Final = 5.0
"""How long the body of a refusal may take: it is one sentence, and the status is known."""

BREATH_S: Final = 0.02
"""How long a flood may be read without a turn of the loop. A tenth of the lag that is allowed."""

_CODINGS: Final = {"", "identity", "gzip", "deflate", "br", "zstd"}
"""Those that aiohttp decodes or refuses by itself; what is in none of them would be read as text."""


class Exchange:
    """One request with its tries, and the one answer that is read.

    Call `open`, then `read` until it gives b"", and always `close`.

    Args:
        connections: The pool that it takes a connection from.
        endpoint: The server and the key.
        limits: Its limits.
        path: What follows the base URL.
        body: The JSON to POST; None is a GET.
        on_wait: Told the seconds and the error when a wait before the next try begins.

    Attributes:
        status: The HTTP status of the answer; None before it.
        request_id: The server's name for the request.
        content_type: Without its parameters, in lower case.
        is_framed: Whether the answer says by itself where it ends, so that an end is one that the server meant.
        connect_s: Seconds for the connection of the last try; 0 for one that was open.
        queue_s: Seconds that it waited for a free connection.
        retry_wait_s: Seconds that it waited between tries.
    """

    def __init__(
        self,
        connections: Connections,
        endpoint: Endpoint,
        limits: Limits,
        *,
        path: str,
        body: bytes | None = None,
        on_wait: Callable[[float, VigthoriaError], None] | None = None,
    ) -> None:
        self._connections = connections
        self._session = connections.session()
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._limits = limits
        self._url = endpoint.base_url.rstrip("/") + path
        self._body = body
        self._on_wait = on_wait
        self.place = Place(origin(endpoint.base_url), endpoint.api_key)
        self.watchdog = self._guard = Guard(self._loop, self.place, total_timeout_s=limits.total_timeout_s)
        # An answer is never a local variable of a frame that raises: its repr shows what a server echoes.
        self._response: aiohttp.ClientResponse | None = None
        self._first: bytes | None = None
        self._reused = False
        self._asks_again: bool | None = None
        self._breath = 0.0
        self._mark = self.watchdog.started
        self.status: int | None = None
        self.request_id: str | None = None
        self.content_type = ""
        self.is_framed = False
        self.connect_s: float | None = None
        self.queue_s = 0.0
        self.retry_wait_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since this was made."""
        return monotonic() - self.watchdog.started

    async def open(self) -> None:
        """Send the request, again if need be, until the first byte of a 2xx has come.

        Raises:
            VigthoriaError: why the last try failed.
        """
        for attempt in itertools.count():
            try:
                await self._try()
            except VigthoriaError as error:
                self._drop()
                wait_s = self._wait_before(attempt + 1, error)
                if wait_s is None:
                    raise
                failure = error
            else:
                return
            await self._pause(wait_s, failure)

    async def read(self) -> bytes:
        """The next bytes of the answer; b"" is its end.

        Raises:
            TimedOut: the limit of the watchdog's phase ran out.
            Truncated: the connection broke.
            ProtocolError: the bytes cannot be decoded.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._response is None:
            return b""
        with self._guard:
            if self._guard.now > self._breath:
                # A compressed flood is never waited for: without this nothing else would run.
                await asyncio.sleep(0)
                self._breath = self._guard.now + BREATH_S
            return await next_bytes(self._response)

    def close(self, *, whole: bool) -> None:
        """End the exchange. The connection of a whole answer is kept, any other is hung up at once."""
        self.watchdog.close()
        response, self._response = self._response, None
        if response is None:
            return
        if whole:
            self._connections.give_back(response)
        else:
            hang_up(response)

    # Told by the pool.

    def queued(self) -> None:
        """All connections are in use; that takes as long as the other answers take."""
        self.watchdog.begin("queue")
        self._mark = monotonic()

    def connecting(self) -> None:
        """A connection is being made."""
        now = monotonic()
        self.queue_s += now - self._mark
        self._mark = now
        self.watchdog.begin("connect", self._limits.connect_timeout_s)

    def connected(self, *, reused: bool) -> None:
        """The request goes out."""
        self._reused = reused
        self.connect_s = 0.0 if reused else monotonic() - self._mark
        self.watchdog.begin("first_byte", self._limits.first_byte_timeout_s)

    async def _try(self) -> None:
        self._mark = monotonic()
        self._guard.answering = self._guard.is_final = False
        self._asks_again = self.status = self.request_id = None
        self.watchdog.begin("connect", self._limits.connect_timeout_s)
        with self._guard:
            # The headers are made in this call: no frame of ours keeps them.
            self._response = await self._session.request(
                "GET" if self._body is None else "POST",
                self._url,
                # Not bytes: aiohttp warns of long ones. It reads and closes what it gets: a new one for each try.
                data=None if self._body is None else io.BytesIO(self._body),
                headers=self._headers(),
                allow_redirects=False,
                timeout=NO_TIMEOUT,
                trace_request_ctx=self,
            )
        self._look_at_head(self._response)
        if not 200 <= self._response.status < 300:
            raise await self._refusal(self._response)
        if error := self._unknown_coding(self._response):
            raise error
        watch_parser(self._response)
        self._guard.answering = True
        self._first = await self.read()

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json" if self._body is None else "text/event-stream",
            "Accept-Encoding": "identity",
            "User-Agent": USER_AGENT,
        }
        if self._body is not None:
            headers["Content-Type"] = "application/json"
        if self._endpoint.api_key:
            headers["Authorization"] = f"Bearer {self._endpoint.api_key.reveal()}"
        return headers

    def _look_at_head(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.is_framed = any(name in response.headers for name in ("content-length", "transfer-encoding"))
        name = request_id(response.headers)
        self.request_id = name if name is None else self.place.words(name)
        self.content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()

    def _unknown_coding(self, response: aiohttp.ClientResponse) -> ProtocolError | None:
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding in _CODINGS:
            return None
        return ProtocolError(
            f"The compressed answer of {self.place.label} cannot be read",
            seen=f"Content-Encoding: {self.place.words(coding)}",
            advice="None was asked for: a proxy on the way may do it.",
            status=self.status,
            request_id=self.request_id,
        )

    async def _refusal(self, response: aiohttp.ClientResponse) -> StatusError:
        """The error for a status that is not 2xx, with as much of its body as comes in time."""
        body = await self._refusal_body(response)
        if response.content.at_eof():
            self.close(whole=True)
        self._asks_again = is_worth_retrying(response.status, response.headers)
        return refusal(response.status, response.headers, body, endpoint=self._endpoint, place=self.place)

    async def _refusal_body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        self.watchdog.begin("refusal", min(REFUSAL_S, self._limits.first_byte_timeout_s))
        try:
            while len(body) < self._limits.max_error_body_bytes:
                with self._guard:
                    data = await next_bytes(response)
                if not data:
                    break
                body += data
        except (TimedOut, ConnectFailed, Truncated, ProtocolError):
            pass  # the status says enough
        return bytes(body[: self._limits.max_error_body_bytes])

    def _drop(self) -> None:
        self._first = None
        self.close(whole=False)

    def _wait_before(self, attempt: int, error: VigthoriaError) -> float | None:
        """Seconds until the next try, or None when there is none."""
        if attempt > self._limits.max_retries or not self._may_pass(error):
            return None
        if self._reused and isinstance(error, ConnectFailed):
            return 0.0  # the server had closed the pooled connection: that says nothing of a new one
        asked_s = error.retry_after_s
        if asked_s is not None and asked_s > self._limits.max_retry_wait_s:
            error.advice = (
                f"The server asks to wait {asked_s:,.0f} s; more than {self._limits.max_retry_wait_s:g} s "
                "are not waited (max_retry_wait_s). Try again then."
            )
            return None
        wait_s = backoff_s(attempt - 1, asked_s)
        return wait_s if wait_s < self.watchdog.total_left_s else None

    def _may_pass(self, error: VigthoriaError) -> bool:
        if self._asks_again is not None:
            return self._asks_again
        return isinstance(error, (ConnectFailed, Truncated)) and not self._guard.is_final

    async def _pause(self, wait_s: float, error: VigthoriaError) -> None:
        if wait_s and self._on_wait is not None:
            self._on_wait(wait_s, error)
        begun = monotonic()
        try:
            await asyncio.sleep(wait_s)
        finally:
            self.retry_wait_s += monotonic() - begun
