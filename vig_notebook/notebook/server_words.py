"""What a server says of its answer, made fit for a page and a notebook: keys masked, capped, and JSON everywhere."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from vig_notebook.notebook.keys import masked
from vig_notebook.wire.text import well_formed

if TYPE_CHECKING:
    from vig_notebook.chats import Outcome
    from vig_notebook.wire.chunk import Usage

__all__ = ["json_safe", "told_model", "told_reason", "told_usage"]

LONGEST_WORD: Final = 200
"""Characters of a model's name or a finish reason: the longest names that servers give have about 100."""

LARGEST_USAGE: Final = 4096
"""Characters of usage as JSON: a large one, with all its details, has about 600."""

_FIRST_LARGE: Final = 2**63


def told_model(run: Outcome) -> str:
    """The model that answered, in the server's words; without those, the one that was asked for."""
    return _word(run.completion.model or "", run) or run.request.model


def told_reason(run: Outcome) -> str | None:
    """Why the answer ended, in the server's words."""
    reason = run.completion.finish_reason
    return None if reason is None else _word(reason, run)


def told_usage(run: Outcome) -> dict[str, object] | None:
    """What the server counted; where that is too much to keep, the three counts."""
    usage = run.completion.usage
    if usage is None:
        return None
    try:
        fits = len(json.dumps(usage.to_dict())) <= LARGEST_USAGE
    except ValueError:  # a number of more digits than Python writes
        fits = False
    return usage.to_dict() if fits else _counts(usage)


def json_safe(value: object) -> object:
    """A value that every reader of JSON reads: no half characters, no NaN, large whole numbers as texts."""
    match value:
        case str():
            return well_formed(value)
        case dict():
            return {well_formed(str(name)): json_safe(member) for name, member in value.items()}
        case list():
            return [json_safe(member) for member in value]
        case float() if not math.isfinite(value):
            return str(value)
        case int() if not -_FIRST_LARGE <= value < _FIRST_LARGE:
            return str(value)
        case _:
            return value


def _word(text: str, run: Outcome) -> str:
    text = masked(text, run)  # before it is cut: half a key would not be known
    return text if len(text) <= LONGEST_WORD else text[: LONGEST_WORD - 1] + "…"


def _counts(usage: Usage) -> dict[str, object]:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: getattr(usage, name) for name in names if getattr(usage, name) is not None}
