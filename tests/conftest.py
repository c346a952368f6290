"""Every test runs with nothing from outside, and fails when it leaves something behind.

Left behind is: an asyncio task, a run on the streaming thread, a thread other than the streaming thread, a
socket, a widget. A test of widgets takes the fixture `widgets`, which closes them after it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import BlockBuster
from coverage import Coverage
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_asyncio import is_async_test

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.demos import Demo

STREAMING_THREAD = "vig-stream"
END_LIMIT_S = 5.0
"""How long what a test ended may take to be gone: sockets and threads end a moment after their last call, the log's
thread when a busy disk has taken the last of it."""

OURS = ("VIG_", "VIGTHORIA_")

hypothesis_settings.register_profile(
    "vig",
    deadline=None,  # a shared machine is slow now and then; pytest-timeout ends what hangs
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("vig")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Look for leaked tasks first and last in each async test; run browser tests after all others.

    Playwright's synchronous API keeps a loop running in the main thread, where no async test can start one.
    """
    for item in items:
        if is_async_test(item) and isinstance(item, pytest.Function):
            item.fixturenames.insert(item.fixturenames.index("leaves_nothing") + 1, "ends_its_tasks")
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def or_of_coverage(may_block: Callable[..., bool]) -> Callable[..., bool]:
    """Let whoever counts coverage wait for its own lock, too; from 7.17.5 on it does so in no frame of its own."""

    def check(lock: object, *args: object, **options: object) -> bool:
        collector = getattr(Coverage.current(), "_collector", None)
        return lock is getattr(collector, "data_lock", None) or may_block(lock, *args, **options)

    return check


@pytest.fixture(scope="session", autouse=True)
def blocking_calls_fail() -> Iterator[None]:
    """A call of ours that blocks a running loop raises `blockbuster.BlockingError`."""
    guard = BlockBuster("vig_notebook")
    for name in ("io.BufferedReader.read", "os.stat"):
        if name in guard.functions:  # a page of settings, read when something is asked and never while it streams
            guard.functions[name].can_block_in("vig_notebook/settings/profiles.py", "read_profiles")
    for name in [name for name in guard.functions if name.endswith("Lock.acquire")]:
        function = guard.functions[name]
        function.can_block_predicate = or_of_coverage(function.can_block_predicate)
    guard.activate()
    yield
    guard.deactivate()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests, and folders of the test's own. HOME stays."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")  # a test of the local model says so
    for kind in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / "home" / kind.lower()))
    (tmp_path / "home" / "ipythondir").mkdir(parents=True)  # IPython warns where it cannot make its own
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name.lower()))


@pytest.fixture(autouse=True)
def leaves_nothing(own_environment: None) -> Iterator[None]:
    """Fail the test that leaves a run, a thread, a socket or a widget behind."""
    counts: dict[str, Callable[[], set[Any]]] = {
        "run": running_runs,
        "thread": other_threads,
        "socket": open_sockets,
        "widget": open_widgets,
    }
    before = {kind: count() for kind, count in counts.items()}
    yield
    close_streaming_thread()
    for kind, count in counts.items():
        left = wait_until_gone(count, before[kind])
        assert not left, f"the test leaves {len(left)} {kind}(s) behind: {sorted(map(str, left))}"


@pytest.fixture
async def ends_its_tasks() -> AsyncIterator[None]:
    """Fail the test whose tasks still wait when its other fixtures are gone."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=0.1)
    assert not left, f"the test leaves {len(left)} task(s) behind: {sorted(map(str, left))}"


@pytest.fixture
def fast() -> Iterator[Demo]:
    """A demo server that answers as fast as it goes."""
    from tests.demos import demo  # what it imports starts late here, as it does for a user

    with demo() as server:
        yield server


@pytest.fixture
def slow() -> Iterator[Demo]:
    """Twenty tokens a second: slow enough that a test stops it in mid-answer."""
    from tests.demos import demo

    with demo(20) as server:
        yield server


@pytest.fixture
def widgets() -> Iterator[Callable[[], list[Any]]]:
    """Gives the widgets that the test has made so far; closes them after the test."""
    before = open_widgets()

    def made() -> list[Any]:
        return [widget for widget in live_widgets() if widget.model_id not in before]

    yield made
    for widget in made():
        widget.close()


def close_streaming_thread() -> None:
    """End the streaming thread with its servers and connections; the next test starts its own."""
    module = sys.modules.get("vig_notebook.engine")
    engine = getattr(module, "_engine", None)
    if engine is None:
        return
    left = wait_until_gone(running_runs, set())
    assert not left, f"the test leaves {len(left)} run(s) behind: {sorted(left)}"
    engine.close()
    vars(module)["_engine"] = None


def running_runs() -> set[str]:
    """The runs on the streaming thread that have not ended."""
    engine = getattr(sys.modules.get("vig_notebook.engine"), "_engine", None)
    return {repr(run) for run in engine.runs} if engine is not None else set()


def other_threads() -> set[threading.Thread]:
    """The threads but the streaming thread, and those of a loop's pool, which end with the loop."""
    allowed = (STREAMING_THREAD, "asyncio_")
    return {thread for thread in threading.enumerate() if not thread.name.startswith(allowed)}


def open_sockets() -> set[str]:
    """The sockets of this process, as the kernel names them; none where /proc does not tell."""
    found = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        try:
            target = str(descriptor.readlink())
        except OSError:  # the descriptor of the folder itself, closed since
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def live_widgets() -> list[Any]:
    """The ipywidgets that are open."""
    module = sys.modules.get("ipywidgets.widgets.widget")
    return list(module._instances.values()) if module is not None else []


def open_widgets() -> set[str]:
    """The ids of the ipywidgets that are open."""
    return {widget.model_id for widget in live_widgets()}


def wait_until_gone(count: Callable[[], set[Any]], before: set[Any]) -> set[Any]:
    """What is there and was not before, when it had `END_LIMIT_S` seconds to go."""
    deadline = time.monotonic() + END_LIMIT_S
    while left := count() - before:
        gc.collect()
        if time.monotonic() > deadline:
            return left
        time.sleep(0.01)
    return set()
