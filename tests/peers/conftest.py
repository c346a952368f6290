"""Servers of other projects, on 127.0.0.1: installed once into `.venv-peers`, each started once for all its tests."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dev

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
PACKAGES = ("fakellm==0.3.5", "llmock==0.2.2", "stubllm==0.1.5")
START_LIMIT_S = 60.0
READY = ("Uvicorn running on", "server listening on")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is for `python3 dev.py peers`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("peers")


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the installed programs."""
    return dev.install_into(ENVIRONMENT, *PACKAGES).parent


@contextmanager
def serving(*command: str | Path, folder: Path) -> Iterator[str]:
    """Run a server in a folder, its port put in place of `{port}`, and give its address once it listens."""
    port = free_port()
    words = [str(word).format(port=port) for word in command]
    log = folder / "server.log"
    with (
        log.open("w") as said,
        subprocess.Popen(words, cwd=folder, stdout=said, stderr=subprocess.STDOUT) as process,
    ):
        try:
            wait_until_it_listens(process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_until_it_listens(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not any(words in log.read_text() for words in READY):
        assert time.monotonic() < deadline, log.read_text()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            raise AssertionError(log.read_text())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
