"""Visible text of a stream: what is shown does not depend on where the deltas are cut.

`visible` needs the neighbours of a character, and a mask for keys needs the whole key. So the end of
what has come is held back while it may still change: hidden characters (a joiner, one half of a surrogate
pair, the CR of CRLF, an ESC), and what begins as a key does. All other text passes at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vig_notebook.render.visible import ends_hidden, join_surrogates, visible

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MaskedStream", "VisibleStream"]

# Longer runs of hidden characters, and longer keys, are shown in parts: what is held is read again each time.
_MAX_HIDDEN = 256
_MAX_KEY = 2000
# Longer than any label of a key, with its spaces and quotes.
_CONTEXT = 64
_KEY_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~+/=*-"
_KEY = re.compile(r"(?<![A-Za-z0-9])(?:sk-|vg-|vk_|(?:sk?|v[gk]?)\Z)")
_LABEL = re.compile(
    r"(?i)(?:\bbearer\s{1,4}|(?:authorization|api[ _-]?key)[\"']?\s{0,4}(?:(?:is|was|provided|given)\b\s{0,4})?"
    r"[:=]?\s{0,4}[\"']?(?:(?:bearer|basic|token)\s{1,4})?)"
)


class MaskedStream:
    """Takes keys out of a stream of text, also those that come in pieces.

    Args:
        mask: Takes keys out of a text.
        begun: Tells where, at the end of a text, something begins that may become a key for `mask` and does not
            look like one; the length of the text where nothing does.
    """

    def __init__(self, mask: Callable[[str], str], begun: Callable[[str], int] = len) -> None:
        self._mask = mask
        self._begun = begun
        self._shown = ""
        self._key = ""

    def feed(self, text: str) -> str:
        """Take the next piece; give what can be shown by now, which may be nothing."""
        window = self._shown + self._key + text
        settled = max(len(self._shown), min(_key_start(window), self._begun(window)))
        if len(window) - settled > _MAX_KEY:
            settled = len(window)
        return self._settle(window, settled)

    def flush(self) -> str:
        """Give what was held back: the stream is at its end."""
        window = self._shown + self._key
        return self._settle(window, len(window))

    def _settle(self, window: str, settled: int) -> str:
        self._key = window[settled:]
        masked = self._mask(window[:settled])
        if masked.startswith(self._shown):
            new = masked[len(self._shown) :]
        else:  # what was cut off before the context made no key of it
            new = self._mask(window[len(self._shown) : settled])
        self._shown = (self._shown + new)[-_CONTEXT:]
        return new


class VisibleStream:
    r"""Makes a stream of text fit for a terminal: `visible`, with `\r\n` as `\n` and without keys.

    Args:
        mask: As for `MaskedStream`.
        begun: As for `MaskedStream`.
    """

    def __init__(self, mask: Callable[[str], str] = str, begun: Callable[[str], int] = len) -> None:
        self._keys = MaskedStream(mask, begun)
        self._hidden = ""
        self._before = ""

    def feed(self, text: str) -> str:
        """Take the next piece; give what can be shown by now, which may be nothing."""
        text = join_surrogates(self._hidden + text).replace("\r\n", "\n")
        settled = ends_hidden(text)
        if len(text) - settled > _MAX_HIDDEN:
            settled = len(text)
        text, self._hidden = text[:settled], text[settled:]
        return self._keys.feed(self._visible(text))

    def flush(self) -> str:
        """Give what was held back: the stream is at its end."""
        rest, self._hidden = self._visible(self._hidden), ""
        return self._keys.feed(rest) + self._keys.flush()

    def _visible(self, text: str) -> str:
        shown = visible(self._before + text)[len(visible(self._before)) :]
        self._before = text[-1:] or self._before
        return shown


def _key_start(text: str) -> int:
    """Where the end of a text begins that may be, or become, a key; its length where there is none."""
    word = len(text.rstrip(_KEY_CHARACTERS))
    starts = [word + match.start() for match in [_KEY.search(text[word:])] if match]
    before = max(word - _CONTEXT, 0)
    for label in _LABEL.finditer(text, before):
        if label.end() >= word:
            starts.append(label.end())
            break
    return min(starts, default=len(text))
