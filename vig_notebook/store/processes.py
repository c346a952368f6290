"""Which process wrote a row, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Process", "is_alive", "this_process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that outlives the reuse of its number: `started` differs when the number was given again.

    Attributes:
        host: Name of the machine.
        pid: Number of the process.
        started: When it started, in words that only this room compares; empty where it cannot be known.
    """

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """The process that this runs in."""
    pid = os.getpid()
    return Process(host=_host(), pid=pid, started=_started(pid) or "")


def is_alive(process: Process) -> bool | None:
    """Whether the process still runs; None when that cannot be known, as of another machine."""
    if process.host != _host() or not process.started:
        return None
    return _started(process.pid) == process.started


@cache
def _host() -> str:
    return socket.gethostname()


def _started(pid: int) -> str | None:
    """When the process with this number started, or None when there is none or it cannot be known."""
    return _started_linux(pid) if Path("/proc/self/stat").exists() else _started_elsewhere(pid)


def _started_linux(pid: int) -> str | None:
    """Clock ticks since the boot (field 22 of proc(5) stat), with the boot they count from."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")[:8]
    except OSError:
        return None
    # The name before it may hold blanks and brackets; what follows its last bracket does not.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{boot}-{fields[19]}"


def _started_elsewhere(pid: int) -> str | None:
    """Ask psutil, which every ipykernel brings along; without it nothing is known."""
    if find_spec("psutil") is None:
        return None
    psutil = import_module("psutil")
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None
