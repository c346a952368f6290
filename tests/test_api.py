"""The Python doors, against a demo server on a real socket."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import threading
from contextlib import aclosing
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.client.conftest import DONE, Close, event
from tests.demos import LIMIT_S, Demo, where
from tests.scripts import scripted
from vig_notebook.api import question, start, stream_chat, stream_chat_async
from vig_notebook.api.printing import Echo, tell_wait
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError, Truncated
from vig_notebook.settings import Secret
from vig_notebook.wire.chat import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = 'open "sesame"/42'


def test_stream_chat_prints_the_text_and_returns_it(fast: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    text = stream_chat("Write a haiku about AI", **where(fast))
    assert text
    assert capsys.readouterr().out == text + "\n"


def answers(*pieces: str) -> Callable[..., Iterator[str]]:
    return lambda _asked, **_: iter(pieces)


def test_stream_chat_shows_hidden_characters_in_a_notebook(fast: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = ("👩", "\u200d", "💻\r", "\n\x1b", "]0;t\x07 sk-", "1A2b3C4d5E6f")
    monkeypatch.setattr("vig_notebook.api.doors.stream", answers(*pieces))
    monkeypatch.setattr("sys.stdout", page := StringIO())
    assert stream_chat("Hello", **where(fast)) == "".join(pieces)
    assert page.getvalue() == "👩\u200d💻\n⟨U+001B⟩]0;t⟨U+0007⟩ ••••\n"


def test_stream_chat_masks_the_key_that_was_sent_whatever_it_looks_like(
    fast: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vig_notebook.api.doors.stream", answers("it is open", "-sesa", "me, and op", "en"))
    monkeypatch.setattr("sys.stdout", page := StringIO())
    stream_chat("Hello", base_url=where(fast)["base_url"], api_key="open-sesame")
    assert page.getvalue() == "it is ••••, and open\n"


def test_echo_without_a_key_masks_what_looks_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", page := StringIO())
    echo = Echo(None)
    echo.write("sk-1A2b3C4d5E6f")
    echo.end()
    assert page.getvalue() == "••••\n"


@pytest.mark.parametrize("spelling", [KEY, json.dumps(KEY)[1:-1], quote(KEY, safe="")])
def test_echo_shows_the_key_at_no_time_however_it_is_spelled(monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.setattr("sys.stdout", page := StringIO())
    echo = Echo(Secret(KEY))
    for piece in f"it is {spelling}, and open":
        echo.write(piece)
        assert spelling[:-1] not in page.getvalue()
    echo.end()
    assert page.getvalue() == "it is ••••, and open\n"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [(["a", "\x1b"], "a⟨U+001B⟩\n"), (["a\r", "\nb"], "a\nb\n"), (["\n"], "\n"), (["a\n", ""], "a\n"), ([], "")],
)
def test_echo_gives_what_was_held_back_and_ends_the_line(
    pieces: list[str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", page := StringIO())
    echo = Echo(None)
    for piece in pieces:
        echo.write(piece)
    echo.end()
    assert page.getvalue() == shown


class Page(StringIO):
    """The output of a kernel, which sends a message at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def flush(self) -> None:
        self.sent.append(self.getvalue())


