"""How long rendering takes: hostile texts, their doubled length, and an honest answer that streams.

python benchmarks/render.py
"""

from __future__ import annotations

import statistics
import sys
import time
from itertools import count, takewhile

from vig_notebook.render import StreamRenderer, render_html

SIZE = 100_000  # characters

HONEST = """## A heading with *emphasis*

Some **prose** with `code`, a [link](https://example.com/page) and a formula $a^2 + b^2 = c^2$ in it, of two
lines and about the usual length, so that the figures are those of a usual answer of a language model.

- one item
- another one with `code`
  1. nested
  2. list

```python
def add(first: int, second: int) -> int:
    \"\"\"Add two numbers.\"\"\"
    return first + second  # the sum
```

| name | value |
|------|------:|
| one  |     1 |
| two  |     2 |

"""


def _lines(piece: str, size: int) -> str:
    return (piece * (size // len(piece) + 1))[:size]


def _rising(size: int) -> str:
    runs = ("`" * length + "a" for length in count(1))
    total = 0

    def fits(run: str) -> bool:
        nonlocal total
        total += len(run)
        return total <= size

    return "".join(takewhile(fits, runs))


def _staircase(size: int) -> str:
    lines = ("  " * (at % 200) + "- a\n" for at in count())
    total = 0

    def fits(line: str) -> bool:
        nonlocal total
        total += len(line)
        return total <= size

    return "".join(takewhile(fits, lines))


PIECES = {
    "brackets": "[",
    "closed brackets": "[]",
    "brackets with text": "[a ",
    "images": "![",
    "links begun": "[a](",
    "link in link": "[a](b",
    "links": "[a](http://b.c) ",
    "stars": "*a_ ",
    "star runs": "*",
    "stars and text": "**a *b ",
    "underscores": "_a ",
    "tildes": "~~a ",
    "closers": "a** ",
    "quotes": "> ",
    "quote lines": "> > > > > > > > a\n",
    "quote markers": ">",
    "lists in a line": "- ",
    "numbers in a line": "1. ",
    "less": "<",
    "autolinks begun": "<http:",
    "entities": "&amp;",
    "entities begun": "&a",
    "ampersands": "&#",
    "backslashes": "\\",
    "escapes": "\\*",
    "backticks": "`a ",
    "double backticks": "``a` ",
    "dollars": "$",
    "formulas begun": "$a ",
    "formulas": "$a$ ",
    "display begun": "$$\n",
    "brackets of TeX": "\\[\n",
    "environments begun": "\\begin{align}\n",
    "pipes": "|",
    "table rows": "|a|b|c|d\n|-|-|-|-\n",
    "references": "[a]: b\n",
    "references in a row": "[a]: b 'c\n",
    "reference uses": "[a] ",
    "short paragraphs": "a\n\n",
    "short items": "- a\n",
    "short headings": "# a\n",
    "rules": "---\n",
    "setext": "a\n=\n",
    "fences": "```\n",
    "fences with code": "```py\na\n```\n",
    "quotes and items": "> - ",
    "hard breaks": "a  \n",
    "blank lines": "\n",
    "spaces": " ",
    "tabs": "\t",
    "letters": "a",
    "words": "word ",
    "addresses": "http://a.b ",
    "address": "http://",
    "hidden": "\u200b",
    "hidden alternating": "a\u202e",
    "variation selectors": "a\ufe0f",
    "escape sequences": "\x1b[31m",
    "titles begun": "\x1b]0;",
    "joiners": "\U0001f600\u200d",
    "surrogates": "\ud800",
    "honest": HONEST,
}
WHOLE = {
    "wide table": lambda size: "|a" * (size // 4) + "|\n" + "|-" * (size // 4) + "|\n",
    "table of empty cells": lambda size: "|a" * 60 + "|\n" + "|-" * 60 + "|\n" + "|\n" * (size // 2 - 120),
    "brackets then one closer": lambda size: "[" * (size - 1) + "]",
    "brackets both": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "emphasis both": lambda size: "*a " * (size // 6) + "a* " * (size // 6),
    "rising backticks": _rising,
    "list staircase": _staircase,
    "one code block": lambda size: "```python\n" + _lines("x = f(1) + 'a'  # note\n", size),
    "dense code": lambda size: "```python\n" + _lines("(1)+[{}]-\n", size),
    "quotes in code": lambda size: "```python\n" + _lines("'\"\n", size),
    "one list": lambda size: _lines("- an item with some *text* in it\n", size),
    "one table": lambda size: "| a | b |\n|---|---|\n" + _lines("| one *cell* | another |\n", size),
    "one paragraph": lambda size: _lines("words of **prose** with `code` in a line\n", size),
    "few brackets": lambda size: _lines("[" * 9 + "a" * 200 + "\n\n", size),
    "few stars": lambda size: _lines("*a_ " * 49 + "\n\n", size),
    "stars in prose": lambda size: _lines("word *word _word more words ", size),
}


def cases(size: int) -> dict[str, str]:
    """The texts, each of about `size` characters."""
    texts = {name: _lines(piece, size) for name, piece in PIECES.items()}
    return texts | {name: make(size) for name, make in WHOLE.items()}


def _seconds(text: str) -> float:
    start = time.process_time()
    render_html(text)
    return time.process_time() - start


def _stream_seconds(text: str, piece: int, polls: int) -> float:
    renderer = StreamRenderer()
    start = time.process_time()
    for at in range(0, len(text), piece):
        renderer.feed(text[at : at + piece])
        if at // piece % polls == 0:
            renderer.tail_html()
    return time.process_time() - start


def _ending_seconds(text: str) -> tuple[float, float]:
    """What the record costs at the end of an answer that was shown while it came, and one that was not."""
    renderer = StreamRenderer()
    renderer.feed(text)
    start = time.process_time()
    renderer.whole_html()
    return time.process_time() - start, _seconds(text)


def main() -> None:
    """Print a line per hostile text, the worst ones last, then figures of streaming."""
    _seconds(HONEST)
    rows = []
    doubled = cases(2 * SIZE)
    for name, text in cases(SIZE).items():
        pairs = [(_seconds(text), _seconds(doubled[name])) for _ in range(3)]
        rows.append((min(one for one, _ in pairs), statistics.median(two / one for one, two in pairs), name, len(text)))
    print(f"{'ms':>8} {'x2':>6}  text of {SIZE:,} characters")
    for seconds, ratio, name, _length in sorted(rows):
        print(f"{seconds * 1000:8.0f} {ratio:6.2f}  {name}")
    for characters in (SIZE, 2 * SIZE):
        text = _lines(HONEST, characters)
        seconds = _stream_seconds(text, piece=5, polls=100)
        print(f"{seconds * 1000:8.0f}         honest, {characters:,} characters in pieces of 5, tail each 100")
    for characters in (SIZE, 10 * SIZE):
        shown, anew = _ending_seconds(_lines(HONEST, characters))
        print(f"{shown * 1000:8.1f}         record of {characters:,} characters, which were shown as they came")
        print(f"{anew * 1000:8.0f}         the same, rendered anew")
    print(f"{_seconds(HONEST * 20) / len(HONEST * 20) * 1e9:8.0f} ns a character of an honest answer", file=sys.stdout)


if __name__ == "__main__":
    main()
