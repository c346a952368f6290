"""Tokens of the demo server: words and signs, about five and a half characters of English each."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r" ?[^\w\s]{0,2}(?:(?:a|an|is|of|to) )?[^\W_]{1,14}[^\w\s]{0,3}|\s*\n\s*| ?[^\w\s]{1,3}| +|.", re.DOTALL
)


def split_tokens(text: str) -> list[str]:
    """Cut a text into tokens; joined, they are the text again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return len(split_tokens(text))


def estimate_tokens(text: str) -> int:
    """Give about the number of tokens of a prompt, four characters each: it may be a megabyte."""
    return (len(text) + 3) // 4
