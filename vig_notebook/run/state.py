"""Where a run is."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RunState"]


class RunState(StrEnum):
    """Where a run is; the last three are ends."""

    QUEUED = "QUEUED"
    CONNECTING = "CONNECTING"
    STREAMING = "STREAMING"
    DONE = "DONE"
    STOPPED = "STOPPED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self in {RunState.DONE, RunState.STOPPED, RunState.FAILED}
