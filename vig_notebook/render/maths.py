r"""Formulas: found before emphasis can mangle them, handed to MathJax only when they are harmless.

JupyterLab typesets `$…$`, `$$…$$`, `\(…\)`, `\[…\]` and `\begin{…}…\end{…}` wherever they stand in the text of an
output, but never across the border of an element. So each formula gets an element of its own, and each dollar
or backslash that is none of a formula gets one too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vig_notebook.render.tex import COMMANDS, ENVIRONMENTS

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

__all__ = ["LONGEST_FORMULA", "is_harmless", "math_block", "math_inline"]

LONGEST_FORMULA = 2_000
_DEEPEST_BRACES = 30  # a fraction in a fraction in a …: MathJax recurses, a reader has given up long before
_MOST_SHIFTS = 20  # `\!` moves to the left: enough of them would paint over what is beside the output

_COMMAND = re.compile(r"\\(?:([A-Za-z]+)|(.)|$)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{([^{}]*)\}")
# MathJax obeys `*{100000000}{c}`: only plain column letters.
_ARRAY = re.compile(r"\\begin\s*\{(?:sub)?array\}(?!\s*(?:\[[tbc]\])?\s*\{[lcr|: ]*\})")
_ESCAPES = frozenset("\\{}$%&#_|,;:!> \n'.\"^~=")
_ROW_GAP = re.compile(r"\\\\\*?\s*\[(?!\s*\d{1,2}(?:\.\d+)?\s*(?:pt|px|em|ex|mm)\s*\])")
_BLOCK_START = re.compile(r"\$\$|\\\[|\\begin\{([A-Za-z]+\*?)\}")
# Words in a row are prose between two prices, unless a command says that they are text.
_TEXT_IN_FORMULA = re.compile(r"\\(?:text\w*|mbox|hbox|operatorname|math\w+|tag)\*?\s*\{[^{}]*\}|\\[A-Za-z]+")
_PROSE = re.compile(r"[^\W\d_]{2,}[,.;:]? [^\W\d_]{3,}")
_AFTER_BLOCK = ".,;: \t"


def is_harmless(tex: str) -> bool:
    """Whether a formula (without its delimiters) may go to MathJax.

    It must be short, its braces balanced and not deep, and every command and environment in it known to us.
    """
    if len(tex) > LONGEST_FORMULA or not tex.strip() or tex.count("\\!") > _MOST_SHIFTS:
        return False
    bare = _COMMAND.sub("", tex)
    environments = _ENVIRONMENT.findall(tex)
    words = [name for name, _ in _COMMAND.findall(tex) if name]
    return (
        all(char and char in _ESCAPES for name, char in _COMMAND.findall(tex) if not name)
        and all(word in COMMANDS for word in words if word not in ("begin", "end"))
        and all(name in ENVIRONMENTS for name in environments)
        and sum(word in ("begin", "end") for word in words) == len(environments)
        and not (_ARRAY.search(tex) or _ROW_GAP.search(tex) or "%" in bare or "#" in bare)
        and _braces_are_balanced(bare)
    )


def _braces_are_balanced(bare: str) -> bool:
    depth = deepest = 0
    for char in re.findall("[{}]", bare):
        depth += 1 if char == "{" else -1
        deepest = max(deepest, depth)
        if depth < 0:
            return False
    return depth == 0 and deepest <= _DEEPEST_BRACES


def math_inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the signature of a markdown-it rule
    """Take a formula at the current place of a paragraph: a rule for markdown-it."""
    src, start = state.src, state.pos
    end = _inline_end(src, start, min(state.posMax, start + LONGEST_FORMULA + 4))
    if end < 0:
        return False
    if not silent:
        token = state.push("math_inline", "", 0)
        token.content = src[start:end]
    state.pos = end
    return True


def _inline_end(src: str, start: int, limit: int) -> int:
    """Where the formula that starts here ends, or -1."""
    opener = src[start : start + 2]
    if opener in ("\\(", "\\["):
        return _after(src, "\\)" if opener == "\\(" else "\\]", start + 2, limit)
    if opener == "$$":
        return _after(src, "$$", start + 2, limit)
    if opener[:1] != "$" or opener[1:].isspace() or len(opener) < len("$x"):
        return -1
    end = src.find("$", start + 1, limit)
    while end > 0 and _is_escaped(src, end):
        end = src.find("$", end + 1, limit)
    # `$5 and $6` is money: a formula neither ends after a space nor before a digit.
    if end < 0 or src[end - 1].isspace() or src[end + 1 : end + 2].isdigit():
        return -1
    return -1 if _PROSE.search(_TEXT_IN_FORMULA.sub("", src[start:end])) else end + 1


def _after(src: str, closer: str, start: int, limit: int) -> int:
    end = src.find(closer, start, limit)
    return -1 if end < 0 or not src[start:end].strip() else end + len(closer)


def _is_escaped(src: str, at: int) -> bool:
    before = src[max(0, at - LONGEST_FORMULA) : at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def math_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:  # noqa: FBT001 - as above
    """Take the lines of a display formula: a rule for markdown-it.

    A block that starts as a formula is one, or (no end before a blank line, or too long) plain text: so what
    stands before it does not depend on what comes later.
    """
    if state.is_code_block(start_line):
        return False
    first = _line(state, start_line)
    opener = _BLOCK_START.match(first)
    if opener is None or (opener[1] is not None and opener[1] not in ENVIRONMENTS):
        return False
    closer = {"$$": "$$", "\\[": "\\]"}.get(opener.group(), f"\\end{{{opener[1]}}}")
    end = first.find(closer, opener.end())
    if end >= 0 and first[end + len(closer) :].strip(_AFTER_BLOCK):
        return False  # words go on after the formula: the paragraph's own rule takes it
    if not silent:
        _push_block(state, start_line, end_line, closer, opener.end())
    return True


def _push_block(state: StateBlock, start_line: int, end_line: int, closer: str, after: int) -> None:
    lines: list[str] = []
    length, line, end = 0, start_line, -1
    while line < end_line and length <= LONGEST_FORMULA and end < 0:
        if state.isEmpty(line) or (lines and state.sCount[line] < state.blkIndent):
            break
        lines.append(_line(state, line))
        end = lines[-1].find(closer, 0 if len(lines) > 1 else after)
        length += len(lines[-1]) + 1
        line += 1
    rest = lines.pop()[end + len(closer) :] if end >= 0 else ""
    text = "\n".join([*lines, _line(state, line - 1)[: end + len(closer)]]) if end >= 0 else "\n".join(lines)
    token = state.push("math_block" if end >= 0 else "math_open", "", 0)
    token.content, token.map = text, [start_line, line]
    state.line = line
    if rest.strip():
        state.push("paragraph_open", "p", 1)
        inline = state.push("inline", "", 0)
        inline.content, inline.children = rest.strip(), []
        state.push("paragraph_close", "p", -1)


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
