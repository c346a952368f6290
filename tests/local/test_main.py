from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.gguf_files import gguf, write
from tests.local.test_process import FAKE_ENGINE
from vig_notebook.errors import ConfigError
from vig_notebook.local import __main__ as room


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        room.main([])
    assert "install,remove,status,serve" in capsys.readouterr().err.replace(" ", "")


@pytest.mark.parametrize("option", ["--context-size", "--threads"])
@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_numbers_are_above_zero(option: str, value: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        room._parser().parse_args(["serve", option, value])


def test_options_of_serve() -> None:
    asked = room._parser().parse_args(["serve", "--gguf", "m.gguf", "--context-size", "512", "--threads", "2"])
    assert (asked.gguf, asked.context_size, asked.threads, asked.child) == (Path("m.gguf"), 512, 2, False)
    asked = room._parser().parse_args(["serve"])
    assert (asked.gguf, asked.context_size, asked.threads) == (None, 4096, None)


@pytest.mark.parametrize("command", ["install", "remove"])
def test_command_reports_line_by_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(room, command, lambda report: report(f"{command} was called"))
    assert room.main([command]) == 0
    assert capsys.readouterr().out == f"{command} was called\n"


def test_status_prints_its_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(room, "status", lambda: iter(["one", "two"]))
    assert room.main(["status"]) == 0
    assert capsys.readouterr().out == "one\ntwo\n"


def test_error_is_one_sentence_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_report: object) -> None:
        raise ConfigError("It failed", seen="a reason", advice="Do this.")

    monkeypatch.setattr(room, "install", fail)
    assert room.main(["install"]) == 1
    assert capsys.readouterr().err == "It failed: a reason. Do this.\n"


def test_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_report: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "install", interrupted)
    assert room.main(["install"]) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_serve_by_hand_prints_what_to_set_until_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE_ENGINE))
    path = write(tmp_path / "tiny.gguf", gguf())
    command = [sys.executable, "-m", "vig_notebook.local", "serve", "--gguf", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(4)]
        assert lines[:2] == ["loading the local model…", "local tiny listens; Ctrl-C ends it."]
        assert lines[2].startswith("VIGTHORIA_BASE_URL=http://127.0.0.1:")
        assert len(lines[3].removeprefix("VIGTHORIA_API_KEY=")) >= 43
        process.send_signal(2)
        assert process.wait(5) == 130
