"""A raw TCP server that plays a script: any bytes with any cuts, stalls and resets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from vig_notebook.client import Client
from vig_notebook.settings import Endpoint, Limits, Secret
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CANARY = "sk-canary-9f8e7d6c5b4a3210"
LIMIT_S = 5.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Stall:
    """Send nothing more until the peer hangs up."""


class Reset:
    """Close with RST: what was sent may be lost, the peer sees an error."""


class Close:
    """Close now."""


class KeepOpen:
    """This answer is over; wait for the next request on the same connection."""


@dataclass
class Repeat:
    """Send the same bytes until the peer hangs up, every `pause_s` seconds."""

    data: bytes
    pause_s: float = 0.0


@dataclass
class Sleep:
    """A pause of the server."""

    seconds: float


@dataclass
class Wait:
    """Go on when the test says so."""

    event: asyncio.Event


Step = bytes | Stall | Reset | Close | KeepOpen | Repeat | Sleep | Wait


@dataclass
class Heard:
    """One request as it came."""

    head: bytes
    body: bytes
    at: float

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


@dataclass
class ScriptedServer:
    """Plays a script to each request: the first to the first, the last to all that follow."""

    scripts: list[list[Step]] = field(default_factory=list)
    requests: list[Heard] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Queue[float] = field(default_factory=asyncio.Queue)
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, *steps: Step) -> ScriptedServer:
        """Add the script of the next request."""
        self.scripts.append(list(steps))
        return self

    def endpoint(self, key: str | None = None) -> Endpoint:
        return Endpoint(base_url=self.base_url, api_key=None if key is None else Secret(key))

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed.put_nowait(time.monotonic())
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        heard = Heard(head, b"", time.monotonic())
        heard.body = await reader.readexactly(int(heard.header("content-length") or 0))
        self.requests.append(heard)
        self.asked.set()
        script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
        for step in script:
            if not await self._step(step, reader, writer):
                return isinstance(step, KeepOpen)
        return False

    async def _step(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case Sleep():
                await asyncio.sleep(step.seconds)
            case Repeat():
                while not reader.at_eof():
                    writer.write(step.data)
                    await writer.drain()
                    await asyncio.sleep(step.pause_s)
            case Wait():
                await asyncio.wait_for(step.event.wait(), LIMIT_S)
            case Stall():
                await reader.read()
            case Reset():
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            case Close() | KeepOpen():
                return False
        return True


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(scripted.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20, backlog=2000)
    scripted.port = listener.sockets[0].getsockname()[1]
    yield scripted
    listener.close()
    for task in list(tasks):
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=LIMIT_S)


@pytest.fixture
def make_client(server: ScriptedServer) -> Callable[..., Client]:
    def make(key: str | None = None, **numbers: float) -> Client:
        quick = {"finish_grace_s": 0.1, "max_retries": 0, "idle_timeout_s": 3.0, "first_byte_timeout_s": 3.0}
        return Client(endpoint=server.endpoint(key), limits=Limits(**(quick | numbers)))  # type: ignore[arg-type]

    return make


def chat(**members: object) -> ChatRequest:
    return ChatRequest(messages=[{"role": "user", "content": "hi"}], **members)  # type: ignore[arg-type]


def event(content: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % content.encode()


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
