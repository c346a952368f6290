"""What the demo server reads out of a conversation: topic, words that matter, and the form that is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vig_notebook.demo.request import Turn

# Enough to find the topic and the form; patterns are tried on no more, so that a long prompt costs nothing.
_READ_CHARACTERS: Final = 2_000
_TOPIC_WORDS: Final = 7
# A request may hold tens of thousands of small messages.
_REMEMBERED: Final = 100

_POLITE: Final = re.compile(
    r"(?i)^(?:(?:please|hey|ok|hello|hi|now|then|and)\b[ ,!]*)+|\s*\b(?:please|thanks|thank you)\b[.! ]*$"
)
_ASKS: Final = re.compile(
    r"(?i)^(?:can|could|would|will) you (?:please )?|"
    r"^(?:what|where|when|how) (?:should|could|would) (?:i|we|you|one) |"
    r"^(?:i (?:want|need|would like)(?: you)? (?:to )?|i'd like (?:you )?(?:to )?)"
)
_FORM_WORDS: Final = re.compile(
    r"(?i)[,;:]?\s*\b(?:in|as|with|using|of|and give|and show)\s+"
    r"(?:(?:exactly|a|an|one|two|three|four|five|six|seven|\d+|valid|short|simple|python|single|plain|bulleted|numbered|markdown)\s+)*"
    r"(?:sentences?|words?|json(?: object)?|table|lists?|bullets?(?: points?)?|points|python|markdown|poem|haiku|lines|"
    r"code(?: examples?| blocks?)?|examples?|paragraphs?)\b(?:\s+(?:with|and)\b.*)?"
)
_KEY_WORDS: Final = re.compile(
    r"(?i)\b(?:with|having)(?: the)? (?:keys?|fields?|members|properties)\b.*?(?= for | about | of |$)"
)
_LEADS: Final = re.compile(
    r"(?i)^(?:(?:write|give|show|make|create|generate|compose|draft|tell|produce|return|list|name|explain|describe|discuss|"
    r"summari[sz]e|compare|define|translate|what(?:'s| is| are| was| were| do| does)|"
    r"(?:what|how)(?=\s+about\b)|who (?:is|was|are)|how (?:do|does|can|to|is|are)|"
    r"why (?:do|does|is|are)|suggest|outline|teach|help|use|build|implement|answer|sing|imagine)\b"
    r"(?:\s+(?:me|us|more|with|down|up|the difference between|to))*\s*)?"
    r"(?:(?:(?:a|an|the|some|any|one|two|three|four|five|six|seven|eight|ten|\d+|"
    r"short|long|simple|small|brief|good|nice|funny|new)\s+)*"
    r"(?:python |javascript )?(?:poem|haiku|sonnet|verse|rhyme|song|story|essay|article|paragraph|sentence|"
    r"word|list|table|code|function|script|program|class|json(?: object)?|joke|summary|overview|"
    r"explanation|introduction|comparison|idea|ideas|tips|ways|steps|reasons|examples|"
    r"facts|names|questions|email|letter|tagline|slogan|limerick)s?\b"
    r"(?=\s+(?:about|of|on|for|that|which|to|with|how|why|what|from|describing|explaining|regarding)\b)\s*)?"
    r"(?:(?:about|of|on|for|regarding|describing|that|which|to|with|how|why|what|explaining|from)\s+)?"
)
_POINTS: Final = re.compile(r"(?i)(?:this|that|it|the following)(?: (?:poem|text|story|answer))?(?: up)?(?: about)?")
_STOP_LIST: Final = """
idea ideas object keys fields steps tips ways reasons things facts questions examples points compare
about above after again against also always another answer because been before being below between
both cannot could describe does doing down during each else every example explain first from further
generate give have having here hers himself into itself just like list make many more most much must
need only other over please poem python same sentence shall short should show some such table tell
than that their them then there these they this those through under until using very want were what
when where which while will with word words would write your yours json function haiku three four
five
"""
_STOP_WORDS: Final = frozenset(_STOP_LIST.split())
# What suits any topic.
_ANY_WORDS: Final = ("curiosity", "patience", "daylight")
_FORMS: Final = (
    ("choice", r"\b(?:classify|categori[sz]e|label|sentiment|one of|yes or no|answer (?:only )?with)\b"),
    ("name", r"\bwhat(?:'s| is| was) my name\b|\bwho am i\b"),
    ("haiku", r"\bhaikus?\b"),
    ("poem", r"\b(?:poems?|sonnet|verses?|rhymes?|ballad|limerick|song|lyrics)\b"),
    ("sentence", r"\b(?:one|a single|1)[- ]sentence\b|\btl;?dr\b|\bone line\b|\bin brief\b|\bbriefly\b"),
    (
        "code",
        r"\b(?:function|script|code|snippet)\b.*\b(?:python|that|to|for|which|in)\b|"
        r"\bpython\b|\b(?:write|show)\b.*\bcode\b",
    ),
    ("table", r"\btables?\b|\bcompare\b|\bcomparison\b|\bversus\b|\bvs\b"),
    (
        "list",
        r"\blist\b|\bbullets?\b|\bideas\b|\bsteps\b|\btips\b|"
        r"\b(?:\d+|two|three|four|five|six|seven) (?:\w+ )?"
        r"(?:ways|reasons|things|facts|names|points|questions|examples)\b",
    ),
    ("sum", r"^\D{0,24}\d+(?:\.\d+)?\s*(?:[-+*/x\u00d7÷]|times|plus|minus|divided by)\s*\d+(?:\.\d+)?\s*[=?.]*\s*$"),
    ("greeting", r"^\W*(?:hi|hello|hey|good (?:morning|evening|afternoon)|servus|moin)\b[\w\s,]{0,20}\W*$"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One prompt, read.

    Attributes:
        prompt: The last user message, blanks at its ends dropped.
        topic: A few words of it, on one line.
        words: Up to five of its longer words, in lower case; there may be none.
        form: What is asked for: "poem", "haiku", "sentence", "code", "list", "table", "choice", "sum",
            "name", "greeting", "json", or "essay" when nothing says.
        system: The system message, or "".
        before: The topic of the user message before it, or "".
        earlier: The user messages before it, the oldest first; at most the last 100.
    """

    prompt: str
    topic: str
    words: tuple[str, ...]
    form: str
    system: str = ""
    before: str = ""
    earlier: tuple[str, ...] = ()

    @property
    def keywords(self) -> tuple[str, ...]:
        """At least three words to build on: those of the prompt, then some that suit any."""
        return self.words if len(self.words) >= 3 else (*self.words, *_ANY_WORDS)[:3]


