"""The models of the demo server, and how fast each of them answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MODELS", "Tempo", "describe_models", "tempo_of"]

# About as fast as a large model answers, and as fast as a person can read along.
PACE_TOKENS_PER_S: Final = 40.0
FIRST_TOKEN_S: Final = 0.25
# The figure that painting is held to.
_LONG_TOKENS_PER_S: Final = 1_000.0
_SLOW_FACTOR: Final = 5
_SLOW_FIRST_TOKEN_S: Final = 2.0

MODELS: Final = {
    "demo": "answers in the form that the prompt asks for: prose, poem, haiku, list, table, code, JSON",
    "demo-slow": "as demo, with a late first token and a fifth of the pace",
    "demo-reasoning": "as demo, and thinks before it answers",
    "demo-long": "20,000 tokens of Markdown at 1,000 tokens a second",
    "demo-json": "a JSON object and nothing else",
    "demo-401": "fault: refuses the key",
    "demo-429": "fault: too many requests, try again in 2 s",
    "demo-500": "fault: an error of the server",
    "demo-html": "fault: a web page instead of an answer",
    "demo-cut": "fault: the connection is cut in mid-answer",
    "demo-stall": "fault: falls silent in mid-answer",
    "demo-error": "fault: reports an error in mid-answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """When the tokens of an answer are due. `pace_tokens_per_s` 0 is as fast as it goes."""

    first_token_s: float
    pace_tokens_per_s: float

    def due_s(self, token: int) -> float:
        """Give the time from the start of the request at which a token is due; the first one is 0."""
        return self.first_token_s + token / self.pace_tokens_per_s if self.pace_tokens_per_s else 0.0


def tempo_of(model: str, pace_tokens_per_s: float) -> Tempo:
    """Give the tempo of a model where the server's pace is the given one."""
    if not pace_tokens_per_s:
        return Tempo(first_token_s=0.0, pace_tokens_per_s=0.0)
    if model == "demo-long":
        return Tempo(first_token_s=FIRST_TOKEN_S, pace_tokens_per_s=_LONG_TOKENS_PER_S)
    if model == "demo-slow":
        return Tempo(first_token_s=_SLOW_FIRST_TOKEN_S, pace_tokens_per_s=pace_tokens_per_s / _SLOW_FACTOR)
    return Tempo(first_token_s=FIRST_TOKEN_S, pace_tokens_per_s=pace_tokens_per_s)


def describe_models() -> dict[str, object]:
    """Give the reply to ``GET /models``, with a description beside each name."""
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": "vig_notebook", "description": description}
        for name, description in MODELS.items()
    ]
    return {"object": "list", "data": listed}
