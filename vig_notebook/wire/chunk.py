"""The pieces of a streamed chat completion, with the wire's names.

The annotations are narrower than what servers send, on purpose: what they send nearly always is
decoded straight into these classes, and everything else fails to be and is read by `wire.lenient`.
That is what the members typed None are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from vig_notebook.wire.text import well_formed_json

__all__ = ["ChatCompletionChunk", "Choice", "Delta", "FunctionCall", "ToolCall", "Usage"]

# The highest that SQLite and JavaScript's neighbours hold; a server that counts further is not counting.
_HIGHEST_COUNT: Final = 2**63 - 1

if TYPE_CHECKING:
    FinishReason = str
    ObjectName = str
    Choices = list["Choice"]
else:
    # Other words are right too, but "", "null" and "error" have to be looked at: not on the fast way.
    FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
    ObjectName = Literal["chat.completion.chunk"]
    # Of several choices it has to be looked at which is which.
    Choices = Annotated[list["Choice"], Meta(max_length=1)]


class Usage:
    """How many tokens the server counted.

    Not a Struct, because it keeps what it does not know.

    Attributes:
        prompt_tokens: Tokens of the request; None when the server did not say.
        completion_tokens: Tokens of the answer; None when the server did not say.
        total_tokens: Both; None when the server did not say.
    """

    __slots__ = ("_members", "completion_tokens", "prompt_tokens", "total_tokens")

    def __init__(
        self,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        total_tokens: int | None = None,
    ) -> None:
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens
        self.total_tokens = total_tokens
        counts = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": total_tokens,
        }
        self._members: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}

    @classmethod
    def from_dict(cls, members: object) -> Usage:
        """The usage that a server sent.

        Raises:
            TypeError: `members` is not a dict.
        """
        kept = well_formed_json(members)
        if not isinstance(kept, dict):
            raise TypeError("usage must be an object")
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage = cls(*(_count(kept.get(name)) for name in names))
        usage._members = kept
        return usage

    def to_dict(self) -> dict[str, Any]:
        """What the server sent, unknown members included."""
        return dict(self._members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and self._members == other._members

    # Usages that are equal count the same.
    def __hash__(self) -> int:
        return hash((self.prompt_tokens, self.completion_tokens, self.total_tokens))

    def __repr__(self) -> str:
        counts = (self.prompt_tokens, self.completion_tokens, self.total_tokens)
        return "Usage(prompt_tokens={}, completion_tokens={}, total_tokens={})".format(*counts)


class FunctionCall(Struct, gc=False, repr_omit_defaults=True):
    """The function of a tool call: in a delta a piece of its arguments, in a completion all of them."""

    name: str | None = None
    arguments: str = ""


class ToolCall(Struct, gc=False, repr_omit_defaults=True):
    """A call that the model asks for, or a piece of one; `index` says which of its choice."""

    index: int
    id: str | None = None
    type: str | None = None
    function: FunctionCall = field(default_factory=FunctionCall)


class Delta(Struct, gc=False, repr_omit_defaults=True):
    """What one chunk adds to one choice; None where it adds nothing."""

    content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    role: str | None = None
    _reasoning_content: None = field(default=None, name="reasoning_content")
    _reasoning_details: None = field(default=None, name="reasoning_details")
    _function_call: None = field(default=None, name="function_call")


class Choice(Struct, gc=False, repr_omit_defaults=True):
    """One of the answers that a chunk adds to.

    Attributes:
        index: Which answer; its place in the list says nothing.
        delta: What is added.
        finish_reason: Why the answer ended, None while it goes on: stop, length, content_filter, tool_calls,
            or a word of the server's own.
    """

    index: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    delta: Delta = field(default_factory=Delta)
    finish_reason: FinishReason | None = None
    _message: None = field(default=None, name="message")
    _text: None = field(default=None, name="text")
    _error: None = field(default=None, name="error")


class ChatCompletionChunk(Struct, forbid_unknown_fields=True, gc=False, repr_omit_defaults=True):
    """One event of the answer.

    Attributes:
        choices: What it adds; empty for a chunk that only has usage, or for a sign of life.
        usage: What the server counted, on one chunk of most streams.
        id: The server's name for the answer.
        model: The model that answers, in the server's words.
        created: Seconds since 1970.
        extra: Members of the chunk that have no attribute here.
        object: The wire's name for what this is.
        system_fingerprint: The version of the server's set-up.
        service_tier: The server's name for how it was served.
    """

    choices: Choices = field(default_factory=list)
    usage: Usage | None = None
    id: str | None = None
    model: str | None = None
    created: int | None = None
    # On the wire a member "extra" is one that has no attribute here: so this one is called otherwise.
    extra: dict[str, Any] = field(default_factory=dict, name="(extra)")
    object: ObjectName | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


def _count(value: object) -> int | None:
    """A number of tokens: also 12.0, but neither True nor -1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 and 0 <= value <= _HIGHEST_COUNT else None
