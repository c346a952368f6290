"""pip in a process of its own: its progress in a few lines, its failures in a sentence."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections import deque
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_pip", "run_pip"]

_PROGRESS_STEP: Final = 20
"""Per cent of a download between two lines about it."""


def check_pip() -> None:
    """Refuse to go on where there is no pip.

    Raises:
        ConfigError: There is none.
    """
    if find_spec("pip") is None:
        raise ConfigError(
            "The local model cannot be installed",
            seen="this Python has no pip",
            advice="Run python -m ensurepip, or make the environment with python -m venv.",
        )


def run_pip(arguments: tuple[str, ...], name: str, report: Callable[[str], None]) -> None:
    """Run pip; blocks until it ends, and an interrupt ends it as well.

    Args:
        arguments: What pip is told.
        name: The package that it is about.
        report: Takes lines for people about the progress.

    Raises:
        ConfigError: pip failed; the sentence says why, as far as its last words tell.
    """
    command = [sys.executable, "-P", "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments]
    if arguments[0] == "install" and _pip_version() >= (24, 1):
        command.insert(-1, "--progress-bar=raw")
    words: deque[str] = deque(maxlen=50)
    progress = _Progress(name)
    with subprocess.Popen(  # noqa: S603  pip of this very interpreter, with arguments of our own
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    ) as process:
        try:
            for line in process.stdout or ():
                words.append(line.strip())
                if text := progress.words(line):
                    report(text)
        except BaseException:  # an interrupt too: pip must not go on behind the prompt
            process.kill()
            raise
    if process.returncode:
        raise _failed(name, list(words))
    importlib.invalidate_caches()


def _pip_version() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", metadata.version("pip"))[:2])


class _Progress:
    """Turns pip's lines about one package into a few lines for people.

    pip before 24.1 tells only that a download begins.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.told = 0

    def words(self, line: str) -> str:
        """Words at the start and at each further step of the download, "" for a line about anything else."""
        if line.lstrip().startswith(("Downloading ", "Using cached ", "Installing ")):
            return f"  {line.strip()}"
        found = re.fullmatch(r"Progress (\d+) of (\d+)\s*", line)
        if found is None:
            return ""
        done, whole = int(found[1]), int(found[2])
        step = done * 100 // (whole * _PROGRESS_STEP) if whole else 0
        if step <= self.told:
            return ""
        self.told = step
        return f"  {self.name}: {done / 1e6:.0f} of {whole / 1e6:.0f} MB"


_REASONS: Final = (
    (
        r"externally-managed-environment",
        "this Python belongs to the operating system",
        "Make an environment with python -m venv and install there.",
    ),
    (
        r"NewConnectionError|NameResolutionError|Temporary failure|Network is unreachable|ConnectTimeout|ProxyError"
        r"|Connection (refused|reset|aborted)|Read timed out|Max retries exceeded",
        "the package registry cannot be reached",
        "Connect to the network, or set pip's proxy, and run it again.",
    ),
    (
        r"No matching distribution|not a supported wheel",
        "there is no wheel for this Python and platform",
        "Use a server with --base-url, or the demo server.",
    ),
    (
        r"No space left",
        "the disk is full",
        "Free 300 MB and run it again.",
    ),
    (
        r"Permission denied|Access is denied",
        "the environment cannot be written to",
        "Make an environment of your own with python -m venv.",
    ),
)
"""What pip says, what that means, what to do. The first that fits, from the top."""


def _failed(name: str, words: list[str]) -> ConfigError:
    text = "\n".join(words)
    for pattern, seen, advice in _REASONS:
        if re.search(pattern, text):
            return ConfigError(f"{name} could not be installed", seen=seen, advice=advice)
    errors = [word for word in words if word.startswith("ERROR:")]
    seen = (errors or words or ["pip said nothing"])[-1].removeprefix("ERROR:").strip()
    return ConfigError(f"{name} could not be installed", seen=seen[:300], advice="See what pip says, and run it again.")
