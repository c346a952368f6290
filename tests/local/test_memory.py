from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from vig_notebook.local import memory

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    return tmp_path


def test_free_memory_is_less_than_all(group: Path) -> None:
    free = memory.free_memory_bytes()
    assert free is not None
    assert 0 < free < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_container_may_leave_less(group: Path) -> None:
    (group / "memory.max").write_text("3000000\n")
    (group / "memory.current").write_text("1000000\n")
    assert memory.free_memory_bytes() == 2_000_000


def test_container_without_limit_changes_nothing(group: Path) -> None:
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000000\n")
    assert (memory.free_memory_bytes() or 0) > 2_000_000


@pytest.mark.parametrize(("quota", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", None)])
def test_cores_are_within_the_quota(group: Path, quota: str, cores: int | None) -> None:
    (group / "cpu.max").write_text(quota + "\n")
    assert memory.usable_cores() == (cores or len(os.sched_getaffinity(0)))


def test_unreadable_memory_is_none(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_line", lambda _path: "Nothing: 1 kB")
    assert memory.free_memory_bytes() is None


def test_macos_gives_all_that_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.free_memory_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory.usable_cores() >= 1


@pytest.mark.parametrize(("ok", "free"), [(1, 12_345_678_901), (0, None)])
def test_windows_is_asked_for_what_is_free(monkeypatch: pytest.MonkeyPatch, ok: int, free: int | None) -> None:
    def fill(status: Any) -> int:
        assert ctypes.c_uint32.from_buffer(status._obj).value == 64
        status._obj[2] = 12_345_678_901
        return ok

    library = SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=fill))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", library, raising=False)
    assert memory.free_memory_bytes() == free
