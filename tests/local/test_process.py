"""The life of the process that holds the model, with an engine that loads nothing."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.local.gguf_files import gguf, write
from vig_notebook.errors import ConfigError
from vig_notebook.local import LOADING, LocalServer
from vig_notebook.local import process as room
from vig_notebook.local.model import inspect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from vig_notebook.local.model import Model

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches processes with pidfd")

FAKE_ENGINE = Path(__file__).parent / "fake_engine"


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE_ENGINE))
    monkeypatch.syspath_prepend(str(FAKE_ENGINE))


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: write(tmp_path / f"{name}.gguf", gguf())


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    made = LocalServer()
    yield made
    await made.stop()


def ends_within(pid: int, limit_s: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor):
        return bool(select.select([descriptor], [], [], limit_s)[0])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the process is there and is about to be told what to load."""
    event = threading.Event()
    ask = room._ask

    def ask_and_tell(process: subprocess.Popen[str], orders: dict[str, object]) -> dict[str, str]:
        event.set()
        return ask(process, orders)

    monkeypatch.setattr(room, "_ask", ask_and_tell)
    return event


async def until_it_has_a_process(server: LocalServer, asked: threading.Event) -> int:
    assert await asyncio.to_thread(asked.wait, 5)
    assert server.pid is not None
    return server.pid


async def test_start_gives_an_endpoint_on_this_machine(server: LocalServer, model: Callable[[str], Path]) -> None:
    told: list[str] = []
    endpoint = await server.start(model("Tiny-Chat"), on_status=told.append)
    assert told == [LOADING]
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    assert endpoint.base_url.endswith("/v1")
    assert (endpoint.kind, endpoint.name, endpoint.note) == ("local", "local Tiny-Chat", "a model on this machine")
    assert endpoint.default_model == "Tiny-Chat"
    assert endpoint.parameters == {"return_progress": True}
    assert endpoint.limits.max_concurrency == 4
    assert endpoint.limits.max_retries > 4
    assert server.endpoint is endpoint


