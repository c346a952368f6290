"""Short answers, each in the form that the prompt asks for."""

from __future__ import annotations

import json
import operator
import re
from typing import TYPE_CHECKING, Any, Final

from vig_notebook.demo.schema import conform
from vig_notebook.demo.snippets import snippet
from vig_notebook.demo.verses import title

if TYPE_CHECKING:
    from random import Random

    from vig_notebook.demo.reading import Subject

_NUMBERS: Final = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_CALCULATE: Final = {
    "+": operator.add, "plus": operator.add, "-": operator.sub, "minus": operator.sub,
    "*": operator.mul, "x": operator.mul, "\u00d7": operator.mul, "times": operator.mul,
    "/": operator.truediv, "÷": operator.truediv, "divided by": operator.truediv,
}  # fmt: skip
_CHEERFUL: Final = frozenset(
    [
        "amazing",
        "best",
        "excellent",
        "fantastic",
        "glad",
        "good",
        "great",
        "happy",
        "love",
        "loved",
        "lovely",
        "nice",
        "perfect",
        "thanks",
        "wonderful",
    ]
)
_GLOOMY: Final = frozenset(
    [
        "awful",
        "bad",
        "broken",
        "crash",
        "crashed",
        "disappointed",
        "error",
        "fails",
        "hate",
        "horrible",
        "never",
        "poor",
        "slow",
        "terrible",
        "worst",
        "wrong",
    ]
)
_MOODS: Final = {"positive": _CHEERFUL, "negative": _GLOOMY, "praise": _CHEERFUL, "complaint": _GLOOMY, "bug": _GLOOMY}

_SENTENCES: Final = (
    "{T} is, in one sentence, the point where {a} and {b} meet and neither wants to leave.",
    "Put shortly: {t} is what remains of {a} once {b} has been explained.",
    "If only one sentence may stand, let it be this: {t} begins with {a} and is understood when {b} is "
    "no longer a surprise.",
)
_POINTS: Final = (
    "**{K}** first: it is the part that one can try out today.",
    "**{K}** next, because everything after it leans on it.",
    "**{K}**, seen from close by: small, and easy to get wrong.",
    "**{K}**, seen from far off: the reason why anybody asks.",
    "**{K}** in numbers, as soon as there is something to count.",
    "**{K}** explained to somebody who is eight years old.",
    "**{K}** once more, at the end, when it has become simple.",
)


def sentence(subject: Subject, random: Random) -> str:
    """Give one sentence."""
    a, b = (*subject.keywords, "a good question")[:2]
    if a in subject.topic.lower():
        a, b = "a question", "the answer"
    return random.choice(_SENTENCES).format(t=subject.topic, T=title(subject.topic), a=a, b=b)


def code(subject: Subject, random: Random) -> str:
    """Give a Python function, with a sentence before and after it."""
    body = snippet(subject)
    opening = random.choice(("Here it is, as short as it can be said:", "In Python, with a check at the end:"))
    ending = "It takes nothing from outside the standard library and leaves its input as it was."
    return f"{opening}\n\n```python\n{body}\n```\n\n{ending}"


def points(subject: Subject, random: Random) -> str:
    """Give a list; a number in the prompt is obeyed."""
    wanted = _count(subject.prompt)
    keys = [*subject.words, "patience", "practice", "a second look", "rest", "the first step"]
    numbered = re.search(r"(?i)steps|numbered|\d", subject.prompt[:200])
    lines = []
    for place in range(wanted):
        mark = f"{place + 1}." if numbered else "-"
        lines.append(f"{mark} " + _POINTS[place % len(_POINTS)].format(K=title(keys[place % len(keys)])))
    opening = random.choice(("{}, point by point:", "What belongs to {}:", "On {}:")).format(subject.topic)
    return title(opening) + "\n\n" + "\n".join(lines)


def table(subject: Subject, random: Random) -> str:
    """Give a table of the words that matter, or of the two things that are compared."""
    sides = re.search(r"(?i)([\w-]{2,24}),? (?:and|with|to|or|versus|vs\.?) ([\w-]{2,24})", subject.topic)
    left, right = (sides[1], sides[2]) if sides else (subject.keywords[0], "everything else")
    rows = [
        ("first impression", "quick to like", "slow to forget"),
        ("good for", "the first draft", "the last one"),
        ("letters", str(len(left)), str(len(right))),
        ("asks of you", random.choice(("curiosity", "an open window")), random.choice(("patience", "a sharp pencil"))),
    ]
    lines = [f"| | {title(left)} | {title(right)} |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    return (
        f"{title(subject.topic)}, side by side:\n\n"
        + "\n".join(lines)
        + "\n\nOnly the row of letters is beyond dispute."
    )


