from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.render.vocabulary import HIDDEN
from vig_notebook.render import escape_text, visible
from vig_notebook.render.visible import plain_lines, strip_ansi

ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("tabs\tand\nlines", "tabs\tand\nlines"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\u2066\u2069\u061c\u200e\u200f", "⟨U+2066⟩⟨U+2069⟩⟨U+061C⟩⟨U+200E⟩⟨U+200F⟩"),
        ("nul\x00 bell\x07 del\x7f nel\x85", "nul⟨U+0000⟩ bell⟨U+0007⟩ del⟨U+007F⟩ nel⟨U+0085⟩"),
        ("a\rb", "a⟨U+000D⟩b"),
        ("so\xadft \ufeffbom wo\u2060rd", "so⟨U+00AD⟩ft ⟨U+FEFF⟩bom wo⟨U+2060⟩rd"),
        ("li\u2028ne pa\u2029ra", "li⟨U+2028⟩ne pa⟨U+2029⟩ra"),
        ("\ufff9a\ufffab\ufffb", "⟨U+FFF9⟩a⟨U+FFFA⟩b⟨U+FFFB⟩"),
        ("\u200b" * 3, "⟨U+200B⟩⟨U+200B⟩⟨U+200B⟩"),
        ("\u200b" * 500, "⟨U+200B⟩ (500 times)"),
        ("\U000e0061\U000e0062", "⟨U+E0061⟩⟨U+E0062⟩"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        ("zero\u200dwidth\u200cjoin", "zero⟨U+200D⟩width⟨U+200C⟩join"),
        ("a\ufe0fb", "a⟨U+FE0F⟩b"),
        ("x\ufe01", "x⟨U+FE01⟩"),
        ("a\U000e0100", "a⟨U+E0100⟩"),
        ("a\u180bb", "a⟨U+180B⟩b"),
        ("\u200d", "⟨U+200D⟩"),
    ],
)
def test_hidden_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d🚀 👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈 👍🏽 1\ufe0f\u20e3 ☎\ufe0e ↔\ufe0f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "क्\u200dष क्\u200cष",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "葛\U000e0100",
        "\u1820\u180b",
        "naïve Ελλάδα עברית العربية 日本語 ไทย",
    ],
)
def test_what_scripts_and_emoji_need_stays(text: str) -> None:
    assert visible(text) == text


def test_flag_hides_no_other_tags() -> None:
    assert visible(ENGLAND + "\U000e0041") == ENGLAND + "⟨U+E0041⟩"
    assert visible("\U000e0067" + ENGLAND) == "⟨U+E0067⟩" + ENGLAND


def test_thousands_of_flags_take_no_longer_than_letters() -> None:
    text = ENGLAND * 14_000
    start = time.process_time()
    assert visible(text) == text
    assert time.process_time() - start < 0.5  # a tenth of a second; squares of the flags are minutes


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1;31mred", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cx", "x"),
        ("\x1bPq#0\x1b\\x \x1b_apc\x1b\\y", "x y"),
        ("\x1b(Bx\x1b7y\x1bcz", "xyz"),
        ("a\x1b", "a\x1b"),
        ("\x1b]0;never ended\nnext", "\x1b]0;never ended\nnext"),
        ("nothing", "nothing"),
    ],
)
def test_terminal_sequences_are_taken_out(text: str, rest: str) -> None:
    assert strip_ansi(text) == rest


@given(st.text())
def test_nothing_hidden_is_left_and_a_second_look_changes_nothing(text: str) -> None:
    shown = visible(text)
    assert not HIDDEN.search(shown)
    assert visible(shown) == shown


@given(st.text(alphabet="\x1b\x9b\x9d[]();0m\x07\\\n\r\ud83d\ude00a"))
def test_plain_lines_keeps_the_number_of_lines(text: str) -> None:
    assert plain_lines(text).count("\n") == text.count("\n")


def test_plain_lines_joins_what_came_as_two_halves() -> None:
    assert plain_lines("\ud83d\ude00 \ud83d é\r\n") == "😀 \ufffd é\n"


def test_escape_text_is_safe_in_an_element() -> None:
    assert escape_text('<b a="x">&\'\x1b[1m') == "&lt;b a=&quot;x&quot;&gt;&amp;'"
    assert escape_text("$x$ \\(y\\)") == (
        '<span class="vig-tex">$</span>x<span class="vig-tex">$</span> '
        '<span class="vig-tex">\\</span>(y<span class="vig-tex">\\</span>)'
    )
