"""dev.py does on a fresh machine what it says, and tells a person what is wrong without a traceback."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

import dev

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO = """
import sys
from pathlib import Path
import dev
dev.make_environment = lambda: Path(sys.executable)
sys.exit(dev.main(["demo", "--no-browser", "--no-model"]))
"""


def program(path: Path, *, prints: str = "") -> Path:
    """Make a program that prints a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that dev.py runs; they are only noted, and succeed."""
    noted: list[list[str]] = []

    def note(*command: str | Path, **settings: str) -> int:
        noted.append([str(part) for part in command])
        return 0

    monkeypatch.setattr(dev, "run", note)
    return noted


def test_browser_named_by_the_user_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = program(tmp_path / "mine")
    monkeypatch.setenv("VIG_BROWSER", str(named))
    assert dev.find_browser("no python is asked") == str(named)


def test_browser_named_by_the_user_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_BROWSER", "/nowhere/chromium")
    with pytest.raises(dev.UserError, match="VIG_BROWSER names /nowhere/chromium, which is no program"):
        dev.find_browser("python")


def test_browser_of_playwright_comes_before_those_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, on_path = tmp_path / "own", program(tmp_path / "bin" / "chromium")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    python = program(tmp_path / "python", prints=str(own))
    assert dev.find_browser(python) == str(on_path)
    program(own)
    assert dev.find_browser(python) == str(own)


def test_no_browser_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = program(tmp_path / "python")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert dev.find_browser(python) is None


def test_browser_is_installed_from_debian_by_root_and_else_from_playwright(
    monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    monkeypatch.setattr(dev, "find_browser", lambda python: "found")
    monkeypatch.setattr(dev, "may_install_packages", lambda: True)
    assert dev.install_browser(Path("python")) == "found"
    assert [command[:2] for command in commands] == [["apt-get", "update"], ["apt-get", "install"]]
    commands.clear()
    monkeypatch.setattr(dev, "may_install_packages", lambda: False)
    dev.install_browser(Path("python"))
    assert commands == [["python", "-m", "playwright", "install", "chromium"]]


def test_packages_are_installed_again_only_when_what_is_needed_has_changed(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    environment = tmp_path / "environment"
    program(dev.python_of(environment))
    dev.install_into(environment, "one")
    dev.install_into(environment, "one")
    assert len(commands) == 1
    dev.install_into(environment, "one", "two")
    assert commands[1][-2:] == ["one", "two"]


def test_environment_without_ensurepip_is_made_with_the_pip_of_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    monkeypatch.setattr(dev, "is_installed", lambda name: name == "pip")
    dev.create(tmp_path)
    assert "--without-pip" in commands[0]
    assert commands[1][-2:] == ["install", "pip"]


def test_environment_without_ensurepip_and_pip_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "is_installed", lambda name: False)
    monkeypatch.setattr(dev, "may_install_packages", lambda: False)
    with pytest.raises(dev.UserError, match="run `sudo apt-get install python3-venv`"):
        dev.create(tmp_path)


def test_program_that_fails_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(dev.UserError, match=r"`.*python.* failed with exit code 3"):
        dev.must(sys.executable, "-c", "raise SystemExit(3)")


INTERRUPTED = """
import sys
import dev
PROGRAM = '''
import os, signal, time
try:
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
except KeyboardInterrupt:
    print("tidied up")
'''
dev._command = lambda arguments: dev.run(sys.executable, "-c", PROGRAM)
sys.exit(dev.main([]))
"""


def test_program_that_is_interrupted_may_tidy_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=dev.ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "tidied up\n")
    assert done.stderr.strip() == "dev: stopped"


def test_port_that_is_taken_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert dev.main(["demo", "--port", str(port)]) == 2
    assert capsys.readouterr().err.startswith(f"dev: port {port} cannot be used")


def test_unknown_command_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        dev.main(["nonsense"])
    assert "demo" in capsys.readouterr().err


def test_demo_notebooks_keep_what_was_done_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, copy = tmp_path / "notebooks" / "a.ipynb", tmp_path / ".demo" / "notebooks" / "a.ipynb"
    stored.parent.mkdir()
    stored.write_text("stored")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "DEMO_FOLDER", tmp_path / ".demo")
    dev.copy_notebooks()
    copy.write_text("mine")
    dev.copy_notebooks()
    assert copy.read_text() == "mine"
    os.utime(stored, (copy.stat().st_mtime + 10,) * 2)
    dev.copy_notebooks()
    assert copy.read_text() == "stored"


def test_demo_prints_an_address_that_opens_and_ends_with_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DEMO], cwd=dev.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        assert process.stdout is not None
        address = first_address(process.stdout)
        for of_notebook in (address, address.replace("/lab/tree/", "/api/contents/")):
            with urllib.request.urlopen(of_notebook, timeout=20) as page:
                assert page.status == 200
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert rest.endswith("dev: JupyterLab has ended\n")
    assert "Traceback" not in rest


@pytest.mark.parametrize(("options", "local"), [([], None), (["--no-model"], "off")])
def test_demo_without_the_model_has_the_scripted_server_answer_where_it_is_installed(
    options: list[str], local: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    @contextmanager
    def jupyterlab(python: Path, *, port: int, show: bool, **settings: str) -> Iterator[Server]:
        seen.append(settings)
        yield Server()

    class Server:
        def wait(self) -> int:
            return 0

    for name in ("make_environment", "install_local_model", "copy_notebooks", "wait_until_up"):
        monkeypatch.setattr(dev, name, lambda *_, **__: Path(sys.executable))
    monkeypatch.setattr(dev, "jupyterlab", jupyterlab)
    assert dev.main(["demo", "--no-browser", *options]) == 0
    assert seen[0].get("VIG_LOCAL_MODEL") == local


def first_address(lines: IO[str]) -> str:
    """The first address that a program prints."""
    for line in lines:
        found = re.search(r"http://127\.0\.0\.1:\d+/lab/tree/\S+\?token=\S+", line)
        if found:
            return found[0]
    raise AssertionError("no address was printed")
