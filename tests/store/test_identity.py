from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.store.runs import DEMO, SERVER, keep, request
from vig_notebook.run import Run
from vig_notebook.settings import Secret
from vig_notebook.store import Store, identity_key, identity_of
from vig_notebook.store.identity import Repeats
from vig_notebook.wire.chat import ChatRequest, Message

BASE = ("https://x/v1", "m", [{"role": "user", "content": "Hi"}], {"temperature": 0.5})


def test_key_is_the_same_in_every_process_and_version() -> None:
    assert identity_key(*BASE, seed=1, repeat=2) == "6f991f046fdbfa45d142f100b3344425"


@pytest.mark.parametrize(
    "other",
    [
        identity_key("https://y/v1", *BASE[1:]),
        identity_key(BASE[0], "n", *BASE[2:]),
        identity_key(*BASE[:2], [{"role": "user", "content": "hi"}], BASE[3]),
        identity_key(*BASE[:3], {"temperature": 0.6}),
        identity_key(*BASE, seed=1),
        identity_key(*BASE, repeat=1),
    ],
)
def test_key_covers_every_part(other: str) -> None:
    assert other != identity_key(*BASE)


def test_key_does_not_look_at_how_it_is_written() -> None:
    plain = ChatRequest(messages=[{"content": "Hi", "role": "user"}], temperature=0.5)
    struct = ChatRequest(messages=(Message("user", "Hi"),), model="small", extra={"temperature": 0.5, "stream": False})
    assert identity_of(plain, SERVER) == identity_of(struct, replace(SERVER, api_key=Secret("another")))
    assert identity_of(plain, SERVER).key == identity_key(
        SERVER.base_url, "small", [{"role": "user", "content": "Hi"}], {"temperature": 0.5}
    )


def test_key_of_an_own_server_has_no_address() -> None:
    again = replace(DEMO, base_url="http://127.0.0.1:10/v1")
    assert identity_of(request(), DEMO).key == identity_of(request(), again).key
    assert identity_of(request(), DEMO).key != identity_of(request(), SERVER).key


def test_key_of_any_server_leaves_out_server_and_default_model() -> None:
    assert identity_of(request(), DEMO).any_server_key == identity_of(request(model="small"), SERVER).any_server_key
    assert identity_of(request(model="x"), DEMO).any_server_key != identity_of(request(), SERVER).any_server_key


def test_key_of_odd_values_is_no_error() -> None:
    assert identity_key("", "", ["\ud83d"], {"x": np.float64(1), "y": float("nan")})


def test_repeats_are_counted_for_each_request() -> None:
    repeats = Repeats()
    runs = [Run(request("a"), SERVER), Run(request("b"), SERVER), Run(request("a"), SERVER)]
    keys = [repeats.identity(run).key for run in runs]
    assert keys == [repeats.identity(run).key for run in runs]  # the same when asked again
    assert keys[2] == identity_of(request("a"), SERVER, repeat=1).key
    runs[0].request = request("c")
    assert repeats.identity(runs[0]).key == identity_of(request("c"), SERVER).key


def test_repeat_of_a_label_is_taken() -> None:
    run = Run(request("a"), SERVER, labels={"repeat": "4"})
    assert Repeats().identity(run).key == identity_of(request("a"), SERVER, repeat=4).key


def test_find_gives_whole_answers_by_key(store: Store) -> None:
    for answer in ("first", "second"):
        keep(store, "a", answer)
    keys = [identity_of(request("a"), SERVER, repeat=repeat).key for repeat in range(3)]
    assert {key: record.text for key, record in store.find_all(keys).items()} == {keys[0]: "first", keys[1]: "second"}
