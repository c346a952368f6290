"""Code coloured in the kernel: Pygments' short classes in `<div class="highlight"><pre>`."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Token
from pygments.util import ClassNotFound

from vig_notebook.render.visible import visible

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

__all__ = ["code_block", "escape_code"]

# Lexers are hundreds of regular expressions written for honest code: only those of languages that people
# ask for are used, and only on texts on which they were measured.
_LANGUAGES = """
    ada awk bash bat batch bib bibtex c c# c++ clojure cmake cobol coffeescript console cpp cs csharp css
    cu cuda dart delphi diff docker dockerfile elixir elm erlang ex f# f90 fish fortran fsharp gdscript
    glsl go golang graphql groovy haskell hcl hs html http ini ipython java javascript jinja jl js json
    json5 jsx julia kotlin latex less lisp lua make makefile markdown mathematica matlab md nginx nim nix
    objc objective-c ocaml octave pascal perl php pl postgres postgresql powershell prolog proto protobuf
    ps1 py py3 pycon python python3 r rb react rs rst ruby rust sass scala scheme scss sh shell solidity
    sql swift systemverilog tcl terraform tex toml ts tsx typescript vb.net verilog vhdl vim vue wolfram
    xml yaml yml zig zsh
"""
_KNOWN = frozenset(_LANGUAGES.split())
_LIKE_JAVA = frozenset(("java", "groovy", "c#", "cs", "csharp"))
_LONGEST_BLOCK = 20_000
_LONGEST_LINE = 400  # most expressions that backtrack do so within a line
# Others search a long way for the end of what was opened, from each opening anew,
_PAIRS = (("/*", "*/"), ("{", "}"), ("(", ")"), ("[", "]"))
_MOST_OPEN = 50
# or, in the relatives of Java, for the method whose modifiers these many words could be.
_WORDS = re.compile(r"[\w.,?<>\[\]$\s]+")
_LONGEST_WORDS = 500
_SHORTEST_TOKENS = 2  # characters, on average: what comes after more of them than that is left plain
_FEW_TOKENS = 100
_LANGUAGE = re.compile(r"[\w.+#-]{1,30}")


def escape_code(text: str) -> str:
    """Text for inside `pre` or `code`, where nothing is typeset."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def code_block(code: str, info: str, *, goes_on: bool = False) -> str:
    """HTML of a block of code.

    Args:
        code: The code itself.
        info: What stands after the fence: the language is its first word.
        goes_on: The block continues the one before it: it gets no label.
    """
    found = _LANGUAGE.match(info.strip().lstrip("{."))
    language = found.group() if found else ""
    lexer = _lexer(language.lower())
    reason = _why_plain(code, language.lower()) if lexer else ""
    body = escape_code(code) if lexer is None or reason else _coloured(code, lexer)
    words = " · ".join(filter(None, (escape_code(language), reason)))
    label = f'<div class="vig-lang">{words}</div>' if words and not goes_on else ""
    kind = "vig-code vig-cont" if goes_on else "vig-code"
    return f'<div class="{kind}">{label}<div class="highlight"><pre>{body}</pre></div></div>\n'


def _why_plain(code: str, language: str) -> str:
    """Why the code gets no colours, in words, or nothing."""
    if len(code) > _LONGEST_BLOCK:
        return f"not coloured: over {_LONGEST_BLOCK:,} characters"
    if any(len(line) > _LONGEST_LINE for line in code.split("\n")):
        return f"not coloured: a line of over {_LONGEST_LINE:,} characters"
    for start, end in _PAIRS:
        if code.count(start) > code.count(end) + _MOST_OPEN:
            return f"not coloured: too many open {start}"
    if language in _LIKE_JAVA and any(len(run) > _LONGEST_WORDS for run in _WORDS.findall(code)):
        return "not coloured: words, not code"
    return ""


@lru_cache(maxsize=256)
def _lexer(language: str) -> Lexer | None:
    if language not in _KNOWN:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _coloured(code: str, lexer: Lexer) -> str:
    code = visible(code)
    most = len(code) // _SHORTEST_TOKENS + _FEW_TOKENS
    parts: list[str] = []
    last, start, done = "", 0, 0
    for kind, value in islice(lexer.get_tokens(code), most):
        if not code.startswith(value, done):
            return escape_code(code)  # a lexer that does not give back what it was given
        css = _css_class(kind)
        if css != last:
            parts.append(_span(last, code[start:done]))
            last, start = css, done
        done += len(value)
    return "".join([*parts, _span(last, code[start:done]), escape_code(code[done:])])


def _span(css: str, text: str) -> str:
    return f'<span class="{css}">{escape_code(text)}</span>' if css and text.strip() else escape_code(text)


@lru_cache(maxsize=512)
def _css_class(kind: _TokenType) -> str:
    while kind not in STANDARD_TYPES:
        kind = kind.parent or Token
    return STANDARD_TYPES[kind]
