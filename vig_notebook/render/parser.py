"""The Markdown that we read: CommonMark, tables, strikethrough and maths; no HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.token import Token

from vig_notebook.render.maths import math_block, math_inline

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from markdown_it.rules_block import StateBlock

__all__ = ["is_no_prose", "parse_blocks", "parse_inline"]

_DEEPEST = 24  # levels of nesting: a list in a list costs two
_MOST_COLUMNS = 64
_MOST_BRACKETS = 10
_MOST_PAIR_MARKS = 300
_MOST_PAIR_MARKS_PER_CHARACTER = 0.3
_MOST_MARKS_PER_CHARACTER = 0.42  # a row of `a`, `b`, `c` in code has 0.4
_SHORTEST_CELLS = 3  # characters with the pipe, on average
_SHORT = 200
_SHORTEST_LINES = 5  # characters a line, on average: a block for each costs more than it shows
_SHORTEST_DEFINITIONS = 15
_FEW = 1_000

_MARKS = re.compile(r"[*_~]+|`+|[\[\]<&\\!$\n]")
_BRACKET = re.compile(r"[\[\]]")
_PAIR_MARKS = re.compile(r"[*_~]+")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]{0,100}\]:", re.MULTILINE)
_DELIMITER_ROW = re.compile(r"[ \t>]*[|: \t]*-[|: \t-]*")


def _guarded_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:  # noqa: FBT001 - the signature of a markdown-it rule
    """Leave tables alone that are wide, or whose short rows would be filled up with masses of empty cells."""
    if start_line + 2 > end_line or not _DELIMITER_ROW.fullmatch(
        state.src, state.bMarks[start_line + 1], state.eMarks[start_line + 1]
    ):
        return False
    start = state.bMarks[start_line]
    columns = state.src.count("|", state.bMarks[start_line + 1], state.eMarks[start_line + 1]) + 1
    if columns > _MOST_COLUMNS:
        return False
    end = state.src.find("\n\n", start)
    end = len(state.src) if end < 0 else end
    cells = columns * state.src.count("\n", start, end)
    return cells * _SHORTEST_CELLS <= end - start + _FEW and table(state, start_line, end_line, silent)


def _any_link(url: str) -> bool:  # noqa: ARG001 - the signature of markdown-it's; where links may lead is links.py's
    return True


def _markdown(*, pairs: bool) -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable("strikethrough")
    md.disable(["html_block", "html_inline"])
    md.block.ruler.before("code", "table", _guarded_table, {"alt": ["paragraph", "reference"]})
    md.block.ruler.before("fence", "math_block", math_block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    md.inline.ruler.before("escape", "math_inline", math_inline)
    md.validateLink = _any_link  # type: ignore[method-assign]
    if not pairs:
        md.disable(["link", "image", "autolink", "emphasis", "strikethrough"])
    return md


_MARKDOWN = _markdown(pairs=True)
# Without the rules that search for a partner: for texts in which most marks have none.
_MARKDOWN_WITHOUT_PAIRS = _markdown(pairs=False)


def parse_blocks(src: str, env: MutableMapping[str, Any]) -> list[Token]:
    """Parse the block structure; the inline tokens are left without children.

    What is nested too deep becomes one token `plain_block` with its text: markdown-it would drop it, and all that
    comes after it.
    """
    tokens: list[Token] = []
    first_line = 0
    while src:
        found: list[Token] = []
        _MARKDOWN.block.parse(src, _MARKDOWN, env, found)
        deep = next((at for at, token in enumerate(found) if token.nesting > 0 and token.level + 1 >= _DEEPEST), None)
        start = None if deep is None else max(at for at in range(deep + 1) if found[at].level == 0)
        for token in found[:start]:
            token.map = [line + first_line for line in token.map] if token.map else None
            tokens.append(token)
        if start is None:
            break
        lines = src.split("\n")
        begin = (found[start].map or [0])[0]
        end = next((at for at in range(begin, len(lines)) if not lines[at].strip()), len(lines))
        place = [first_line + begin, first_line + end]
        tokens.append(Token("plain_block", "", 0, map=place, content="\n".join(lines[begin:end])))
        src, first_line = "\n".join(lines[end:]), first_line + end
    return tokens


def is_no_prose(text: str) -> bool:
    """Whether a text is thousands of tiny blocks; the lines within fences do not count."""
    if len(text) < _FEW:
        return False
    if len(_DEFINITION.findall(text)) * _SHORTEST_DEFINITIONS > len(text):
        return True
    if text.count("\n") * _SHORTEST_LINES < len(text):
        return False
    lines = characters = 0
    fence = ""
    for line in text.split("\n"):
        opener = line.lstrip()[:3]
        if opener in ("```", "~~~") and fence in ("", opener):
            fence = "" if fence else opener
        elif not fence:
            lines, characters = lines + 1, characters + len(line) + 1
    return characters > _FEW and lines * _SHORTEST_LINES > characters


def parse_inline(content: str, env: MutableMapping[str, Any]) -> list[Token] | None:
    """Parse the text of one paragraph, heading or cell; None when it is so dense that it is no prose."""
    marks = len(_MARKS.findall(content))
    if not marks:
        return [Token("text", "", 0, content=content)]
    if len(content) > _SHORT and marks > len(content) * _MOST_MARKS_PER_CHARACTER:
        return None
    md = _MARKDOWN if marks < _MOST_BRACKETS or _pairs_are_few(content) else _MARKDOWN_WITHOUT_PAIRS
    children: list[Token] = []
    md.inline.parse(content, md, env, children)
    return children


def _pairs_are_few(content: str) -> bool:
    """Whether looking for the partner of each bracket and each `*` takes time linear in the text."""
    marks = len(_PAIR_MARKS.findall(content))
    if content.count("](") > _MOST_BRACKETS + 2 * content.count(")"):
        return False
    if marks > min(_MOST_PAIR_MARKS, _MOST_BRACKETS + len(content) * _MOST_PAIR_MARKS_PER_CHARACTER):
        return False
    depth = 0
    for bracket in _BRACKET.findall(content):
        depth = depth + 1 if bracket == "[" else max(0, depth - 1)
        if depth > _MOST_BRACKETS:
            return False
    return True
