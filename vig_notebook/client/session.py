"""`Client`: ask one server, from one event loop."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace as replace_struct

from vig_notebook.client.connections import Connections
from vig_notebook.client.exchange import Exchange
from vig_notebook.client.replies import model_names
from vig_notebook.client.stream import ChatStream
from vig_notebook.errors import ConfigError, ProtocolError, ServerReportedError, TooLarge
from vig_notebook.settings import concealed, resolve
from vig_notebook.wire.reported import Reported

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from vig_notebook.errors import VigthoriaError
    from vig_notebook.settings import Endpoint, Limits, Secret
    from vig_notebook.wire.accumulate import Completion
    from vig_notebook.wire.chat import ChatRequest

__all__ = ["Client"]


class Client:
    """Asks one OpenAI-compatible server; its connections are pooled and belong to one event loop.

    ```
    async with Client() as client:
        async with client.stream(ChatRequest(messages=[...])) as chunks:
            async for chunk in chunks: ...
        completion = await client.complete(request)
    ```

    The pool opens at the first request, in the loop that runs then; a request from another loop is
    a `ConfigError`. Use it as `async with`, or call `aclose`, in that loop: then no socket is left.
    Any number of requests may run at once; `limits.max_concurrency` of them have a connection, the
    others wait for theirs.

    Args:
        base_url: The server, such as `https://api.vigthoria.io/v1`. None is what the settings say.
        api_key: Its key. None is what the settings have for this server; it is sent nowhere else.
        connect_timeout_s: Limit on name look-up, TCP and TLS together.
        first_byte_timeout_s: Limit from the request to the first byte of the answer.
        idle_timeout_s: Limit between two events with content. Comments and keep-alives do not count.
        total_timeout_s: Limit on the whole, waits between tries included. None is no limit.
        max_retries: Further tries before the first byte of the answer; 0 is none.
        limits: All numbers at once, in place of the endpoint's; the ones above come before it.
        endpoint: A resolved server, in place of `base_url` and `api_key`.

    Raises:
        ConfigError: nothing says which server to ask, or a number is not above zero.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        *,
        connect_timeout_s: float | None = None,
        first_byte_timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
        total_timeout_s: float | None = None,
        max_retries: int | None = None,
        limits: Limits | None = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        api_key = concealed(api_key)
        found = endpoint or resolve(base_url=base_url, api_key=api_key)
        if found is None:
            raise ConfigError(
                "No server is chosen",
                seen="neither a base URL nor a key is set",
                advice="Set VIGTHORIA_API_KEY or VIGTHORIA_BASE_URL, or give base_url.",
            )
        given = {
            "connect_timeout_s": connect_timeout_s,
            "first_byte_timeout_s": first_byte_timeout_s,
            "idle_timeout_s": idle_timeout_s,
            "total_timeout_s": total_timeout_s,
            "max_retries": max_retries,
        }
        self.endpoint = found
        self.limits = _with_numbers(limits or found.limits, given)
        self._connections = Connections(self.limits.max_concurrency)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def stream(
        self,
        request: ChatRequest,
        *,
        on_wait: Callable[[float, VigthoriaError], None] | None = None,
    ) -> AbstractAsyncContextManager[ChatStream]:
        """Ask, and read the answer while it is written. Use it as `async with`, then iterate.

        Entering sends the request, again where that may help, and returns when the first byte of
        the answer is there. Leaving before the end, or being cancelled, closes the socket at once.

        Args:
            request: What is asked.
            on_wait: Called with the seconds and the reason when a wait before the next try begins.

        Raises:
            VigthoriaError: on entering, or while iterating; `completion` is what had arrived.
        """
        return self._chat(request, on_wait)

    async def complete(self, request: ChatRequest) -> Completion:
        """Ask, and return the whole answer.

        It is streamed all the same: so a silent server is noticed, and what had come is kept.

        Raises:
            VigthoriaError: there is no whole answer; `completion` is what had arrived.
        """
        stream = self._chat(request, None)
        # A traceback with local variables must not show the prompt.
        del request
        async with stream:
            with suppress(StopAsyncIteration):
                while True:
                    await anext(stream)
        return stream.completion()

    async def models(self) -> list[str]:
        """The names of the server's models, in its order.

        Raises:
            VigthoriaError: the server did not give such a list.
        """
        exchange = Exchange(self._connections, self.endpoint, self.limits, path="/models")
        whole = False
        try:
            await exchange.open()
            exchange.watchdog.begin("idle", self.limits.idle_timeout_s)
            found = model_names(await self._body(exchange))
            whole = True
        finally:
            exchange.close(whole=whole)
        if isinstance(found, Reported):
            error = _no_models(exchange, found)
            del found  # nothing that a server echoes stays in the frame of an error
            raise error
        return found

    async def aclose(self) -> None:
        """Close every connection; streams that still run are cut. The client cannot be used again."""
        await self._connections.aclose()

    def _chat(self, request: ChatRequest, on_wait: Callable[[float, VigthoriaError], None] | None) -> ChatStream:
        members = request.to_body()
        body = request.encode()
        if "model" not in members and "model" not in request.extra:
            body = replace_struct(request, model=self.endpoint.default_model).encode()
        choices = members.get("n")
        return ChatStream(
            partial(
                Exchange,
                self._connections,
                self.endpoint,
                self.limits,
                path="/chat/completions",
                body=body,
                on_wait=on_wait,
            ),
            self.limits,
            choices=choices if isinstance(choices, int) else 1,
        )

    async def _body(self, exchange: Exchange) -> bytes:
        body = bytearray()
        while len(body) <= self.limits.max_event_bytes:
            before = len(body)
            body += await exchange.read()
            if len(body) == before:
                return bytes(body)
        del body  # nothing that a server echoes stays in the frame of an error
        raise TooLarge(
            f"The list of models of {exchange.place.label} is too long",
            cap="max_event_bytes",
            seen=f"more than {self.limits.max_event_bytes:,} bytes (max_event_bytes)",
        )


def _no_models(exchange: Exchange, reported: Reported) -> ServerReportedError | ProtocolError:
    """The error for something other than a list of models."""
    words = exchange.place.words
    if reported.message:
        return ServerReportedError(
            f"{exchange.place.label} reported an error instead of its models",
            seen=words(reported.message),
            advice="Check the base URL and the key, or name the model yourself.",
            status=reported.status,
            request_id=exchange.request_id,
            server_message=words(reported.message),
            code=reported.code and words(reported.code),
        )
    return ProtocolError(
        f"The list of models of {exchange.place.label} cannot be read",
        seen=f"it is {words(exchange.content_type) or 'something'} of another shape",
        advice="Name the model yourself.",
        request_id=exchange.request_id,
    )


def _with_numbers(limits: Limits, given: dict[str, Any]) -> Limits:
    """The limits, with the numbers that were given in place of theirs."""
    return replace(limits, **{name: number for name, number in given.items() if number is not None})
