"""Chunks in every other shape that servers send, read member by member.

`wire.chat` comes here when a chunk is not in the usual shape. What makes sense is taken, what says that the
server failed is raised, and what is neither is a `ProtocolError`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from vig_notebook.errors import ProtocolError, excerpt
from vig_notebook.wire.chunk import ChatCompletionChunk, Choice, Delta, FunctionCall, ToolCall, Usage
from vig_notebook.wire.lenient_json import loads
from vig_notebook.wire.reported import find_reported, server_reported_error
from vig_notebook.wire.text import well_formed, well_formed_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decode_leniently"]

_KNOWN: Final = frozenset(
    {"choices", "usage", "id", "model", "created", "object", "system_fingerprint", "service_tier", "error"}
)
# Servers that write "no reason yet" as a word.
_NO_REASON: Final = frozenset({"null", "None"})
_HIGHEST_INDEX: Final = 2**31 - 1
_TEXT_OF_PART: Final = ("text", "content")


def decode_leniently(data: str) -> ChatCompletionChunk:
    """The chunk in `data`; an empty one for a sign of life (nothing, a comment, null).

    Raises:
        ServerReportedError: it says that the server failed.
        ProtocolError: it is not JSON, or nothing that an answer can be made of.
    """
    try:
        return _decode(data.strip())
    except RecursionError:
        raise _unreadable("it is nested too deeply", data) from None


def _decode(words: str) -> ChatCompletionChunk:
    if not words or words.startswith(":"):
        return ChatCompletionChunk()
    try:
        value = loads(words)
    except ValueError:
        raise _unreadable("it is not JSON", words) from None
    if value is None or value == "":
        return ChatCompletionChunk()
    if not isinstance(value, dict):
        raise _unreadable("it is not a JSON object", words)
    if reported := find_reported(value):
        raise server_reported_error(reported)
    return _chunk(value)


def _chunk(value: dict[str, Any]) -> ChatCompletionChunk:
    extra = {name: member for name, member in value.items() if name not in _KNOWN}
    usage = value.get("usage")
    given = enumerate(_list(value.get("choices"), "choices"))
    choices = [_choice(choice, place) for place, choice in given if choice is not None]
    if len(choices) > 1:
        _tell_apart(choices)
    return ChatCompletionChunk(
        choices=choices,
        usage=Usage.from_dict(usage) if isinstance(usage, dict) else None,
        id=_words(value.get("id")),
        model=_words(value.get("model")),
        created=_whole(value.get("created")),
        extra={well_formed(name): well_formed_json(member) for name, member in extra.items()},
        object=_words(value.get("object")),
        system_fingerprint=_words(value.get("system_fingerprint")),
        service_tier=_words(value.get("service_tier")),
    )


def _tell_apart(choices: list[Choice]) -> None:
    """Let the place say which choice it is where the server gave no index, or the same to all."""
    if len({choice.index for choice in choices}) == 1:
        for place, choice in enumerate(choices):
            choice.index = place


def _choice(value: object, place: int) -> Choice:
    choice = _object(value, "choices[]")
    members = choice.get("delta") or choice.get("message")
    delta = _delta(_object(members, "delta") if members is not None else {})
    if delta.content is None:
        delta.content = _text(choice.get("text"), "text")
    if choice.get("error") and (reported := find_reported(choice)):
        raise server_reported_error(reported)
    reason = choice.get("finish_reason") or None
    if reason is not None and not isinstance(reason, str):
        raise _misshapen("finish_reason", reason)
    return Choice(
        index=_index(choice.get("index"), place),
        delta=delta,
        finish_reason=None if reason is None or reason in _NO_REASON else well_formed(reason),
    )


def _delta(members: Mapping[str, Any]) -> Delta:
    content = members.get("content")
    calls = members.get("tool_calls")
    if calls is None and members.get("function_call") is not None:
        calls = [{"index": 0, "function": members["function_call"]}]
    return Delta(
        content=_text(content, "content"),
        reasoning=_reasoning(members, content),
        refusal=_text(members.get("refusal"), "refusal"),
        tool_calls=None
        if calls is None
        else [_tool_call(call, place) for place, call in enumerate(_list(calls, "tool_calls")) if call is not None],
        role=_words(members.get("role")),
    )


def _reasoning(members: Mapping[str, Any], content: object) -> str | None:
    """The reasoning, once: servers send the same text under several names."""
    texts = [_text(members.get(name), name) for name in ("reasoning_content", "reasoning")]
    details = members.get("reasoning_details")
    if isinstance(details, list):
        texts.append("".join(_part(detail, ("text", "summary")) for detail in details) or None)
    if isinstance(content, list):
        parts = (part.get("thinking") for part in content if isinstance(part, dict))
        texts.append("".join(_text(part, "thinking") or "" for part in parts) or None)
    given = [text for text in texts if text is not None]
    return next((text for text in given if text), given[0] if given else None)


def _text(value: object, name: str) -> str | None:
    """A text, or the texts of a list of parts joined."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list):
        return "".join(_part(part, _TEXT_OF_PART) for part in value)
    raise _misshapen(name, value)


def _part(part: object, names: tuple[str, ...]) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        return next((part[name] for name in names if isinstance(part.get(name), str)), "")
    return ""


def _tool_call(value: object, place: int) -> ToolCall:
    call = _object(value, "tool_calls[]")
    function = _object(call.get("function") or {}, "function")
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    index = call.get("index")
    return ToolCall(
        # Below zero: which call it belongs to is told by its id and its order.
        index=_index(index, -1 - place),
        id=_words(call.get("id")),
        type=_words(call.get("type")),
        function=FunctionCall(_words(function.get("name")), arguments or ""),
    )


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _misshapen(name, value)
    return value


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _misshapen(name, value)
    return value


def _words(value: object) -> str | None:
    if isinstance(value, str):
        return well_formed(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else None


def _whole(value: object) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number else None  # type: ignore[call-overload]


def _index(value: object, otherwise: int) -> int:
    number = _whole(value)
    return number if number is not None and 0 <= number <= _HIGHEST_INDEX else otherwise


def _misshapen(name: str, value: object) -> ProtocolError:
    return ProtocolError(
        "The server's answer could not be read",
        seen=f"{name} is of type {type(value).__name__}",
        advice="Check that the base URL is the one of an OpenAI-compatible server.",
    )


def _unreadable(why: str, data: str) -> ProtocolError:
    return ProtocolError(
        "The server's answer could not be read",
        seen=f"{why}, it begins {excerpt(data, max_chars=80)!r}",
        advice="A proxy may have cut or changed it; check the base URL, then ask again.",
    )
