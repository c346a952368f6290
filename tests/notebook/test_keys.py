"""The keys in what a run says: what is shown while it comes holds none, and is in the end what the record shows."""

from __future__ import annotations

import json
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notebook.test_record import ended
from vig_notebook.notebook.keys import masked, masked_stream, visible_stream

KEY = "open-sesame/42"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
PART = ESCAPED[:6] + KEY[1:]
PIECES = st.sampled_from(
    [KEY, ESCAPED, PART, KEY[:5], KEY[5:], "vg-live-1A2b", '"', " ", "\\", "\\u", "o", "open", "é"]
)


def streamed(*pieces: str, key: str | None = KEY) -> list[str]:
    """What is shown after each piece, and at the end."""
    stream = masked_stream(ended(key=key))
    return list(accumulate([*map(stream.feed, pieces), stream.flush()]))


@given(st.lists(PIECES, max_size=12))
def test_any_cut_shows_what_no_cut_shows(pieces: list[str]) -> None:
    whole = "".join(pieces)
    assert streamed(*pieces)[-1] == masked(whole, ended(key=KEY))
    assert streamed(*whole)[-1] == masked(whole, ended(key=KEY))


@pytest.mark.parametrize("spelling", [KEY, ESCAPED, PART, "open-sesame%2F42"])
def test_key_is_shown_at_no_time_however_it_is_spelled(spelling: str) -> None:
    text = f'It is "{spelling}".'
    for shown in streamed(*text):
        assert "sesam" not in json.loads(f"[{json.dumps(shown)}]")[0]
        assert KEY not in shown.encode().decode("unicode_escape", "replace")
    assert streamed(*text)[-1] == 'It is "••••".'
    assert masked(text, ended(key=KEY)) == 'It is "••••".'


@pytest.mark.parametrize("text", [r"a \underline{b} and \u00e9", r'"\u0061 word"', "an open door", "o"])
def test_text_without_a_key_is_as_it_came(text: str) -> None:
    assert streamed(*text)[-1] == text
    assert streamed(*text, key=None)[-1] == text


def test_terminal_is_shown_no_key_either() -> None:
    stream = visible_stream(ended(key=KEY))
    assert "".join([*map(stream.feed, f"a {KEY}\x1b"), stream.flush()]) == "a ••••⟨U+001B⟩"
