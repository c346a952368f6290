"""What a run talks to: the sinks its text goes to, the stream it comes from, the engine that drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from vig_notebook.errors import VigthoriaError
    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.wire.accumulate import Completion
    from vig_notebook.wire.chat import ChatCompletionChunk, Delta

__all__ = ["Driver", "Sink", "Source", "Stream", "TextSink"]


class Sink(Protocol):
    """Who is told of a run's start and end. Every method is called on the streaming thread and must be quick.

    One that raises is dropped and the run goes on: an answer is never lost to its display or its log.
    """

    def start(self, run: Run) -> None:
        """Take note of a run before its request is sent."""

    def finish(self, run: Run) -> None:
        """Take note of the end, whatever it was. Called exactly once, and last."""


@runtime_checkable
class TextSink(Sink, Protocol):
    """Where a run's text goes, piece by piece."""

    def write(self, delta: Delta) -> None:
        """Take the next piece of the first choice's text, reasoning or refusal."""


class Stream(Protocol):
    """An answer as it comes: what `Client.stream` opens, or a recorded answer that is played again."""

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        """Iterate over the chunks."""

    def completion(self) -> Completion:
        """What has arrived so far."""


class Source(Protocol):
    """Something other than the network that answers a run, such as the run log."""

    def __call__(self, run: Run) -> AbstractAsyncContextManager[Stream] | None:
        """Open the answer to `run.request`, or return None to let the server answer."""


class Driver(Protocol):
    """What a run needs of the engine."""

    def slot(self, endpoint: Endpoint) -> AbstractAsyncContextManager[object]:
        """A place among the runs that may be under way at once at this server."""

    def open(
        self, run: Run, *, on_wait: Callable[[float, VigthoriaError], None]
    ) -> AbstractAsyncContextManager[Stream]:
        """Send the request of `run`."""
