"""What an answer leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vig_notebook.wire.chunk import ToolCall, Usage

__all__ = ["Completion", "CompletionChoice", "Timings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long the parts of an answer took, in seconds; None for what was not reached.

    Attributes:
        queue_s: Until its turn came.
        retry_wait_s: Waiting between tries.
        connect_s: Until there was a connection.
        first_token_s: From the start until the first text.
        total_s: From the start until the end.
    """

    queue_s: float | None = None
    retry_wait_s: float | None = None
    connect_s: float | None = None
    first_token_s: float | None = None
    total_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionChoice:
    """One of the answers to a request; most requests ask for one.

    Attributes:
        index: Which answer.
        text: What the model wrote.
        reasoning: What it wrote while it thought, for servers that show it.
        refusal: Why it would not answer.
        finish_reason: Why it ended; None when the server did not say, or it did not end.
        tool_calls: What it asks for, arguments joined.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer, or what had arrived of one. `str(completion)` is the text.

    Attributes:
        text: The text of the first choice, as are the next four.
        reasoning: What the model wrote while it thought.
        refusal: Why it would not answer.
        finish_reason: Why it ended; None when the server did not say, or it did not end.
        tool_calls: What the model asks for.
        choices: Every choice, by index.
        usage: What the server counted; None when it did not.
        id: The server's name for the answer.
        model: The model that answered, in the server's words.
        request_id: The server's name for the request, from a header.
        extra: Members of the chunks that have no attribute: the last value of each, 64 kB in all.
        timings: How long its parts took.
        delta_count: How many pieces of text came.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    choices: tuple[CompletionChoice, ...] = ()
    usage: Usage | None = None
    id: str | None = None
    model: str | None = None
    request_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
    delta_count: int = 0

    def __str__(self) -> str:
        return self.text

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer as the server counted them; without that, the pieces that came."""
        counted = self.usage.completion_tokens if self.usage is not None else None
        return self.delta_count if counted is None else counted

    @property
    def output_tokens_are_exact(self) -> bool:
        """Whether `output_tokens` is the server's own count."""
        return self.usage is not None and self.usage.completion_tokens is not None

    @property
    def tokens_per_s(self) -> float | None:
        """Output tokens over the time after the first one; None before the end, or without text."""
        first, total = self.timings.first_token_s, self.timings.total_s
        if first is None or total is None or total <= first or not self.output_tokens:
            return None
        return self.output_tokens / (total - first)
