"""The answers: of the form that is asked for, about what is asked for, and the same each time."""

from __future__ import annotations

import ast
import json
import re
import time
from itertools import combinations
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vig_notebook.demo.answers import Answer, compose
from vig_notebook.demo.reading import find_topic, find_words
from vig_notebook.demo.request import ChatBody
from vig_notebook.demo.tokens import count_tokens, estimate_tokens, split_tokens
from vig_notebook.demo.verses import syllables


def answer(*prompts: str, index: int = 0, system: str = "", **members: Any) -> Answer:
    """The answer to the last of some user messages."""
    messages = [{"role": "user", "content": prompt} for prompt in prompts]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return compose(msgspec.convert({"messages": messages, **members}, ChatBody), index)


def text(*prompts: str, **members: Any) -> str:
    return answer(*prompts, **members).text


PROMPTS = [
    "Write a poem about technology",
    "Write a haiku about AI",
    "Explain quantum computing in one sentence",
    "Explain machine learning",
    "Write a Python function that reverses a string",
    "Give me five ideas for a birthday",
    "Compare cats and dogs in a table",
    "Describe Vienna as JSON",
    "What is 17 * 24?",
    "Hi there",
    "Classify this as bug or praise: it crashed",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_same_request_gives_the_same_text(prompt: str) -> None:
    assert text(prompt) == text(prompt)


def test_different_prompts_give_different_texts() -> None:
    assert len({text(prompt) for prompt in PROMPTS}) == len(PROMPTS)
    assert text("Explain rain") != text("Explain snow")


def test_model_temperature_seed_and_index_vary_the_text() -> None:
    prompt = "Write a poem about the sea"
    for name, values in {"model": "abcdef", "temperature": (0, 0.3, 0.7, 1, 1.5, 2), "seed": range(6)}.items():
        assert len({text(prompt, **{name: value}) for value in values}) > 1
    assert len({text(prompt, index=index) for index in range(6)}) > 1


def test_seed_at_temperature_0_changes_nothing() -> None:
    assert len({text("Write a poem about the sea", temperature=0, seed=seed) for seed in range(9)}) == 1


def test_essay_quotes_the_prompt_and_shows_every_kind_of_markdown() -> None:
    essay = text("Explain machine learning")
    assert essay.startswith("> Explain machine learning\n")
    assert "## Machine learning" in essay
    for mark in (r"^- \*\*", r"^\|---\|", r"^```python$", r"^\$\$", r"\*learning\*"):
        assert re.search(mark, essay, re.MULTILINE), mark
    assert essay.splitlines()[-1].startswith("*Scripted by the demo server")
    assert "| words | 3 |" in essay
    block = re.search(r"```python\n(.*?)\n```", essay, re.DOTALL)
    assert block is not None
    ast.parse(block[1])


def test_essay_of_a_long_prompt_quotes_its_start() -> None:
    essay = text("Explain " + "very " * 200 + "much")
    assert re.match(r"> Explain (very )+very…\n", essay)


def test_essay_takes_up_earlier_turns_and_the_system_message() -> None:
    essay = text("Explain tides", "And the moon?", system="Be kind.")
    assert essay.startswith(
        "You asked about *tides* before; this goes on from there.\n\nI keep to what you set up: “Be kind”."
    )
    assert "**the moon**" in essay.lower()


def test_system_message_sets_the_form_where_the_prompt_does_not() -> None:
    assert text("Rain", system="Answer as a haiku.").count("\n") == 2
    assert json.loads(text("Rain", system="Answer with JSON only."))
    assert "**" in text("Write a poem about rain", system="Answer in one sentence.")


def test_poem_is_about_the_topic_in_stanzas_with_broken_lines() -> None:
    for index in range(12):
        poem = text("Write a poem about the sea", index=index)
        assert poem.startswith("**The sea**\n\n")
        stanzas = poem.split("\n\n")[1:]
        assert len(stanzas) in (3, 4)
        assert all(stanza.rstrip().count("  \n") == 3 for stanza in stanzas)
        assert poem.lower().count("the sea") >= 2
        assert "{" not in poem


@pytest.mark.parametrize(
    "topic", ["AI", "rain", "the sea", "autumn", "technology", "an old silent pond", "electricity", "a frog", "love"]
)
def test_haiku_has_three_lines_of_5_7_5(topic: str) -> None:
    for index in range(6):
        haiku = text(f"Write a haiku about {topic}", index=index)
        lines = haiku.split("\n\n")[-1].split("  \n")
        assert [syllables(line) for line in lines] == [5, 7, 5], lines
        assert topic.split()[-1].lower() in haiku.lower()


def test_haiku_about_a_long_topic_has_it_as_title() -> None:
    assert text("Write a haiku about the Danube at midnight in winter").startswith(
        "**The Danube at midnight in winter**\n\n"
    )


def test_sentence_is_one() -> None:
    for index in range(6):
        sentence = text("Explain quantum computing in one sentence", index=index)
        assert sentence.count(".") == 1
        assert "quantum computing" in sentence.lower()
    assert "\n" not in text("TL;DR of ocean currents and of winds")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Write a Python function that reverses a string", "reverse"),
        ("Python function for Fibonacci numbers", "fibonacci"),
        ("write code to test for a prime", "is_prime"),
        ("Write a function for the factorial in Python", "factorial"),
        ("Write a script that finds a palindrome", "is_palindrome"),
        ("Write a Python function to sort numbers", "insertion_sort"),
        ("Write a Python function that greets visitors", "greets_visitors"),
        ('Write a Python function that "quotes" \\ things', "quotes_curiosity"),
        ("Python: 北京大学 学生名单 学生名单", "北京大学_学生名单"),
        ("Python: ²²²² numbers", "count_words"),
        ("Write Python for class yield", "class_yield"),
    ],
)
def test_code_is_a_function_that_runs(prompt: str, name: str) -> None:
    block = re.search(r"```python\n(.*?)\n```", text(prompt), re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {"print": lambda *_: None}
    exec(block[1], names)  # noqa: S102  # our own snippets
    assert name in names


def test_list_obeys_its_number() -> None:
    assert text("Give me five ideas for a birthday").count("\n- ") == 5
    assert text("List 3 facts about owls").count("\n2. ") == 1
    assert text("List 99 facts about owls").count("\n12. ") == 1
    assert "\n13. " not in text("List 99 facts about owls")
    assert text("Some tips for gardeners").count("\n- ") == 4
    assert "Owls" in text("List 0 facts about owls")


def test_table_sets_two_things_side_by_side() -> None:
    table = text("Compare cats and dogs in a table")
    assert "| | Cats | Dogs |\n|---|---|---|\n" in table
    assert "| letters | 4 | 4 |" in table
    assert "| | Rivers | Everything else |" in text("A table of rivers")


@pytest.mark.parametrize(
    ("prompt", "label"),
    [
        ("Classify as bug, billing or praise: the app crashed, terrible", "bug"),
        ("Classify as bug, billing or praise: I love it, wonderful", "praise"),
        ("Classify as bug, billing, or praise: a question of billing", "billing"),
        ("Sentiment of this text: what a lovely day", "positive"),
        ("Answer with yes or no: yes?", "yes"),
    ],
)
def test_choice_is_the_label_that_the_text_speaks_for(prompt: str, label: str) -> None:
    assert text(prompt) == label


def test_choice_without_a_hint_is_one_of_the_labels() -> None:
    assert text("Classify as red, green or blue: a thing") in {"red", "green", "blue"}


@pytest.mark.parametrize(
    ("prompt", "result"),
    [
        ("What is 17 * 24?", "17 \u00d7 24 = **408**"),
        ("2 + 2", "2 + 2 = **4**"),
        ("what is 7 minus 9", "7 - 9 = **-2**"),
        ("1.5 x 3 =", "1.5 \u00d7 3 = **4.5**"),
        ("10 divided by 4", "10 ÷ 4 = **2.5**"),
    ],
)
def test_sum_is_calculated(prompt: str, result: str) -> None:
    assert text(prompt) == result


@pytest.mark.parametrize("prompt", ["5 / 0", "5 divided by 0", "9" * 60 + " * 2"])
def test_sum_that_has_no_short_result_is_a_sentence(prompt: str) -> None:
    assert text(prompt).endswith(".")


def test_greeting_is_answered_with_what_to_try() -> None:
    assert "Write a poem about rain" in text("Hello!")


def test_name_is_remembered_in_a_chat() -> None:
    assert text("My name is Ada.", "What is my name?") == "Your name is **Ada**. You told me in your last message."
    assert "2 messages ago" in text("call me Zoë", "Explain rain", "What's my name?")
    assert text("What is my name?").startswith("You have not told me yet.")


@pytest.mark.parametrize(
    ("prompt", "keys"),
    [
        ("Describe Vienna as JSON", ["topic", "summary", "keywords", "words", "confidence"]),
        ("A JSON object with keys name, age and tags for a pirate", ["name", "age", "tags"]),
        ('JSON with fields "is_valid", "label", and "description"', ["is_valid", "label", "description"]),
        ("Sentiment as JSON with keys sentiment and score: I love it", ["sentiment", "score"]),
    ],
)
def test_json_is_an_object_with_the_keys_that_are_asked_for(prompt: str, keys: list[str]) -> None:
    assert list(json.loads(text(prompt))) == keys


def test_json_values_suit_their_keys() -> None:
    value = json.loads(
        text("JSON with keys name, age, tags, is_valid, label, score, summary, words, class, text for a pirate")
    )
    kinds = [str, int, list, bool, str, float, str, int, str, str]
    assert list(map(type, value.values())) == kinds
    assert value["name"] == "A pirate"


WORD = {"type": "string"}


@pytest.mark.parametrize(
    "inner",
    [
        {"country": WORD, "discount": WORD, "age": WORD, "words": WORD, "confidence": WORD},
        {"name": {"type": "integer"}, "share": {"type": "number"}, "count": {"type": "number"}},
        {"title": {"type": "boolean"}, "one": {"type": "array", "maxItems": 1}},
        {"height_m": {"type": "integer", "minimum": 200, "maximum": 300}, "low": {"type": "number", "maximum": -1}},
        {"mood": {"enum": ["good", "bad"]}, "rest": {"type": "object"}, "any": {}},
        {"sights": {"type": "array", "items": WORD, "minItems": 5, "maxItems": 5}},
        {"numbers": {"type": "array", "items": {"type": "integer"}}, "none": {"type": "array", "maxItems": 0}},
        {"places": {"type": "array", "items": {"type": "object", "properties": {"town": WORD}, "required": ["town"]}}},
        {"home": {"type": "object", "properties": {"town": WORD, "rooms": {"type": "integer"}}, "required": ["town"]}},
    ],
)  # fmt: skip
def test_json_is_what_its_schema_lets_through(inner: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": inner, "required": list(inner)}
    for prompt in ("Describe Lisbon", "Describe Lisbon as JSON"):
        jsonschema.validate(json.loads(text(prompt, **schema_of(inner))), schema)


def test_json_of_a_schema_says_what_its_keys_say() -> None:
    inner = {"city": WORD, "sights": {"type": "array", "items": WORD}}
    value = json.loads(text("Describe Lisbon as JSON", **schema_of(inner)))
    assert value == {"city": "Lisbon", "sights": ["lisbon", "curiosity", "patience"]}


@pytest.mark.parametrize(
    "inner",
    [
        {"a": {"type": "array", "minItems": "many", "maxItems": None, "items": 3}},
        {"a": {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}}},
        {"a": {"type": "integer", "minimum": "low", "maximum": 10**400}},
        {"a": {"enum": 3}, "b": 7, "c": {"type": ["string"]}, "d": {"enum": []}},
        {"a": {"type": "object", "properties": 7}},
    ],
)
def test_json_of_a_schema_that_makes_no_sense_is_json_all_the_same(inner: dict[str, Any]) -> None:
    assert "a" in json.loads(text("Describe Lisbon", **schema_of(inner)))


def test_json_of_a_deep_schema_ends() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}}
    assert "null" in text("Describe Lisbon", **schema_of({"a": deep}))


