from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

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
