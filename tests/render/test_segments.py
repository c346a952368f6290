from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.test_vocabulary import SOUP, soup
from tests.render.vocabulary import check
from vig_notebook.render import StreamRenderer, render_html
from vig_notebook.render.parser import parse_blocks

HARD_CEILING = 8_000
LONG = {
    "fence": "Before.\n\n```python\n" + "".join(f"x{n} = {n}  # note\n" for n in range(900)) + "```\n\nAfter.\n",
    "tilde fence": "~~~~ js title\n" + "let a = '~~~'\n" * 900 + "~~~~\nAfter.\n",
    "open fence": "````\n" + "```\ncode\n```\n" * 900,
    "list": "".join(f"- item *{n}*\n" for n in range(900)) + "\nAfter.\n",
    "numbered list": "".join(f"{n}. item *{n}*\n" for n in range(1, 900)) + "\nAfter.\n",
    "lazily numbered list": "1. item of the list\n" * 1000,
    "loose list": "7) item\n\n   text\n\n" * 800,
    "one item": "- start\n" + "  more of *it* here\n" * 1000 + "\n  another paragraph\n" * 800,
    "one numbered item": "3. start\n\n" + "   more of it\n\n" * 900 + "4. next\n5. last\n",
    "code in an item": "1. start\n\n   ```python\n" + "   x = 'a'\n" * 900 + "   ```\n\n2. next\n",
    "code in a bullet": "* start\n  ```\n" + "  - code\n" * 900 + "  ```\n* next\n",
    "table": "| a | b |\n|:--|--:|\n" + "".join(f"| {n} | *{n}* |\n" for n in range(900)) + "\nAfter.\n",
    "table of short head": "a | b\n-|-\n" + "c | `d`\n" * 2000,
    "quote": "> quoted *text* here\n" * 900 + "\nAfter.\n",
    "quote with code": "> text\n>\n> ```py\n" + "> x = 1\n" * 900 + "> ```\n\nAfter.\n",
    "paragraph": "words of *text* and `code` in a line\n" * 1000,
    "one line": "words of *text* and `code` in a line, " * 1000,
    "one word": "x" * 20_000,
    "one word of code": "```\n" + "x" * 20_000 + "\n```\n",
    "one line of digits": "1234567890" * 3000,
    "heading": "# " + "word " * 5000,
    "indented code": "    code *here*\n" * 2000,
    "paragraphs": "A paragraph of *text*, not long.\n\n" * 1000,
    "formulas": "$$\na_1 + b_1\n$$\n\n" * 1000,
    "open formula": "$$\n" + "a + b * c\n" * 2000,
    "blank lines": "a\n" + "\n" * 20_000 + "b\n",
    "spaces": " " * 20_000,
    "returns": "a\r\n\r\n" * 5000,
    "lone returns": "\r" * 20_000,
    "setext": ("word " * 30 + "\n===\n\n") * 100,
    "definitions": "".join(f"[label {n}]: https://a.example/{n}\n" for n in range(900)),
    "wide table": "|a" * 3000 + "|\n" + "|-" * 3000 + "|\n",
    "no prose": "a\n\n" * 5000,
    "hidden": "\u200b" * 20_000,
    "dense": "[*_`" * 5000,
}
ALL = "\n\n".join(LONG.values())


def rendered(text: str, pieces: list[int], polls: int = 0) -> StreamRenderer:
    """Feed the text in pieces of the sizes given, again and again; look at the tail every so often."""
    renderer = StreamRenderer()
    at = turn = 0
    while at < len(text):
        size = pieces[turn % len(pieces)]
        renderer.feed(text[at : at + size])
        at, turn = at + size, turn + 1
        if polls and turn % polls == 0:
            renderer.tail_html()
    return renderer


def state(renderer: StreamRenderer) -> tuple[list[str], list[str], str, str]:
    return renderer.frozen, renderer.frozen_plain, renderer.tail_text, renderer.tail_html()


@pytest.mark.parametrize("name", LONG)
def test_long_block_is_cut_the_same_however_it_arrives(name: str) -> None:
    whole = state(rendered(LONG[name], [len(LONG[name])]))
    for pieces, polls in ([2, 1], 0), ([4097, 3, 900], 2):
        assert state(rendered(LONG[name], pieces, polls)) == whole


@pytest.mark.parametrize("name", LONG)
def test_long_block_is_cut_into_whole_segments_of_moderate_size(name: str) -> None:
    renderer = rendered(LONG[name], [len(LONG[name])])
    assert "".join([*renderer.frozen_plain, renderer.tail_text]) == LONG[name]
    assert all(1_200 <= len(plain) <= HARD_CEILING for plain in renderer.frozen_plain)
    assert len(renderer.tail_text) < HARD_CEILING
    for html in [*renderer.frozen, renderer.tail_html()]:
        check(html)


def test_frozen_segments_never_change() -> None:
    renderer = StreamRenderer()
    seen: list[str] = []
    for at in range(0, len(ALL), 997):
        renderer.feed(ALL[at : at + 997])
        assert renderer.frozen[: len(seen)] == seen
        seen = list(renderer.frozen)
    assert len(seen) > 50


@given(
    st.lists(st.one_of(soup, st.sampled_from(SOUP).map(lambda piece: piece * 700)), max_size=12).map("".join), st.data()
)
@settings(max_examples=30, deadline=None)
def test_any_cut_gives_the_same_segments_as_no_cut(text: str, data: st.DataObject) -> None:
    whole = state(rendered(text, [max(1, len(text))]))
    pieces = data.draw(st.lists(st.integers(1, 5000), min_size=1, max_size=5))
    assert state(rendered(text, pieces, data.draw(st.integers(0, 3)))) == whole
    assert "".join([*whole[1], whole[2]]) == text
    for html in whole[0]:
        check(html)


