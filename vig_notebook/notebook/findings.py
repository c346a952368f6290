"""What a check found, as a line; and the check of the versions, which asks nobody."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from vig_notebook.errors import excerpt
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Finding", "versions"]

MAX_CHARS = 400
"""A line is read at a glance; the whole error is shown by the cell that fails."""

MATTERING = ("vig-notebook", "ipython", "ipykernel", "ipywidgets", "jupyterlab", "anywidget", "aiohttp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line.

    Attributes:
        mark: Right, to be put right, or neither.
        subject: What was looked at.
        words: What was found, and what to do about it.
    """

    mark: Literal["✓", "✗", "–"]
    subject: str
    words: str

    def __str__(self) -> str:
        return f"{self.mark} {self.subject:<12} {excerpt(mask(self.words), max_chars=MAX_CHARS)}"


def versions() -> Iterator[Finding]:
    """The versions of what matters here, and which of them are missing or too old."""
    yield Finding(mark="✓", subject="python", words=platform.python_version())
    lowest, optional = _lowest()
    for name in MATTERING:
        version = _version(name)
        if version is None:
            absent = "not in this environment; that is right where JupyterLab runs in another"
            words = absent if name in optional else f"missing: pip install {name}"
            yield Finding(mark="–" if name in optional else "✗", subject=name, words=words)
        elif _numbers(version) < _numbers(lowest.get(name, "0")):
            words = f"{version} is older than {lowest[name]}: pip install -U {name}, then restart the kernel"
            yield Finding(mark="✗", subject=name, words=words)
        else:
            yield Finding(mark="✓", subject=name, words=version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _lowest() -> tuple[dict[str, str], set[str]]:
    """The lowest versions that this package names, and which of them it does without."""
    lowest: dict[str, str] = {}
    optional = {"vig-notebook"}  # a checkout that is not installed
    try:
        requirements = metadata.requires("vig-notebook") or []
    except metadata.PackageNotFoundError:
        requirements = []
    for requirement in requirements:
        if found := re.match(r"([\w-]+)>=([\d.]+)", requirement):
            lowest[found[1].lower()] = found[2]
            if "extra ==" in requirement:
                optional.add(found[1].lower())
    return lowest, optional


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3]]
