"""Scripted answers: they take up the prompt, keep the form that it asks for, and are the same each time.

The same request gives the same text. Another prompt, model, temperature, seed or choice gives another one, so that a
grid of them has something to compare. With temperature 0 the seed changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from vig_notebook.demo import essay, forms, verses
from vig_notebook.demo.reading import read_conversation
from vig_notebook.demo.tokens import split_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.demo.reading import Subject
    from vig_notebook.demo.request import ChatBody

_WRITERS: Final[dict[str, Callable[[Subject, Random], str]]] = {
    "choice": forms.choice,
    "code": forms.code,
    "essay": essay.essay,
    "greeting": forms.greeting,
    "haiku": verses.haiku,
    "json": forms.json_object,
    "list": forms.points,
    "name": forms.name,
    "poem": verses.poem,
    "sentence": forms.sentence,
    "sum": forms.sum_,
    "table": forms.table,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer cut into tokens, after its limits: `finish_reason` is "stop" or "length"."""

    reasoning: tuple[str, ...]
    content: tuple[str, ...]
    finish_reason: str

    @property
    def text(self) -> str:
        """The content as one text."""
        return "".join(self.content)

    @property
    def tokens(self) -> int:
        """All tokens, those of the reasoning too."""
        return len(self.reasoning) + len(self.content)


def compose(body: ChatBody, index: int) -> Answer:
    """Write the answer to a request: the choice of this index."""
    subject = read_conversation(body.messages, wants_json=body.wants_json)
    random = Random(_ground(body, index))  # noqa: S311  # no secret: the same request gives the same text
    thoughts = split_tokens(essay.reasoning(subject)) if body.model == "demo-reasoning" else []
    text = _until(_write(body, subject, random), body.stops)
    content = split_tokens(text)
    limit = body.token_limit
    whole = limit is None or len(thoughts) + len(content) <= limit
    return Answer(
        reasoning=tuple(thoughts[:limit]),
        content=tuple(content if limit is None else content[: max(0, limit - len(thoughts))]),
        finish_reason="stop" if whole else "length",
    )


def _write(body: ChatBody, subject: Subject, random: Random) -> str:
    if body.model == "demo-long":
        return essay.long_text(subject, random)
    if subject.form == "json":
        schema = (body.response_format or {}).get("json_schema")
        inner = schema.get("schema") if isinstance(schema, dict) else None
        return forms.json_object(subject, random, inner if isinstance(inner, dict) else None)
    return _WRITERS[subject.form](subject, random)


def _ground(body: ChatBody, index: int) -> str:
    """Give what the answer depends on beside the form, as the ground of its random choices."""
    temperature = 1.0 if body.temperature is None else body.temperature
    seed = body.seed if temperature else None
    messages = "\0".join(f"{turn.role}:{turn.text}" for turn in body.messages)
    return f"{body.model}\0{temperature:g}\0{body.top_p}\0{seed}\0{index}\0{messages}"


def _until(text: str, stops: list[str]) -> str:
    """Cut the text before the first stop sequence."""
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]
