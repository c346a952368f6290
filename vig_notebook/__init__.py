"""Stream the answers of a language model into notebook cells, stop them, and tune prompts.

`%load_ext vig_notebook` brings the `%%vigthoria` cell magic; the names below are for Python. Importing the
package starts nothing and needs no kernel; each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.api import start, stream_chat, stream_chat_async
    from vig_notebook.client import Client
    from vig_notebook.errors import (
        AuthError,
        BadRequest,
        ConfigError,
        Conflict,
        ConnectFailed,
        NotFound,
        Overloaded,
        PaymentRequired,
        PermissionDenied,
        ProtocolError,
        RateLimited,
        ServerError,
        ServerReportedError,
        StatusError,
        TimedOut,
        TooLarge,
        Truncated,
        VigthoriaError,
    )
    from vig_notebook.notebook.panel import Panel
    from vig_notebook.render import render_html
    from vig_notebook.run import Run, RunState
    from vig_notebook.store import Store, history
    from vig_notebook.tuning import Experiment
    from vig_notebook.wire.accumulate import Completion
    from vig_notebook.wire.chat import ChatCompletionChunk, ChatRequest, Message, Usage
    from vig_notebook.wire.sse import EventStreamDecoder, ServerSentEvent

_ROOMS = {
    "api": ("start", "stream_chat", "stream_chat_async"),
    "client": ("Client",),
    "errors": (
        "AuthError",
        "BadRequest",
        "ConfigError",
        "Conflict",
        "ConnectFailed",
        "NotFound",
        "Overloaded",
        "PaymentRequired",
        "PermissionDenied",
        "ProtocolError",
        "RateLimited",
        "ServerError",
        "ServerReportedError",
        "StatusError",
        "TimedOut",
        "TooLarge",
        "Truncated",
        "VigthoriaError",
    ),
    "notebook.panel": ("Panel",),
    "render": ("render_html",),
    "run": ("Run", "RunState"),
    "tuning": ("Experiment",),
    "store": ("Store", "history"),
    "wire.accumulate": ("Completion",),
    "wire.chat": ("ChatCompletionChunk", "ChatRequest", "Message", "Usage"),
    "wire.sse": ("EventStreamDecoder", "ServerSentEvent"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "AuthError",
    "BadRequest",
    "ChatCompletionChunk",
    "ChatRequest",
    "Client",
    "Completion",
    "ConfigError",
    "Conflict",
    "ConnectFailed",
    "EventStreamDecoder",
    "Experiment",
    "Message",
    "NotFound",
    "Overloaded",
    "Panel",
    "PaymentRequired",
    "PermissionDenied",
    "ProtocolError",
    "RateLimited",
    "Run",
    "RunState",
    "ServerError",
    "ServerReportedError",
    "ServerSentEvent",
    "StatusError",
    "Store",
    "TimedOut",
    "TooLarge",
    "Truncated",
    "Usage",
    "VigthoriaError",
    "history",
    "load_ipython_extension",
    "render_html",
    "start",
    "stream_chat",
    "stream_chat_async",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> object:
    """Import a name's room when the name is first used."""
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module 'vig_notebook' has no attribute {name!r}")
    value = getattr(import_module(f"vig_notebook.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What `%load_ext vig_notebook` calls: registers the magic, its completion and its help."""
    from vig_notebook.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """What `%unload_ext vig_notebook` calls: takes away what loading brought."""
    from vig_notebook.notebook.extension import unload

    unload(shell)
