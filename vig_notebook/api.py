"""The Python doors: `start`, `stream_chat` and `stream_chat_async`, and the two steps under every door.

`question` decides what is sent and to whom, and sends nothing; `ask` sends it. The cell magic, the panel and
the experiments take the same two steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import msgspec

from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.run import Plan, Run
from vig_notebook.servers import choose
from vig_notebook.settings import concealed, mask, read_environment
from vig_notebook.store import run_log
from vig_notebook.wire.chat import ChatRequest, Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping

    from vig_notebook.chats import Chat
    from vig_notebook.render import VisibleStream
    from vig_notebook.servers import Server
    from vig_notebook.settings import Secret
    from vig_notebook.sinks import Sink
    from vig_notebook.wire.chat import Delta

    Messages = str | Sequence[Message | Mapping[str, object]]

__all__ = ["Question", "ask", "question", "start", "stream", "stream_chat", "stream_chat_async"]

NAMED = ("temperature", "top_p", "max_tokens", "seed", "stop", "n")
"""Request members that `ChatRequest` has a field for; every other goes into its `extra`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is sent, and to whom."""

    request: ChatRequest
    server: Server


def question(
    prompt: Messages,
    *,
    model: str | None = None,
    system: str | None = None,
    chat: Chat | None = None,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    key_env: str | None = None,
    profile: str | None = None,
    parameters: Mapping[str, object] | None = None,
) -> Question:
    """Decide what is sent and to whom; sends nothing.

    Args:
        prompt: The user's message, or a whole list of messages (dicts or `Message`).
        model: The model; by default the one of the server or its profile.
        system: A system message put before the others.
        chat: A conversation that the prompt goes on with.
        base_url: Another server than the settings choose.
        api_key: The key for that server.
        key_env: Name of the environment variable that holds the key.
        profile: Name of a profile in the settings file.
        parameters: Other members of the request, such as `temperature`; those that are None are not sent, also
            where the settings or the client would send them (`stream_options`).

    Raises:
        ConfigError: The prompt is empty or not of that form, a parameter cannot be sent, or the settings
            are wrong.
    """
    api_key = concealed(api_key)
    run_log().ready()
    server = choose(base_url=base_url, api_key=api_key, key_env=key_env, profile=profile)
    messages = _messages(prompt, system=system, chat=chat)
    members = {**server.endpoint.parameters, **_given(parameters or {})}
    named: dict[str, Any] = {name: members.pop(name) for name in NAMED if name in members}
    request = ChatRequest(messages=messages, model=model or server.endpoint.default_model, extra=members, **named)
    request.encode()  # refuses here, and not on the streaming thread, what cannot be sent
    return Question(request=request, server=server)


def ask(
    asked: Question,
    *,
    sinks: Sequence[Sink] = (),
    chat: Chat | None = None,
    labels: dict[str, str] | None = None,
    log: bool = True,
) -> Run:
    """Start a run. Returns at once; the run goes on on the streaming thread.

    Args:
        asked: What `question` made.
        sinks: Where the text goes, beside the run itself.
        chat: The conversation this becomes a turn of; the turn waits for the one before.
        labels: Free words kept with the run.
        log: Keep it in the run log. A caller that gives a recorder of its own has it kept there.
    """
    plan = Plan(connect=asked.server.connect, source=run_log().source())
    run = Run(
        asked.request,
        asked.server.endpoint,
        sinks=(*run_log().sinks(log=log), *sinks),
        plan=plan,
        chat=chat.name if chat is not None else None,
        labels=_place() | (labels or {}),
    )
    if chat is not None:
        _join(run, chat, plan)
    return engine().submit(run)


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

    Works in a script, in a notebook cell and inside a running event loop (which it blocks).

    Args:
        prompt: The user's message, or a whole list of messages (dicts or `Message`).
        model: The model; by default the one of the server or its profile.
        system: A system message put before the others.
        temperature: As the API's member of this name.
        max_tokens: As the API's member of this name.
        echo: Print the text as it comes, and a line end after it. A terminal and a notebook get hidden
            characters as marks and keys masked, a file or a pipe the text as it is.
        base_url: Another server than the settings choose.
        api_key: The key for that server.
        key_env: Name of the environment variable that holds the key.
        profile: Name of a profile in the settings file.
        **params: Any other member of the request, such as `top_p`, `seed` or `stop`.

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
    pieces: list[str] = []
    shown = _shown() if echo else None
    try:
        for piece in stream(asked):
            pieces.append(piece)
            if echo:
                _print(shown.feed(piece) if shown else piece)
    finally:
        if echo:
            _print((shown.flush() if shown else "") + "\n")
    return "".join(pieces)


def stream(asked: Question) -> Generator[str, None, None]:
    """Ask, and iterate over the text as it comes; blocks between the pieces.

    Closing the iterator, or an interrupt while it waits, stops the run and closes its socket.

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
        yield from _drain(pieces)
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
    its socket. Wrap it in `contextlib.aclosing` to close it at once when you leave the loop early.

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
        **params: Any other member of the request, such as `top_p`, `seed` or `stop`.

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


CLOSE_LIMIT_S = 2.0
"""How long an interrupted call waits for its socket to close: nobody waits longer for a prompt to come back."""

WAKE_S = 0.1
"""How often a waiting call wakes, so that an interrupt is seen even when the server is silent."""


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


def _drain(pieces: queue.SimpleQueue[str | None]) -> Iterator[str]:
    while True:
        try:
            piece = pieces.get(timeout=WAKE_S)
        except queue.Empty:
            continue
        if piece is None:
            return
        yield piece


def _shown() -> VisibleStream | None:
    """What makes the text fit for a terminal or a notebook; a file or a pipe takes it as it is."""
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        return None
    from vig_notebook.render import VisibleStream  # it is most of what there is to import

    return VisibleStream(mask)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _given(parameters: Mapping[str, object]) -> dict[str, object]:
    """The parameters without the named ones that are None; of any other, None takes the member out of the request."""
    return {name: value for name, value in parameters.items() if value is not None or name not in NAMED}


def _messages(prompt: Messages, *, system: str | None, chat: Chat | None) -> Sequence[Message | Mapping[str, object]]:
    if isinstance(prompt, str) and not prompt.strip():
        raise ConfigError("There is no prompt", seen="the text is empty", advice="Write what you want to ask.")
    if not isinstance(prompt, str | Sequence):
        seen = f"it is a {type(prompt).__name__}"
        raise ConfigError("The prompt must be a text or a list of messages", seen=seen)
    turns = [Message(role="user", content=prompt)] if isinstance(prompt, str) else prompt
    if chat is not None:
        turns = [*chat.to_messages(), *turns]
        system = system if chat.system is None else None
    return [Message(role="system", content=system), *turns] if system else turns


def _place() -> dict[str, str]:
    """The notebook, where Jupyter's server says so."""
    notebook = read_environment("JPY_SESSION_NAME")
    return {"notebook": notebook} if notebook else {}


def _join(run: Run, chat: Chat, plan: Plan) -> None:
    """Make `run` the next turn of `chat`: it waits for the turn before, and then says what came of it."""
    last = chat.current
    asked = run.request.messages[-1]
    turn = chat.add(str(asked.content if isinstance(asked, Message) else asked.get("content")), run=run)
    if last is not None and last.run is not None and not last.run.state.ended:
        plan.after = last.run
    head = [Message(role="system", content=chat.system)] if chat.system else []
    plan.prepare = lambda request: msgspec.structs.replace(request, messages=[*head, *turn.messages_before(), asked])
