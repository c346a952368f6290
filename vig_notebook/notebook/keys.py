"""The keys in what a run says: taken out of the whole of it, and while it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vig_notebook import settings
from vig_notebook.render import MaskedStream, VisibleStream

if TYPE_CHECKING:
    from vig_notebook.chats import Outcome
    from vig_notebook.settings import Endpoint

__all__ = ["Asked", "masked", "masked_stream", "visible_stream"]


class Asked(Protocol):
    """What has a server: a run, a response, an experiment."""

    @property
    def endpoint(self) -> Endpoint | None:
        """The server; None where none was asked."""


def masked(text: str, asked: Asked) -> str:
    """A text without keys; that of the server itself goes whatever it looks like: what is saved travels."""
    return settings.masked(text, asked.endpoint.api_key if asked.endpoint is not None else None)


def masked_stream(run: Outcome) -> MaskedStream:
    """Takes the keys out of what a run says while it comes, as `masked` does out of the whole."""
    return MaskedStream(lambda text: masked(text, run), lambda text: _key_begins(text, run))


def visible_stream(run: Outcome) -> VisibleStream:
    """The same for a terminal."""
    return VisibleStream(lambda text: masked(text, run), lambda text: _key_begins(text, run))


def _key_begins(text: str, run: Outcome) -> int:
    return settings.key_begins(text, run.endpoint.api_key)
