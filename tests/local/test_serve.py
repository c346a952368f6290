"""What the process of the model does, run here: its end is an exception."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from vig_notebook.local import serve as room

if TYPE_CHECKING:
    from collections.abc import Iterator

FAKE_ENGINE = Path(__file__).parent / "fake_engine"


class Ended(BaseException):
    """In the place of the end of the process."""


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_status: int) -> None:
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(room, "_TICK_S", 0.001)


@pytest.fixture(autouse=True)
def death_signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    asked: list[int] = []
    library = SimpleNamespace(prctl=lambda _option, number: asked.append(int(number)))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    return asked


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(FAKE_ENGINE))
    real = sys.modules.pop("xllamacpp", None)
    yield
    sys.modules.pop("xllamacpp", None)
    if real is not None:
        sys.modules["xllamacpp"] = real


def orders(name: str = "tiny", **others: object) -> dict[str, object]:
    return {
        "api_key": "key",
        "path": f"/models/{name}.gguf",
        "name": name,
        "slots": 2,
        "context_size": 100,
        "threads": 3,
        "sampling": {},
        "idle_timeout_s": 0.01,
        "parent_pid": os.getppid(),
        **others,
    }


@pytest.mark.parametrize(("sampling", "temp"), [({}, 0.8), ({"temp": 0.3}, 0.3)])
def test_sampling_of_the_orders_holds_where_a_request_names_none(sampling: dict[str, float], temp: float) -> None:
    loaded: Any = room._load(orders(sampling=sampling))
    assert (loaded.params.sampling.temp, loaded.params.sampling.penalty_repeat) == (temp, 1.0)


def watch(name: str = "tiny", *, parent_pid: int | None = None, idle_timeout_s: float = 60) -> room._Watch:
    server = SimpleNamespace(handle_metrics=lambda: f"llamacpp:requests_processing {int(name == 'busy')}")
    pid = os.getppid() if parent_pid is None else parent_pid
    return room._Watch(server, parent_pid=pid, idle_timeout_s=idle_timeout_s)


def test_answer_is_the_address_and_then_it_ends_idle(monkeypatch: pytest.MonkeyPatch, death_signals: list[int]) -> None:
    monkeypatch.setattr(room._Watch, "read", lambda _self, _source: None)
    answers = io.StringIO()
    with pytest.raises(Ended):
        room.serve(io.StringIO(json.dumps(orders()) + "\n"), answers)
    assert json.loads(answers.getvalue()) == {"address": "http://127.0.0.1:1/threads=3,slots=2,n_ctx=200"}
    assert death_signals == [signal.SIGKILL, 0]


@pytest.mark.parametrize("name", ["broken", "mute"])
def test_answer_is_the_error_of_the_engine(name: str) -> None:
    answers = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        room.serve(io.StringIO(json.dumps(orders(name)) + "\n"), answers)
    assert json.loads(answers.getvalue())["error"].startswith("RuntimeError: ")


def test_engine_that_is_too_old_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", SimpleNamespace())
    answers = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        room.serve(io.StringIO(json.dumps(orders()) + "\n"), answers)
    assert json.loads(answers.getvalue())["error"].startswith("ImportError: ")


def test_parent_that_is_gone_before_the_load_ends_it() -> None:
    with pytest.raises(Ended):
        room.serve(io.StringIO(json.dumps(orders(parent_pid=-1)) + "\n"), io.StringIO())


def test_parent_that_goes_ends_the_watch() -> None:
    with pytest.raises(Ended):
        watch(parent_pid=-1).run()


def test_input_is_a_sign_of_use_and_its_end_the_end() -> None:
    watched = watch()
    watched.used_at = 0
    with pytest.raises(Ended):
        watched.read(io.StringIO("\n\n"))
    assert watched.used_at > 0


def test_open_request_is_a_sign_of_use() -> None:
    watched = watch("busy")
    watched.look()
    watched.used_at = 0
    watched.look()
    assert watched.used_at > 0


def test_counters_that_stand_still_are_none() -> None:
    watched = watch()
    watched.look()
    watched.used_at = 0
    watched.look()
    assert watched.used_at == 0


def test_other_systems_are_not_asked_for_a_signal(monkeypatch: pytest.MonkeyPatch, death_signals: list[int]) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    room._end_with_parent(os.getppid(), armed=True)
    assert death_signals == []
