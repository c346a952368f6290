"""The closed vocabulary of blocks: with inline.py and code.py every tag and attribute that an answer can become.

No tag, attribute or address is ever passed through from the text: what comes out is what is spelled in these
three modules, with escaped text between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vig_notebook.render.code import code_block, escape_code
from vig_notebook.render.inline import InlineWriter, escape_text
from vig_notebook.render.parser import is_no_prose, parse_blocks, parse_inline
from vig_notebook.render.visible import plain_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence
    from typing import Any

    from markdown_it.token import Token

__all__ = ["Continuation", "parse_segment", "write_segment"]

_IMAGE_NAME = re.compile(r"vig-image:\d+")
_TASK = re.compile(r"\[([ xX])\](?=\s)")
# A colon is a span of 24 characters in coloured code; more than this is made of little text on purpose.
_MOST_HTML_PER_CHARACTER = 40
_SHORT_HTML = 4_000

_FIXED = {
    "hr": "<hr>\n",
    "blockquote_open": "<blockquote>\n",
    "blockquote_close": "</blockquote>\n",
    "list_item_close": "</li>\n",
    "table_open": '<div class="vig-table"><table>\n',
    "table_close": "</table></div>\n",
    "thead_open": "<thead>\n",
    "thead_close": "</thead>\n",
    "tbody_open": "<tbody>\n",
    "tbody_close": "</tbody>\n",
    "tr_open": "<tr>",
    "tr_close": "</tr>\n",
    "th_close": "</th>",
    "td_close": "</td>",
    "paragraph_open": "<p>",
    "paragraph_close": "</p>\n",
}
_ALIGNMENT = {
    "text-align:left": ' class="vig-left"',
    "text-align:center": ' class="vig-center"',
    "text-align:right": ' class="vig-right"',
}


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a segment needs to know of the block that was cut at its start.

    Attributes:
        prefix: Lines to put before the text, so that it is parsed as what it is: the opening of the fence, the
            head of the table, the marker of the list item. They are not shown again.
        number: The number of the first item, in an ordered list.
        is_same_block: Whether a block goes on at all.
    """

    prefix: str = ""
    number: int | None = None
    is_same_block: bool = False


def _plain_block(text: str) -> str:
    """Text as it came, for what is no prose or would be too much of it."""
    return f'<pre class="vig-plain">{escape_code(text)}</pre>\n'


def write_segment(
    source: str,
    begin: Continuation,
    env: MutableMapping[str, Any],
    images: dict[str, str],
    tokens: Sequence[Token] | None = None,
) -> str:
    """HTML of one segment of untrusted Markdown.

    Args:
        source: The text.
        begin: What block goes on at its start.
        env: Shared by the segments of an answer: the definitions of its reference links.
        images: `data:` addresses by the names that stand for them in the text; what is shown is taken out.
        tokens: What `parse_segment` made of the text, when that is known already.
    """
    text = begin.prefix + plain_lines(source)
    tokens = parse_segment(source, begin, env) if tokens is None else tokens
    if tokens is None:
        return _plain_block(plain_lines(source))
    most = _SHORT_HTML + _MOST_HTML_PER_CHARACTER * len(text) + sum(map(len, images.values()))
    writer = _BlockWriter(begin, env, images)
    html = "".join(map(writer.write, _top_blocks(tokens)))
    return html if len(html) <= most else _plain_block(plain_lines(source))


def parse_segment(source: str, begin: Continuation, env: MutableMapping[str, Any]) -> list[Token] | None:
    """Block tokens of a segment, its prefix before it; None when it is thousands of tiny blocks."""
    text = begin.prefix + plain_lines(source)
    return None if is_no_prose(text) else parse_blocks(text, env)


def _top_blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


