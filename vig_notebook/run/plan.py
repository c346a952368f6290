"""What a run does on its way to the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vig_notebook.run.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.sinks import Source
    from vig_notebook.wire.chat import ChatRequest

__all__ = ["Plan"]


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a run does on its way to the server, each step on the streaming thread.

    Attributes:
        after: A run that must have ended first, such as the turn before in a chat.
        prepare: Makes the request once `after` has ended; None keeps the request as it is.
        connect: Opens the server, for one that must first be started; None keeps the endpoint.
        source: Asked before the server is, and before `connect`.
    """

    after: Run | None = None
    prepare: Callable[[ChatRequest], ChatRequest] | None = None
    connect: Callable[[Callable[[str], None]], Awaitable[Endpoint]] | None = None
    source: Source | None = None
