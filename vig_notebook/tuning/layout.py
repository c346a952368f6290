"""What an experiment asks: its examples, the columns of its grid, and its cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.dataset import Dataset, Example
from vig_notebook.tuning.grid import expand, expand_params, variants_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vig_notebook.tuning.dataset import Source
    from vig_notebook.tuning.grid import Cell, Variant
    from vig_notebook.tuning.prompts import Prompt

__all__ = ["Layout", "examples_of", "lay_out"]

REPEATS = 3
"""With a dataset: 20 examples show a gain of 14 points in half of all cases, where one repeat shows it in 19 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What an experiment asks.

    Attributes:
        data: The examples.
        variants: The columns of the grid: prompt, model, parameters.
        cells: In the order of asking: all variants of one example before the next.
        reference: Earlier versions of the prompts, which are not asked again.
    """

    data: Dataset
    variants: list[Variant]
    cells: list[Cell]
    reference: frozenset[Prompt]

    @property
    def own_cells(self) -> list[Cell]:
        """The cells that are asked: those of earlier versions are not."""
        return [cell for cell in self.cells if cell.variant.prompt not in self.reference]


def lay_out(
    asked: Sequence[Prompt],
    models: Sequence[str],
    params: Mapping[str, object] | Iterable[Mapping[str, object]] | None,
    data: Dataset | None,
    *,
    repeats: int | None,
    reference: Sequence[Prompt],
    variables: Mapping[str, object],
    only: Sequence[Variant] = (),
) -> Layout:
    """Expand prompts, models, parameters, examples and repeats, and render every prompt.

    Of the variants, `only` those that ask the same as one of these are taken, where there are any.

    Raises:
        ConfigError: A template names what an example lacks, or a parameter has no value to try.
    """
    earlier = [one for one in reference if one not in asked]
    variants = variants_of([*earlier, *asked], models, expand_params(params), only=only)
    examples = _with_shared(data, variables)
    repeats = repeats or (1 if data is None else REPEATS)
    return Layout(
        data=examples,
        variants=variants,
        cells=expand(variants, examples, repeats=repeats),
        reference=frozenset(earlier),
    )


def examples_of(
    source: Source | Dataset | None, *, limit: int | None, holdout: float | None, by: str | None
) -> tuple[Dataset | None, Dataset | None]:
    """The examples to ask, and those that are set aside; each None where there is none.

    Both count in the limit: of 16 examples and a holdout of 0.25, 12 are asked and 4 set aside. A higher limit adds
    examples to both sides and moves none over: what prompts were tuned on is never in the holdout of a later run.

    Raises:
        ConfigError: As `Dataset.of` and `Dataset.split`; or there is nothing to set aside from.
    """
    if holdout is None:
        return (None if source is None else Dataset.of(source, limit=limit)), None
    if source is None:
        raise ConfigError("There is nothing to set aside", seen="holdout without data", advice="Give data")
    whole = Dataset.of(source)
    # Where no example has the column, the scorer that names it is refused with better words.
    kept, aside = whole.split(holdout, by=by if by in whole.names else None)
    kept_of_limit, aside_of_limit = map(len, Dataset.of(whole, limit=limit).split(holdout))
    return Dataset.of(kept, limit=kept_of_limit), Dataset.of(aside, limit=aside_of_limit)


def _with_shared(data: Dataset | None, shared: Mapping[str, object]) -> Dataset:
    if data is None:
        return Dataset((Example(id="1", variables=dict(shared)),))
    if not shared:
        return data
    return Dataset(tuple(replace(one, variables={**shared, **one.variables}) for one in data), data.name)
