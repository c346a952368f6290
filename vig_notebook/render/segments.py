"""A growing text as HTML: finished blocks are frozen into segments, only the rest is rendered again.

Where the text is cut depends on the text alone, never on the pieces in which it came or on how often it was
looked at. The work is linear in the length of the text: each part of it is parsed a bounded number of times.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it.common.utils import normalizeReference

from vig_notebook.render.cutting import LONGEST, Cut, cut_anywhere, cut_at_border
from vig_notebook.render.html import Continuation, write_segment
from vig_notebook.render.images import take_images

if TYPE_CHECKING:
    from typing import Any, Literal

__all__ = ["StreamRenderer", "render_html"]

# Opening a segment in a browser costs about 2.7 kB, and each makes all later ones dearer; the tail is sent again ten
# times a second. For 112 kB of Markdown at 1,000 tokens/s the sum is 1.3 MB with 2,500, 1.6 MB with 4,000.
_GOOD = 2_500
_MOST_REFERENCES = 1_000

_LABEL = re.compile(r"\[([^\[\]]{1,200})\]")


class StreamRenderer:
    """Renders an answer while it comes.

    `feed` what arrives; `frozen` grows at its end only and holds the HTML of what cannot change any more;
    `tail_html` is the rest. The texts of `frozen_plain` and `tail_text` joined are what was fed.

    Not thread-safe: feed and read in one thread.

    Args:
        images: `data:` addresses of images that may be shown, by the names that stand for them in the text.
    """

    def __init__(self, *, images: dict[str, str] | None = None) -> None:
        self.frozen: list[str] = []
        self.frozen_plain: list[str] = []
        self._parts: list[str] = []  # what is not frozen yet
        self._length = 0
        self._next_try = _GOOD  # the length at which to look for a border
        self._begin = Continuation()
        self._env: dict[str, Any] = {"references": {}}
        self._given_images = images or {}
        self._images = dict(self._given_images)  # what is shown is taken out
        self._tail_html: str | None = None
        self._tail_env = self._env
        self._begins: list[Continuation] = []  # of the frozen segments

    @property
    def tail_text(self) -> str:
        """The source of the part that is not frozen."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def feed(self, text: str) -> None:
        """Take the next piece of the answer; freezes what it finishes."""
        for at in range(0, len(text), LONGEST):  # so that no piece is longer than what is looked at at once
            self._feed(text[at : at + LONGEST])

    def _feed(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        self._tail_html = None
        goes_on = "\n" in text or self._length >= LONGEST
        while goes_on and self._length >= min(self._next_try, LONGEST):
            goes_on = self._advance()

    def _advance(self) -> bool:
        """Freeze the next segment if the text is long enough to tell where it ends."""
        tail = self.tail_text
        # In the middle of a long block there is nothing to wait for.
        cut = cut_anywhere if self._begin.is_same_block else cut_at_border
        while end := tail.find("\n", self._next_try - 1, LONGEST) + 1:
            self._next_try = end + _GOOD
            if self._freeze(cut(tail[:end], self._begin, self._env)):
                return True
        return self._length >= LONGEST and self._freeze(cut_anywhere(tail[:LONGEST], self._begin, self._env))

    def _freeze(self, cut: Cut | None) -> bool:
        """Freeze what is before the cut."""
        if cut is None:
            return False
        tail = self.tail_text
        source = tail[: cut.at]
        self._begins.append(self._begin)
        self.frozen_plain.append(source)
        self.frozen.append(write_segment(source, self._begin, self._env, self._images, cut.tokens))
        if len(self._env["references"]) > _MOST_REFERENCES:
            self._env["references"] = {}
        self._parts, self._length = [tail[cut.at :]], self._length - cut.at
        self._begin, self._next_try = cut.next_begin, _GOOD
        return True

    def tail_html(self) -> str:
        """HTML of the part that is not frozen, rendered when it has changed since the last call."""
        if self._tail_html is None:
            self._tail_env = {"references": dict(self._env["references"])}
            self._tail_html = write_segment(self.tail_text, self._begin, self._tail_env, dict(self._images))
        return self._tail_html

    @property
    def text(self) -> str:
        """All that was fed."""
        return "".join([*self.frozen_plain, self.tail_text])

    def whole_html(self) -> str:
        """HTML of the whole text, with reference links to definitions that came late.

        Only the tail is rendered, and what refers to these.
        """
        tail, env, images = self.tail_html(), self._tail_env, dict(self._given_images)
        frozen = [
            write_segment(plain, begin, env, images) if _refers(plain, env["references"]) else html
            for html, plain, begin in zip(self.frozen, self.frozen_plain, self._begins, strict=True)
        ]
        return "".join([*frozen, tail])


def _refers(text: str, references: dict[str, Any]) -> bool:
    return bool(references) and any(normalizeReference(label) in references for label in _LABEL.findall(text))


def render_html(text: str, *, images: Literal["none", "data"] = "none") -> str:
    """Turn untrusted Markdown into HTML of the closed vocabulary.

    It is what a StreamRenderer makes of the same text, but reference links find their definitions also when
    these come last.

    Args:
        text: CommonMark with tables, strikethrough, task lists and maths.
        images: `"data"` shows images that the text itself holds (`data:image/png`, `jpeg`, `gif`, `webp`, up to
            1 MB each). Nothing is ever loaded from elsewhere.
    """
    text, shown = take_images(text) if images == "data" else (text, {})
    renderer = StreamRenderer(images=shown)
    renderer.feed(text)
    return renderer.whole_html()
