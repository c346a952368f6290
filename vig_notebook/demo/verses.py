"""Poems and haiku about whatever the prompt names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from vig_notebook.demo.reading import Subject

# The rhymes stand in the fixed words, so that any topic fits in.
_OPENINGS: Final = (
    "You ask of {t}. I light a lamp\nand lay the words out, still a bit damp;\n"
    "they dry in rows, they find their place,\nand look you quietly in the face.",
    "Before the day had found its name\na thought of {t} quietly came;\n"
    "it took a chair, it stayed for tea,\nand told the rest of it to me.",
    "Somebody typed the word tonight:\n{t}, in letters small and bright.\n"
    "The cursor blinked, the cursor knew\nthat something had come passing through.",
)
_MIDDLES: Final = (
    "It has the sound of {a} and rain,\nof something said and meant again,\n"
    "of {b} kept in a coat too thin,\nof doors that let the morning in.",
    "Some measure it, and some compare\nthe weight of {a} to that of air;\n"
    "but {b} is what the tall clocks keep\nwhen all who wind them are asleep.",
    "There's {a} in it, and there is grace,\nand {b} in an unlikely place;\n"
    "and if you hold it to the light\nit shows you half of what is right.",
    "We built a bridge of {a} once;\nit stood for all of seven months.\n"
    "Then {b} came, and with it spring,\nand taught the broken planks to sing.",
)
_CLOSINGS: Final = (
    "So keep this page, or let it go;\nthe stream has other things to show.\n"
    "But {t}, once it has been heard,\nlives on a while in every word.",
    "And should you press the button, stop,\nthe line hangs like a water drop:\n"
    "what's said of {t} stays with you,\nand what is not said may be too.",
    "Now token after token lands\nlike sparrows into open hands.\n"
    "Of {t} that was all I had:\na little bright, a little sad.",
)

_FILLS: Final = {
    1: ("wakes", "waits", "sings"),
    2: ("at dawn", "alone", "at last"),
    3: ("in the rain", "at first light", "by the sea"),
}
_FILLS_4: Final = ("under the snow", "before the dawn", "between two stars")
_FIVE: Final = ("A cursor blinking", "First light on the page", "Quiet in the wires")
_SEVEN: Final = ("one word arrives, then the next", "the page fills like slow water", "small lamps wake along the line")
# "silence", "while", "arrives"; but not "little", "tree", "places".
_SILENT_E: Final = re.compile(r"(?:[^aeiouyl]e|[aeiouy]le|[^aeiouylscxzgh]es)$")
_LAST: Final = ("then the dot. Silence.", "you were here to read.", "night learns to answer.")


def poem(subject: Subject, random: Random) -> str:
    """Give a poem of three or four stanzas, with its title."""
    a, b = (*(word for word in subject.keywords if word not in subject.topic.lower()), "silence", "rain")[:2]
    stanzas = [random.choice(_OPENINGS), *random.sample(_MIDDLES, random.choice((1, 2))), random.choice(_CLOSINGS)]
    lines = "\n\n".join(stanzas).format(t=subject.topic, a=a, b=b).splitlines()
    # Two spaces at the end of a line keep the break in Markdown.
    verses = "\n".join(line[:1].upper() + line[1:] + "  " if line else "" for line in lines)
    return f"**{title(subject.topic)}**\n\n{verses.rstrip()}"


def haiku(subject: Subject, random: Random) -> str:
    """Give a haiku of 5, 7 and 5 syllables; a topic too long for its first line becomes the title."""
    topic = re.sub(r"^(?:the|a|an) (?=\w+ \w)", "", subject.topic)
    left = 5 - syllables(topic)
    head = ""
    if left == 0:
        first = topic
    elif 0 < left < 5:
        first = f"{topic} {random.choice(_FILLS.get(left, _FILLS_4))}"
    else:
        head, first = f"**{title(subject.topic)}**\n\n", random.choice(_FIVE)
    return f"{head}{first[:1].upper()}{first[1:]},  \n{random.choice(_SEVEN)},  \n{random.choice(_LAST)}"


def title(text: str) -> str:
    """Give a topic as a title."""
    return text[:1].upper() + text[1:]


def syllables(text: str) -> int:
    """Count syllables as well as spelling tells: "technology" 4, "AI" 2, "the sea" 2."""
    return sum(map(_in_word, re.findall(r"[^\W_]+", text)))


def _in_word(word: str) -> int:
    if word.isupper() and len(word) <= 4:
        return len(word)
    groups = len(re.findall(r"[aeiouyäöüáéíóú]+", word.lower()))
    silent = groups > 1 and _SILENT_E.search(word.lower()) is not None
    return max(1, groups - silent)