def test_tail_is_rendered_once_for_a_text() -> None:
    renderer = StreamRenderer()
    renderer.feed("some *text*")
    first = renderer.tail_html()
    assert renderer.tail_html() is first
    renderer.feed("")
    assert renderer.tail_html() == first
    renderer.feed("!")
    assert renderer.tail_html() == "<p>some <em>text</em>!</p>\n"


def test_empty_text_has_no_segments() -> None:
    renderer = StreamRenderer()
    assert (renderer.frozen, renderer.tail_html(), renderer.tail_text) == ([], "", "")
    assert render_html("") == ""


def segments(name: str) -> list[str]:
    renderer = rendered(LONG[name], [len(LONG[name])])
    return [*renderer.frozen, renderer.tail_html()]


def test_continued_fence_keeps_its_language_and_shows_it_once() -> None:
    html = segments("fence")
    assert sum('<div class="vig-lang">python</div>' in part for part in html) == 1
    assert all('<span class="n">x' in part for part in html)
    assert '<div class="vig-code vig-cont">' in html[2]
    assert html[-1].endswith("<p>After.</p>\n")


def test_continued_list_counts_on() -> None:
    for name in ("numbered list", "lazily numbered list"):
        text = "".join("".join(check(part).text) for part in segments(name))
        for number in (600, 601, 899):
            assert f"{number}. item" in text


def test_item_that_is_cut_gets_no_second_mark() -> None:
    html = segments("one numbered item")
    assert "".join(html).count('<span class="vig-num">3.</span>') == 1
    assert '<li class="vig-cont">' in html[1]
    assert '<span class="vig-num">4.</span>' in html[-1]
    assert '<span class="vig-num">5.</span>' in html[-1]
    assert '<li class="vig-cont">' in segments("one item")[1]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("code in an item", '<span class="n">x</span>'),
        ("code in a bullet", "- code"),
        ("quote with code", '<span class="n">x</span>'),
    ],
)
def test_fence_in_a_container_goes_on_as_code(name: str, code: str) -> None:
    for html in segments(name)[:-1]:
        assert '<div class="highlight">' in html
        assert code in html


def test_continued_table_repeats_no_head_but_keeps_its_columns() -> None:
    html = segments("table")
    assert sum("<thead>" in part for part in html) == 1
    assert all('<td class="vig-right">' in part for part in html)
    assert html[-1].endswith("<p>After.</p>\n")


def test_unfinished_blocks_are_not_frozen_before_their_meaning_is_known() -> None:
    start = "A paragraph of a usual length, more or less.\n\n" * 90
    for last, more in [
        ("title\n", "===\n"),
        ("| a | b |\n", "|---|---|\n"),
        ("> quote\n", "lazy\n"),
        ("```\n", "code\n"),
        ("$$\n", "a *b* c\n$$\n"),
        ("- item\n\n", "  more\n"),
    ]:
        renderer = StreamRenderer()
        renderer.feed(start + last)
        assert renderer.frozen
        assert renderer.tail_text.endswith(last)
        renderer.feed(more)
        assert renderer.tail_html().endswith(render_html(last + more))


def test_definitions_that_come_last_are_found_in_the_whole_text() -> None:
    text = (
        "[one] and [two][2] and [three].\n\n"
        + "Some words of prose in a paragraph.\n\n" * 300
        + "[one]: https://a.example\n[2]: https://b.example\n"
    )
    assert render_html(text).startswith('<p><a href="https://a.example" ')
    assert check(render_html(text)).links == ["https://a.example", "https://b.example"]
    renderer = rendered(text, [100])
    assert renderer.frozen[0].startswith("<p>[one] and ")
    early = "[one]: https://a.example\n\n" + "Some words of prose in a paragraph.\n\n" * 300 + "[one]\n"
    assert rendered(early, [100]).tail_html().count("https://a.example") == 1


def test_half_of_a_definition_at_the_end_is_forgotten_again() -> None:
    renderer = StreamRenderer()
    renderer.feed("[a]\n\n[a]: https://b.exam")
    assert check(renderer.tail_html()).links == ["https://b.exam"]
    renderer.feed("ple\n")
    assert check(renderer.tail_html()).links == ["https://b.example"]


def test_work_grows_with_the_text_and_not_with_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    original = parse_blocks

    def counting(src: str, env: dict[str, object]) -> object:
        parsed.append(len(src))
        return original(src, env)

    monkeypatch.setattr("vig_notebook.render.html.parse_blocks", counting)
    for text in LONG.values():
        for piece in (97, 5000):
            parsed.clear()
            rendered(text, [piece])
            assert sum(parsed) <= 7 * len(text) + 8_000


def test_definitions_without_end_are_not_all_kept() -> None:
    text = "".join(f"[label {n}]: https://a.example/{n}\n" for n in range(2_500)) + "\n[label 2499]\n"
    renderer = rendered(text, [len(text)])
    assert len(renderer._env["references"]) <= 1_000
    assert check(renderer.tail_html()).links == ["https://a.example/2499"]


def test_whole_html_of_a_stream_is_that_of_its_text() -> None:
    text = "See [it][1] and ![a](b), *please*.\n\n" * 300 + "[1]: https://a.example/page\n"
    renderer = rendered(text, [7], polls=50)
    assert renderer.text == text
    assert renderer.whole_html() == render_html(text)
    assert "https://a.example/page" in renderer.whole_html()
    assert "https://a.example/page" not in renderer.frozen[0]
