"""The body of a chat completions request, checked as the API checks it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from vig_notebook.demo.faults import Refusal


class Part(Struct):
    """A part of a message's content; only text is read."""

    type: str = "text"
    text: str = ""


class Turn(Struct):
    """A message."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(Struct):
    """The options of a stream."""

    include_usage: bool | None = None


class ChatBody(Struct):
    """A request, with the limits that the API puts on its members. Members that it does not know are ignored."""

    messages: Annotated[list[Turn], Meta(min_length=1)]
    model: str = "demo"
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    n: Annotated[int, Meta(ge=1, le=16)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    response_format: dict[str, Any] | None = None

    @property
    def stops(self) -> list[str]:
        """The stop sequences; empty ones stop nothing."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in stops if stop]

    @property
    def token_limit(self) -> int | None:
        """The most tokens that the answer may have."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def includes_usage(self) -> bool:
        """Whether the stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def wants_json(self) -> bool:
        """Whether the request itself says that the answer is JSON."""
        return self.model == "demo-json" or (self.response_format or {}).get("type") in {"json_object", "json_schema"}


def read_body(body: bytes) -> ChatBody:
    """Decode and check a request.

    Raises:
        Refusal: 400, with the sentence and the name of the member.
    """
    try:
        return msgspec.json.decode(body, type=ChatBody)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        member = re.match(r"\.?(\w+)", path)
        param = member[1] if member else (re.search(r"required field `(\w+)`", what) or [None, None])[1]
        where = f" for '{path.strip('.`')}'" if member else ""
        raise Refusal(400, f"Invalid value{where}: {what}.", param=param, code="invalid_value") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "We could not parse the JSON body of your request.", code="invalid_json") from None
