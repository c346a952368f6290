"""The long forms: an answer that shows all that can be shown, the long text of demo-long, and the reasoning."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from vig_notebook.demo.tokens import count_tokens
from vig_notebook.demo.verses import title

if TYPE_CHECKING:
    from random import Random

    from vig_notebook.demo.reading import Subject

LONG_TOKENS: Final = 20_000

_OPENINGS: Final = (
    "Let us take **{t}** apart and put it together again. Two words carry most of the weight, *{a}* "
    "and *{b}*, and the rest of the prompt holds them in place.",
    "**{T}** is a good thing to ask about: everybody has met it, and hardly anybody has looked at it "
    "for a full minute. That minute starts with *{a}*.",
    "There are two roads into **{t}**. One goes by way of *{a}*, is paved, and takes an afternoon. The "
    "other goes by *{b}*, and is the one that people remember.",
)
_BODIES: Final = (
    "Begin with the smallest case that still deserves the name. Change one thing, look, and change it "
    "back: what moved belongs to {a}, what stayed belongs to {b}. Do that three times and you know "
    "more than the first paragraph of most books on it.",
    "What makes it hard is not {a}. It is that {b} looks different from each side, and that each side "
    "is sure to be the front. A drawing helps; a second person helps more.",
    "It helps to say aloud what would prove you wrong. If {a} could be anything at all, nothing has "
    "been said about {b} yet; if it can only be one thing, you have the answer already.",
)
_NOTES: Final = ("where to start", "what to watch", "what to leave alone", "what it costs", "what stays afterwards")
_TOPICS: Final = (
    "first light",
    "the workshop",
    "a map of it",
    "the long way round",
    "small parts",
    "what the numbers say",
    "two objections",
    "the view from outside",
)
_FILLERS: Final = (
    "Nothing here is in a hurry, and that is the point of it: a text of this length shows whether a "
    "page stays smooth.",
    "Whoever reads along at a thousand tokens a second may skip this sentence, which was written to be "
    "skipped.",
    "A list, a table and a little code follow in turn, because each of them is a different kind of "
    "work for whoever paints them.",
    "Seen again after some time, the same thing has usually become simpler, or was simple all along.",
    "It is worth writing down what one expected before looking at what came out.",
)  # fmt: skip


def essay(subject: Subject, random: Random) -> str:
    """Give an answer with prose, a heading, a list, a table, code and a formula, all of them about the prompt."""
    a, b = subject.keywords[:2]
    words = {"t": subject.topic, "T": title(subject.topic), "a": a, "b": b}
    parts = [
        random.choice(_OPENINGS).format(**words),
        f"## {title(subject.topic)}",
        random.choice(_BODIES).format(**words),
        _list(subject),
        _table(subject),
        _formula(subject),
        _code(subject),
        "*Scripted by the demo server: the words are ready-made, the streaming is real.*",
    ]
    return "\n\n".join([*_memory(subject), *parts])


def long_text(subject: Subject, random: Random) -> str:
    """Give about 20,000 tokens (112 kB) of Markdown of every sort."""
    parts = [f"# {title(subject.topic)}, at length"]
    tokens, chapter = count_tokens(parts[0]), 0
    while tokens < LONG_TOKENS:
        chapter += 1
        part = _chapter(chapter, subject, random)
        tokens += count_tokens(part)
        parts.append(part)
    return "\n\n".join(parts)


def reasoning(subject: Subject) -> str:
    """Give the thoughts that come before an answer."""
    remembered = f" Before that we spoke of {subject.before}." if subject.before else ""
    return (
        f"The prompt has {len(subject.prompt.split())} words and is about {subject.topic}.{remembered}\n"
        f"What matters in it: {', '.join(subject.words) or 'every word'}.\n"
        f"The form to answer in: {subject.form}. I look for the shortest way that leaves nothing out, and then I begin."
    )


def _memory(subject: Subject) -> list[str]:
    """Say what the answer takes up: earlier turns, the system message, and the prompt itself."""
    parts = []
    if subject.before:
        parts.append(f"You asked about *{subject.before}* before; this goes on from there.")
    if subject.system:
        parts.append(f"I keep to what you set up: “{_quote(subject.system).rstrip('.')}”.")
    return [*parts, f"> {_quote(subject.prompt)}"]


def _quote(text: str) -> str:
    return textwrap.shorten(text[:2_000], 160, placeholder="…") or text[:159]


def _list(subject: Subject) -> str:
    lines = [f"- **{title(word)}**: {note}" for word, note in zip(subject.keywords, _NOTES, strict=False)]
    return "Three things to hold on to:\n\n" + "\n".join(lines[:3])


def _table(subject: Subject) -> str:
    prompt = subject.prompt
    rows = [("words", len(prompt.split())), ("characters", len(prompt)), ("tokens, about", max(1, len(prompt) // 4))]
    return "Your prompt, counted:\n\n| | |\n|---|---:|\n" + "\n".join(f"| {name} | {number} |" for name, number in rows)


def _formula(subject: Subject) -> str:
    n = len(subject.prompt.split())
    formula = f"\\binom{{{n}}}{{2}} = \\frac{{{n} \\cdot {n - 1}}}{{2}} = {n * (n - 1) // 2}"
    opening = f"If every two of its {n} words had something to say to each other, that would be"
    return f"{opening}\n\n$${formula}$$\n\nconversations."


def _code(subject: Subject) -> str:
    listed = ", ".join(f'"{word}"' for word in subject.keywords)
    source = (
        f"from itertools import combinations\n\nwords = [{listed}]\n"
        'for one, other in combinations(words, 2):\n    print(f"{one} meets {other}")'
    )
    return f"The same, to run yourself:\n\n```python\n{source}\n```"


def _chapter(number: int, subject: Subject, random: Random) -> str:
    """Give one chapter; lists, tables, code and formulas take turns."""
    a, b = random.choice(subject.keywords), random.choice(_TOPICS)
    prose = " ".join([random.choice(_BODIES).format(a=a, b=b), *random.sample(_FILLERS, 3)])
    kinds = (
        f"- {title(a)}, once\n- {title(b)}, twice\n  - and what lies between\n1. counted\n2. counted again",
        f"| {a} | turn | share |\n|---|---:|---:|\n"
        f"| before | {number} | {number % 7 / 7:.2f} |\n| after | {number + 1} | {number % 5 / 5:.2f} |",
        f'```python\nturn = {number}\nprint(f"{{turn}}: {a}", turn**2)  # {number * number}\n```',
        f"With $n = {number}$ parts there are $\\frac{{n(n-1)}}{{2}} = {number * (number - 1) // 2}$ pairs.",
        f"> {random.choice(_FILLERS)}",
    )
    heading = f"## {number}. {title(random.choice(_TOPICS))}"
    return "\n\n".join([heading, prose, kinds[number % len(kinds)], random.choice(_FILLERS)])
