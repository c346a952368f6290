"""The two steps under every door: `question` decides what is sent and to whom, `ask` sends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.run import Plan, Run
from vig_notebook.servers import choose
from vig_notebook.settings import concealed, read_environment
from vig_notebook.store import run_log
from vig_notebook.wire.chat import ChatRequest, Message
from vig_notebook.wire.request import NAMED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vig_notebook.chats import Chat
    from vig_notebook.servers import Server
    from vig_notebook.settings import Secret
    from vig_notebook.sinks import Sink

    Messages = str | Sequence[Message | Mapping[str, object]]

__all__ = ["Question", "ask", "question"]


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
    request = ChatRequest.of(messages, members, model=model or server.endpoint.default_model)
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
        labels: Free words kept with the run; what is no text becomes one.
        log: Keep it in the run log. A caller that gives a recorder of its own has it kept there.
    """
    plan = Plan(connect=asked.server.connect, source=run_log().source())
    run = Run(
        asked.request,
        asked.server.endpoint,
        sinks=(*run_log().sinks(log=log), *sinks),
        plan=plan,
        chat=chat.name if chat is not None else None,
        labels=_place() | {str(name): str(value) for name, value in (labels or {}).items()},
    )
    if chat is not None:
        _join(run, chat, plan)
    return engine().submit(run)


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
