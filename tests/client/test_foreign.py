"""Foreign errors that no server of ours provokes, and closing that takes too long."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError

import aiohttp
import pytest

from vig_notebook.client import connections
from vig_notebook.client.foreign import Guard, Place
from vig_notebook.errors import ConfigError, Truncated, VigthoriaError
from vig_notebook.settings import Secret


def guard() -> Guard:
    return Guard(asyncio.get_running_loop(), Place("http://a.example:80", None), total_timeout_s=None)


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (aiohttp.InvalidURL("http://["), ConfigError),
        (aiohttp.ClientConnectionError("Connection closed"), Truncated),
        (ConnectionResetError("reset"), Truncated),
    ],
)
async def test_foreign_error_in_an_answer_is_ours_and_alone(foreign: Exception, ours: type[VigthoriaError]) -> None:
    wait = guard()
    wait.answering = True
    with pytest.raises(ours) as caught, wait:
        raise foreign
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


async def test_guard_outside_of_a_stop_gives_cancellation_back() -> None:
    with pytest.raises(asyncio.CancelledError), guard():
        raise asyncio.CancelledError


def test_place_masks_the_key() -> None:
    place = Place("https://a.example:8443", Secret("my-own-secret-word"))
    assert (place.host, place.label) == ("a.example", "a.example:8443")
    assert "my-own-secret-word" not in place.words("it was my-own-secret-word\n")


async def test_closing_that_hangs_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = connections.Connections(1)
    session = pool.session()
    close = session.close

    async def hang() -> None:
        await close()
        await asyncio.Event().wait()

    monkeypatch.setattr(session, "close", hang)
    monkeypatch.setattr(connections, "CLOSE_LIMIT_S", 0.01)
    await pool.aclose()


def test_checkout_that_is_not_installed_has_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(connections, "version", missing)
    assert connections._user_agent() == "vig-notebook"
