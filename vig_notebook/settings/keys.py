"""The key of a server in what the server says: taken out of a text, and held back while a text comes."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from vig_notebook.settings.secret import MASK, Secret, mask

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["key_begins", "masked"]

_KEY_LETTERS: Final = f"{string.ascii_letters}{string.digits}_.~+/=*-"
_KEY_OF_JSON: Final = f"{_KEY_LETTERS}\\"
_ESCAPE: Final = re.compile(r"\\u00([2-7][0-9a-fA-F])")


def masked(text: str, key: Secret | None) -> str:
    """A text without keys; the one that was sent goes whatever it looks like, as JSON and URLs spell it too."""
    secrets = tuple(_spellings(key))
    shown = mask(text, *secrets)
    if "\\u00" in text and (spelled_out := _ESCAPE.sub(_letter, text)) != text:
        # A key that JSON spells with escapes is shown by whatever reads that JSON.
        read = mask(spelled_out, *secrets)
        return read if read.count(MASK) > shown.count(MASK) else shown
    return shown


def key_begins(text: str, key: Secret | None) -> int:
    """Where, at the end of a text, the key may begin, or one that JSON spells with escapes; its length if nowhere."""
    begins = len(text) - max((_overlap(text, spelling) for spelling in _spellings(key)), default=0)
    word = text.rstrip(_KEY_OF_JSON)
    return min(begins, len(word)) if "\\u" in text[len(word) :] or text.endswith("\\") else begins


def _spellings(key: Secret | None) -> Iterator[Secret]:
    # No key is a local variable here: a traceback may show those.
    if key is not None:
        yield key
        yield Secret(json.dumps(key.reveal())[1:-1])
        yield Secret(quote(key.reveal(), safe=""))


def _overlap(text: str, key: Secret) -> int:
    """How many characters of a text are at its end the beginning of a key."""
    counts = range(len(key.reveal()) - 1, 0, -1)
    return next((count for count in counts if text.endswith(key.reveal()[:count])), 0)


def _letter(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if letter in _KEY_LETTERS else escape[0]
