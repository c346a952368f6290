"""Short answers, each in the form that the prompt asks for."""

from __future__ import annotations

import json
import operator
import re
from typing import TYPE_CHECKING, Any, Final

from vig_notebook.demo.verses import title

if TYPE_CHECKING:
    from random import Random

    from vig_notebook.demo.reading import Subject

_NUMBERS: Final = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_CALCULATE: Final = {
    "+": operator.add, "plus": operator.add, "-": operator.sub, "minus": operator.sub,
    "*": operator.mul, "x": operator.mul, "×": operator.mul, "times": operator.mul,
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

_SNIPPETS: Final = {
    "fibonacci": "def fibonacci(n: int) -> int:\n    {doc}\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n\n\nassert fibonacci(10) == 55",
    "prime": "def is_prime(n: int) -> bool:\n    {doc}\n    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))\n\n\nassert [n for n in range(20) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19]",
    "factorial": "def factorial(n: int) -> int:\n    {doc}\n    product = 1\n    for factor in range(2, n + 1):\n        product *= factor\n    return product\n\n\nassert factorial(5) == 120",
    "palindrome": "def is_palindrome(text: str) -> bool:\n    {doc}\n    letters = [c for c in text.lower() if c.isalnum()]\n    return letters == letters[::-1]\n\n\nassert is_palindrome(\"A man, a plan, a canal: Panama\")",
    "revers": "def reverse(text: str) -> str:\n    {doc}\n    return text[::-1]\n\n\nassert reverse(\"stream\") == \"maerts\"",
    "sort": "def insertion_sort(values: list[float]) -> list[float]:\n    {doc}\n    done: list[float] = []\n    for value in values:\n        place = sum(other <= value for other in done)\n        done.insert(place, value)\n    return done\n\n\nassert insertion_sort([3, 1, 2]) == [1, 2, 3]",
    "": "from collections import Counter\n\n\ndef {name}(text: str) -> dict[str, int]:\n    {doc}\n    words = text.lower().split()\n    return dict(Counter(words).most_common(5))\n\n\nprint({name}(\"to be or not to be\"))",
}  # fmt: skip

_SENTENCES: Final = (
    "{T} is, in one sentence, the point where {a} and {b} meet and neither wants to leave.",
    "Put shortly: {t} is what remains of {a} once {b} has been explained.",
    "If only one sentence may stand, let it be this: {t} begins with {a} and is understood when {b} is no longer a surprise.",
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
    lower = subject.prompt[:2_000].lower()
    word = next(word for word in _SNIPPETS if word in lower)
    name = "_".join(subject.keywords[:2]) if all(key.isidentifier() for key in subject.keywords[:2]) else "answer"
    topic = subject.topic.replace('"', "'").replace("\\", " ")
    body = _SNIPPETS[word].replace("{doc}", f'"""{title(topic)}."""').replace("{name}", name)
    opening = random.choice(("Here it is, as short as it can be said:", "In Python, with a check at the end:"))
    return f"{opening}\n\n```python\n{body}\n```\n\nIt takes nothing from outside the standard library and leaves its input as it was."


def points(subject: Subject, random: Random) -> str:
    """Give a list; a number in the prompt is obeyed."""
    wanted = _count(subject.prompt)
    keys = [*subject.keywords, "patience", "practice", "a second look", "rest", "the first step"]
    lines = [_POINTS[place % len(_POINTS)].format(K=title(keys[place % len(keys)])) for place in range(wanted)]
    marks = (
        [f"{place}." for place in range(1, wanted + 1)]
        if re.search(r"(?i)steps|numbered|\d", subject.prompt[:200])
        else ["-"] * wanted
    )
    opening = random.choice(("{}, point by point:", "What belongs to {}:", "On {}:")).format(subject.topic)
    return title(opening) + "\n\n" + "\n".join(f"{mark} {line}" for mark, line in zip(marks, lines, strict=True))


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
    rest = set(re.findall(r"\w+", prompt.replace(offered[0] if offered else "", " ").lower()))
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
    sign = {"*": "×", "x": "×", "times": "×", "/": "÷", "divided by": "÷", "plus": "+", "minus": "-"}.get(
        found[2], found[2]
    )
    return f"{found[1]} {sign} {found[3]} = **{shown}**"


def greeting(subject: Subject, random: Random) -> str:
    """Answer a greeting, and propose something to try."""
    tries = "*Write a poem about rain*, *Explain tides with a table*, or *Five ideas for a birthday, as JSON*"
    return (
        random.choice(("Hello!", "Good to see you.", "Hello, and welcome."))
        + f" I am the demo server: my words are scripted, the streaming is real. Try {tries}."
    )


def name(subject: Subject, random: Random) -> str:
    """Say the name that an earlier message gave, or that none did."""
    for back, text in enumerate(reversed(subject.earlier_text), start=1):
        if told := re.search(r"(?i)\b(?:my name is|i am called|call me)\s+([^\W\d_]{1,30})", text[:2_000]):
            ago = "in your last message" if back == 1 else f"{back} messages ago"
            return f"Your name is **{told[1]}**. You told me {ago}."
    return "You have not told me yet. Say *My name is …*, in this chat, and ask again."


def json_object(subject: Subject, random: Random, schema: dict[str, Any] | None = None) -> str:
    """Give a JSON object and nothing else, with the keys that the prompt or the schema names."""
    properties = (schema or {}).get("properties")
    keys = list(properties) if isinstance(properties, dict) else _asked_keys(subject.prompt[:2_000])
    if not keys:
        keys = ["topic", "summary", "keywords", "words", "confidence"]
    return json.dumps({key: _value(key, subject, random) for key in keys}, indent=2, ensure_ascii=False)


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
    if re.search(r"count|number|year|age$|price|total|rank|^id$|quantity", name):
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
