from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.prompts import Prompt, PromptBook, as_prompts, changes, diff, word_changes


def test_revise_makes_the_next_version_with_its_parent() -> None:
    first = Prompt(name="short", text="Say {{ x }}")
    second = first.revise("Say {{ x }}!")
    assert (second.label, second.parent) == ("short@v2", first)
    assert second.lineage == [first, second]
    assert first.text == "Say {{ x }}"


def test_revise_without_a_change_is_the_same_version() -> None:
    first = Prompt(name="short", text="a", system="s")
    assert first.revise("a", system="s") is first
    assert first.revise("a", system="s", raw=True).version == 2


def test_messages_render_text_and_system() -> None:
    prompt = Prompt(name="p", text="{{ a }} {b} {{ b }}", system="Be {{ a }}")
    assert prompt.messages({"a": "{{ secret }}", "b": 2, "c": 3}) == [
        {"role": "system", "content": "Be {{ secret }}"},
        {"role": "user", "content": "{{ secret }} {b} 2"},
    ]
    assert prompt.variables == {"a", "b"}


def test_raw_prompt_is_sent_as_it_is() -> None:
    prompt = Prompt(name="p", text="{{ a }} {% x", raw=True)
    assert prompt.messages({}) == [{"role": "user", "content": "{{ a }} {% x"}]
    assert prompt.variables == frozenset()


def test_unknown_variable_is_named_with_its_nearest() -> None:
    with pytest.raises(ConfigError, match="txet") as caught:
        Prompt(name="p", text="{{ txet }}").messages({"text": "a"})
    assert "text" in str(caught.value).replace("txet", "")


def test_diff_to_the_parent_and_to_another() -> None:
    first = Prompt(name="p", text="one\ntwo")
    second = first.revise("one\nthree", system="Be brief.")
    assert first.diff() == ""
    assert second.diff().splitlines()[:2] == ["--- p@v1", "+++ p@v2"]
    assert {"-two", "+three", "+Be brief."} <= set(second.diff().splitlines())
    assert second.diff(second) == ""
    assert diff(second, first).splitlines()[0] == "--- p@v2"


@given(st.text(max_size=60), st.text(max_size=60))
def test_word_changes_hold_both_texts(before: str, after: str) -> None:
    changes = list(word_changes(before, after))
    assert "".join(text for kind, text in changes if kind != "-") == after
    assert "".join(text for kind, text in changes if kind != "+") == before


def test_word_changes_are_by_words() -> None:
    assert list(word_changes("a red cat", "a blue cat")) == [("=", "a "), ("-", "red"), ("+", "blue"), ("=", " cat")]


def test_changes_of_texts_that_have_little_in_common_are_by_lines() -> None:
    before = "Customer: {{ text }}\n\nWhich topic is it?\nTopic:"
    after = 'Q: Is "Please send the invoice" about billing?\n\nQ: {{ text }} What fits best?\nTopic:\nOne word'
    assert changes(before, after) == [
        ("-", "Customer: {{ text }}\n"),
        ("+", 'Q: Is "Please send the invoice" about billing?\n'),
        ("=", "\n"),
        ("-", "Which topic is it?\n"),
        ("+", "Q: {{ text }} What fits best?\n"),
        ("=", "Topic:\n"),
        ("+", "One word\n"),
    ]
    assert changes("Say hello", "Write a haiku") == [("-", "Say hello\n"), ("+", "Write a haiku\n")]


@pytest.mark.parametrize(("before", "after"), [("a red cat", "a blue cat"), ("", "new"), ("old", ""), ("", "")])
def test_changes_of_texts_that_are_alike_or_empty_are_by_words(before: str, after: str) -> None:
    assert changes(before, after) == list(word_changes(before, after))


def test_prompts_are_taken_in_any_form() -> None:
    own = Prompt(name="mine", text="c", version=3)
    assert [p.label for p in as_prompts("a")] == ["p1@v1"]
    assert as_prompts(own) == [own]
    assert [p.label for p in as_prompts(["a", own])] == ["p1@v1", "mine@v3"]
    assert [(p.name, p.text) for p in as_prompts({"short": "a", "long": "b"})] == [("short", "a"), ("long", "b")]


def test_prompts_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ConfigError, match="There is no prompt"):
        as_prompts([])
    with pytest.raises(ConfigError, match="Two prompts are called p@v1"):
        as_prompts([Prompt(name="p", text="a"), Prompt(name="p", text="b")])


def test_book_adds_a_version_for_each_change() -> None:
    book = PromptBook()
    first = book.write("short", "a")
    second = book.write("short", "b", system="s")
    assert book.write("short", "b", system="s") is second
    assert (second.label, second.parent) == ("short@v2", first)
    assert book.history("short") == [first, second]


def test_book_goes_back_to_a_version() -> None:
    book = PromptBook()
    first, _ = book.write("short", "a"), book.write("short", "b")
    assert book.write("short", "a") is first
    third = book.write("short", "c")
    assert (third.version, third.parent) == (3, first)
    assert book.use("short@v2").text == "b"
    assert book.write("short", "d").parent == book.history("short")[1]
    assert book.use("short").version == 4


def test_book_takes_versions_from_the_log() -> None:
    book = PromptBook()
    third, first = Prompt(name="short", text="c", version=3), Prompt(name="short", text="a", version=1)
    assert book.restore([third, first]) == [third, first]
    assert book.restore([Prompt(name="short", text="A", version=1)]) == []
    assert [(p.version, p.text) for p in book.history("short")] == [(1, "a"), (3, "c")]
    fourth = book.write("short", "d")
    assert (fourth.version, fourth.parent) == (4, first)


def test_book_knows_names_and_current_versions() -> None:
    book = PromptBook()
    first, second = book.write("short", "a"), book.write("short", "b")
    book.use("short@v1")
    assert (book.names, book.current("short")) == (["short"], first)
    book.use("short")
    assert book.current("short") == second
    with pytest.raises(ConfigError, match="There is no prompt 'long'"):
        book.current("long")


def test_book_goes_on_from_its_own_version() -> None:
    book = PromptBook()
    own = book.write("short", "mine")
    book.restore([Prompt(name="short", text="b", version=2)])
    assert (book.write("short", "d").version, book.history("short")[2].parent) == (3, own)


def test_book_says_what_it_has() -> None:
    book = PromptBook()
    with pytest.raises(ConfigError, match="There is no prompt 'short': there are: none yet"):
        book.history("short")
    book.write("short", "a")
    with pytest.raises(ConfigError, match="There is no prompt short@v7: short has short@v1"):
        book.use("short@v7")
