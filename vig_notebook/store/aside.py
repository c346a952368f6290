"""Files that are no longer the log's: renamed, so that nothing is lost, and only while they are the ones meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["beside", "inode_of", "leave_to", "set_aside"]

_PENDING_BYTE: Final = 0x40000000
_LOCK_BYTES: Final = 512
"""Where SQLite locks a file: whoever has it open with a write-ahead log holds one of these bytes."""


def beside(path: Path, end: str) -> Path:
    """Give a side file of the log, such as its `-wal`."""
    return path.with_name(path.name + end)


def inode_of(path: Path) -> int:
    """Give the number of the file; 0 where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def set_aside(path: Path, inode: int) -> str | None:
    """Rename a damaged log and what belongs to it, so that nothing of it is lost.

    Args:
        path: The log.
        inode: The number of the file in which the damage was seen.

    Returns:
        A sentence that says where it is; None where another program has renamed it already.

    Raises:
        OSError: The file cannot be renamed.
    """
    aside = _new_name(path, "damaged")
    for end in ("-wal", "-shm", "-journal", ""):  # the log last: until then it tells whose the others are
        if inode_of(path) != inode:
            return None
        part = beside(path, end)
        if part.exists():
            part.rename(beside(aside, end))
    return f"The run log was damaged: it is kept as {aside}, and a new one was begun"


def leave_to(path: Path, side_inodes: dict[str, int]) -> None:
    """Rename what is left of our log beside a file that took its place; SQLite would play it over that.

    Not where another program has that file open: it uses the side files, whosever they were.

    Args:
        path: The log.
        side_inodes: The numbers of the side files that we have open, by their ends.
    """
    stale = [end for end, inode in side_inodes.items() if inode and inode_of(beside(path, end)) == inode]
    if not stale:
        return
    try:
        import fcntl
    except ImportError:  # where no file that is open can be replaced
        return
    aside = _new_name(path, "replaced")
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _PENDING_BYTE)
        except OSError:
            return
        for end in stale:
            beside(path, end).rename(beside(aside, end))


def _new_name(path: Path, why: str) -> Path:
    return path.with_name(f"{path.name}.{why}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
