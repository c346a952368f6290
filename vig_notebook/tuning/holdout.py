"""The holdout: examples set aside, asked once, at the end, and on purpose; every later look is said.

Whoever picks the best of several prompts on the same examples picks luck with it; what the holdout says of the chosen
one is free of that, but only the first time. A look is a variant that was held to it, with what it was asked then; the
log remembers them. One that was cut short goes on; one that has all its answers is looked at again.
"""

from __future__ import annotations

import hashlib
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

ASKED = "look_asked"
"""Label beside it: a digest of all that is asked for this look."""


def holdout_name(experiment: str) -> str:
    """The name of the experiment that asks the holdout of another."""
    return f"{experiment} holdout"


def earlier_looks(log: AnswerLog, experiment: str) -> list[tuple[str, str]] | None:
    """Variants that were held to the holdout of an experiment, and digests of what was asked. Waits for the log.

    Each once, the first first; None when the log cannot be read.
    """
    try:
        found = log.labels("experiment", holdout_name(experiment))
    except ConfigError:
        return None
    return list(dict.fromkeys((labels[LOOK], labels.get(ASKED, "")) for labels in found if LOOK in labels))


def look_words(looks: Sequence[str] | None, *, again: bool = False) -> str:
    """What the verdict says of the looks before this one.

    Args:
        looks: The variants that were looked at; None when they are not known.
        again: This very look is one of them: how often it was repeated, with other scores perhaps, nobody counted.
    """
    if looks is None:
        return "Whether this holdout was looked at before is not known: the log cannot be read."
    if not looks:
        return "This is the first look at the holdout: it counts."
    names = ", ".join(dict.fromkeys(looks))
    aside = "Before you decide, set new examples aside."
    if again:
        return f"This holdout was looked at before, with {names}: only a first look counts. {aside}"
    often = "who looks often finds luck here as well"
    return f"This is look {len(looks) + 1} at this holdout, after {names}: {often}. {aside}"


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
        **like,
    )
    made.note = _note(made, look, earlier_looks(like["store"], experiment.name))
    return made


def _note(made: Experiment, look: str, earlier: Sequence[tuple[str, str]] | None) -> str:
    """What is to be said of this look; its calls carry its name from now on."""
    asked = hashlib.sha256("\n".join(made.keys).encode()).hexdigest()[:12]
    made.mark({LOOK: look, ASKED: asked})
    if earlier is None:
        return look_words(None)
    made.take_known()
    again = (look, asked) in earlier and not made.missing
    return look_words([name for name, what in earlier if again or (name, what) != (look, asked)], again=again)


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
