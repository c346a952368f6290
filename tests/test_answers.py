"""What can be taken out of an answer's text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vig_notebook.answers import as_fence, first_code_block, parse_json
from vig_notebook.errors import VigthoriaError


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Here:\n\n```python\nx = 1\n\ny = 2\n```\nand\n```\nz\n```\n", "x = 1\n\ny = 2"),
        ("~~~\ntilde\n~~~", "tilde"),
        ("````md\n```\ninner\n```\n````", "```\ninner\n```"),
        ("  ```js\n  f()\n  ```", "  f()"),
        ("```\n```", ""),
        ("no code, only `inline`", None),
        ("```python\nnever closed", None),
    ],
)
def test_first_code_block_is_the_inside_of_the_first_fence(text: str, code: str | None) -> None:
    assert first_code_block(text) == code


@pytest.mark.parametrize(
    "text", ['{"a": [1, 2]}', ' \n{"a": [1, 2]}\n', '```json\n{"a": [1, 2]}\n```', '~~~\n{"a": [1, 2]}\n~~~']
)
def test_parse_json_takes_a_fence_off(text: str) -> None:
    assert parse_json(text) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", "line 1, column 1"),
        ('{"a": 1,\n "b": }', "line 2, column 7"),
        ("Sure! {}", "line 1, column 1"),
        ("[" * 100_000, "recursion"),
        ("9" * 5_000, "digits"),
        ("```json\n{", "line 1, column 1"),
    ],
)
def test_parse_json_says_where_a_text_is_not_json(text: str, seen: str) -> None:
    with pytest.raises(VigthoriaError, match="the answer is not JSON") as caught:
        parse_json(text)
    assert seen in str(caught.value)


@given(st.text(alphabet=st.sampled_from("`~\nab "), max_size=40).filter(lambda text: text.strip()))
def test_as_fence_cannot_be_closed_by_what_is_in_it(text: str) -> None:
    assert first_code_block(as_fence(text, "text")) == text.rstrip()


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3)))
def test_parse_json_gives_back_what_was_written(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