async def test_installed_model_is_named_with_a_warning(server: LocalServer, tmp_path: Path) -> None:
    endpoint = await server.start(write(tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf", gguf()))
    assert endpoint.name == "local SmolLM2-135M"
    assert endpoint.note == "a very small model, expect mistakes"


async def test_sampling_is_chosen_for_the_installed_model_alone(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    ask = room._ask

    def ask_and_note(process: subprocess.Popen[str], orders: dict[str, object]) -> dict[str, str]:
        told.append(orders["sampling"])
        return ask(process, orders)

    monkeypatch.setattr(room, "_ask", ask_and_note)
    await server.start(write(tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf", gguf()))
    await server.start(write(tmp_path / "other.gguf", gguf()))
    assert told == [{"temp": 0.3, "top_p": 0.9, "penalty_repeat": 1.1}, {}]


async def test_key_is_random_and_not_to_be_seen(server: LocalServer, model: Callable[[str], Path]) -> None:
    endpoint = await server.start(model("tiny"))
    assert endpoint.api_key is not None
    key = endpoint.api_key.reveal()
    assert len(key) >= 43
    for name in ("cmdline", "environ"):
        assert key.encode() not in await asyncio.to_thread(Path(f"/proc/{server.pid}/{name}").read_bytes)
    first_pid = server.pid
    again = await server.start(model("other"))
    assert server.pid != first_pid
    assert again.api_key is not None
    assert again.api_key.reveal() != key


async def test_started_server_is_used_again(server: LocalServer, model: Callable[[str], Path]) -> None:
    path = model("tiny")
    endpoint = await server.start(path)
    told: list[str] = []
    assert await server.start(path, on_status=told.append) is endpoint
    assert told == []


async def test_many_who_ask_at_once_get_one_process(server: LocalServer, model: Callable[[str], Path]) -> None:
    path = model("tiny")
    endpoints = await asyncio.gather(*(server.start(path) for _ in range(5)))
    assert len({id(endpoint) for endpoint in endpoints}) == 1


async def test_other_wish_ends_the_process_and_starts_another(
    server: LocalServer, model: Callable[[str], Path]
) -> None:
    path = model("tiny")
    await server.start(path, context_size=256)
    pid = server.pid
    assert pid is not None
    endpoint = await server.start(path, context_size=128)
    assert "n_ctx=512" in endpoint.base_url
    assert ends_within(pid, 2)


@pytest.mark.parametrize(("wished", "cores", "given"), [(None, 8, 7), (64, 8, 7), (2, 8, 2), (None, 1, 1), (3, 1, 1)])
async def test_a_core_stays_free(
    server: LocalServer,
    model: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    wished: int | None,
    cores: int,
    given: int,
) -> None:
    monkeypatch.setattr(room, "usable_cores", lambda: cores)
    endpoint = await server.start(model("tiny"), threads=wished)
    assert f"threads={given}," in endpoint.base_url


async def test_stop_ends_the_process(server: LocalServer, model: Callable[[str], Path]) -> None:
    await server.start(model("tiny"))
    pid = server.pid
    assert pid is not None
    await server.stop()
    assert ends_within(pid, 0)
    assert server.endpoint is None
    await server.stop()


async def test_close_ends_the_process_without_a_loop(model: Callable[[str], Path]) -> None:
    server = LocalServer()
    await server.start(model("tiny"))
    pid = server.pid
    assert pid is not None
    await asyncio.to_thread(server.close)
    assert ends_within(pid, 0)
    server.close()


async def test_process_that_was_killed_is_started_anew(server: LocalServer, model: Callable[[str], Path]) -> None:
    path = model("tiny")
    first = await server.start(path)
    pid = server.pid
    assert pid is not None
    child = server._child
    assert child is not None
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(child.wait)
    assert not child.touch()
    assert server.endpoint is None
    assert await server.start(path) != first


async def test_process_that_goes_while_it_is_asked_for_is_started_anew(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model("tiny")
    await server.start(path)
    child = server._child
    assert child is not None

    def gone() -> bool:
        child.kill()
        return False

    monkeypatch.setattr(child, "touch", gone)
    assert await server.start(path) == server.endpoint
    assert server._child is not child


async def test_process_that_never_stays_is_an_error(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.ModelProcess, "touch", lambda child: child.kill())
    with pytest.raises(ConfigError, match="does not stay: its process ended right after it was loaded"):
        await server.start(model("tiny"))


async def test_touch_of_a_closed_pipe_is_false(server: LocalServer, model: Callable[[str], Path]) -> None:
    await server.start(model("busy"))
    child = server._child
    assert child is not None
    assert child._process is not None
    assert child._process.stdin is not None
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.dup2(write_end, child._process.stdin.fileno())
    os.close(write_end)
    assert not await asyncio.to_thread(child.touch)


async def test_cancelled_start_leaves_no_process(
    server: LocalServer, model: Callable[[str], Path], asked: threading.Event
) -> None:
    task = asyncio.create_task(server.start(model("slow")))
    pid = await until_it_has_a_process(server, asked)
    child = server._child
    assert child is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends_within(pid, 2)
    await asyncio.to_thread(child.wait)  # its thread hears of the end a moment after the system
    assert server.pid is None


async def test_start_stopped_before_it_has_a_process_makes_none(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def inspect_late(path: Path, *, context_size: int) -> Model:
        assert stop.wait(5)
        return inspect(path, context_size=context_size)

    monkeypatch.setattr("vig_notebook.local.process.inspect", inspect_late)
    task = asyncio.create_task(server.start(model("tiny")))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    stop.set()
    with pytest.raises(ConfigError, match="was stopped while it was loaded"):
        await task
    await stopping
    assert server.pid is None


async def test_process_that_dies_before_it_is_told_anything_is_a_sentence(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = room._ask

    def ask_the_dead(process: subprocess.Popen[str], orders: dict[str, object]) -> dict[str, str]:
        process.kill()
        process.wait()
        return ask(process, orders)

    monkeypatch.setattr(room, "_ask", ask_the_dead)
    with pytest.raises(ConfigError, match="its process ended without a word"):
        await server.start(model("tiny"))


async def test_start_cancelled_at_once_leaves_no_process(server: LocalServer, model: Callable[[str], Path]) -> None:
    task = asyncio.create_task(server.start(model("slow")))
    await asyncio.sleep(0)
    child = server._child
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child is not None
    await asyncio.to_thread(child.wait)
    assert not child.runs


async def test_one_of_two_who_wait_is_cancelled_and_the_other_is_served(
    server: LocalServer, model: Callable[[str], Path], asked: threading.Event
) -> None:
    path = model("tiny")
    first = asyncio.create_task(server.start(path))
    second = asyncio.create_task(server.start(path))
    await until_it_has_a_process(server, asked)
    first.cancel()
    assert await second == server.endpoint


async def test_stop_while_loading_is_told_to_who_waits(
    server: LocalServer, model: Callable[[str], Path], asked: threading.Event
) -> None:
    task = asyncio.create_task(server.start(model("slow")))
    pid = await until_it_has_a_process(server, asked)
    await server.stop()
    with pytest.raises(ConfigError, match="The local model was stopped while it was loaded"):
        await task
    assert ends_within(pid, 2)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("broken", "the weights are odd"),
        ("mute", "RuntimeError: no reason"),
        ("crash", "its process ended without a word"),
    ],
)
async def test_model_that_cannot_be_loaded_is_a_sentence(
    server: LocalServer, model: Callable[[str], Path], name: str, seen: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        await server.start(model(name))
    assert str(caught.value) == (
        f"The local model {name}.gguf could not be loaded: {seen}. "
        "Try another model, or look with python -m vig_notebook.local status."
    )
    assert server.pid is None


async def test_file_that_is_no_model_starts_no_process(server: LocalServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no GGUF file"):
        await server.start(write(tmp_path / "notes.txt", b"hello"))
    assert server.pid is None


async def test_process_that_cannot_be_started_is_a_sentence(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(ConfigError, match=r"The local model cannot be started: .*No such file"):
        await server.start(model("tiny"))


@pytest.mark.parametrize("where", ["_ask", "_threads"])
async def test_error_that_nothing_expects_is_told_to_who_waits(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def bug(*_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(room, where, bug)
    async with asyncio.timeout(5):
        with pytest.raises(ConfigError, match=r"The local model cannot be started: LookupError\('a bug'\)"):
            await server.start(model("tiny"))
    assert server.pid is None


async def test_error_while_a_process_is_buried_hides_no_answer(
    server: LocalServer, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    caught: list[object] = []
    monkeypatch.setattr("threading.excepthook", caught.append)

    def bug(_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(room.ModelProcess, "_bury", bug)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    async with asyncio.timeout(5):
        with pytest.raises(ConfigError, match="No such file"):
            await server.start(model("tiny"))
    await server.stop()
    assert len(caught) == 1


async def test_switched_off_model_is_not_started(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")
    with pytest.raises(ConfigError, match="is switched off"):
        await server.start()


async def test_idle_process_ends(model: Callable[[str], Path]) -> None:
    server = LocalServer(idle_timeout_s=0.1)
    await server.start(model("tiny"))
    child = server._child
    assert child is not None
    await asyncio.to_thread(child.wait)
    assert server.endpoint is None
    await server.stop()


async def test_busy_process_does_not_end(model: Callable[[str], Path]) -> None:
    server = LocalServer(idle_timeout_s=0.7)
    await server.start(model("busy"))
    pid = server.pid
    assert pid is not None
    assert not await asyncio.to_thread(ends_within, pid, 1.6)
    await server.stop()


PARENT = """
import asyncio, os, sys, threading
from pathlib import Path
from vig_notebook.local import LocalServer

async def start(server):
    loading = asyncio.ensure_future(server.start(Path(sys.argv[1])))
    while server.pid is None or (sys.argv[2] == "loaded" and not loading.done()):
        await asyncio.sleep(0.01)
    return loading

async def main():
    loading = await start(server)
    print(server.pid, flush=True)
    await asyncio.sleep(60)

server = LocalServer()
if sys.argv[2] == "thread ended":
    thread = threading.Thread(target=lambda: asyncio.run(server.start(Path(sys.argv[1]))))
    thread.start()
    thread.join()
    print(server.pid, flush=True)
    sys.stdin.read()
elif sys.argv[2] == "forked":
    asyncio.run(server.start(Path(sys.argv[1])))
    if os.fork():
        print(server.pid, flush=True)
    sys.stdin.read()
else:
    asyncio.run(main())
"""


def parent(path: Path, moment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PARENT, str(path), moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("name", "moment"), [("tiny", "loaded"), ("slow", "loading"), ("tiny", "forked")])
def test_killed_parent_leaves_no_process(model: Callable[[str], Path], name: str, moment: str) -> None:
    with parent(model(name), moment) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        assert ends_within(pid, 2.0)


def test_end_of_the_thread_that_started_it_leaves_the_process(model: Callable[[str], Path]) -> None:
    with parent(model("tiny"), "thread ended") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert not ends_within(pid, 1.0)
        process.kill()
        assert ends_within(pid, 2.0)


def test_parent_that_ends_by_itself_leaves_no_process(model: Callable[[str], Path]) -> None:
    with parent(model("tiny"), "thread ended") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        pid = int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(5) == 0
        assert ends_within(pid, 2.0)


async def test_interrupt_of_the_group_leaves_the_process(server: LocalServer, model: Callable[[str], Path]) -> None:
    await server.start(model("tiny"))
    assert server.pid is not None
    assert os.getpgid(server.pid) != os.getpgid(0)


def test_module_beside_the_notebook_is_not_taken(
    model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    path = model("tiny")
    server = LocalServer()
    started = time.monotonic()
    assert asyncio.run(server.start(path)).kind == "local"
    assert time.monotonic() - started < 10
    server.close()
