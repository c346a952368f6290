"""What a user calls: a run that goes on by itself, text as it comes, or the whole text."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from time import monotonic
from typing import TYPE_CHECKING

from vig_notebook.api.asking import ask, question
from vig_notebook.api.printing import Echo, tell_wait
from vig_notebook.engine import engine
from vig_notebook.settings import concealed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence

    from vig_notebook.api.asking import Messages, Question
    from vig_notebook.run import Run
    from vig_notebook.settings import Secret
    from vig_notebook.sinks import Sink
    from vig_notebook.wire.chat import Delta

__all__ = ["start", "stream", "stream_chat", "stream_chat_async"]

CLOSE_LIMIT_S = 2.0
"""How long an interrupted call waits for its socket to close: nobody waits longer for a prompt to come back."""

TELL_S = 1.0
"""What is waited for longer is told: one wonders then."""

WAKE_S = 0.1
"""How often a waiting call wakes, so that an interrupt is seen even when the server is silent."""


def start(
    prompt: Messages,
    *,
    model: str | None = None,
    system: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    key_env: str | None = None,
    profile: str | None = None,
    sinks: Sequence[Sink] = (),
    labels: dict[str, str] | None = None,
    **params: object,
) -> Run:
    """Start a generation on the streaming thread and return its `Run` at once.

    Args:
        prompt: The user's message, or a whole list of messages (dicts or `Message`).
        model: The model; by default the one of the server or its profile.
        system: A system message put before the others.
        temperature: As the API's member of this name.
        max_tokens: As the API's member of this name.
        base_url: Another server than the settings choose.
        api_key: The key for that server.
        key_env: Name of the environment variable that holds the key.
        profile: Name of a profile in the settings file.
        sinks: Where the text goes, beside the run itself.
        labels: Free words kept with the run.
        **params: Any other member of the request, such as `top_p`, `seed` or `stop`.

    Raises:
        ConfigError: As `question`. Every later error is the run's: `run.error`, raised by `run.result()`.
    """
    api_key = concealed(api_key)
    asked = question(
        prompt,
        model=model,
        system=system,
        base_url=base_url,
        api_key=api_key,
        key_env=key_env,
        profile=profile,
        parameters={"temperature": temperature, "max_tokens": max_tokens, **params},
    )
    return ask(asked, sinks=sinks, labels=labels)


def stream_chat(
    prompt: Messages,
    *,
    model: str | None = None,
    system: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    echo: bool = True,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    key_env: str | None = None,
    profile: str | None = None,
    **params: object,
) -> str:
    """Stream an answer, print it as it comes, and return the whole text.

    Works in a script, in a notebook cell and inside a running event loop (which it blocks). The arguments
    are those of `start`. What is printed ends in a line end; a terminal and a notebook get hidden characters
    as marks and keys masked, a file or a pipe the text as it is. A wait before the next try is told on standard
    error. `echo=False` prints nothing.

    Returns:
        The whole text.

    Raises:
        VigthoriaError: The run failed; what had come was printed and is in the error's `completion`.
        KeyboardInterrupt: Interrupted; the run is stopped and its socket closed.
    """
    api_key = concealed(api_key)
    asked = question(
        prompt,
        model=model,
        system=system,
        base_url=base_url,
        api_key=api_key,
        key_env=key_env,
        profile=profile,
        parameters={"temperature": temperature, "max_tokens": max_tokens, **params},
    )
    del prompt, system, params  # a traceback with local variables must not show them
    echoed = Echo(asked.server.endpoint.api_key) if echo else None
    pieces: list[str] = []
    try:
        for piece in stream(asked, on_wait=tell_wait if echo else None):
            pieces.append(piece)
            if echoed:
                echoed.write(piece)
    finally:
        if echoed:
            echoed.end()
    return "".join(pieces)


def stream(asked: Question, *, on_wait: Callable[[str], object] | None = None) -> Generator[str, None, None]:
    """Ask, and iterate over the text as it comes; blocks between the pieces.

    Closing the iterator, or an interrupt while it waits, stops the run and closes its socket.

    Args:
        asked: What `question` made.
        on_wait: Told what is waited for, such as "waiting 3 s: rate limit", once it takes a second.

    Raises:
        VigthoriaError: The run failed; what had come was yielded before and is in the error's `completion`.
        KeyboardInterrupt: Interrupted.
        RuntimeError: Called on the streaming thread, which would wait for itself.
    """
    if engine().on_thread:
        raise RuntimeError("an answer cannot be waited for on the streaming thread: use stream_chat_async there")
    pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    run = ask(asked, sinks=(_Pieces(pieces.put),))
    try:
        yield from _drain(pieces, _Waits(run, on_wait) if on_wait else None)
        run.result()
    finally:
        run.stop()
        run.wait(CLOSE_LIMIT_S)


async def stream_chat_async(
    prompt: Messages,
    *,
    model: str | None = None,
    system: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    key_env: str | None = None,
    profile: str | None = None,
    **params: object,
) -> AsyncGenerator[str, None]:
    """Stream an answer as an async generator of text.

    Leaving the loop, closing the generator or cancelling the task that reads it stops the run and closes
    its socket. Wrap it in `contextlib.aclosing` to close it at once when you leave the loop early. The
    arguments are those of `start`.

    Yields:
        The text, delta by delta.

    Raises:
        VigthoriaError: The run failed; what had come was yielded and is in the error's `completion`.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    api_key = concealed(api_key)
    asked = question(
        prompt,
        model=model,
        system=system,
        base_url=base_url,
        api_key=api_key,
        key_env=key_env,
        profile=profile,
        parameters={"temperature": temperature, "max_tokens": max_tokens, **params},
    )
    del prompt, system, params  # a traceback with local variables must not show them
    run = ask(asked, sinks=(_Pieces(lambda piece: loop.call_soon_threadsafe(pieces.put_nowait, piece)),))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        await run
    finally:
        run.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(run.ended(), CLOSE_LIMIT_S)


class _Pieces:
    """A sink that hands on the text of the answer, and None at the end."""

    def __init__(self, put: Callable[[str | None], object]) -> None:
        self._put = put

    def start(self, run: Run) -> None:
        pass

    def write(self, delta: Delta) -> None:
        if delta.content:
            self._put(delta.content)

    def finish(self, run: Run) -> None:  # noqa: ARG002  the sink's form
        self._put(None)


class _Waits:
    """Tells of each thing that a run waits for, once it takes a while."""

    def __init__(self, run: Run, tell: Callable[[str], object]) -> None:
        self._run = run
        self._tell = tell
        self._status = self._told = ""
        self._since = monotonic()

    def look(self) -> None:
        status = self._run.status
        if status != self._status:
            self._status, self._since, self._told = status, monotonic(), ""
        elif status != self._told and monotonic() - self._since >= TELL_S:
            self._told = status
            self._tell(status)


def _drain(pieces: queue.SimpleQueue[str | None], waits: _Waits | None) -> Iterator[str]:
    while True:
        try:
            piece = pieces.get(timeout=WAKE_S)
        except queue.Empty:
            if waits:
                waits.look()
            continue
        if piece is None:
            return
        yield piece
