"""An answer printed as it comes."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from vig_notebook.settings import key_begins, masked

if TYPE_CHECKING:
    from vig_notebook.render import VisibleStream
    from vig_notebook.settings import Secret

__all__ = ["Echo", "tell_wait"]


class Echo:
    """Prints an answer on standard output, piece by piece; `end` ends its last line, whatever came.

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
        self._last = ""

    def write(self, piece: str) -> None:
        """Print what came."""
        text = self._shown.feed(piece) if self._shown else piece
        self._last = text or self._last  # first: Ctrl+C may come as soon as the text is out
        self._output.write(text)
        if self._is_file:
            self._output.flush()

    def end(self) -> None:
        """Print what the filter still holds, and end the line, if it has not ended."""
        rest = self._shown.flush() if self._shown else ""
        last = rest or self._last
        self._output.write(rest if not last or last.endswith("\n") else rest + "\n")
        self._output.flush()

    def _filter(self, key: Secret | None) -> VisibleStream | None:
        if self._is_file and not self._output.isatty():
            return None
        from vig_notebook.render import VisibleStream  # it is most of what there is to import

        return VisibleStream(lambda text: masked(text, key), lambda text: key_begins(text, key))


def tell_wait(status: str) -> None:
    """Say on standard error what is waited for."""
    if sys.stderr is not None:  # closed by whoever started this
        sys.stderr.write(f"[{status}]\n")
        sys.stderr.flush()
