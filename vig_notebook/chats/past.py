"""An answer whose run is gone: what a saved conversation keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vig_notebook.errors import VigthoriaError
    from vig_notebook.run import RunState
    from vig_notebook.settings import Endpoint
    from vig_notebook.wire.chat import ChatRequest
    from vig_notebook.wire.completion import Completion

__all__ = ["Past"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An answer that was loaded. It has what is read of a `Run` that has ended, under the same names.

    Attributes:
        id: The id of the run that it was.
        request: What was sent, with the last message only: the others are turns of their own.
        endpoint: The server that answered, without its key.
        state: How it ended.
        completion: What it left behind.
        error: Why it failed, or None.
        elapsed_s: Seconds from start to end.
        created_at: When it was started, in UTC.
        status: Always empty: nothing goes on.
        chat: Name of the chat that it was a turn of, where that is known.
        labels: Free words kept with the run.
    """

    id: str
    request: ChatRequest
    endpoint: Endpoint
    state: RunState
    completion: Completion
    error: VigthoriaError | None = None
    elapsed_s: float = 0.0
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = ""
    chat: str | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def text_so_far(self) -> str:
        """The whole text."""
        return self.completion.text

    @property
    def reasoning_so_far(self) -> str:
        """The whole reasoning."""
        return self.completion.reasoning

    @property
    def first_token_s(self) -> float | None:
        """Seconds from the sending of the request to the first text or reasoning."""
        return self.completion.timings.first_token_s

    @property
    def streaming_s(self) -> float:
        """Seconds from the first text or reasoning to the end."""
        return self.elapsed_s - (self.first_token_s or self.elapsed_s)

    @property
    def delta_count(self) -> int:
        """How many deltas with text or reasoning came."""
        return self.completion.delta_count
