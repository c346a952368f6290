"""The closed vocabulary within a paragraph: emphasis, code, links, images, formulas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vig_notebook.render.code import escape_code
from vig_notebook.render.links import BARE_URL, bare_target, target_of
from vig_notebook.render.maths import is_harmless
from vig_notebook.render.visible import strip_ansi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from vig_notebook.render.links import Target

__all__ = ["InlineWriter", "escape_text"]

_TYPESET = re.compile(r"[$\\]+")
_MOST_FORMULAS = 250  # in a segment; MathJax takes about a millisecond for each
_LONGEST_WORDS = 200  # of an address or a description that is shown as text

_FIXED = {
    "em_open": "<em>",
    "em_close": "</em>",
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "s_open": "<s>",
    "s_close": "</s>",
    # As chats show it: in an answer a line that ends is a verse, an address or a list without marks.
    "softbreak": "<br>\n",
    "hardbreak": "<br>\n",
}


def escape_text(text: str) -> str:
    """Make any text safe to stand in an element of an output.

    HTML is escaped, terminal sequences are taken out, hidden characters are made visible, and dollars and
    backslashes are kept from JupyterLab's typesetter by a `span` (so the result is no good for an attribute).
    """
    return _escape(strip_ansi(text))


def _escape(text: str) -> str:
    return _TYPESET.sub(r'<span class="vig-tex">\g<0></span>', escape_code(text))


def _anchor(target: Target, words: str) -> str:
    href = escape_code(target.href)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">{words}</a>'


def _beside(words: str) -> str:
    return f' <span class="vig-host">({_escape(_shortened(words))})</span>'


def _shortened(words: str) -> str:
    return words if len(words) <= _LONGEST_WORDS else words[:_LONGEST_WORDS] + "…"


def _plain_text(tokens: Sequence[Token]) -> str:
    return "".join(" " if token.type.endswith("break") else token.content for token in tokens)


class InlineWriter:
    """Writes the inline tokens of one segment.

    Args:
        images: `data:` addresses of the images that may be shown, once each, by the name that stands for each
            in the text.
    """

    def __init__(self, images: dict[str, str]) -> None:
        self._images = images
        self._formulas = 0

    def write(self, tokens: Sequence[Token], *, in_link: bool = False) -> str:
        """HTML of the tokens of one paragraph, heading or cell."""
        out: list[str] = []
        at = 0
        while at < len(tokens):
            end = at + 1
            token = tokens[at]
            match token.type:
                case "text" | "text_special":
                    while end < len(tokens) and tokens[end].type in ("text", "text_special"):
                        end += 1
                    words = _plain_text(tokens[at:end])
                    out.append(_escape(words) if in_link else _text(words))
                case "link_open":
                    end = next(i for i in range(end, len(tokens)) if tokens[i].type == "link_close") + 1
                    out.append(self._link(token, tokens[at + 1 : end - 1]))
                case "image":
                    out.append(self._image(token, in_link=in_link))
                case "code_inline":
                    out.append(f"<code>{escape_code(token.content)}</code>")
                case "math_inline":
                    out.append(self.formula(token.content, "span"))
                case kind:
                    out.append(_FIXED[kind])
            at = end
        return "".join(out)

    def formula(self, source: str, element: str) -> str:
        """A formula with its delimiters: for MathJax when it is harmless, else its source as code."""
        self._formulas += 1
        if self._formulas > _MOST_FORMULAS or not is_harmless(_without_delimiters(source)):
            return f'<code class="vig-source">{escape_code(source)}</code>'
        return f'<{element} class="vig-math">{escape_code(source)}</{element}>'

    def _link(self, token: Token, inner: Sequence[Token]) -> str:
        href, text = str(token.attrs["href"]), _plain_text(inner)
        words = self.write(inner, in_link=True)
        target = target_of(href)
        if target is None:
            return words + (_beside(href) if href and href != text else "")
        return _anchor(target, words or _escape(target.host)) + (
            _beside(target.host) if target.needs_host_beside(text) else ""
        )

    def _image(self, token: Token, *, in_link: bool) -> str:
        src, alt = str(token.attrs["src"]), _shortened(_plain_text(token.children or []))
        if src in self._images:
            return f'<img class="vig-image" src="{self._images.pop(src)}" alt="{escape_code(alt)}">'
        target = target_of(src)
        place = target.host if target else _shortened(src.partition(",")[0])
        words = _escape(f"[image not loaded: {alt} ({place})]".replace(" ()", ""))
        words = f'<span class="vig-image">{words}</span>'
        return _anchor(target, words) if target and not in_link else words


def _text(text: str) -> str:
    """Text, with the addresses in it made links."""
    out, done = [], 0
    for match in BARE_URL.finditer(text):
        url, target = bare_target(match)
        if target is not None:
            out += [_escape(text[done : match.start()]), _anchor(target, _escape(url))]
            out.append(_beside(target.host) if target.is_odd else "")
            done = match.start() + len(url)
    return "".join([*out, _escape(text[done:])])


def _without_delimiters(source: str) -> str:
    if source.startswith("\\begin"):
        return source
    length = 1 if source[0] == "$" != source[1] else 2
    return source.strip()[length:-length]
