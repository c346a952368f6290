"""The holdout: examples set aside, asked once, at the end, and on purpose; every later look is said.

Whoever picks the best of several prompts on the same examples picks luck with it; what the holdout says of the chosen
one is free of that, but only the first time. A look is a variant that was held to it; the log remembers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.grid import baseline_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.tuning.experiment import Experiment
    from vig_notebook.tuning.grid import Variant
    from vig_notebook.tuning.log import AnswerLog

__all__ = ["ask_holdout", "earlier_looks", "holdout_name", "look_words"]

LOOK = "look"
"""Label of the calls on a holdout: the variant that was looked at."""


def holdout_name(experiment: str) -> str:
    """The name of the experiment that asks the holdout of another."""
    return f"{experiment} holdout"


def earlier_looks(log: AnswerLog, experiment: str, variant: str) -> list[str] | None:
    """The other variants that were held to the holdout of an experiment before, the first first. Waits for the log.

    None when the log cannot be read.
    """
    try:
        found = [labels.get(LOOK, "") for labels in log.labels("experiment", holdout_name(experiment))]
    except ConfigError:
        return None
    return [look for look in dict.fromkeys(found) if look not in {"", variant}]


def look_words(looks: Sequence[str] | None) -> str:
    """What the verdict says of the looks before this one; None when they are not known."""
    if looks is None:
        return "Whether this holdout was looked at before is not known: the log cannot be read."
    if not looks:
        return "This is the first look at the holdout: it counts."
    return (
        f"This is look {len(looks) + 1} at this holdout, after {', '.join(looks)}: who looks often finds luck here as "
        "well. Before you decide, set new examples aside."
    )


def ask_holdout(experiment: Experiment, like: Mapping[str, Any], variant: str | None) -> Experiment:
    """The experiment of a variant and its baseline on the holdout of another; asks nothing yet.

    Args:
        experiment: The other, which was tuned on the rest.
        like: What it was made with, beside what is asked.
        variant: Label of the variant; by default the last.

    Raises:
        ConfigError: Nothing was set aside, or there is no such variant.
    """
    if experiment.held_out is None:
        raise ConfigError("Nothing was set aside", seen="it has no holdout", advice="Run it with a holdout of 0.3, say")
    chosen, base = _chosen(experiment, variant)
    look = chosen.label if chosen.prompt.label in chosen.label else f"{chosen.prompt.label} · {chosen.label}"
    both = [base, chosen]
    made = type(experiment)(
        list(dict.fromkeys(one.prompt for one in both)),
        models=list(dict.fromkeys(one.model for one in both)),
        params=_params(both),
        only=both,
        data=experiment.held_out,
        scorers=experiment.scorers,
        name=holdout_name(experiment.name),
        labels={LOOK: look},
        **like,
    )
    made.note = look_words(earlier_looks(like["store"], experiment.name, look))
    return made


def _chosen(experiment: Experiment, label: str | None) -> tuple[Variant, Variant]:
    """The variant of this label, and its baseline; the variant itself where there is no other."""
    found = [one for one in experiment.variants if label in {None, one.label}]
    if not found:
        known = ", ".join(one.label for one in experiment.variants)
        raise ConfigError(f"There is no variant {label!r}", seen=f"there are {known}", advice="Name one of them")
    bases = {one.label: base for one, base in baseline_pairs(experiment.variants, experiment.baseline)}
    return found[-1], bases.get(found[-1].label, found[-1])


def _params(variants: Sequence[Variant]) -> list[dict[str, object]]:
    """Their parameters as an experiment takes them: a list stands for values to try, and so stands in a list."""
    found: list[dict[str, object]] = []
    for one in variants:
        if dict(one.params) not in found:
            found.append(dict(one.params))
    return [{name: [value] for name, value in params.items()} for params in found]
