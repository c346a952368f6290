from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.vocabulary import PAYLOADS, check
from vig_notebook.render import StreamRenderer, escape_text, render_html

SOUP = [
    *"*_`~[]()!<>&\\$|:-+#=\"'\n \t.1a{}é",
    "\n\n",
    "\n- ",
    "\n1. ",
    "\n> ",
    "\n```",
    "```py\n",
    "\n~~~\n",
    "\n    ",
    "\n| a | b |\n|---|:-:|\n",
    "](",
    "![",
    "http://a.example",
    "[x](https://a.example)",
    "$$",
    "\n$$\n",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\begin{align}",
    "\\end{align}",
    "\\frac{a}{b}",
    "\\href{",
    "<script>",
    "</pre>",
    "&#x202E;",
    "\u202e",
    "\u200d",
    "😀",
    "\x1b[31m",
    "\x1b]0;",
    "\x00",
    "\r",
    "\r\n",
    "\ud800",
    "\n---\n",
    "\n===\n",
    "- [ ] ",
    "[a]: http://b.example\n",
    "[a]",
    "word ",
    "x" * 90,
]
soup = st.lists(st.sampled_from(SOUP), max_size=60).map("".join)


@pytest.mark.parametrize("size", [1, 3, 17])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_stream_of_hostile_pieces_never_leaves_the_vocabulary(payload: str, size: int) -> None:
    renderer = StreamRenderer()
    for at in range(0, len(payload), size):
        renderer.feed(payload[at : at + size])
        check("".join([*renderer.frozen, renderer.tail_html()]))
    assert "".join([*renderer.frozen_plain, renderer.tail_text]) == payload


@pytest.mark.parametrize("payload", PAYLOADS)
def test_whole_hostile_text_stays_in_the_vocabulary(payload: str) -> None:
    check(render_html(payload))
    check(render_html(payload, images="data"), images=True)
    check(escape_text(payload))


@pytest.mark.parametrize(
    "container", ["> {}", "- {}", "1. {}", "# {}", "**{}**", "[{}](https://a.example)", "| {} |\n|---|\n| {} |"]
)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_in_a_container_stays_in_the_vocabulary(payload: str, container: str) -> None:
    check(render_html(container.replace("{}", payload)))


@given(soup)
@settings(max_examples=150, deadline=None)
def test_any_soup_of_marks_stays_in_the_vocabulary(text: str) -> None:
    check(render_html(text))


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_stays_in_the_vocabulary(text: str) -> None:
    check(render_html(text))
    check(escape_text(text))
