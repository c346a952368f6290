"""An answer printed as it comes."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from vig_notebook.settings import mask

if TYPE_CHECKING:
    from vig_notebook.render import VisibleStream
    from vig_notebook.settings import Secret

__all__ = ["Echo", "tell_wait"]


class Echo:
    """Prints an answer on standard output, piece by piece; `end` ends it, whatever came.

    A terminal and a notebook get hidden characters as marks and keys masked, a file or a pipe the text as it is.

    Args:
        key: The key that is sent: masked whatever it looks like.
    """

    def __init__(self, key: Secret | None) -> None:
        self._output = sys.stdout
        # A kernel sends what is written by itself, five times a second. Each flush is a message more, which a
        # notebook that is run headless keeps as an output of its own, and makes the kernel send more often.
        self._is_file = isinstance(self._output, TextIOWrapper)
        self._shown = self._filter(key)

    def write(self, piece: str) -> None:
        """Print what came."""
        self._output.write(self._shown.feed(piece) if self._shown else piece)
        if self._is_file:
            self._output.flush()

    def end(self) -> None:
        """Print what the filter still holds, and end the line."""
        self._output.write((self._shown.flush() if self._shown else "") + "\n")
        self._output.flush()

    def _filter(self, key: Secret | None) -> VisibleStream | None:
        if self._is_file and not self._output.isatty():
            return None
        from vig_notebook.render import VisibleStream  # it is most of what there is to import

        if key is None:
            return VisibleStream(mask)
        return VisibleStream(lambda text: mask(text, key), lambda text: _key_begins(text, key))


def tell_wait(status: str) -> None:
    """Say on standard error what is waited for."""
    if sys.stderr is not None:  # closed by whoever started this
        sys.stderr.write(f"[{status}]\n")
        sys.stderr.flush()


def _key_begins(text: str, key: Secret) -> int:
    """Where, at the end of a text, the key may begin; its length where it cannot."""
    # The key is no local variable: a traceback may show those.
    starts = range(max(len(text) - len(key.reveal()) + 1, 0), len(text))
    return next((start for start in starts if key.reveal().startswith(text[start:])), len(text))
