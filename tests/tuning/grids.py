"""Small grids and responses for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vig_notebook.tuning.dataset import Dataset
from vig_notebook.tuning.grid import Cell, Variant, expand, expand_params, variants_of
from vig_notebook.tuning.prompts import as_prompts
from vig_notebook.tuning.responses import Response, Status
from vig_notebook.tuning.scorers import Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.tuning.prompts import Prompt


def variants(
    prompts: str | list[str | Prompt] = "{{ text }}",
    models: Sequence[str] = ("m",),
    params: Mapping[str, object] | None = None,
) -> list[Variant]:
    return variants_of(as_prompts(prompts), models, expand_params(params))


def cells(columns: Sequence[Variant], examples: int = 2, repeats: int = 1) -> list[Cell]:
    rows = [{"text": f"t{i}", "label": "x"} for i in range(1, examples + 1)]
    return expand(columns, Dataset.of(rows), repeats=repeats)


def answered(cell: Cell, score: float | None = None, **members: object) -> Response:
    scores = {} if score is None else {"exact": Score(score)}
    return Response(cell=cell, status=Status.OK, output=f"answer {cell.index}", scores=scores, **members)  # type: ignore[arg-type]
