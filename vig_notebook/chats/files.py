"""A conversation as a JSON file: the whole tree, with what is known of each answer.

```
{"format": "vig_notebook chat", "version": 1, "system": "…", "current": 1,
 "turns": [{"prompt": "…", "answer": {"text": "…", "state": "DONE", …}}, {"prompt": "…", "parent": 0, …}]}
```

`parent` and `current` count the turns from 0. A file is read as text of somebody else's: each member is
checked, and nothing of it is run.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct, field

from vig_notebook.chats.past import Past
from vig_notebook.chats.tree import Turn
from vig_notebook.errors import ConfigError, VigthoriaError
from vig_notebook.run import RunState
from vig_notebook.settings import Endpoint, mask
from vig_notebook.wire.chat import ChatRequest, Message, Usage
from vig_notebook.wire.completion import Completion, Timings

if TYPE_CHECKING:
    from vig_notebook.chats.tree import Chat, Outcome
    from vig_notebook.settings import Secret

__all__ = ["load", "save"]

MAX_FILE_BYTES = 64_000_000
"""A conversation of 2 million tokens, which no model takes, is about 8 MB."""

NOT_SENT = ("messages", "model", "stream", "stream_options")
NAMED = ("temperature", "top_p", "max_tokens", "seed", "stop", "n")


class SavedServer(Struct, omit_defaults=True):
    """The server that answered."""

    kind: Literal["vigthoria", "custom", "profile", "local", "demo"] = "custom"
    name: str = ""
    note: str = ""
    base_url: str = ""


class SavedError(Struct, omit_defaults=True):
    """Why an answer failed."""

    kind: str
    what: str
    seen: str = ""
    advice: str = ""


class SavedAnswer(Struct, omit_defaults=True):
    """An answer that has ended, or what there was of it when it was saved."""

    id: str
    state: Literal["DONE", "STOPPED", "FAILED"]
    text: str
    created_at: datetime
    asked_model: str = ""
    model: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    server: SavedServer = field(default_factory=SavedServer)
    reasoning: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, float | None] = field(default_factory=dict)
    elapsed_s: float = 0.0
    delta_count: int = 0
    error: SavedError | None = None


class SavedTurn(Struct, omit_defaults=True):
    """A turn; its parent comes before it in the file."""

    prompt: str
    source: str = ""
    parent: int | None = None
    answer: SavedAnswer | None = None


class SavedChat(Struct, omit_defaults=True, kw_only=True):
    """The file."""

    format: Literal["vig_notebook chat"]
    version: Literal[1]
    name: str = ""
    system: str | None = None
    current: int | None = None
    turns: list[SavedTurn] = field(default_factory=list)


def save(chat: Chat, path: str | Path) -> None:
    """Write the tree of a conversation as JSON."""
    turns = _in_order(chat.roots)
    places = {id(turn): place for place, turn in enumerate(turns)}
    saved = SavedChat(
        format="vig_notebook chat",
        version=1,
        name=chat.name,
        system=chat.system,
        current=None if chat.current is None else places[id(chat.current)],
        turns=[_saved_turn(turn, places) for turn in turns],
    )
    keys = [turn.outcome.endpoint.api_key for turn in turns if turn.outcome is not None]
    secrets = tuple({key for key in keys if key is not None})
    encoded = msgspec.json.format(msgspec.json.encode(_masked(msgspec.to_builtins(saved), secrets)), indent=1)
    Path(path).write_bytes(encoded + b"\n")


def _masked(value: object, secrets: tuple[Secret, ...]) -> object:
    """A value of JSON with no key in any of its texts."""
    match value:
        case str():
            return mask(value, *secrets)
        case dict():
            return {name: _masked(member, secrets) for name, member in value.items()}
        case list():
            return [_masked(member, secrets) for member in value]
        case _:
            return value


def load(chat: Chat, path: str | Path) -> None:
    """Put the tree of a file in place of that of a conversation.

    Raises:
        ConfigError: The file is no conversation.
    """
    file = Path(path)
    if file.stat().st_size > MAX_FILE_BYTES:
        raise _wrong(file, f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        saved = msgspec.json.decode(file.read_bytes(), type=SavedChat)
        turns = _turns(saved)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise _wrong(file, str(error)) from None
    chat.system = saved.system
    chat.roots[:] = [turn for turn in turns if turn.parent is None]
    chat.current = None
    if turns:
        chat.select(turns[saved.current] if saved.current is not None else chat.roots[-1])


def _wrong(file: Path, seen: str) -> ConfigError:
    return ConfigError(
        f"{file.name} is no conversation that can be loaded",
        seen=seen,
        advice="Choose a file that chat.save() wrote; the conversation here is as it was.",
    )


def _in_order(roots: list[Turn]) -> list[Turn]:
    """Every turn, parents first, siblings oldest first."""
    turns, waiting = [], roots[::-1]
    while waiting:
        turns.append(waiting.pop())
        waiting += turns[-1].children[::-1]
    return turns


def _saved_turn(turn: Turn, places: dict[int, int]) -> SavedTurn:
    outcome = turn.outcome
    return SavedTurn(
        prompt=turn.prompt,
        source=turn.source,
        parent=None if turn.parent is None else places[id(turn.parent)],
        answer=None if outcome is None else _saved_answer(outcome),
    )


def _saved_answer(outcome: Outcome) -> SavedAnswer:
    completion, endpoint = outcome.completion, outcome.endpoint
    body = outcome.request.to_body()
    return SavedAnswer(
        id=outcome.id,
        state=outcome.state.value if outcome.state.ended else "STOPPED",  # type: ignore[arg-type]  # one of the three ends
        text=completion.text,
        created_at=outcome.created_at,
        asked_model=outcome.request.model,
        model=completion.model,
        parameters={name: value for name, value in body.items() if name not in NOT_SENT},
        server=SavedServer(kind=endpoint.kind, name=endpoint.name, note=endpoint.note, base_url=endpoint.base_url),
        reasoning=completion.reasoning,
        refusal=completion.refusal,
        finish_reason=completion.finish_reason,
        usage=None if completion.usage is None else completion.usage.to_dict(),
        timings={name: getattr(completion.timings, name) for name in Timings.__slots__},
        elapsed_s=outcome.elapsed_s,
        delta_count=completion.delta_count,
        error=None if outcome.error is None else _saved_error(outcome.error),
    )


def _saved_error(error: VigthoriaError) -> SavedError:
    return SavedError(kind=error.kind, what=error.what, seen=error.seen, advice=error.advice)


def _turns(saved: SavedChat) -> list[Turn]:
    """The turns with their parents and children.

    Raises:
        ValueError: A place is none of the turns before.
    """
    turns: list[Turn] = []
    for place, one in enumerate(saved.turns):
        if one.parent is not None and not 0 <= one.parent < place:
            raise ValueError(f"the parent of turn {place} is {one.parent}, which is none of the turns before it")
        parent = None if one.parent is None else turns[one.parent]
        past = None if one.answer is None else _past(one.prompt, one.answer)
        turn = Turn(one.prompt, parent=parent, past=past, source=one.source)
        turns.append(turn)
        if parent is not None:
            parent.children.append(turn)
    if saved.current is not None and not 0 <= saved.current < len(turns):
        raise ValueError(f"the current turn is {saved.current}, and there are {len(turns)}")
    return turns


def _past(prompt: str, answer: SavedAnswer) -> Past:
    members = dict(answer.parameters)
    named: dict[str, Any] = {name: members.pop(name) for name in NAMED if name in members}
    server = answer.server
    return Past(
        id=answer.id,
        request=ChatRequest([Message(role="user", content=prompt)], model=answer.asked_model, extra=members, **named),
        endpoint=Endpoint(base_url=server.base_url, kind=server.kind, name=server.name, note=server.note),
        state=RunState(answer.state),
        completion=_completion(answer),
        error=None if answer.error is None else _error(answer.error),
        elapsed_s=answer.elapsed_s,
        created_at=answer.created_at,
    )


def _completion(answer: SavedAnswer) -> Completion:
    times = {name: value for name, value in answer.timings.items() if name in Timings.__slots__}
    return Completion(
        text=answer.text,
        reasoning=answer.reasoning,
        refusal=answer.refusal,
        finish_reason=answer.finish_reason,
        usage=None if answer.usage is None else Usage.from_dict(answer.usage),
        model=answer.model,
        timings=Timings(**times),
        delta_count=answer.delta_count,
    )


def _error(saved: SavedError) -> VigthoriaError:
    """The error in the words of the file; its class is that of its kind."""
    return _class_of(saved.kind)(saved.what, seen=saved.seen, advice=saved.advice)


def _class_of(kind: str) -> type[VigthoriaError]:
    waiting: list[type[VigthoriaError]] = [VigthoriaError]
    while waiting:
        found = waiting.pop()
        if found.kind == kind:
            return found
        waiting += found.__subclasses__()
    return VigthoriaError