def read_conversation(turns: Sequence[Turn], *, wants_json: bool = False) -> Subject:
    """Read the messages of a request. `wants_json`: the request itself says that the answer is JSON."""
    asked = [turn.text.strip() for turn in turns if turn.role == "user"] or [turns[-1].text.strip()]
    system = " ".join(turn.text.strip() for turn in turns if turn.role in {"system", "developer"})
    prompt = asked[-1]
    return Subject(
        prompt=prompt,
        topic=find_topic(prompt),
        words=find_words(prompt),
        form="json" if wants_json else _find_form(prompt, system),
        system=system,
        before="".join(map(find_topic, asked[-2:-1])),
        earlier=tuple(asked[-_REMEMBERED - 1 : -1]),
    )


def find_topic(prompt: str) -> str:
    """Give what a prompt is about, in at most seven words: "Write a poem about the sea" gives "the sea".

    Of a prompt that points to the text below it, such as "What is this about?", the text's first line tells.
    """
    question, _, below = prompt[:_READ_CHARACTERS].partition("\n\n")
    topic = _topic(question)
    return _topic(below.strip().partition("\n")[0]) if below.strip() and _POINTS.fullmatch(topic) else topic


def _topic(text: str) -> str:
    line = _one_line(text)
    first = re.split(r"(?<=[.?!])\s", line, maxsplit=1)[0]
    text = _POLITE.sub("", first).strip()
    text = _ASKS.sub("", text)
    text = _KEY_WORDS.sub("", text)
    text = _FORM_WORDS.sub("", text)
    text = _LEADS.sub("", text.lstrip(" ,;:"), count=1).strip(" .,;:!?\"'“”()")
    words = (text or first.strip(" .,;:!?")).split()
    return " ".join(words[:_TOPIC_WORDS])[:80] or "nothing at all"


def find_words(prompt: str) -> tuple[str, ...]:
    """Give up to five longer words of a prompt in the order in which they stand there."""
    words = re.findall(r"[^\W\d_]{4,24}", _one_line(prompt).lower())
    kept = dict.fromkeys(word for word in words if word not in _STOP_WORDS)
    return tuple(kept)[:5]


def _one_line(text: str) -> str:
    """The start of a text on one line, without the signs that Markdown would take for its own."""
    return " ".join(re.sub(r"[`|<>*_#\[\]\\$~^]", " ", text[:_READ_CHARACTERS]).split())


def _find_form(prompt: str, system: str) -> str:
    for text in (prompt, system):
        line = text[:_READ_CHARACTERS].lower()
        if re.search(r"\bjson\b", line):
            return "json"
        for form, pattern in _FORMS:
            if re.search(pattern, line):
                return form
    return "essay"
