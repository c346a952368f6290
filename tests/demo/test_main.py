"""``python -m vig_notebook.demo``, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from vig_notebook.demo.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 20.0
COMMAND = [sys.executable, "-m", "vig_notebook.demo"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and all that it prints before it waits."""
    process = subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    printed = ""
    try:
        while "}'" not in printed:
            line = process.stdout.readline()
            assert line, process.communicate()
            printed += line
        yield process, printed
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def printed() -> Iterator[str]:
    """What a server prints that answers as fast as it can; it runs meanwhile."""
    with running("--pace", "0") as (_, text):
        yield text


def test_curl_line_pasted_into_a_shell_streams_an_answer(printed: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    line = printed[printed.index("curl ") :]
    shown = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    events = [event[6:] for event in shown.stdout.split("\n\n") if event]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert chunks[0]["model"] == "vigthoria-creative-v2"
    text = "".join(chunk["choices"][0].get("delta", {}).get("content", "") for chunk in chunks)
    assert "echnology" in text


def test_address_key_and_curl_line_are_printed(printed: str) -> None:
    key = re.search(r"key +(\S+)", printed)
    address = re.search(r"address +(http://127\.0\.0\.1:\d+/v1)", printed)
    assert key is not None
    assert address is not None
    assert f'curl {address[1]}/chat/completions \\\n  -H "Authorization: Bearer {key[1]}" \\\n' in printed


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_it_without_a_word(name: signal.Signals) -> None:
    with running() as (process, _):
        os.kill(process.pid, name)
        printed, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, printed.strip(), errors) == (0, "", "")


def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """The exit code and the words of a server that does not start."""
    monkeypatch.setattr(sys, "argv", ["demo", *options])
    return main(), capsys.readouterr().err


def test_taken_port_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, words = complaint(monkeypatch, capsys, "--port", port)
    assert code == 1
    assert words.startswith(f"The demo server cannot listen on port {port} (")


@pytest.mark.parametrize("pace", ["-1", "nan"])
def test_bad_pace_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pace: str) -> None:
    words = f"The pace cannot be used: it is {float(pace)}. Give tokens per second; 0 is as fast as it goes.\n"
    assert complaint(monkeypatch, capsys, "--pace", pace) == (2, words)
