"""Conversations: the tree, what is sent next, the file, the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S, demo
from vig_notebook.api import ask, question
from vig_notebook.chats import Chat, Past, named_chat, named_chats
from vig_notebook.errors import AuthError, ConfigError
from vig_notebook.run import RunState
from vig_notebook.settings import Endpoint
from vig_notebook.wire.chat import ChatRequest, Message, Usage
from vig_notebook.wire.completion import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.demos import Demo
    from vig_notebook.run import Run


@pytest.fixture
def server() -> Iterator[Demo]:
    """A demo server that answers at once."""
    with demo() as made:
        yield made


def send(server: Demo, chat: Chat, prompt: str, **parameters: object) -> Run:
    """Ask as a turn of the chat, and wait for the end."""
    model = parameters.pop("model", None)
    assert model is None or isinstance(model, str)
    asked = question(
        prompt,
        chat=chat,
        model=model,
        base_url=server.server.base_url,
        api_key=server.server.token,
        parameters=parameters,
    )
    run = ask(asked, chat=chat)
    assert run.wait(LIMIT_S)
    return run


def past(text: str, *, state: RunState = RunState.DONE, **known: Any) -> Past:
    """An answer that was loaded."""
    return Past(
        id="0" * 32,
        request=ChatRequest([Message("user", "?")], model="m"),
        endpoint=Endpoint(base_url="http://127.0.0.1:1/v1"),
        state=state,
        completion=Completion(text=text, **known),
    )


def answered(chat: Chat, prompt: str, text: str, **known: Any) -> None:
    """Add a turn that has its answer."""
    chat.add(prompt).past = past(text, **known)


def contents(chat: Chat) -> list[object]:
    return [message["content"] for message in chat.messages]


def test_turns_branch_and_the_path_last_shown_comes_back() -> None:
    chat = Chat("tree")
    first = chat.add("a")
    second = chat.add("b")
    other = chat.add("c", parent=first, branch=True)
    new = chat.add("z", branch=True)
    assert [turn.prompt for turn in chat.turns] == ["z"]
    assert chat.roots == [first, new]
    assert chat.siblings(second) == [second, other]
    chat.select(second)
    chat.select(new)
    chat.select(first)
    assert chat.current is second
    assert first.leaf is second


def test_turn_without_an_answer_is_left_out_and_a_partial_one_kept() -> None:
    chat = Chat("poison", system="Kind")
    answered(chat, "one", "first")
    answered(chat, "two", " ", state=RunState.FAILED)
    answered(chat, "three", "half of", state=RunState.STOPPED)
    chat.add("four")
    assert contents(chat) == ["Kind", "one", "first", "three", "half of"]
    assert chat.turns[-1].ended
    assert [message.content for message in chat.turns[2].messages_before()] == ["one", "first"]


def test_context_is_the_servers_count_or_an_estimate() -> None:
    chat = Chat("context")
    assert (chat.context.tokens, chat.context.exact) == (0, False)
    answered(chat, "1234", "12345678")
    assert (chat.context.tokens, chat.context.exact) == (3, False)
    answered(chat, "more", "text", usage=Usage(30, 12, 42))
    assert (chat.context.tokens, chat.context.exact) == (42, True)


def test_listeners_hear_of_every_change() -> None:
    chat, heard = Chat("heard"), []
    chat.listeners.append(lambda: heard.append(len(chat.turns)))
    first = chat.add("a")
    chat.add("b")
    chat.select(first)
    chat.reset()
    assert heard == [1, 2, 2, 0]


def test_named_chats_are_shared_by_name() -> None:
    assert named_chat("plan") is named_chat("plan")
    assert [chat.name for chat in named_chats()] == ["plan"]


def test_saved_conversation_reads_the_same_when_it_is_loaded(server: Demo, tmp_path: Path) -> None:
    chat = Chat("one", system="Kind")
    done = send(server, chat, "Write a haiku about rain", temperature=0.5, stop=["END"], user="ann")
    failed = send(server, chat, "Refused", model="demo-401")
    assert isinstance(failed.error, AuthError)
    chat.add("branch", parent=chat.turns[0], branch=True)
    chat.select(chat.turns[0].children[0])
    chat.save(tmp_path / "chat.json")
    loaded = Chat("two")
    loaded.load(tmp_path / "chat.json")
    assert loaded.name == "two"
    assert loaded.messages == chat.messages
    assert [turn.prompt for turn in loaded.turns] == ["Write a haiku about rain", "Refused"]
    assert [turn.prompt for turn in loaded.roots[0].children] == ["Refused", "branch"]
    assert loaded.roots[0].children[1].outcome is None
    first, second = (turn.past for turn in loaded.turns)
    assert first is not None
    assert second is not None
    body = {**done.request.to_body(), "messages": [{"role": "user", "content": "Write a haiku about rain"}]}
    assert first.request.to_body() == body
    assert first.completion.usage == done.completion.usage
    assert first.completion.timings == done.completion.timings
    assert (first.state, first.elapsed_s, first.created_at) == (RunState.DONE, done.elapsed_s, done.created_at)
    assert (first.delta_count, first.first_token_s) == (done.delta_count, done.first_token_s)
    assert first.streaming_s == pytest.approx(done.elapsed_s - (done.first_token_s or 0))
    assert first.reasoning_so_far == ""
    assert isinstance(second.error, AuthError)
    assert str(second.error) == str(failed.error)
    assert second.endpoint.api_key is None
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text().replace('"two"', '"one"') == (tmp_path / "chat.json").read_text()


def test_text_of_a_turn_is_masked_with_the_key_of_its_server(server: Demo) -> None:
    chat = Chat("keys")
    _ = send(server, chat, "Hello")
    turn = chat.turns[0]
    assert server.server.token not in turn.masked(f"my key is {server.server.token}")
    chat.add("no server")
    assert "canary" not in chat.turns[1].masked("vg-live-sk-canary0123456789")


def test_run_that_goes_on_is_saved_as_stopped(tmp_path: Path) -> None:
    with demo(pace=5) as slow:
        chat = Chat("slow")
        asked = question("Write about tea", base_url=slow.server.base_url, api_key=slow.server.token)
        run = ask(asked, chat=chat)
        chat.save(tmp_path / "chat.json")
        run.stop()
        assert run.wait(LIMIT_S)
    assert json.loads((tmp_path / "chat.json").read_text())["turns"][0]["answer"]["state"] == "STOPPED"


def test_key_is_in_no_file(tmp_path: Path, server: Demo) -> None:
    chat = Chat("keys")
    _ = send(server, chat, f"Repeat {server.server.token}", user=server.server.token)
    answered(chat, "my key is sk-abcdefghijklmnop1234567890", "vg-live-sk-canary0123456789")
    chat.save(tmp_path / "chat.json")
    text = (tmp_path / "chat.json").read_text()
    assert server.server.token not in text
    assert "canary" not in text
    assert "abcdefghijklmnop" not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "malformed"),
        ("[]", "Expected `object`"),
        ('{"format": "another", "version": 1}', "Invalid enum value"),
        ('{"format": "vig_notebook chat", "version": 2}', "Invalid enum value 2"),
        ('{"format": "vig_notebook chat", "version": 1, "turns": [{"prompt": 1}]}', "$.turns[0].prompt"),
        ('{"format": "vig_notebook chat", "version": 1, "turns": [{"prompt": "a", "parent": 0}]}', "parent of turn 0"),
        ('{"format": "vig_notebook chat", "version": 1, "turns": [], "current": 3}', "there are 0"),
    ],
)
def test_file_that_is_no_conversation_is_refused_and_changes_nothing(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    chat = Chat("kept")
    answered(chat, "a", "b")
    with pytest.raises(ConfigError) as caught:
        chat.load(tmp_path / "bad.json")
    assert words in str(caught.value)
    assert "bad.json is no conversation that can be loaded" in str(caught.value)
    assert contents(chat) == ["a", "b"]


def test_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.chats.files.MAX_FILE_BYTES", 5)
    (tmp_path / "large.json").write_text("123456")
    with pytest.raises(ConfigError, match="larger than"):
        Chat("kept").load(tmp_path / "large.json")


def test_loaded_conversation_without_a_current_turn_or_any_turn(tmp_path: Path) -> None:
    head = '{"format": "vig_notebook chat", "version": 1, "turns": '
    (tmp_path / "a.json").write_text(head + '[{"prompt": "a"}, {"prompt": "b", "parent": 0}]}')
    (tmp_path / "none.json").write_text(head + "[]}")
    chat = Chat("loaded")
    chat.load(tmp_path / "a.json")
    assert [turn.prompt for turn in chat.turns] == ["a", "b"]
    chat.load(tmp_path / "none.json")
    assert chat.turns == []


def test_error_of_an_unknown_kind_keeps_its_words(tmp_path: Path) -> None:
    answer = {
        "id": "1",
        "state": "FAILED",
        "text": "",
        "created_at": "2026-01-01T00:00:00Z",
        "error": {"kind": "of another version", "what": "It broke", "advice": "Mend it"},
    }
    saved = {"format": "vig_notebook chat", "version": 1, "turns": [{"prompt": "a", "answer": answer}]}
    (tmp_path / "a.json").write_text(json.dumps(saved))
    chat = Chat("loaded")
    chat.load(tmp_path / "a.json")
    outcome = chat.turns[0].outcome
    assert outcome is not None
    assert str(outcome.error) == "It broke. Mend it."


def test_table_has_a_row_a_turn(server: Demo) -> None:
    chat = Chat("table")
    run = send(server, chat, "Write a haiku about rain", seed=7)
    _ = send(server, chat, "Refused", model="demo-401")
    chat.add("no answer")
    table = chat.to_dataframe()
    assert list(table["state"][:2]) == ["DONE", "FAILED"]
    assert table["answer"][0] == run.text
    assert table["parameters"][0] == {"seed": 7}
    assert table["output_tokens"][0] == run.completion.output_tokens
    assert "401" in table["error"][1]
    assert list(table["prompt"])[2] == "no answer"


def test_table_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"pip install 'vig-notebook\[tuning\]'"):
        Chat("table").to_dataframe()
