"""What can be taken out of an answer's text: its first code block, its JSON."""

from __future__ import annotations

import json
import re

from vig_notebook.errors import VigthoriaError

__all__ = ["as_fence", "first_code_block", "parse_json"]

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)


def first_code_block(text: str) -> str | None:
    """The inside of the first fenced code block, or None when there is none."""
    found = _FENCE.search(text if text.endswith("\n") else text + "\n")
    return found[2].removesuffix("\n") if found else None


def parse_json(text: str) -> object:
    """Parse an answer as JSON; a code fence around it is taken off.

    Raises:
        VigthoriaError: It is not JSON.
    """
    bare = text.strip()
    if bare.startswith(("```", "~~~")):
        bare = first_code_block(bare) or bare
    try:
        return json.loads(bare)
    except (ValueError, RecursionError) as error:
        where = (
            f"{error.msg} at line {error.lineno}, column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else str(error)
        )
        raise VigthoriaError(
            "the answer is not JSON",
            seen=where,
            advice="Ask for JSON alone in the prompt, or send the member response_format; the text is kept",
        ) from None


def as_fence(text: str, language: str = "") -> str:
    """Text as a fenced code block that no backticks in it can close."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
