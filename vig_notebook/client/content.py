"""The bytes of an answer, in order and to their end, where aiohttp alone would lose some or wait for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from asyncio import Future

__all__ = ["READ_BYTES", "next_bytes", "watch_parser"]

READ_BYTES: Final = 64 * 1024
"""As much as is read between two turns of the loop: about 1,000 events, some milliseconds."""


async def next_bytes(response: aiohttp.ClientResponse) -> bytes:
    """The next bytes of the body; b"" is its end.

    aiohttp raises what ended the connection before it gives what had come until then, and only
    complains of a reader that comes while the connection closes. Here all the bytes come first.

    Raises:
        aiohttp.ClientError: the connection broke.
    """
    content = response.content
    while True:
        if content.exception() is not None and (rest := _rest(content)):
            return rest
        try:
            return await content.read(READ_BYTES)
        except RuntimeError:
            if (closed := _closed(response)) is None:
                raise  # there is another reader
        await asyncio.wait([closed])


def _closed(response: aiohttp.ClientResponse) -> Future[None] | None:
    """What is done once the connection is closed; None when it is not about to close."""
    connection = response.connection
    protocol = None if connection is None else connection.protocol  # a protocol may be falsy
    return None if protocol is None or protocol.connected else protocol.closed


def _rest(content: aiohttp.StreamReader) -> bytes:
    """What had come before the error of a body."""
    error = content.exception()
    assert error is not None  # noqa: S101 - asked by the caller
    content.set_exception(None)  # type: ignore[arg-type]  # there is no other way to what it holds
    rest = content.read_nowait(READ_BYTES)
    content.set_exception(error)
    return rest


def watch_parser(response: aiohttp.ClientResponse) -> None:
    """Make a broken chunked coding end the reading.

    aiohttp's C parser closes the connection then, but leaves the reader waiting.
    """
    protocol = response.connection and response.connection.protocol
    closed = None if protocol is None else protocol.closed  # a protocol may be falsy
    if protocol is None or closed is None:
        return

    def on_closed(future: Future[None]) -> None:
        if not future.cancelled():
            future.exception()  # seen: asyncio would report it otherwise
        if isinstance(protocol.exception(), HttpProcessingError) and not response.content.is_eof():
            response.content.set_exception(aiohttp.ClientPayloadError("broken chunked coding"))

    closed.add_done_callback(on_closed)
