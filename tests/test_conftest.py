"""The checks that watch every other test catch what they are there for."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

GUARDS = """
from tests import conftest
from tests.conftest import (
    ends_its_tasks, leaves_nothing, own_environment, pytest_collection_modifyitems, widgets,
)
conftest.END_LIMIT_S = 0.2  # nothing here is about to end
"""

LEAKS = """
import asyncio
import socket
import threading
import time
import ipywidgets

kept = []

async def test_task():
    kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))

def test_thread():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def test_socket():
    kept.append(socket.socket())

def test_widget():
    ipywidgets.Button()
"""

LEAK_KINDS = ("task", "thread", "socket", "widget")

CLEAN = """
import asyncio
import ipywidgets
import os
import pytest

@pytest.fixture
async def server():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server

async def test_server_and_task_that_end(server):
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    writer.close()
    await asyncio.get_running_loop().create_task(asyncio.sleep(0))

def test_widgets_that_the_fixture_closes(widgets):
    button = ipywidgets.Button()
    assert button in widgets()

def test_environment_of_its_own(tmp_path):
    assert "VIGTHORIA_API_KEY" not in os.environ
    assert os.environ["XDG_CONFIG_HOME"].startswith(str(tmp_path))
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    """A folder with our guards and settings, where pytest is run in a process of its own."""
    pytester.makeconftest(GUARDS)
    pytester.makeini(
        f"[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        f"pythonpath = {request.config.rootpath}\naddopts = -p no:nbval -p no:hypothesispytest\n"
    )
    return pytester


def test_guard_of_a_leak_names_it_and_fails_the_test(inner: pytest.Pytester) -> None:
    inner.makepyfile(LEAKS)
    result = inner.runpytest_subprocess()
    result.assert_outcomes(passed=4, errors=4)
    result.stdout.fnmatch_lines([f"E*the test leaves * {kind}(s) behind*" for kind in LEAK_KINDS])


def test_guards_let_clean_tests_pass(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", "from outside")
    inner.makepyfile(CLEAN)
    inner.runpytest_subprocess().assert_outcomes(passed=3)