def choice(subject: Subject, random: Random) -> str:
    """Give one of the labels that the prompt offers: the one that its text speaks for."""
    prompt = subject.prompt[:2_000]
    offered = re.search(r"(?i)(?:(\w[\w-]*)((?:, \w[\w-]*)*),?| (\w+)(?:/\w+)*) (?:or|/) (\w[\w-]*)", prompt)
    labels = (
        re.findall(r"\w[\w-]*", offered[0].replace(" or ", " ")) if offered else ["positive", "negative", "neutral"]
    )
    rest = set(re.findall(r"\w+", (prompt.replace(offered[0], " ") if offered else prompt).lower()))
    scores = [(label.lower() in rest) * 2 + len(rest & _MOODS.get(label.lower(), frozenset())) for label in labels]
    best = max(scores)
    return labels[scores.index(best)] if best else random.choice(labels)


def sum_(subject: Subject, random: Random) -> str:
    """Give the result of a small sum: the one thing here that is calculated."""
    found = re.search(
        rf"(\d+(?:\.\d+)?)\s*({'|'.join(map(re.escape, _CALCULATE))})\s*(\d+(?:\.\d+)?)", subject.prompt.lower()
    )
    if found is None or len(found[0]) > 40 or (found[2] in "/÷divided by" and not float(found[3])):
        return sentence(subject, random)
    number = float if "." in found[1] + found[3] else int
    value = _CALCULATE[found[2]](number(found[1]), number(found[3]))
    shown = value if isinstance(value, int) else f"{value:g}"
    sign = {
        "*": "\u00d7",
        "x": "\u00d7",
        "times": "\u00d7",
        "/": "÷",
        "divided by": "÷",
        "plus": "+",
        "minus": "-",
    }.get(found[2], found[2])
    return f"{found[1]} {sign} {found[3]} = **{shown}**"


def greeting(_subject: Subject, random: Random) -> str:
    """Answer a greeting, and propose something to try."""
    tries = "*Write a poem about rain*, *Explain tides with a table*, or *Five ideas for a birthday, as JSON*"
    return (
        random.choice(("Hello!", "Good to see you.", "Hello, and welcome."))
        + f" I am the demo server: my words are scripted, the streaming is real. Try {tries}."
    )


def name(subject: Subject, _random: Random) -> str:
    """Say the name that an earlier message gave, or that none did."""
    for back, text in enumerate(reversed(subject.earlier), start=1):
        if told := re.search(r"(?i)\b(?:my name is|i am called|call me)\s+([^\W\d_]{1,30})", text[:2_000]):
            ago = "in your last message" if back == 1 else f"{back} messages ago"
            return f"Your name is **{told[1]}**. You told me {ago}."
    return "You have not told me yet. Say *My name is …*, in this chat, and ask again."


def json_object(subject: Subject, random: Random, schema: dict[str, Any] | None = None) -> str:
    """Give a JSON object and nothing else: what the schema lets through, or the keys that the prompt names."""

    def suggest(key: str) -> object:
        return _value(key, subject, random)

    if schema and isinstance(schema.get("properties"), dict):
        value = conform(schema, "", suggest, random)
    else:
        keys = _asked_keys(subject.prompt[:2_000]) or ["topic", "summary", "keywords", "words", "confidence"]
        value = {key: suggest(key) for key in keys}
    return json.dumps(value, indent=2, ensure_ascii=False)


def _asked_keys(prompt: str) -> list[str]:
    found = re.search(
        r"(?i)\b(?:keys?|fields?|members|properties|attributes)\s*:?\s+((?:[\"'`]?\w+[\"'`]?(?:,? and |, ?|\b))+)",
        prompt,
    )
    return re.findall(r"\w+", re.sub(r"\band\b", " ", found[1])) if found else []


def _value(key: str, subject: Subject, random: Random) -> object:
    """Give a value that suits the name of its key."""
    name = key.lower()
    if re.search(r"confidence|probability|score|rate", name):
        return round(random.uniform(0.6, 0.99), 2)
    if re.search(r"^(?:is|has|can)_|valid|demo$", name):
        return True
    if name == "words":
        return len(subject.prompt.split())
    if re.search(r"(?:^|_)count(?:_|$)|number|year|age$|price|total|rank|^id$|quantity", name):
        return random.randint(1, 99)
    if re.search(r"sentiment|label|category|class", name):
        return choice(subject, random) if subject.form == "choice" else "neutral"
    if name.endswith("s") and not name.endswith("ss"):
        return list(subject.keywords)
    if re.search(r"summary|description|explanation|text|answer", name):
        return sentence(subject, random)
    return title(subject.topic)


def _count(prompt: str) -> int:
    """Give the number of points that the prompt asks for, from 1 to 12; else 4."""
    words = re.findall(r"\b(?:\d+|" + "|".join(_NUMBERS) + r")\b", prompt[:200].lower())
    return min(12, max(1, _NUMBERS.get(words[0]) or int(words[0]))) if words else 4
