"""Key and prompt are seen nowhere, whatever goes wrong, through every door of Python (SAFETY 2; figures 2 and 14)."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from tests.client.conftest import Close, answer
from tests.hygiene.canaries import FAULTS, KEY, PROMPT, lab, leaks, logs, places
from tests.scripts import LIMIT_S, scripted
from tests.tls import self_signed
from vig_notebook.api import question, start, stream_chat, stream_chat_async
from vig_notebook.client import Client
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError, VigthoriaError
from vig_notebook.notebook.record import record
from vig_notebook.run import RunState
from vig_notebook.wire.chat import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.client.conftest import Step


def by_start(**where: Any) -> None:
    start(PROMPT, **where).result()


def by_text(**where: Any) -> None:
    assert start(PROMPT, **where).text


def by_await(**where: Any) -> None:
    async def wait() -> None:
        await start(PROMPT, **where)

    asyncio.run(wait(), debug=True)


def by_stream_chat(**where: Any) -> None:
    stream_chat(PROMPT, echo=False, system=PROMPT, **where)


def by_stream_chat_async(**where: Any) -> None:
    async def read() -> None:
        async for _ in stream_chat_async(PROMPT, **where):
            pass

    asyncio.run(read(), debug=True)


DOORS = (by_start, by_text, by_await, by_stream_chat, by_stream_chat_async)


@pytest.fixture
def debugged() -> Iterator[list[str]]:
    """What is logged, with the streaming thread's loop in debug mode."""
    with logs() as lines:
        engine().loop.call_soon_threadsafe(engine().loop.set_debug, True)
        yield lines


def failure(door: Callable[..., None], **where: Any) -> VigthoriaError:
    try:
        door(**where)
    except VigthoriaError as error:
        return error
    raise AssertionError("nothing failed")


@pytest.mark.parametrize(("number", "steps"), [*enumerate(FAULTS.values())], ids=FAULTS)
def test_key_and_prompt_are_seen_nowhere(
    number: int, steps: tuple[Step, ...], monkeypatch: pytest.MonkeyPatch, debugged: list[str]
) -> None:
    with scripted(*steps) as server:
        profile = lab(server.base_url, monkeypatch)
        for index, door in enumerate(DOORS):
            error = failure(door, profile=profile)
            seen = places(error, printed=index == number % len(DOORS))
            assert leaks(*((f"{door.__name__}: {place}", text) for place, text in seen)) == []
        assert server.requests[0].header("authorization") == f"Bearer {KEY}"
        assert PROMPT.encode() in server.requests[0].body
    assert leaks(("log", "\n".join(debugged))) == []


def test_certificate_that_nobody_vouches_for_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debugged: list[str]
) -> None:
    with scripted(Close(), tls=self_signed(tmp_path)) as server:
        profile = lab(server.base_url.replace("http:", "https:"), monkeypatch)
        error = failure(by_stream_chat, profile=profile)
    assert "No secure connection" in str(error)
    assert leaks(*places(error), ("log", "\n".join(debugged))) == []


def test_connection_that_is_refused_shows_nothing(monkeypatch: pytest.MonkeyPatch, debugged: list[str]) -> None:
    error = failure(by_stream_chat, profile=lab("http://127.0.0.1:9/v1", monkeypatch))
    assert "refuses the connection" in str(error)
    assert leaks(*places(error), ("log", "\n".join(debugged))) == []


def by_client(**where: Any) -> None:
    Client(**where)


@pytest.mark.parametrize("door", [*DOORS, by_client])
@pytest.mark.parametrize(
    "where",
    [
        {"base_url": "nope", "api_key": KEY},
        {"base_url": "http://host.example/v1", "api_key": KEY},
        {"base_url": "https://host.example/v1", "api_key": f"{KEY} and more"},
    ],
    ids=["address", "open http", "blank in the key"],
)
def test_settings_that_are_wrong_show_no_key(door: Callable[..., None], where: dict[str, str]) -> None:
    error = failure(door, **where)
    assert isinstance(error, ConfigError)
    seen = [text.replace(PROMPT, "") for _, text in places(error)]  # it was not sent, and is the caller's own
    assert leaks(("error", "\n".join(seen))) == []


@pytest.mark.parametrize("address", [f"https://user:{KEY}@host.example/v1", f"https://host.example/v1?key={KEY}"])
def test_key_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    error = failure(by_stream_chat, base_url=address)
    # An address is no secret to the frames that it goes through: only those show it, to whoever asks for them.
    words = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(pickle.dumps(error))]
    assert leaks(("words", "\n".join(words))) == []


def test_variable_whose_key_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", f"{KEY}\n{KEY}")
    error = failure(by_client)
    assert leaks(*places(error)) == []


def test_values_show_neither_key_nor_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"error":{"message":"bad key %b"}}' % KEY.encode()
    with scripted(answer("401 No", body), Close()) as server:
        profile = lab(server.base_url, monkeypatch)
        asked = question(PROMPT, profile=profile)
        run = start(PROMPT, profile=profile)
        assert run.wait(LIMIT_S)
    assert run.state is RunState.FAILED
    client = Client(endpoint=run.endpoint)
    shown = [asked, asked.server, run, vars(run), run.request, run.endpoint, run.completion, client, vars(client)]
    shown += [engine(), vars(engine()), *record(run)]
    assert leaks(*((type(one).__name__, repr(one)) for one in shown)) == []
    with pytest.raises(TypeError, match="a Secret is not saved"):
        pickle.dumps(run.endpoint)


def test_message_shows_its_role_and_not_its_content() -> None:
    calls = [{"function": {"arguments": PROMPT}}]
    for message in (Message("user", PROMPT), Message("user", [{"text": PROMPT}]), Message("tool", tool_calls=calls)):
        assert message.role in repr(message)
        assert leaks(("repr", repr(message)), ("pretty", repr([*message.__rich_repr__()]))) == []
