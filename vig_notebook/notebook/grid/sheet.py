"""What an experiment holds at one moment, laid out in rows and columns; no HTML and no widgets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from vig_notebook.notebook.keys import masked
from vig_notebook.tuning.grid import baseline_pairs
from vig_notebook.tuning.responses import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from vig_notebook.tuning import Cell, Example, Experiment, Prompt, Response, Variant

    Place = tuple[str, int]

__all__ = ["Distinct", "Sheet", "distinct", "place_of", "speeds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """Repeats that came out the same.

    Attributes:
        text: The text.
        responses: They, at least one.
    """

    text: str
    responses: Sequence[Response]

    @property
    def first(self) -> Response:
        """The first of them."""
        return self.responses[0]


class Sheet:
    """Rows are examples, columns are variants; a place holds the repeats.

    Attributes:
        examples: The rows.
        variants: The columns.
        places: The cells of each place, in the order of asking.
        rows: The number of each example's row, counted from 0.
        reference: Earlier prompts, whose cells are not asked.
        has_rows: Whether there is more than one example, so that rows need a head.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self.examples: Sequence[Example] = list(experiment.data)
        self.variants: Sequence[Variant] = experiment.variants
        self.places: dict[Place, list[Cell]] = {}
        for cell in experiment.cells:
            self.places.setdefault(place_of(cell), []).append(cell)
        self.rows = {example.id: row for row, example in enumerate(self.examples)}
        self.reference: Collection[Prompt] = experiment.reference
        self.has_rows = len(self.examples) > 1
        self._bases = {one.index: base for one, base in baseline_pairs(experiment.variants, experiment.baseline)}

    def asked(self, example_id: str) -> list[Cell]:
        """The cells of a row that are asked."""
        variants = [one for one in self.variants if one.prompt not in self.reference]
        return [cell for one in variants for cell in self.places[example_id, one.index]]

    def base_of(self, place: Place) -> Place | None:
        """The place that this one is held against; None for a baseline."""
        base = self._bases.get(place[1])
        return None if base is None else (place[0], base.index)

    def against(self, base: Place) -> list[Place]:
        """The places that are held against this one."""
        return [(base[0], index) for index, one in self._bases.items() if one.index == base[1]]

    def at(self, place: Place, responses: Mapping[int, Response]) -> list[Response]:
        """The responses of a place, in the order of asking, as they may be shown: without keys."""
        found = (responses[cell.index] for cell in self.places[place] if cell.index in responses)
        return [_told(response, self._experiment) for response in found]

    def base_text(self, place: Place, responses: Mapping[int, Response]) -> str | None:
        """The first whole answer of the baseline; None where there is none."""
        base = self.base_of(place)
        whole = [one.output for one in self.at(base, responses) if one.status.whole] if base is not None else []
        return whole[0] if whole else None


def place_of(cell: Cell) -> Place:
    """Row and column of a cell."""
    return cell.example.id, cell.variant.index


def _told(response: Response, experiment: Experiment) -> Response:
    """A response without keys. Here, before anything is cut: half a key would not be known."""
    return replace(
        response,
        output=masked(response.output, response),
        error=masked(response.error, response),
        scores={name: replace(one, reason=masked(one.reason, experiment)) for name, one in response.scores.items()},
    )


def distinct(responses: Iterable[Response]) -> list[Distinct]:
    """Fold the repeats that came out the same, the most frequent first; failures by their error."""
    groups: dict[tuple[str, str, bool], list[Response]] = {}
    for one in responses:
        groups.setdefault((one.output.strip(), one.error, one.status.whole), []).append(one)
    folded = [Distinct(text=found[0].output, responses=found) for found in groups.values()]
    return sorted(folded, key=lambda group: (not group.first.status.whole, -len(group.responses)))


def speeds(responses: Iterable[Response]) -> tuple[float | None, float | None]:
    """Medians of the time to the first token and of the tokens a second, of what was asked now."""
    asked = [one for one in responses if one.status is Status.OK]
    firsts = [one.ttft_s for one in asked if one.ttft_s is not None]
    rates = [one.output_tokens_per_s for one in asked if one.output_tokens_per_s]
    return median(firsts) if firsts else None, median(rates) if rates else None
