"""Nothing hidden: control sequences go, invisible characters become readable marks.

A text that shows one thing and holds another (reordered by bidi controls, spelled in tag characters,
padded with zero-width spaces) is shown with `⟨U+202E⟩` in the place of each such character. Kept are the
joiners and variation selectors that emoji and scripts such as Persian or Devanagari need.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["ends_hidden", "join_surrogates", "plain_lines", "strip_ansi", "visible"]

# ECMA-48: CSI; OSC; DCS, SOS, PM, APC; then the short escapes. No string crosses a line, so that
# taking them out never changes the number of lines.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d\n]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b[PX^_])[^\x07\x1b\x9c\n]*(?:\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-Z\\^-~]"
)
_ANSI_HINT = re.compile("[\x1b\x9b\x9d]")

_HIDDEN_CLASS = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
_HIDDEN = re.compile(_HIDDEN_CLASS)
# A flag of England, Scotland or Wales: the only tag sequences in use, and kept. Else each character here is
# shown as a mark unless its neighbours need it; a run of the same one is one match.
_FLAG_OR_HIDDEN = re.compile(
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
    rf"|({_HIDDEN_CLASS})\1*"
)
# Arabic to Khmer and Mongolian: letters that join, or that a joiner keeps apart.
_JOINING_SCRIPT = re.compile("[\u0600-\u109f\u1780-\u18af\u1b00-\u1bff\ua840-\ua95f\ua980-\uaaff\U00011000-\U000115ff]")
_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_MARKED_RUN = 3


def strip_ansi(text: str) -> str:
    """Take terminal control sequences (colours, titles, hyperlinks) out of a text."""
    return _ANSI.sub("", text) if _ANSI_HINT.search(text) else text


def plain_lines(text: str) -> str:
    r"""Make a text fit for a Markdown parser: no ANSI, `\r\n` as `\n`, no lone surrogates."""
    text = strip_ansi(text).replace("\r\n", "\n")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def join_surrogates(text: str) -> str:
    """Make characters of the pairs of surrogates that came as two halves; a lone half stays."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def ends_hidden(text: str) -> int:
    """Where the hidden characters begin that a text ends in: what follows decides what is shown of them."""
    at = len(text)
    while at and _HIDDEN.match(text, at - 1):
        at -= 1
    return at


def visible(text: str) -> str:
    """Write hidden characters as marks: `⟨U+202E⟩`, and `⟨U+200B⟩ (500 times)` for a run of one of them."""
    if text.isascii() and text.isprintable():
        return text
    return _FLAG_OR_HIDDEN.sub(_mark, text)


def _mark(match: re.Match[str]) -> str:
    run, char = match.group(), match.group(1)
    if char is None:
        return run
    if len(run) == 1 and char >= "\u180b" and _is_needed(match.string, match.start()):
        return run
    if "\ud800" <= char <= "\udfff":
        return "\ufffd" * len(run)
    mark = f"⟨U+{ord(char):04X}⟩"
    return mark * len(run) if len(run) <= _LONGEST_MARKED_RUN else f"{mark} ({len(run)} times)"


def _is_needed(text: str, at: int) -> bool:
    """Whether the neighbours of the character give it a visible work to do."""
    char = text[at]
    before = text[at - 1] if at else " "
    after = text[at + 1] if at + 1 < len(text) else " "
    if char in "\u200c\u200d" and _JOINING_SCRIPT.match(before):
        return True
    if char == "\u200d":
        return _is_emoji(before) and _is_emoji(after)
    if char in "\ufe0e\ufe0f":
        return _is_emoji(before) or (before in "#*0123456789" and after == "\u20e3")
    if "\u180b" <= char <= "\u180f":
        return "\u1820" <= before <= "\u18aa"
    return char >= "\U000e0100" and _IDEOGRAPH.match(before) is not None


def _is_emoji(char: str) -> bool:
    return char == "\ufe0f" or char in "‼⁉〰〽↔↕" or unicodedata.category(char) in ("So", "Sk")
