from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.local import pip as room
from vig_notebook.local.pip import run_pip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("error: externally-managed-environment", "this Python belongs to the operating system"),
        ("WARNING: Retrying ... NewConnectionError\nERROR: No matching distribution", "the package registry cannot"),
        ("ERROR: Could not find a version\nERROR: No matching distribution found", "there is no wheel for this"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: [Errno 13] Permission denied: '/usr'", "the environment cannot be written to"),
        ("Collecting\nERROR: something else\nWARNING: more", "something else"),
        ("last words", "last words"),
        ("", "pip said nothing"),
    ],
)
def test_failure_of_pip_is_told_in_words(words: str, seen: str) -> None:
    error = room._failed("xllamacpp", words.splitlines())
    assert str(error).startswith(f"xllamacpp could not be installed: {seen}")


def test_progress_is_told_in_a_few_lines() -> None:
    progress = room._Progress("xllamacpp")
    lines = [progress.words(f"Progress {done * 1_000_000} of 34000000\n") for done in range(35)]
    assert [line.strip() for line in lines if line] == [f"xllamacpp: {done} of 34 MB" for done in (7, 14, 21, 28, 34)]
    assert progress.words("Collecting xllamacpp") == ""
    assert progress.words("Progress 0 of 0") == ""


def test_real_pip_without_network_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError) as caught:
        run_pip(("install", "--only-binary", ":all:", "vig-test-engine"), "vig-test-engine", lambda _: None)
    assert str(caught.value) == (
        "vig-test-engine could not be installed: the package registry cannot be reached. "
        "Connect to the network, or set pip's proxy, and run it again."
    )


def test_start_of_a_download_is_told_for_a_pip_without_progress() -> None:
    progress = room._Progress("xllamacpp")
    assert (
        progress.words("  Downloading xllamacpp-2026.whl (33.8 MB)\n") == "  Downloading xllamacpp-2026.whl (33.8 MB)"
    )


@pytest.fixture
def pip_that_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put a pip in the place of the real one that says this, filled in with its arguments, and nothing else."""

    def says(words: str) -> None:
        (tmp_path / "pip.py").write_text(f"import sys\nprint({words!r}.format(' '.join(sys.argv[1:])))\n")

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return says


def test_lines_about_the_download_are_passed_on(pip_that_says: Callable[[str], None]) -> None:
    pip_that_says("Collecting x\nDownloading x.whl (3 MB)\nProgress 1000000 of 3000000\nSuccessfully installed x")
    told: list[str] = []
    run_pip(("install", "x"), "x", told.append)
    assert told == ["  Downloading x.whl (3 MB)", "  x: 1 of 3 MB"]


def test_interrupt_ends_pip(pip_that_says: Callable[[str], None]) -> None:
    def interrupted(_line: str) -> None:
        raise KeyboardInterrupt

    pip_that_says("Downloading x.whl (3 MB)")
    with pytest.raises(KeyboardInterrupt):
        run_pip(("install", "x"), "x", interrupted)


@pytest.mark.parametrize(("version", "asked"), [((24, 1), True), ((24, 0), False)])
def test_progress_is_asked_of_a_pip_that_tells_it(
    pip_that_says: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], asked: bool
) -> None:
    pip_that_says("Downloading {}")
    monkeypatch.setattr(room, "_pip_version", lambda: version)
    told: list[str] = []
    run_pip(("install", "x"), "x", told.append)
    assert ("--progress-bar=raw x" in told[0]) is asked
