from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vig_notebook.render import VisibleStream, visible
from vig_notebook.render.visible import join_surrogates
from vig_notebook.settings import mask

WORDS = "a b s k sk sk- vg-live- vk_test_ 1A2b3C4d5E6f Bearer authorization : = api key api_key is - _ . ' \" é"
CHARACTERS = (
    "\u200d \u200c \ufe0f 👩 💻 ❤ \u0645 \u06cc \r \n \r\n \ud83d \ude00 \x1b \x1b]0;t\x07 [31m \u202e \u200b"
    " 🏴 \U000e0067 \U000e0062 \U000e0065 \U000e006e \U000e007f"
)
PIECES = st.sampled_from([" ", *WORDS.split(" "), *CHARACTERS.split(" ")])


def streamed(*pieces: str) -> str:
    stream = VisibleStream(mask)
    return "".join([*map(stream.feed, pieces), stream.flush()])


@given(st.lists(PIECES, max_size=30))
def test_any_cut_shows_what_no_cut_shows(pieces: list[str]) -> None:
    whole = "".join(pieces)
    shown = mask(visible(join_surrogates(whole).replace("\r\n", "\n")))
    assert streamed(*pieces) == shown
    assert streamed(*whole) == shown


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["👩", "\u200d", "💻"], "👩\u200d💻"),
        (["\u0645\u06cc\u200c", "\u062e"], "\u0645\u06cc\u200c\u062e"),
        (["\u0645\u06cc", "\u200c\u062e"], "\u0645\u06cc\u200c\u062e"),
        (["a\r", "\nb"], "a\nb"),
        (["a\r", "b"], "a⟨U+000D⟩b"),
        (["\ud83d", "\ude00"], "😀"),
        (["\ud83d"], "\ufffd"),
        (["x\x1b", "]0;t", "\x07y"], "x⟨U+001B⟩]0;t⟨U+0007⟩y"),
        (["the key s", "k-", "ab12", "CD34", "ef56 is"], "the key •••• is"),
        (["Bearer ", "ab12", "CD34 x"], "Bearer •••• x"),
        (["api", "_key=", "ab12CD34", "ab12CD34\n"], "api_key=••••\n"),
        (["\u200b" * 100, "\u200b" * 100], "⟨U+200B⟩ (200 times)"),
    ],
)
def test_what_is_cut_is_shown_whole(pieces: list[str], shown: str) -> None:
    assert streamed(*pieces) == shown


@pytest.mark.parametrize(
    "text", ["plain", "two words ", "a\n", "Ελλάδα", "😀", "👩", "i.e.", "it is the key", "(vs", "x = "]
)
def test_ordinary_text_is_not_delayed(text: str) -> None:
    assert VisibleStream(mask).feed(text) == text


@pytest.mark.parametrize("piece", ["\u200b", "\x1b", "sk-", "-vg-live-", "Bearer ", "a", "api key ", "\ud83d"])
def test_no_end_is_held_for_long_and_the_time_is_linear(piece: str) -> None:
    stream, shown = VisibleStream(mask), 0
    start = time.process_time()
    for _ in range(4000):
        shown += bool(stream.feed(piece))
    assert shown
    assert time.process_time() - start < 4
