"""What this machine has to give: memory and processor cores, within the limits of a container."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["free_memory_bytes", "usable_cores"]

_GROUP = Path("/sys/fs/cgroup")


def free_memory_bytes() -> int | None:
    """Memory that a new process may take without swapping; None when the system does not tell.

    On macOS it is all the memory that is built in: what is free cannot be had without asking another program.
    """
    if sys.platform == "linux":
        found = [size for size in (_available(), _left_in_group()) if size is not None]
        return min(found, default=None)
    if sys.platform == "win32":
        return _available_on_windows()
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def usable_cores() -> int:
    """Cores that this process may use: at least 1."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # A container's quota: threads beyond it wait for each other most of the time.
    quota, _, period_us = _line(_GROUP / "cpu.max").partition(" ")
    if quota.isdecimal() and period_us.isdecimal():
        cores = min(cores, -(-int(quota) // int(period_us)))
    return max(1, cores)


def _available() -> int | None:
    for line in _line(Path("/proc/meminfo")).splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) * 1024
    return None


def _left_in_group() -> int | None:
    most, used = _line(_GROUP / "memory.max"), _line(_GROUP / "memory.current")
    return int(most) - int(used) if most.isdecimal() and used.isdecimal() else None


def _line(path: Path) -> str:
    """The text of a small file of the system, "" where there is none."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _available_on_windows() -> int | None:
    import ctypes

    # MEMORYSTATUSEX: two 32-bit numbers, then seven of 64 bits, of which the second is the free memory.
    status = (ctypes.c_uint64 * 8)()
    ctypes.c_uint32.from_buffer(status).value = ctypes.sizeof(status)
    ok = vars(ctypes)["windll"].kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status[2]) if ok else None
