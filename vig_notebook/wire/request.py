"""The request for a chat completion, with the wire's names, checked before it is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from vig_notebook.errors import ConfigError
from vig_notebook.wire.text import well_formed_json

__all__ = ["NAMED", "ChatRequest", "Message"]

NAMED: Final = ("temperature", "top_p", "max_tokens", "seed", "stop", "n")
"""Members of the body that `ChatRequest` has a field for; every other goes into its `extra`."""

_NUMBERS: Final = ("temperature", "top_p")
_COUNTS: Final = ("max_tokens", "n")


class Message(Struct, frozen=True):
    """One message of a conversation.

    Attributes:
        role: "system", "user", "assistant" or "tool"; other words are sent as they are.
        content: The text, or a list of parts as the wire has them; None only beside tool calls.
        name: Who of several is speaking.
        tool_calls: What an assistant asked for, as the wire has it.
        tool_call_id: The call that a tool's message answers.
    """

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    def __repr__(self) -> str:
        """The role and the length, without the content: as for `ChatRequest`."""
        return f"Message({', '.join(f'{name}={value}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for tools that take an object apart."""
        length = "None" if self.content is None else f"<{len(self.content)}>"
        return [("role", repr(self.role)), ("content", length)]

    def to_dict(self) -> dict[str, Any]:
        """What is sent: `role`, `content` and what else is not None."""
        members = msgspec.structs.asdict(self)
        return {name: value for name, value in members.items() if name == "content" or value is not None}


class ChatRequest(Struct, frozen=True, kw_only=False):
    """What is asked of the model. It is checked when it is made.

    Attributes:
        messages: The conversation, oldest first; a dict is sent with all its members.
        model: The model's name; "" leaves the choice to the client, then to the server.
        temperature: As the server understands it; None leaves it out, as for all that follow.
        top_p: As the server understands it.
        max_tokens: The most tokens of the answer.
        seed: For servers that can repeat an answer.
        stop: A text, or several, before which the answer ends.
        n: How many answers.
        extra: More members of the body. They win over every other; None takes a member out.

    Raises:
        ConfigError: a value is of the wrong sort, or there is no message.
    """

    messages: Sequence[Message | Mapping[str, Any]]
    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    n: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_messages(self.messages)
        _check("model", self.model, isinstance(self.model, str), "a text")
        for name in _NUMBERS:
            value = getattr(self, name)
            _check(name, value, value is None or _is_number(value), "a number")
        for name in _COUNTS:
            value = getattr(self, name)
            _check(name, value, value is None or (_is_whole(value) and value > 0), "a whole number above 0")
        _check("seed", self.seed, self.seed is None or _is_whole(self.seed), "a whole number")
        is_stop = self.stop is None or _is_text_or_texts(self.stop)
        _check("stop", self.stop, is_stop, "a text or a list of texts")
        _check("extra", self.extra, _is_object(self.extra), "a dict whose keys are texts")

    @classmethod
    def of(
        cls, messages: Sequence[Message | Mapping[str, Any]], members: Mapping[str, Any], *, model: str = ""
    ) -> ChatRequest:
        """The request with these members of the body, each in its field where it has one.

        Raises:
            ConfigError: as the class; also where the messages are among the members.
        """
        if "messages" in members:
            raise ConfigError("messages is no parameter", advice="The messages are given in place of the prompt.")
        extra = dict(members)
        named: dict[str, Any] = {name: extra.pop(name) for name in NAMED if name in extra}
        return cls(messages, model, extra=extra, **named)

    def __repr__(self) -> str:
        """One line without the messages: a traceback that shows local variables must not show the prompt."""
        return f"ChatRequest({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for tools that take an object apart."""
        given = [(name, getattr(self, name)) for name in ("model", *_NUMBERS, *_COUNTS, "seed")]
        shown = [(name, value) for name, value in given if value not in (None, "")]
        extra = [("extra", f"<{', '.join(self.extra)}>")] if self.extra else []
        return [("messages", f"<{len(self.messages)}>"), *shown, *extra]

    def to_body(self) -> dict[str, Any]:
        """The members that are sent, as a new dict."""
        body: dict[str, Any] = {
            "model": self.model or None,
            "messages": [m.to_dict() if isinstance(m, Message) else dict(m) for m in self.messages],
            "temperature": _plain_number(self.temperature),
            "top_p": _plain_number(self.top_p),
            "max_tokens": _plain_number(self.max_tokens),
            "seed": _plain_number(self.seed),
            "stop": self.stop if self.stop is None or isinstance(self.stop, str) else list(self.stop),
            "n": _plain_number(self.n),
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.extra,
        }
        return {name: value for name, value in body.items() if value is not None}

    def encode(self) -> bytes:
        """The body as JSON.

        Raises:
            ConfigError: something in it cannot be written as JSON; NaN and infinity cannot.
        """
        try:
            body = well_formed_json(self.to_body())
            _check_finite("", body)
            return msgspec.json.encode(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(
                "The request cannot be written as JSON",
                seen=str(error),
                advice="Put only texts, numbers, booleans, lists and dicts into messages and parameters.",
            ) from None


def _check_messages(messages: object) -> None:
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise _wrong("messages", messages, "a list of messages")
    if not messages:
        raise ConfigError("There is no message to send", advice="Give at least one, with role and content.")
    for place, message in enumerate(messages):
        _check_message(f"messages[{place}]", message)


def _check_message(name: str, message: object) -> None:
    members = message.to_dict() if isinstance(message, Message) else message
    if not isinstance(members, Mapping):
        raise _wrong(name, members, "a Message or a dict with role and content")
    role, content = members.get("role"), members.get("content")
    _check(f"{name} role", role, isinstance(role, str) and role != "", 'a text such as "user"')
    if content is None:
        # Beside calls the content may be null; everywhere else it was forgotten.
        called = any(members.get(member) for member in ("tool_calls", "function_call"))
        _check(f"{name} content", content, called, "a text")
    else:
        is_content = isinstance(content, str | list | tuple)
        _check(f"{name} content", content, is_content, "a text or a list of parts")


def _check(name: str, value: object, is_right: bool, wanted: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not is_right:
        raise _wrong(name, value, wanted)


def _wrong(name: str, value: object, wanted: str) -> ConfigError:
    # The value may be a whole prompt: its type says enough, but a number is shown.
    seen = repr(value) if value is None or isinstance(value, int | float) else type(value).__name__
    return ConfigError(f"{name} must be {wanted}", seen=f"it is {seen}")


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_text_or_texts(value: object) -> bool:
    texts = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(text, str) for text in texts)


def _check_finite(name: str, value: object) -> None:
    """Refuse what JSON has no word for, and would be sent as null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number", seen=f"it is {value}")
    if isinstance(value, dict):
        for member, inner in value.items():
            _check_finite(f"{name}.{member}" if name else str(member), inner)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            _check_finite(f"{name}[{place}]", inner)


def _plain_number(value: Real | float | None) -> float | None:
    """A NumPy number, as a column of a table gives it, as Python's own."""
    # Exactly these types: NumPy's float64 is a float, and yet cannot be written as JSON.
    if value is None or type(value) is int or type(value) is float:
        return value
    return int(value) if isinstance(value, Integral) else float(value)
