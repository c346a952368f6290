"""The keys in what a run says: taken out of the whole of it, and while it comes."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from vig_notebook.render import MaskedStream, VisibleStream
from vig_notebook.settings import Secret, mask
from vig_notebook.settings.secret import MASK

if TYPE_CHECKING:
    from vig_notebook.chats import Outcome
    from vig_notebook.settings import Endpoint

__all__ = ["Asked", "masked", "masked_stream", "visible_stream"]

_KEY_LETTERS: Final = f"{string.ascii_letters}{string.digits}_.~+/=*-"
_KEY_OF_JSON: Final = f"{_KEY_LETTERS}\\"
_ESCAPE: Final = re.compile(r"\\u00([2-7][0-9a-fA-F])")


class Asked(Protocol):
    """What has a server: a run, a response, an experiment."""

    @property
    def endpoint(self) -> Endpoint | None:
        """The server; None where none was asked."""


def masked(text: str, asked: Asked) -> str:
    """A text without keys; that of the server itself goes whatever it looks like: what is saved travels."""
    key = asked.endpoint.api_key if asked.endpoint is not None else None
    secrets = () if key is None else (key, Secret(json.dumps(key.reveal())[1:-1]))
    shown = mask(text, *secrets)
    if "\\u00" in text and (spelled_out := _ESCAPE.sub(_letter, text)) != text:
        # A key that JSON spells with escapes is shown by whatever reads that JSON.
        read = mask(spelled_out, *secrets)
        return read if read.count(MASK) > shown.count(MASK) else shown
    return shown


def masked_stream(run: Outcome) -> MaskedStream:
    """Takes the keys out of what a run says while it comes, as `masked` does out of the whole."""
    return MaskedStream(lambda text: masked(text, run), lambda text: _key_begins(text, run))


def visible_stream(run: Outcome) -> VisibleStream:
    """The same for a terminal."""
    return VisibleStream(lambda text: masked(text, run), lambda text: _key_begins(text, run))


def _key_begins(text: str, run: Outcome) -> int:
    """Where, at the end of a text, the key of the server may begin, or one that JSON spells with escapes."""
    word = text.rstrip(_KEY_OF_JSON)
    if "\\u" in text[len(word) :] or text.endswith("\\"):
        return len(word)
    key = run.endpoint.api_key.reveal() if run.endpoint.api_key is not None else ""
    spellings = {key, json.dumps(key)[1:-1], quote(key, safe="")}
    return len(text) - max(_overlap(text, spelling) for spelling in spellings)


def _overlap(text: str, word: str) -> int:
    """How many characters of a text are at its end the beginning of a word."""
    return next((count for count in range(len(word) - 1, 0, -1) if text.endswith(word[:count])), 0)


def _letter(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if letter in _KEY_LETTERS else escape[0]
