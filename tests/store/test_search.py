from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.runs import ask, keep
from vig_notebook.errors import ConfigError, Truncated
from vig_notebook.store import Store, parse_moment

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def prompts(store: Store, words: str | None = None, **narrow: object) -> list[str | None]:
    return [record.prompt for record in store.search(words, **narrow)]  # type: ignore[arg-type]


@pytest.fixture
def filled(store: Store) -> Store:
    keep(store, "a poem about the sea", "The sea is blue", model="large-2", chat="poems")
    keep(store, "Größe des Turms", "42 m -> high", model="small")
    keep(store, "東京の塔について", "塔は高い")
    keep(store, "what failed", error=Truncated("The answer is not whole"))
    return store


def test_search_gives_the_newest_first(filled: Store) -> None:
    assert prompts(filled) == ["what failed", "東京の塔について", "Größe des Turms", "a poem about the sea"]
    assert prompts(filled, limit=1) == ["what failed"]
    assert len(prompts(filled, limit=None)) == 4


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("poem", 1),
        ("POEM blue", 1),  # one in the prompt, one in the answer
        ("poem nowhere", 0),
        ("po", 0),  # three letters are the beginning of a word
        ("poe", 1),
        ("poe blu", 1),
        ('"sea is"', 1),
        ('"is sea"', 0),
        ("grosse", 0),
        ("große", 1),
        ("größe", 1),
        ("grö", 1),
        ("grosze OR poem", 0),
        ("塔", 1),
        ("東京 高い", 1),
        ("->", 1),
        ('" "', 4),
        ("", 4),
        ("  ", 4),
        ('"', 0),
        ("NEAR(", 0),
        ("text:blue", 0),
        ("a*", 1),
        ("blue\0", 1),
    ],
)
def test_search_by_words(filled: Store, words: str, found: int) -> None:
    assert len(prompts(filled, words)) == found


@given(words=st.text(max_size=30))
def test_search_by_any_words_is_no_syntax_error(words: str) -> None:
    store = Store("off")
    store.search(words.encode("utf-8", "replace").decode())
    store.close()


def test_search_narrows(filled: Store) -> None:
    assert prompts(filled, model="LARGE") == ["a poem about the sea"]
    assert prompts(filled, chat="poems") == ["a poem about the sea"]
    assert prompts(filled, state="Failed") == ["what failed"]
    assert prompts(filled, "sea", model="small") == []
    assert len(prompts(filled, since="1h")) == 4
    assert prompts(filled, since=datetime.now(UTC) + timedelta(minutes=1)) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("90m", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        (" 2D ", NOW - timedelta(days=2)),
        ("1.5 d", NOW - timedelta(hours=36)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-01-31T10:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone(UTC)),
    ],
)
def test_moment_is_understood(text: str, moment: datetime) -> None:
    assert parse_moment(text, now=NOW) == moment


@pytest.mark.parametrize(("text", "day"), [("today", 10), (" Yesterday ", 9)])
def test_moment_that_is_a_day_is_its_local_midnight(text: str, day: int) -> None:
    assert parse_moment(text, now=NOW) == datetime(2026, 3, day).astimezone(UTC)


@pytest.mark.parametrize("text", ["soon", "", "2 fortnights", "999999w", "2026-02-31"])
def test_moment_that_is_none_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_moment(text)
    assert str(refused.value) == (
        f"The time is not understood: {text!r}. Write 30m, 12h, 2d or 1w for so long ago, or a date such as 2026-01-31."
    )


def test_get_by_id_and_by_its_beginning(store: Store) -> None:
    run = ask(store)
    assert store.get(run.id) == store.get(run.id[:8]) == store.search()[0]
    assert store.get("nothing") is None
    assert store.get("%") is None


def test_get_by_a_beginning_that_several_have_is_refused(store: Store) -> None:
    row = "INSERT INTO runs (id, created_at, ended_at, state) VALUES (?, '2026-01-01', '2026-01-01', 'done')"
    ids = [("abc",), ("abcd",), ("abce",)]
    store._ask(lambda c: c.executemany(row, ids).fetchall())
    with pytest.raises(ConfigError, match=r"The run is not clear: several ids begin with ab\. Give more of it\."):
        store.get("ab")
    assert store.get("abcd") is not None
    found = store.get("abc")
    assert found is not None
    assert found.id == "abc"


def test_chat_goes_on_where_it_was(store: Store) -> None:
    keep(store, "first", "one", chat="c")
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "second"},
    ]
    keep(
        store,
        messages=messages,
        chunks=[{"choices": [{"delta": {"content": "two"}, "finish_reason": "stop"}]}],
        chat="c",
    )
    keep(store, "without an answer", chunks=[{"choices": []}], chat="c")
    keep(store, "another", chat="d")
    assert store.chat_messages("c") == [*messages, {"role": "assistant", "content": "two"}]
    assert store.chat_messages("nobody") == []