def test_stream_chat_leaves_it_to_a_kernel_when_to_send(fast: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.api.doors.stream", answers("a", "b", "c"))
    monkeypatch.setattr("sys.stdout", page := Page())
    stream_chat("Hello", **where(fast))
    assert page.sent == ["abc\n"]


def test_stream_chat_to_a_pipe_is_as_the_model_sent_it(
    fast: Demo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vig_notebook.api.doors.stream", answers("a\x1b", "[1m\u200b"))
    stream_chat("Hello", **where(fast))
    assert capsys.readouterr().out == "a\x1b[1m\u200b\n"


BUSY = b"HTTP/1.1 429 No\r\nRetry-After: 0.4\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + event("a") + DONE


@pytest.mark.parametrize("echo", [True, False])
def test_stream_chat_tells_of_a_long_wait(
    echo: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vig_notebook.api.doors.TELL_S", 0.0)
    with scripted(BUSY, Close()) as server:
        server.play(ANSWER, Close())
        assert stream_chat("Hello", base_url=server.base_url, echo=echo) == "a"
    told = [line for line in capsys.readouterr().err.splitlines() if "rate limit" in line]
    assert [line[:9] for line in told] == (["[waiting "] if echo else [])


def test_nobody_is_told_where_there_is_no_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    tell_wait("waiting")


def test_stream_chat_without_echo_prints_nothing(fast: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert stream_chat("Write a haiku about AI", echo=False, **where(fast))
    assert capsys.readouterr().out == ""


async def test_stream_chat_works_inside_a_running_loop(fast: Demo) -> None:
    assert stream_chat("Hello", echo=False, **where(fast))


def test_stream_chat_that_fails_prints_what_came_and_raises(fast: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Truncated) as caught:
        stream_chat("Hello", model="demo-cut", **where(fast))
    assert caught.value.completion is not None
    assert capsys.readouterr().out == caught.value.completion.text + "\n"


def test_stream_chat_interrupted_stops_and_closes_the_socket(
    slow: Demo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()
    monkeypatch.setattr(Echo, "write", lambda _echo, _piece: began.set())

    def interrupt() -> None:
        began.wait(LIMIT_S)
        signal.raise_signal(signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        stream_chat("Write a poem", **where(slow))
    helper.join(LIMIT_S)
    assert engine().runs == []
    slow.wait_closed_early()


async def test_stream_chat_async_yields_the_text(fast: Demo) -> None:
    pieces = [piece async for piece in stream_chat_async("Write a haiku about AI", **where(fast))]
    assert len(pieces) > 5
    assert "".join(pieces) == stream_chat("Write a haiku about AI", echo=False, **where(fast))


async def test_stream_chat_async_closed_early_closes_the_socket(slow: Demo) -> None:
    async with aclosing(stream_chat_async("Write a poem", **where(slow))) as pieces:
        async for _ in pieces:
            break
    assert engine().runs == []
    await asyncio.to_thread(slow.wait_closed_early)


async def test_stream_chat_async_left_with_break_closes_the_socket(slow: Demo) -> None:
    async for _ in stream_chat_async("Write a poem", **where(slow)):
        break
    gc.collect()
    await asyncio.to_thread(slow.wait_closed_early)


async def test_stream_chat_async_that_fails_raises_after_its_text(fast: Demo) -> None:
    pieces: list[str] = []

    async def take() -> None:
        async for piece in stream_chat_async("Hello", model="demo-cut", **where(fast)):
            pieces.append(piece)

    with pytest.raises(Truncated) as caught:
        await take()
    assert caught.value.completion is not None
    assert "".join(pieces) == caught.value.completion.text


def test_start_takes_messages_as_dicts_and_as_messages(fast: Demo) -> None:
    asked = Message(role="user", content="Hello")
    messages: list[Message | dict[str, object]] = [{"role": "system", "content": "Be brief"}, asked]
    run = start(messages, **where(fast))
    assert [m["role"] for m in run.request.to_body()["messages"]] == ["system", "user"]
    assert run.text


def test_start_sends_what_is_given_and_nothing_else(fast: Demo) -> None:
    run = start("Hello", system="Be brief", temperature=0, max_tokens=9, top_p=0.5, logit_bias={}, **where(fast))
    body = run.request.to_body()
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["max_tokens"], body["top_p"], body["logit_bias"]) == (0, 9, 0.5, {})
    assert "seed" not in body
    assert run.wait(LIMIT_S)


def test_start_takes_labels_that_are_no_texts(fast: Demo) -> None:
    labels: dict[str, Any] = {"temperature": 3, "repeat": 1}
    run = start("Hello", labels=labels, **where(fast))
    assert run.text
    assert {"temperature": "3", "repeat": "1"}.items() <= run.labels.items()


def test_start_with_a_member_that_is_none_takes_it_out(fast: Demo) -> None:
    run = start("Hello", stream_options=None, **where(fast))
    assert "stream_options" not in run.request.to_body()
    assert run.wait(LIMIT_S)


@pytest.mark.parametrize("prompt", ["", "  \n", [], [{"content": "x"}], [1], 7])
def test_start_with_a_bad_prompt_is_refused_at_once(fast: Demo, prompt: Any) -> None:
    with pytest.raises(ConfigError):
        start(prompt, **where(fast))
    assert engine().runs == []


def test_start_with_a_bad_parameter_is_refused_at_once(fast: Demo) -> None:
    with pytest.raises(ConfigError):
        start("Hello", temperature="hot", **where(fast))  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        start("Hello", wrong=object(), **where(fast))


def test_start_with_nothing_set_asks_the_demo_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    run = start("Hello")
    assert run.text
    assert run.endpoint.kind == "demo"
    assert start("Hello").result(LIMIT_S).text == run.text


def test_question_with_a_key_goes_to_vigthoria(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", "vg-live-sk-canary0123456789")
    asked = question("Hello")
    assert asked.server.endpoint.base_url == "https://api.vigthoria.io/v1"
    assert asked.request.model == "vigthoria-creative-v2"
    assert "canary" not in repr(asked)


def test_stream_chat_on_the_streaming_thread_is_refused(fast: Demo) -> None:
    async def ask_there() -> None:
        stream_chat("Hello", echo=False, **where(fast))

    with pytest.raises(RuntimeError, match="stream_chat_async"):
        engine().run(ask_there()).result(LIMIT_S)
