"""A run of the log as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from vig_notebook.chats import Past
from vig_notebook.errors import VigthoriaError
from vig_notebook.run import RunState
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from vig_notebook.store.records import Record

__all__ = ["INTERRUPTED", "past_of"]

INTERRUPTED: Final = "interrupted"
"""State of a run whose process died, and the label of its outcome."""


def past_of(record: Record) -> Past:
    """Give what is read of a run that has ended.

    One that was interrupted is stopped, and has the label `interrupted`.
    """
    name = record.state.upper()
    labels = {**(record.labels or {}), **({INTERRUPTED: "yes"} if record.state == INTERRUPTED else {})}
    return Past(
        id=record.id,
        request=_last_of(record),
        endpoint=record.endpoint(),
        state=RunState(name) if name in RunState.__members__ else RunState.STOPPED,
        completion=record.completion(),
        error=_error(record) if record.error else None,
        elapsed_s=record.total_s or 0.0,
        created_at=record.created_at,
        chat=record.chat,
        labels=labels,
    )


def _last_of(record: Record) -> ChatRequest:
    """The request with its last message alone; a prompt that was not logged is empty."""
    if record.messages is None:
        return ChatRequest([{"role": "user", "content": ""}], model=record.model or "", extra=record.parameters or {})
    request = record.request()
    return msgspec.structs.replace(request, messages=request.messages[-1:])


def _error(record: Record) -> VigthoriaError:
    """The error in the words of the log; its class is that of its kind."""
    what, _, rest = (record.error or "").partition(": ")
    return _class_of(record.error_kind or "")(what.removesuffix("."), advice=rest)


def _class_of(kind: str) -> type[VigthoriaError]:
    waiting: list[type[VigthoriaError]] = [VigthoriaError]
    while waiting:
        found = waiting.pop()
        if found.kind == kind:
            return found
        waiting += found.__subclasses__()
    return VigthoriaError
