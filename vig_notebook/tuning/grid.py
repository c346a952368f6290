"""From prompts, models, parameters, examples and repeats to the cells to ask, interleaved.

All variants of one example come before the next example, so that whatever stops an experiment, what is
there is paired. An example's repeats come together, so that they can be shown folded.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vig_notebook.tuning.dataset import Dataset, Example
    from vig_notebook.tuning.prompts import Prompt

__all__ = ["Cell", "Variant", "baseline_pairs", "expand", "expand_params", "variants_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A column of the grid: one prompt with one model and one set of parameters.

    Attributes:
        prompt: The version of the prompt.
        model: The model's name.
        params: Members of the request, such as temperature.
        label: Its name for people, unique in its experiment: only what differs between the variants.
        index: Its place among them.
    """

    prompt: Prompt
    model: str
    params: Mapping[str, object]
    label: str
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One response to be asked for: a variant, an example, a repeat.

    Attributes:
        variant: The column.
        example: The row.
        repeat: Counted from 0.
        seed: What is sent as `seed`, or None. A seed is best effort: no server promises the same text again.
        index: Its place in the order of asking.
        messages: The prompt rendered for the example.
    """

    variant: Variant
    example: Example
    repeat: int
    seed: int | None
    index: int
    messages: Sequence[Mapping[str, str]] = field(repr=False)

    @property
    def name(self) -> str:
        """Words that name the cell, unique in its experiment."""
        return f"{self.variant.label} / {self.example.id} / {self.repeat + 1}"


def expand_params(
    params: Mapping[str, object] | Iterable[Mapping[str, object]] | None,
) -> list[dict[str, object]]:
    """Every combination of parameters: a list of values under a name is tried value by value.

    Args:
        params: `{"temperature": [0, 0.7], "max_tokens": 50}`, or a list of such dicts, or None. A value that
            is itself a list (`stop`) is given as a list of lists.

    Raises:
        ConfigError: A name has an empty list of values.
    """
    if params is None:
        return [{}]
    if not isinstance(params, Mapping):
        return [combined for one in params for combined in expand_params(one)] or [{}]
    choices = []
    for name, value in params.items():
        values = list(value) if isinstance(value, list | tuple | range) else [value]
        if not values:
            raise ConfigError(
                f"{name} has no value to try", seen="its list is empty", advice="Give one or leave it out"
            )
        choices.append([(name, one) for one in values])
    return [dict(combination) for combination in itertools.product(*choices)]


def variants_of(
    prompts: Sequence[Prompt],
    models: Sequence[str],
    params: Sequence[Mapping[str, object]],
    *,
    only: Sequence[Variant] = (),
) -> list[Variant]:
    """The columns of the grid, the prompts varying slowest; `only` those that ask the same as one of these, if any."""
    varying = [name for name in _names(params) if len({repr(one.get(name)) for one in params}) > 1]
    wanted = [(one.prompt, one.model, one.params) for one in only]
    combined = (one for one in itertools.product(prompts, models, params) if not only or one in wanted)
    variants = []
    for index, (prompt, model, one) in enumerate(combined):
        parts = [prompt.label] if len(prompts) > 1 else []
        parts += [model] if len(models) > 1 else []
        parts += [f"{name}={one[name]}" for name in varying if name in one]
        variants.append(Variant(prompt, model, one, " · ".join(parts) or prompt.label, index))
    return variants


def _names(params: Sequence[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for one in params for name in one))


def expand(variants: Sequence[Variant], data: Dataset, *, repeats: int) -> list[Cell]:
    """The cells in the order of asking: example, then variant, then repeat.

    A `seed` among the parameters is counted up by the repeats, so that they are not asked to be the same.

    Raises:
        ConfigError: A template names a variable that an example lacks, or `repeats` is below 1.
    """
    if repeats < 1:
        raise ConfigError("repeats must be at least 1", seen=f"it is {repeats}", advice="Give 3, say")
    cells: list[Cell] = []
    for example in data:
        for variant in variants:
            messages = variant.prompt.messages(example.variables)
            seed = variant.params.get("seed")
            for repeat in range(repeats):
                own = seed + repeat if isinstance(seed, int) else None
                cells.append(Cell(variant, example, repeat, own, len(cells), messages))
    return cells


def baseline_pairs(variants: Sequence[Variant], baseline: str | None) -> list[tuple[Variant, Variant]]:
    """Each variant with the one it is held against.

    Args:
        variants: The columns of a grid.
        baseline: The label of a variant, with which all others are compared; or a prompt (`short@v1`, `short`,
            `v1`), a model, or a parameter (`temperature=0`), with which each variant is compared that differs
            in nothing else. None takes the first prompt, or with one prompt the first variant.

    Raises:
        ConfigError: There is no such baseline.
    """
    chosen = _default_baseline(variants) if baseline is None else baseline
    whole = [variant for variant in variants if variant.label == chosen]
    if whole:
        return [(variant, whole[0]) for variant in variants if variant is not whole[0]]
    for names in (_prompt_names, _model_names, _param_names):
        bases = [variant for variant in variants if chosen in names(variant)]
        if bases:
            return _nearest(variants, bases)
    known = dict.fromkeys(name for v in variants for name in (v.label, v.prompt.label, v.model))
    raise ConfigError(
        f"There is no baseline {chosen!r}", seen=f"there are {', '.join(known)}", advice="Name one of them"
    )


def _default_baseline(variants: Sequence[Variant]) -> str:
    several = len({variant.prompt.label for variant in variants}) > 1
    return variants[0].prompt.label if several else variants[0].label


def _prompt_names(variant: Variant) -> set[str]:
    return {variant.prompt.label, variant.prompt.name, f"v{variant.prompt.version}"}


def _model_names(variant: Variant) -> set[str]:
    return {variant.model}


def _param_names(variant: Variant) -> set[str]:
    return {f"{name}={value}" for name, value in variant.params.items()}


def _nearest(variants: Sequence[Variant], bases: Sequence[Variant]) -> list[tuple[Variant, Variant]]:
    """Pair each variant with the base that has most in common with it."""
    return [
        (variant, max(bases, key=lambda base: _in_common(variant, base)))
        for variant in variants
        if variant not in bases
    ]


def _in_common(one: Variant, other: Variant) -> int:
    same = [one.prompt == other.prompt, one.model == other.model]
    names = one.params.keys() | other.params.keys()
    return sum(same) + sum(one.params.get(name) == other.params.get(name) for name in names)