def schema_of(properties: dict[str, Any]) -> dict[str, Any]:
    """The member of a request that asks for an object with these properties."""
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": properties}}}}


def test_json_without_a_usable_schema_has_keys_of_its_own() -> None:
    for schema in (None, {"schema": None}, {"schema": {"properties": 5}}, "x"):
        assert (
            json.loads(text("Rain", response_format={"type": "json_schema", "json_schema": schema}))["topic"] == "Rain"
        )


def test_reasoning_speaks_of_the_prompt_and_of_what_was_before() -> None:
    thoughts = "".join(answer("Explain tides", "And the moon?", model="demo-reasoning").reasoning)
    assert "the moon" in thoughts
    assert "Before that we spoke of tides." in thoughts
    assert not answer("Explain tides").reasoning
    assert "every word" in "".join(answer("Why?", model="demo-reasoning").reasoning)


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("Write a poem about technology", "technology"),
        ("Please write me a short haiku about the sea, thanks!", "the sea"),
        ("Could you explain quantum computing in one sentence?", "quantum computing"),
        ("What is recursion?", "recursion"),
        ("I want you to describe Vienna as JSON", "Vienna"),
        ("Explain the difference between a list and a tuple", "a list and a tuple"),
        ("And the moon?", "the moon"),
        ("In one sentence, what is this about?\n\n**A lighthouse**\n\nThe cursor blinked.", "A lighthouse"),
        ("Summarise this:\n\nThe sea. The sky.", "The sea"),
        ("What is this?", "this"),
        ("Explain tides\n\nThe sea rises.", "tides"),
        ("And what about the food there?", "the food there"),
        ("Tell me more about the food", "the food"),
        ("Where should I have dinner in Lisbon?", "have dinner in Lisbon"),
        ("Write a poem", "a poem"),
        ("x", "x"),
        ("???", "nothing at all"),
        ("", "nothing at all"),
        ("Explain **bold** | <b> `code` [link](x)", "bold b code link (x"),
        ("Explain " + "word " * 50, "word word word word word word word"),
    ],
)
def test_topic_is_what_the_prompt_is_about(prompt: str, topic: str) -> None:
    assert find_topic(prompt) == topic


