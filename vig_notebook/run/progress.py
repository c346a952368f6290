"""What has come of an answer, and when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vig_notebook.wire.accumulate import Completion

if TYPE_CHECKING:
    from vig_notebook.sinks import Stream
    from vig_notebook.wire.chat import Delta

__all__ = ["Progress"]


@dataclass(slots=True)
class Progress:
    """The pieces of an answer and its moments, in seconds of `time.monotonic`.

    Written on the streaming thread, read on any.

    Attributes:
        stream: What the answer comes from, once it is open.
        delta_count: How many deltas with text or reasoning have come.
        char_count: How many characters they had.
    """

    stream: Stream | None = None
    delta_count: int = 0
    char_count: int = 0
    _texts: list[str] = field(default_factory=list)
    _thoughts: list[str] = field(default_factory=list)
    _created: float = field(default_factory=time.monotonic)
    _begun: float | None = None
    _first: float | None = None
    _latest: float = 0.0
    _ended: float | None = None

    def begin(self) -> None:
        """The request is sent."""
        self._begun = time.monotonic()

    def take(self, delta: Delta) -> None:
        """Take the next piece."""
        self._latest = time.monotonic()
        if self._first is None:
            self._first = self._latest
        self.delta_count += 1
        if delta.content:
            self._texts.append(delta.content)
            self.char_count += len(delta.content)
        if delta.reasoning:
            self._thoughts.append(delta.reasoning)
            self.char_count += len(delta.reasoning)

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = time.monotonic()

    def let_go(self) -> None:
        """Keep the answer and nothing that it came by."""
        self._texts[:] = [self.text]
        self._thoughts[:] = [self.reasoning]
        self.stream = None

    @property
    def text(self) -> str:
        """The text that has come."""
        return "".join(self._texts)

    @property
    def reasoning(self) -> str:
        """The reasoning that has come."""
        return "".join(self._thoughts)

    @property
    def elapsed_s(self) -> float:
        """From the making of the run to now, or to its end."""
        return self._last - self._created

    @property
    def streaming_s(self) -> float:
        """From the first piece to now, or to the end; 0 before it."""
        return 0.0 if self._first is None else self._last - self._first

    @property
    def silent_s(self) -> float:
        """From the latest piece to now, or to the end; 0 before the first."""
        return 0.0 if self._first is None else self._last - self._latest

    @property
    def first_token_s(self) -> float | None:
        """From the sending of the request to the first piece, or None before it."""
        return None if self._first is None or self._begun is None else self._first - self._begun

    def snapshot(self) -> Completion:
        """What has come, with the times."""
        completion = self.stream.completion() if self.stream is not None else Completion()
        timings = replace(
            completion.timings,
            queue_s=(self._begun or self._last) - self._created,
            first_token_s=self.first_token_s,
            total_s=self.elapsed_s,
        )
        return replace(completion, timings=timings)

    @property
    def _last(self) -> float:
        return self._ended or time.monotonic()
