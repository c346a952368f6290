"""Responses: what came of each cell, and the tidy table of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from vig_notebook.run import RunState
from vig_notebook.store import REPLAYED
from vig_notebook.tuning.extras import need

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.log import Answer
    from vig_notebook.tuning.scorers import Score
    from vig_notebook.wire.accumulate import Completion

__all__ = ["Response", "Status", "Waits", "cached", "from_run", "never_asked", "tidy"]


class Status(StrEnum):
    """How a response came about."""

    OK = "ok"
    ERROR = "error"
    STOPPED = "stopped"
    CACHED = "cached"

    @property
    def whole(self) -> bool:
        """Whether there is a whole text, so that nothing is asked again."""
        return self in {Status.OK, Status.CACHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """What a cell waited before its last try; says nothing of the model.

    Attributes:
        queue_s: For a free place.
        retry_s: From its first try to its last.
    """

    queue_s: float = 0.0
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came of one cell. A newer one replaces it when the cell is asked or scored again.

    Attributes:
        cell: The cell.
        status: How it came about.
        output: The text; partial unless `status.whole`.
        finish_reason: As the server gave it.
        error: Why it failed, as a sentence; empty when it did not.
        error_kind: The same in one word.
        started_at: When it was asked, in UTC.
        waits: Queue and retries.
        ttft_s: From sending to the first text.
        latency_s: From sending to the end.
        output_tokens_per_s: After the first token.
        tokens_in: Tokens of the request as the server counted; None when it did not.
        tokens_out: Tokens of the answer, counted from the deltas where the server did not.
        run_id: The run that answered, as in the log.
        model: The model that was asked for; of a replayed answer, the one that gave it then.
        endpoint: The server that answered, now or then; None when none was asked.
        scores: By the name of the scorer.
        rating: What a person said of it: win, loss or tie; empty when nobody did.
    """

    cell: Cell
    status: Status
    output: str = ""
    finish_reason: str | None = None
    error: str = ""
    error_kind: str = ""
    started_at: datetime | None = None
    waits: Waits = field(default_factory=Waits)
    ttft_s: float | None = None
    latency_s: float | None = None
    output_tokens_per_s: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    run_id: str = ""
    model: str = ""
    endpoint: Endpoint | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    rating: str = ""


_STATUS = {RunState.DONE: Status.OK, RunState.STOPPED: Status.STOPPED}


def _of_completion(completion: Completion) -> dict[str, object]:
    timings = completion.timings
    waited_s = (timings.queue_s or 0.0) + (timings.retry_wait_s or 0.0)
    return {
        "output": completion.text,
        "finish_reason": completion.finish_reason,
        "ttft_s": timings.first_token_s,
        "latency_s": None if timings.total_s is None else max(0.0, timings.total_s - waited_s),
        "output_tokens_per_s": completion.tokens_per_s,
        "tokens_in": completion.usage.prompt_tokens if completion.usage else None,
        "tokens_out": completion.output_tokens,
    }


def from_run(cell: Cell, run: Run, waits: Waits) -> Response:
    """What an ended run made of a cell."""
    status = _STATUS.get(run.state, Status.ERROR)
    return Response(
        cell=cell,
        status=Status.CACHED if status is Status.OK and REPLAYED in run.labels else status,
        error="" if run.error is None else str(run.error),
        error_kind="" if run.error is None else run.error.kind,
        started_at=run.created_at,
        waits=waits,
        run_id=run.id,
        model=run.request.model,
        endpoint=run.endpoint,
        **_of_completion(run.completion),  # type: ignore[arg-type]  # the names and types are Response's
    )


def cached(cell: Cell, answer: Answer) -> Response:
    """What the log has for a cell."""
    return Response(
        cell=cell,
        status=Status.CACHED,
        started_at=answer.started_at,
        run_id=answer.run_id,
        model=answer.model,
        endpoint=answer.endpoint,
        rating=answer.rating,
        **_of_completion(answer.completion),  # type: ignore[arg-type]  # the names and types are Response's
    )


def never_asked(cell: Cell) -> Response:
    """A cell that was stopped while it waited for its turn."""
    return Response(cell=cell, status=Status.STOPPED)


COLUMNS = (
    "experiment", "prompt", "prompt_version", "model", "example_id", "repeat", "seed", "status", "output",
    "finish_reason", "error", "queue_s", "retry_wait_s", "ttft_s", "latency_s", "output_tokens_per_s", "tokens_in",
    "tokens_out", "started_at", "rating",
)  # fmt: skip
"""What every table has, also one without a row; variables, parameters and scores come between."""


def tidy(experiment: str, responses: Iterable[Response], scorers: Sequence[str]) -> pd.DataFrame:
    """The table of the responses, one row each, in the order of asking."""
    pandas = need("pandas", for_what="the table of an experiment")
    ordered = sorted(responses, key=lambda response: response.cell.index)
    rows = [_row(experiment, response, scorers) for response in ordered]
    if not rows:
        return pandas.DataFrame(columns=list(COLUMNS))  # type: ignore[no-any-return]  # pandas is imported when used
    # The columns stand in the same order whatever the first row has.
    groups = ([], [], [], [], [])  # type: tuple[list[str], list[str], list[str], list[str], list[str]]
    for name in dict.fromkeys(name for row in rows for name in row):
        groups[_group(name)].append(name)
    table: pd.DataFrame = pandas.DataFrame(rows, columns=[name for group in groups for name in group] or None)
    return table


def _group(name: str) -> int:
    if name in {"experiment", "prompt", "prompt_version", "model"}:
        return 0
    if name.startswith("param."):
        return 1
    if name == "example_id":
        return 2
    return 3 if name.startswith("var.") else 4


def _row(experiment: str, response: Response, scorers: Sequence[str]) -> dict[str, object]:
    cell, variant = response.cell, response.cell.variant
    return {
        "experiment": experiment,
        "prompt": variant.prompt.name,
        "prompt_version": f"v{variant.prompt.version}",
        "model": response.model or variant.model,
        **{f"param.{name}": value for name, value in variant.params.items() if name != "seed"},
        "example_id": cell.example.id,
        **{f"var.{name}": value for name, value in cell.example.variables.items()},
        "repeat": cell.repeat,
        "seed": cell.seed,
        "status": response.status.value,
        "output": response.output,
        "finish_reason": response.finish_reason,
        "error": response.error or None,
        "queue_s": response.waits.queue_s,
        "retry_wait_s": response.waits.retry_s,
        **_measures(response),
        **_scores(response, scorers),
        "rating": response.rating or None,
    }


def _measures(response: Response) -> dict[str, object]:
    return {
        "ttft_s": response.ttft_s,
        "latency_s": response.latency_s,
        "output_tokens_per_s": response.output_tokens_per_s,
        "tokens_in": response.tokens_in,
        "tokens_out": response.tokens_out,
        "started_at": response.started_at,
    }


def _scores(response: Response, scorers: Sequence[str]) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name in scorers:
        score = response.scores.get(name)
        columns[f"score.{name}"] = None if score is None else score.value
        columns[f"score.{name}.reason"] = None if score is None else score.reason
    return columns
