"""How far an experiment is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vig_notebook.tuning.responses import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vig_notebook.tuning.responses import Response
    from vig_notebook.tuning.round import Round

__all__ = ["Progress", "progress_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an experiment is.

    Attributes:
        done: Cells with a response, of whatever status.
        total: All cells.
        cached: Of those done, how many came from the log.
        failed: Of those done, how many have an error.
        in_flight: Cells being asked now.
        tokens: In and out, spent by this experiment and its judges.
        eta_s: Seconds left, about; None before the first answer, 0.0 when nothing is asked.
        pause_left_s: Seconds until the server, which refused a call, may be asked again.
        note: Why cells were left unasked; may be empty.
    """

    done: int
    total: int
    cached: int
    failed: int
    in_flight: int
    tokens: int
    eta_s: float | None
    pause_left_s: float
    note: str


def progress_of(responses: Sequence[Response], total: int, current: Round | None, *, judge_tokens: int) -> Progress:
    """How far an experiment is.

    Args:
        responses: What came of its cells.
        total: How many cells it has.
        current: Its last round.
        judge_tokens: What the judges took.
    """
    asked = [one for one in responses if one.status is not Status.CACHED]
    return Progress(
        done=len(responses),
        total=total,
        cached=len(responses) - len(asked),
        failed=sum(one.status is Status.ERROR for one in asked),
        in_flight=len(current.runs) if current else 0,
        tokens=judge_tokens + sum((one.tokens_in or 0) + (one.tokens_out or 0) for one in asked),
        eta_s=current.eta_s if current else None,
        pause_left_s=current.pause_left_s if current else 0.0,
        note=current.note if current else "",
    )
