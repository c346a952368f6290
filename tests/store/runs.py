"""Real runs on a small loop, answered by a list of pieces."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from vig_notebook.run import Plan, Run
from vig_notebook.settings import Endpoint, Secret
from vig_notebook.wire.accumulate import Completion, CompletionBuilder
from vig_notebook.wire.chat import ChatCompletionChunk, ChatRequest, Choice, Delta, decode_chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from vig_notebook.errors import VigthoriaError
    from vig_notebook.sinks import Sink, Source
    from vig_notebook.store import Store

KEY = "sk-canary-0123456789abcdef"
SERVER = Endpoint(base_url="https://llm.example.org/v1", api_key=Secret(KEY), name="Example", default_model="small")
DEMO = Endpoint(base_url="http://127.0.0.1:9/v1", kind="demo", name="the demo server", default_model="demo")


class Answer:
    """A stream of chunks that were written by a test."""

    def __init__(
        self, chunks: Sequence[dict[str, Any]], error: VigthoriaError | None, hold: asyncio.Event | None
    ) -> None:
        self.chunks = chunks
        self.error = error
        self.hold = hold
        self.builder = CompletionBuilder()

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        for chunk in self.chunks:
            decoded = decode_chunk(_json(chunk))
            self.builder.add(decoded)
            yield decoded
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error

    def completion(self) -> Completion:
        return self.builder.completion(request_id="req-7")


class Server:
    """A driver that answers every run alike."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self.answer = answer
        self.asked = 0

    @asynccontextmanager
    async def slot(self, endpoint: Endpoint) -> AsyncIterator[None]:
        yield

    def open(self, run: Run, *, on_wait: object) -> AbstractAsyncContextManager[Answer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Answer]:
            self.asked += 1
            yield self.answer()

        return opened()


def text_chunks(*pieces: str) -> list[dict[str, Any]]:
    """An answer as servers send it: pieces, finish reason, usage."""
    return [
        *({"id": "cmpl-1", "model": "small-2", "choices": [{"index": 0, "delta": {"content": p}}]} for p in pieces),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 7, "cached": 1}},
    ]


def request(prompt: str = "Hi", **members: Any) -> ChatRequest:
    messages = members.pop("messages", None) or [{"role": "user", "content": prompt}]
    return ChatRequest(messages=messages, **members)


def come(run: Run, content: str, reasoning: str | None = None) -> None:
    """Let a piece of the answer come."""
    run._take(ChatCompletionChunk(choices=[Choice(delta=Delta(content=content, reasoning=reasoning))]))


async def drive(run: Run, server: Server) -> Run:
    """Drive a run to its end, however it ends."""
    task = asyncio.get_running_loop().create_task(run.drive(server))
    run.own(task)
    await run.ended()
    return run


def ask(
    store: Store | None,
    prompt: str = "Hi",
    *pieces: str,
    chunks: Sequence[dict[str, Any]] | None = None,
    endpoint: Endpoint = SERVER,
    error: VigthoriaError | None = None,
    source: Source | None = None,
    chat: str | None = None,
    labels: dict[str, str] | None = None,
    **members: Any,
) -> Run:
    """Ask, and wait for the end of the run."""
    sinks: tuple[Sink, ...] = (store.recorder(),) if store is not None else ()
    run = Run(request(prompt, **members), endpoint, sinks=sinks, plan=Plan(source=source), chat=chat, labels=labels)
    server = Server(lambda: Answer(chunks or text_chunks(*(pieces or ("Hello ", "world"))), error, None))
    return asyncio.run(drive(run, server))


def keep(store: Store, *asked: str, **more: Any) -> None:
    """As `ask`, where only what the log keeps matters."""
    ask(store, *asked, **more).wait()


def _json(chunk: dict[str, Any]) -> bytes:
    return json.dumps(chunk).encode()


def eventually(condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
    """Whether it becomes true within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.005)
    return True
