from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.demos import LIMIT_S
from vig_notebook.store import Store
from vig_notebook.tuning.log import MemoryLog, StoreLog
from vig_notebook.tuning.prompts import Prompt
from vig_notebook.tuning.versions import labels_of, logged_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tuning.conftest import Maker
    from vig_notebook.tuning.log import AnswerLog


FIRST = Prompt(name="short", text="Say {{ text }}")
SECOND = FIRST.revise("Write {{ text }}", system="Be brief")
THIRD = FIRST.revise("Tell {{ it }}", raw=True, version=3)
DATA = [{"text": "rain"}, {"text": "snow"}]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "runs.sqlite")
    yield made
    made.close()


@pytest.fixture(params=["store", "memory"])
def log(request: pytest.FixtureRequest, store: Store) -> AnswerLog:
    return StoreLog(store) if request.param == "store" else MemoryLog()


def test_versions_come_back_with_parents_and_options(make: Maker, log: AnswerLog) -> None:
    for prompt in (THIRD, FIRST, SECOND):
        line = {"line": f"--name short --repeats {prompt.version}"}
        make(prompt, data=DATA, repeats=1, name="short", store=log, labels=line).run().wait(LIMIT_S)
    make("Say {{ text }}", data=DATA, repeats=1, name="other", store=log).run().wait(LIMIT_S)
    found = logged_versions(log, "short")
    assert [one.prompt for one in found] == [THIRD, FIRST, SECOND]  # the one that was asked last stands last
    assert [one.line for one in found] == [f"--name short --repeats {n}" for n in (3, 1, 2)]
    assert [one.prompt.parent for one in found] == [FIRST, None, FIRST]
    assert logged_versions(log, "nobody") == []


def test_version_asked_twice_is_as_it_was_last(make: Maker, log: AnswerLog) -> None:
    """Two kernels wrote a second version each."""
    for text in ("Write {{ text }}", "Tell {{ text }}"):
        make(FIRST.revise(text), data=DATA, repeats=1, name="short", store=log).run().wait(LIMIT_S)
    (found,) = logged_versions(log, "short")
    assert (found.prompt.text, found.prompt.version, found.prompt.parent, found.line) == (
        "Tell {{ text }}", 2, None, "",
    )  # fmt: skip


def test_what_is_no_version_is_passed_over() -> None:
    log = MemoryLog()
    for labels in (
        {"prompt": "shorter@v1", "template": "x"},
        {"prompt": "short@vx", "template": "x"},
        {"prompt": "short", "template": "x"},
        {"prompt": "short@v2"},  # prompts are not logged
        {"prompt": "short@v3", "template": "x", "parent": "short@v9"},
    ):
        log._labels.append({"experiment": "short", **labels})
    assert [one.prompt for one in logged_versions(log, "short")] == [Prompt(name="short", text="x", version=3)]


def test_labels_say_all_of_a_version() -> None:
    assert labels_of(FIRST) == {"prompt": "short@v1", "prompt_digest": FIRST.digest, "template": "Say {{ text }}"}
    assert labels_of(SECOND)["system_template"] == "Be brief"
    assert labels_of(SECOND)["parent"] == "short@v1"
    assert labels_of(THIRD)["raw"] == "yes"


def test_prompts_that_are_not_logged_are_in_no_label(make: Maker, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite", log_prompts=False)
    line = {"line": "--system secret"}
    make(SECOND, data=DATA, repeats=1, name="short", store=store, labels=line).run().wait(LIMIT_S)
    (labels, _) = store.labels("experiment", "short")
    assert labels.keys() == {"experiment", "example", "repeat", "prompt", "prompt_digest", "parent"}
    assert logged_versions(StoreLog(store), "short") == []
    store.close()


def test_labels_are_found_whatever_is_in_them(make: Maker, store: Store) -> None:
    for name in ('a%b_"c"\\', "axb_c", "größe"):
        make(f"Hello {name}", name=name, store=store).run().wait(LIMIT_S)
    assert [one["experiment"] for one in store.labels("experiment", 'a%b_"c"\\')] == ['a%b_"c"\\']
    assert len(store.labels("experiment", "größe")) == 1
    assert store.labels("experiment", "a%") == []
