"""Freezes a variant into a pytest file: prompt, examples, scorers, and the scores below which it fails."""

from __future__ import annotations

import math
import pprint
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.checks import Json, Length, Number, Regex, Text
from vig_notebook.tuning.dataset import plain
from vig_notebook.tuning.scorers import original

if TYPE_CHECKING:
    from vig_notebook.tuning.experiment import Experiment
    from vig_notebook.tuning.grid import Variant
    from vig_notebook.tuning.prompts import Prompt
    from vig_notebook.tuning.scorers import Scorer

__all__ = ["pytest_file"]

_FORM = '''"""The prompt {label} as it was chosen on {day}, held to what it scored then. Run it with pytest.

Written by vig_notebook from the experiment {experiment}. Each example is asked once; the model is the one of
the experiment, the server the one of your settings.{lost}
"""

from math import inf

import pytest

import vig_notebook as vig
from vig_notebook.tuning.checks import Expected, Json, Length, Number, Regex, Text
from vig_notebook.tuning.prompts import Prompt
from vig_notebook.tuning.scorers import apply

PROMPT = {prompt}
MODEL = {model!r}
PARAMS = {params}
EXAMPLES = {examples}
SCORERS = {{
{scorers}}}
# The lower end of the 95 % interval of what was measured.
LEAST = {{
{least}}}


@pytest.fixture(scope="module")
def answers():
    """One answer to each example."""
    return [vig.stream_chat(PROMPT.messages(one), model=MODEL, echo=False, **PARAMS) for one in EXAMPLES]


@pytest.mark.parametrize("name", LEAST)
def test_prompt_scores_as_measured(answers, name):
    """The mean score is no lower than luck explains."""
    scores = [apply(SCORERS[name], answer, one) for answer, one in zip(answers, EXAMPLES)]
    assert all(score.value is not None for score in scores), [score.reason for score in scores]
    mean = sum(score.value for score in scores) / len(scores)
    assert mean >= LEAST[name], [score.reason for score in scores if score.reason]
'''


def pytest_file(experiment: Experiment, label: str | None = None) -> str:
    """The text of a pytest file.

    Args:
        experiment: An experiment with scores.
        label: Label of the variant; by default the last.

    Raises:
        ConfigError: There is no such variant, or no score that a file can hold.
    """
    variant = _variant(experiment, label)
    least = _least(experiment, variant)
    kept = {scorer.name: text for scorer in experiment.scorers if (text := _as_code(scorer)) and scorer.name in least}
    lost = [scorer.name for scorer in experiment.scorers if scorer.name not in kept]
    if not kept:
        raise ConfigError(
            "There is nothing to hold the prompt to",
            seen="no score of a named scorer, such as exact:label",
            advice="Run the experiment with one",
        )
    return _FORM.format(
        label=_in_words(variant.prompt.label),
        day=datetime.now(UTC).date().isoformat(),
        experiment=_in_words(experiment.name),
        lost=f"\nNot taken along, since they are Python functions: {_in_words(', '.join(lost))}." if lost else "",
        prompt=_prompt(variant.prompt),
        model=variant.model,
        params=pprint.pformat(dict(variant.params), width=110),
        examples=pprint.pformat([plain(example.variables) for example in experiment.data], width=110, sort_dicts=False),
        scorers="".join(f"    {name!r}: {text},\n" for name, text in kept.items()),
        least="".join(f"    {name!r}: {least[name][0]:.3f},  # {least[name][1]}\n" for name in kept),
    )


def _variant(experiment: Experiment, label: str | None) -> Variant:
    found = [one for one in experiment.variants if label in {None, one.label}]
    if not found:
        known = ", ".join(one.label for one in experiment.variants)
        raise ConfigError(f"There is no variant {label!r}", seen=f"there are {known}", advice="Name one of them")
    return found[-1]


def _least(experiment: Experiment, variant: Variant) -> dict[str, tuple[float, str]]:
    """The lower end of the interval of each score, and what was measured in words."""
    found: dict[str, tuple[float, str]] = {}
    row = next(row for row in experiment.findings().summary_rows() if row["variant"] == variant.label)
    for name in (scorer.name for scorer in experiment.scorers):
        mean, low = row[f"score.{name}"], row[f"score.{name}.low"]
        if isinstance(mean, float) and isinstance(low, float):
            # Without an interval (all examples have the same score) the mean itself is the least.
            least = mean if math.isnan(low) else low
            found[name] = (least, f"measured: {mean:.3f} over {row['examples']} examples")
    return found


def _as_code(scorer: Scorer) -> str:
    """The scorer as an expression; empty for a function."""
    real = original(scorer)
    return repr(real) if isinstance(real, Json | Length | Number | Regex | Text) else ""


def _in_words(name: str) -> str:
    """A name that ends no docstring."""
    return re.sub(r'["\\\\\n]', " ", name)


def _prompt(prompt: Prompt) -> str:
    system = "" if prompt.system is None else f"\n    system={prompt.system!r},"
    raw = "\n    raw=True," if prompt.raw else ""
    return (
        f"Prompt(\n    name={prompt.name!r},\n    text={prompt.text!r},{system}{raw}\n    version={prompt.version},\n)"
    )
