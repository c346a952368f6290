"""Where a growing text may be cut, and what the next part must know of the block that was cut.

Blocks of Markdown are decided line by line: whatever comes after the last line of a text, only its last block
can still change. So all blocks before the last one are finished. Of a block that is longer than a segment may
be, the lines that are there are finished too, by our decision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vig_notebook.render.html import Continuation, parse_segment
from vig_notebook.render.visible import plain_lines

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence
    from typing import Any

    from markdown_it.token import Token

__all__ = ["LONGEST", "SHORTEST", "Cut", "cut_anywhere", "cut_at_border"]

LONGEST = 8_000
SHORTEST = 1_200  # a cut gets rid of this much at least: it bounds how often a text is parsed
_LONGEST_HEAD = 1_000  # of a table, to be parsed again with each part of it
_LONGEST_INFO = 100

# In the middle of a line: between words, else anywhere, but before a letter. A letter starts no other block and
# belongs to no cluster with what stands before it.
_BEFORE_WORD = re.compile(r".*\s(?=[^\W\d_])", re.DOTALL)
_BEFORE_LETTER = re.compile(r".*(?=[^\W\d_])", re.DOTALL)
_SEARCHED = 500


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in the text.

    Attributes:
        at: The number of characters before it.
        tokens: The block tokens of what is before it; None when that is not to be read as Markdown.
        next_begin: How what follows begins.
    """

    at: int
    tokens: Sequence[Token] | None
    next_begin: Continuation


class _Outline:
    """The blocks of a part of the text. Lines are counted with those of the prefix."""

    def __init__(self, text: str, begin: Continuation, env: MutableMapping[str, Any]) -> None:
        self.length = len(text)
        self.begin = begin
        self.prefix_lines = begin.prefix.count("\n")
        self.lines = (begin.prefix + text).split("\n")
        self.line_count = len(self.lines) - (not self.lines[-1])
        self.all_tokens = parse_segment(text, begin, env)
        self.tokens = [token for token in self.all_tokens or () if token.map]
        self.blocks = [token for token in self.tokens if token.level == 0]

    def offset(self, token: Token) -> int:
        """Where the first line of a token is in the text."""
        first = (token.map or (0, 0))[0]
        return sum(len(line) + 1 for line in self.lines[self.prefix_lines : first])

    def before(self, token: Token) -> list[Token]:
        tokens = self.all_tokens or []
        return tokens[: next(at for at, other in enumerate(tokens) if other is token)]

    def number(self, ordered_list: Token) -> int:
        """The number of the first item."""
        if ordered_list is self.blocks[0] and self.begin.number is not None:
            return self.begin.number
        return int(ordered_list.attrs.get("start", 1))


def cut_at_border(text: str, begin: Continuation, env: MutableMapping[str, Any]) -> Cut | None:
    """Cut whole lines before their last block; None when that would be too near to the start.

    Args:
        text: Whole lines.
        begin: What block goes on at the start of them.
        env: Where the parser keeps the definitions of reference links.
    """
    return _border(_Outline(text, begin, env))


def cut_anywhere(text: str, begin: Continuation, env: MutableMapping[str, Any]) -> Cut:
    """Cut a text at a border of blocks, else between items or lines, else within a line."""
    whole_lines = text.rfind("\n") + 1
    if whole_lines < SHORTEST:
        at = _within_line(text)
        outline = _Outline(text[:at], begin, env)
        return Cut(at, outline.all_tokens, _continuation(outline))
    outline = _Outline(text[:whole_lines], begin, env)
    return _border(outline) or _between_items(outline) or Cut(whole_lines, outline.all_tokens, _continuation(outline))


def _border(outline: _Outline) -> Cut | None:
    if not outline.blocks:
        return Cut(outline.length, outline.all_tokens, Continuation())
    block = outline.blocks[-1]
    at = outline.offset(block)
    return Cut(at, outline.before(block), Continuation()) if at >= SHORTEST else None


def _within_line(text: str) -> int:
    start = len(text) - _SEARCHED
    found = _BEFORE_WORD.match(text, start) or _BEFORE_LETTER.match(text, start)
    if found and found.end() > start:
        return found.end()
    return len(text) - text.endswith("\r")


def _between_items(outline: _Outline) -> Cut | None:
    block = outline.blocks[-1]
    if block.type not in ("ordered_list_open", "bullet_list_open"):
        return None
    items = _items(outline)
    at = outline.offset(items[-1])
    if at < SHORTEST:
        return None
    number = outline.number(block) + len(items) - 1 if block.type == "ordered_list_open" else None
    tokens = [*outline.before(items[-1]), (outline.all_tokens or [])[-1]]
    return Cut(at, tokens, Continuation(number=number, is_same_block=True))


def _items(outline: _Outline) -> list[Token]:
    first = (outline.blocks[-1].map or (0, 0))[0]
    return [
        token
        for token in outline.tokens
        if token.type == "list_item_open" and token.level == 1 and (token.map or (0, 0))[0] >= first
    ]


def _continuation(outline: _Outline) -> Continuation:
    """How the text goes on when it is cut at the end of these lines."""
    if not outline.blocks:
        return Continuation()
    block = outline.blocks[-1]
    fence = _open_fence(outline)
    match block.type:
        case "fence":
            return Continuation(prefix=fence, is_same_block=bool(fence))
        case "table_open":
            first = (block.map or (0, 0))[0]
            head = [line[:_LONGEST_HEAD].rstrip("\r") for line in outline.lines[first : first + 2]]
            return Continuation(prefix="\n".join([*head, ""]), is_same_block=True)
        case "ordered_list_open":
            number = outline.number(block) + len(_items(outline)) - 1
            prefix = f"1{block.markup} .\n\n" + (f"   {fence}" if fence else "")
            return Continuation(prefix=prefix, number=number, is_same_block=True)
        case "bullet_list_open":
            prefix = f"{block.markup} .\n\n" + (f"  {fence}" if fence else "")
            return Continuation(prefix=prefix, is_same_block=True)
        case "blockquote_open":
            return Continuation(prefix=f"> {fence}" if fence else "", is_same_block=True)
        case _:
            return Continuation(is_same_block=(block.map or (0, 0))[1] >= outline.line_count)


def _open_fence(outline: _Outline) -> str:
    """The line that opens the fence in which the lines end, or nothing."""
    fences = [token for token in outline.tokens if token.type == "fence"]
    if not fences:
        return ""
    first, end = fences[-1].map or (0, 0)
    last_line = outline.lines[end - 1].lstrip("> \t").rstrip()
    markup = fences[-1].markup
    is_closed = end - first > 1 and len(last_line) >= len(markup) and not last_line.strip(markup[0])
    if is_closed or end < outline.line_count:
        return ""
    return f"{markup}{plain_lines(fences[-1].info)[:_LONGEST_INFO]}\n"