def test_words_are_the_longer_ones_once_and_in_order() -> None:
    assert find_words("Write about the Old river, the river and its bridges, boats, ferries, mills, banks") == (
        "river",
        "bridges",
        "boats",
        "ferries",
        "mills",
    )
    assert find_words("a b c") == ()


def test_long_text_has_every_kind_of_chapter() -> None:
    long = text("Explain tides", model="demo-long")
    for mark in (r"^- ", r"^\|---\|", r"^```python$", r"\$\\frac", r"^> ", r"^## 9\. "):
        assert re.search(mark, long, re.MULTILINE), mark


@given(st.text(max_size=300))
def test_tokens_joined_are_the_text(source: str) -> None:
    assert "".join(split_tokens(source)) == source
    assert count_tokens(source) <= len(source)


def test_estimate_is_four_characters_a_token() -> None:
    assert [estimate_tokens("x" * n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


@settings(max_examples=60)
@given(st.text(max_size=200), st.sampled_from(PROMPTS), st.text(max_size=60))
def test_any_prompt_is_answered(before: str, middle: str, system: str) -> None:
    for prompt in (before, f"{before} {middle}", f"{middle} {before}"):
        assert text(prompt, system=system)
        assert text(prompt, model="demo-reasoning", seed=1)


@pytest.mark.parametrize(
    "piece", ["in a ", "a, ", "1 ", "please ", "with keys a ", "what is ", "`|", "and ", "x or ", "/"]
)
def test_hostile_prompt_of_a_megabyte_takes_no_time(piece: str) -> None:
    start = time.perf_counter()
    for form in ("", "json with keys ", "classify ", "poem "):
        text(form + piece * (900_000 // len(piece)))
    assert time.perf_counter() - start < 4


def test_chat_of_very_many_turns_takes_no_time() -> None:
    start = time.perf_counter()
    assert text(*["call me Ada"] * 150, *["Explain rain"] * 20_000, "What is my name?").startswith(
        "You have not told me"
    )
    assert text(*["Explain rain"] * 20_000, "And snow?").startswith("You asked about *rain* before")
    assert time.perf_counter() - start < 4


def test_syllables_of_common_words() -> None:
    words = {"technology": 4, "AI": 2, "the sea": 2, "rain": 1, "love": 1, "silence": 2, "little": 2, "x": 1, "": 0}
    assert {word: syllables(word) for word in words} == words


def test_stop_sequences_cut_at_the_first_of_them() -> None:
    whole = text("Explain rain")
    cuts = [whole[10:13], whole[30:33], "not there"]
    assert all(text("Explain rain", stop=list(pair)) == whole[: min(whole.find(cut) for cut in pair if cut in whole)]
               for pair in combinations(cuts, 2))  # fmt: skip
