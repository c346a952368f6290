"""What the panel says: questions and turns as closed HTML, and sentences for a screen reader."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vig_notebook.notebook.record import record
from vig_notebook.render import escape_text, visible
from vig_notebook.run import RunState

if TYPE_CHECKING:
    from vig_notebook.chats import Chat, Turn

__all__ = ["context_words", "question_html", "sentences", "turn_record"]

SENTENCE_END = re.compile(r"[.!?…](?=\s)|\n")
MARKS = re.compile(r"[*_`#>|]+")
LONGEST_ANNOUNCEMENT = 500
"""Characters: a sentence longer than that is a table or code, and is read in the conversation."""


def question_html(turn: Turn) -> str:
    """The question and the heading of the answer."""
    return (
        '<div class="vig-role">You</div>'
        f'<div class="vig-asked"><pre class="vig-plain">{escape_text(turn.masked(turn.prompt))}</pre></div>'
        '<div class="vig-role">Answer</div>'
    )


def turn_record(turn: Turn, *, place: tuple[int, int]) -> tuple[str, str]:
    """A turn of the record, question and answer: its HTML and its plain text."""
    outcome = turn.outcome
    ended = outcome is not None and outcome.state.ended
    answer = record(outcome)[0] if outcome is not None and ended else {"text/html": "", "text/plain": ""}
    at, count = place
    branch = f'<div class="vig-note">Branch {at} of {count}</div>' if count > 1 else ""
    html = f'<div class="vig-turn">{branch}{question_html(turn)}{answer["text/html"]}</div>'
    return html, f"You: {visible(turn.masked(turn.prompt))}\n\n{answer['text/plain']}"


def context_words(chat: Chat) -> str:
    """How long the conversation is."""
    count = len(chat.turns)
    context = chat.context
    tokens = f"{'' if context.exact else '≈'}{context.tokens:,} tokens of context"
    partial = sum(turn.answer != "" and turn.ended and _is_partial(turn) for turn in chat.turns)
    words = [f"{count} {'turn' if count == 1 else 'turns'}", tokens]
    if partial:
        words.append(f"{partial} partial {'answer is' if partial == 1 else 'answers are'} kept and sent")
    return " · ".join(words)


def sentences(text: str) -> tuple[str, int]:
    """The whole sentences at the beginning of a text, as they are read out, and where the rest begins."""
    ends = [found.end() for found in SENTENCE_END.finditer(text)]
    if not ends:
        return "", 0
    said = " ".join(MARKS.sub("", text[: ends[-1]]).split())
    return (said if len(said) <= LONGEST_ANNOUNCEMENT else said[:LONGEST_ANNOUNCEMENT] + "…"), ends[-1]


def _is_partial(turn: Turn) -> bool:
    return turn.outcome is not None and turn.outcome.state in {RunState.STOPPED, RunState.FAILED}
