"""Conversations that go on after their kernel has ended, and what is known of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.runs import ask, keep
from vig_notebook.chats import named_chat
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError, RateLimited, VigthoriaError
from vig_notebook.run import RunState
from vig_notebook.store import Replaying, continue_chat, default_store, forget_chat, fork_chat, past_of, run_log

if TYPE_CHECKING:
    from vig_notebook.store import Record


def messages(*texts: str) -> list[dict[str, object]]:
    """Questions and answers in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def record(**members: object) -> Record:
    run = ask(default_store(), **members)  # type: ignore[arg-type]
    found = default_store().get(run.id)
    assert found is not None
    return found


def test_conversation_goes_on_with_what_is_known_of_its_answers() -> None:
    keep(default_store(), "one", "first", chat="c")
    system = {"role": "system", "content": "Kind"}
    keep(default_store(), "", "second", messages=[system, *messages("one", "first", "two")], chat="c")
    chat, count = continue_chat("c")
    assert (count, chat.system) == (2, "Kind")
    assert [(turn.prompt, turn.answer) for turn in chat.turns] == [("one", "first"), ("two", "second")]
    assert chat.turns[0].outcome is not None
    assert chat.turns[0].outcome.endpoint.name == "Example"
    assert continue_chat("c") == (chat, 0)


def test_conversation_with_turns_of_another_form_keeps_what_can_be_kept() -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    asked = [{"role": "assistant", "content": "unasked"}, {"role": "user", "content": parts}]
    keep(default_store(), "", "end", messages=[*asked, *messages("lost", "a picture", "last")[1:]], chat="c")
    chat, count = continue_chat("c")
    assert [(turn.prompt, turn.answer) for turn in chat.turns] == [("see", "a picture"), ("last", "end")]
    assert count == 2
    assert chat.turns[0].outcome is not None
    assert chat.turns[0].outcome.endpoint.name == "the run log"


def test_conversation_that_is_unknown_or_begun_anew_or_replayed_is_empty() -> None:
    keep(default_store(), "one", "first", chat="c")
    keep(default_store(), "one", "first", chat="d")
    assert continue_chat("unknown")[1] == 0
    assert continue_chat("c", anew=True)[1] == 0
    assert continue_chat("c")[1] == 0
    run_log().replay(Replaying(mode="on"))
    assert continue_chat("d")[1] == 0


def test_conversation_without_a_readable_log_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOG", "talk.jsonl")
    assert continue_chat("c")[1] == 0
    assert not forget_chat("c")


def test_conversation_that_is_forgotten_is_kept_under_another_name() -> None:
    keep(default_store(), "one", "first", chat="c")
    assert forget_chat("c")
    assert not forget_chat("c")
    assert default_store().chat_messages("c") == []
    [kept] = default_store().search("one")
    assert str(kept.chat).startswith("c (until 20")


def test_fork_copies_the_turns_and_the_system_prompt() -> None:
    keep(default_store(), "one", "first", chat="c")
    copy = named_chat("copy")
    copy.add("gone")
    fork_chat("c", copy)
    assert [(turn.prompt, turn.answer) for turn in copy.turns] == [("one", "first")]
    copy.add("two")
    assert len(named_chat("c").turns) == 1
    for name in ("copy", "nobody"):
        with pytest.raises(ConfigError, match=f"The conversation '{name}' cannot be copied"):
            fork_chat(name, copy)
    named_chat("empty")
    with pytest.raises(ConfigError, match="neither here nor in the run log"):
        fork_chat("empty", copy)
    assert "chat nobody" not in engine().kept


def test_outcome_has_what_the_run_had() -> None:
    past = past_of(record(prompt="Hi", temperature=0.5, chat="c", labels={"rank": "1"}))
    assert (past.state, past.text_so_far, past.chat, past.labels) == (RunState.DONE, "Hello world", "c", {"rank": "1"})
    assert past.request.to_body()["temperature"] == 0.5
    assert past.completion.usage is not None


def test_outcome_of_a_failure_has_its_kind_and_its_sentence() -> None:
    error = past_of(record(error=RateLimited("No answer", seen="too many", advice="Wait.", status=429))).error
    assert isinstance(error, RateLimited)
    assert str(error) == "No answer. too many. Wait."
    default_store()._ask(lambda c: c.execute("UPDATE runs SET error_kind = 'of later versions'").fetchall())
    [found] = default_store().search()
    assert type(past_of(found).error) is VigthoriaError


def test_outcome_of_an_interrupted_run_is_stopped_and_says_so() -> None:
    found = record(prompt="Hi")
    default_store()._ask(lambda c: c.execute("UPDATE runs SET state = 'interrupted', messages = NULL").fetchall())
    again = default_store().get(found.id)
    assert again is not None
    past = past_of(again)
    assert (past.state, past.labels) == (RunState.STOPPED, {"interrupted": "yes"})
    assert past.request.to_body()["messages"][0]["content"] == ""
