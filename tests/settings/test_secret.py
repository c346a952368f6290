from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import time
import traceback

import msgspec
import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.settings import Endpoint, Secret, concealed, mask

KEY = "vg-live-sk-Canary42Canary42"


def test_secret_shown_in_any_way_is_masked() -> None:
    secret = Secret(KEY)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>30}",
        f"{secret:10}",
        f"{secret} {secret!r}",
        repr([secret]),
        repr(Endpoint(base_url="https://x.example", api_key=secret)),
        repr(dataclasses.asdict(Endpoint(base_url="https://x.example", api_key=secret))),
        str(ValueError(secret)),
        "".join(traceback.format_exception_only(ValueError(secret))),
        logging.makeLogRecord({"msg": "%s", "args": (secret,)}).getMessage(),
    ]
    assert not [text for text in shown if "Canary" in text]
    assert "••••" in str(secret)


def test_secret_reveal_gives_the_key() -> None:
    assert Secret(KEY).reveal() == KEY


def test_secret_pickle_is_refused() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="a Secret is not saved"):
            pickle.dumps(Secret(KEY), protocol)
    with pytest.raises(TypeError, match="a Secret is not saved"):
        Secret(KEY).__getstate__()


def test_secret_json_is_refused() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(KEY))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret(KEY))


def test_secret_vars_finds_nothing() -> None:
    with pytest.raises(TypeError):
        vars(Secret(KEY))
    assert not hasattr(Secret(KEY), "__dict__")


def test_secret_copy_is_the_same_object() -> None:
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secret_equality_is_of_the_keys() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1


def test_concealed_other_than_a_text_is_an_error_without_it() -> None:
    with pytest.raises(ConfigError) as caught:
        concealed(KEY.encode())  # type: ignore[arg-type]  # what is tested
    assert str(caught.value) == "api_key must be a text: it is of type bytes."


def test_secret_empty_is_falsy() -> None:
    assert not Secret("")
    assert Secret(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "sk-abc123def456",
        "Incorrect API key provided: sk-proj-Abc***********xyz9.",
        "vg-live-sk-abc1",
        "vk_live_abcd",
        "vk_test_4eC39HqLyjWDarjtT1zdp7dc",
        "vk_pub_abcd",
        "sk-abcdefghijklmnopqrstuvwx",
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-1",
        "authorization: bearer all-lower-words",
        '{"Authorization": "Bearer my-secret"}',
        "api key: dGhpcyBpcyBhIGtleQ==",
        "API_KEY=0123456789abcdef0123",
        "x-api-key: 0123456789abcdef0123",
        "Authorization: Basic dXNlcjpwYXNz",
    ],
)
def test_mask_text_that_looks_like_a_key_is_taken_out(text: str) -> None:
    masked = mask(text)
    assert "••••" in masked
    tail = text.replace('"', "").replace("}", "").split()[-1]
    assert tail.strip(".") not in masked


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn and sk-learn-contrib-2 are packages",
        "a sk-based thing",
        "Bearer authentication needs a Bearer token; Bearer tokens expire.",
        "the bearer of this letter",
        "-H 'Authorization: Bearer YOUR_API_KEY'",
        "Authorization: Bearer $API_KEY",
        "The API key is missing. Your API key must be set",
        "authorization is internationalization of something",
        "task-1234567890 and disk-abcdefgh1",
        "the risk-averse",
    ],
)
def test_mask_ordinary_words_stay(text: str) -> None:
    assert mask(text) == text


def test_mask_given_keys_are_taken_out_literally_in_each_spelling() -> None:
    secret = Secret("my/own+key=1")
    assert mask("a my/own+key=1 b my%2Fown%2Bkey%3D1 c", secret) == "a •••• b •••• c"


def test_mask_given_key_that_is_a_word_stays() -> None:
    assert mask("ollama runs", Secret("ollama"), Secret("")) == "ollama runs"


@pytest.mark.parametrize("piece", ["sk-", "vg-live-", "Bearer ", "api key ", "authorization: bearer ", "a", "sk-a"])
def test_mask_hostile_length_is_linear(piece: str) -> None:
    start = time.perf_counter()
    mask(piece * (400_000 // len(piece)))
    assert time.perf_counter() - start < 2