class _BlockWriter:
    """Writes the blocks of one segment, in order."""

    def __init__(self, begin: Continuation, env: MutableMapping[str, Any], images: dict[str, str]) -> None:
        self._env = env
        self._images = images
        self._inline = InlineWriter(images)
        self._repeated_lines = begin.prefix.count("\n")
        self._first_number = begin.number
        self._goes_on = begin.is_same_block
        self._numbers: list[int | None] = []  # of the next item of each open list, where it is written out
        self._closers: list[str] = []  # of each open list

    def write(self, block: Sequence[Token]) -> str:
        """HTML of one block of the top level."""
        block = self._shown(block)
        self._parse_inline(block)
        out = [self._block(token) for token in block if not token.hidden]
        self._goes_on = False
        return "".join(out)

    def _shown(self, block: Sequence[Token]) -> Sequence[Token]:
        """The block without the head of a table that an earlier segment has shown."""
        if block[0].type != "table_open" or not self._repeats(block[0]):
            return block
        end = next(at for at, token in enumerate(block) if token.type == "thead_close")
        return [block[0], *block[end + 1 :]]

    def _repeats(self, token: Token) -> bool:
        return token.map is not None and token.map[0] < self._repeated_lines

    def _parse_inline(self, block: Sequence[Token]) -> None:
        for at, token in enumerate(block):
            if token.type == "inline":
                if at > 1 and block[at - 2].type == "list_item_open":
                    token.content, tasks = _TASK.subn(_box, token.content, count=1)
                    block[at - 2].info = "task" if tasks else block[at - 2].info
                token.children = parse_inline(token.content, self._env)
                if token.children is None and block[at - 1].type == "paragraph_open":
                    block[at - 1].hidden = block[at + 1].hidden = True  # no `pre` in a `p`

    def _block(self, token: Token) -> str:
        match token.type:
            case "inline" if token.children is None:
                return _plain_block(self._with_images(token.content))
            case "inline":
                return self._inline.write(token.children or [])
            case "heading_open" | "heading_close":
                return f"<h{int(token.tag[1:])}>" if token.nesting > 0 else f"</h{int(token.tag[1:])}>\n"
            case "ordered_list_open" | "bullet_list_open":
                return self._open_list(token)
            case "ordered_list_close" | "bullet_list_close":
                self._numbers.pop()
                return self._closers.pop()
            case "list_item_open":
                return self._item(token)
            case "th_open" | "td_open":
                return f"<{token.type[:2]}{_ALIGNMENT.get(str(token.attrs.get('style')), '')}>"
            case "fence" | "code_block":
                code = self._with_images(token.content)
                return code_block(code, token.info, goes_on=self._repeats(token))
            case "plain_block":
                return _plain_block(self._with_images(token.content))
            case "math_block":
                return self._inline.formula(token.content, "div") + "\n"
            case "math_open":
                return f"<p>{escape_text(token.content)}</p>\n"
            case "paragraph_open" if self._goes_on and token.level == 0:
                return '<p class="vig-cont">'
            case kind:
                return _FIXED[kind]

    def _open_list(self, token: Token) -> str:
        """The vocabulary has no `start`: a list that starts elsewhere than at 1 has its numbers written out."""
        number = None
        if token.type == "ordered_list_open":
            number = int(token.attrs.get("start", 1))
            if self._goes_on and self._first_number is not None and token.level == 0:
                number = self._first_number
        is_usual = number == 1 and not self._repeats(token)
        tag = "ol" if is_usual else "ul"
        self._numbers.append(None if is_usual else number)
        self._closers.append(f"</{tag}>\n")
        return '<ul class="vig-ol">\n' if self._numbers[-1] is not None else f"<{tag}>\n"

    def _item(self, token: Token) -> str:
        number = self._numbers[-1]
        if number is not None:
            self._numbers[-1] = number + 1
        if self._repeats(token):
            return '<li class="vig-cont">'
        if number is not None:
            return f'<li><span class="vig-num">{number}.</span> '
        return '<li class="vig-task">' if token.info == "task" else "<li>"

    def _with_images(self, text: str) -> str:
        """Text in which images have no place, with what it said before the names were put into it."""
        return _IMAGE_NAME.sub(lambda name: self._images.get(name.group(), name.group()), text)


def _box(match: re.Match[str]) -> str:
    return "☐" if match.group(1) == " " else "☑"
