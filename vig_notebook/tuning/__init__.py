"""Prompt tuning: experiments over prompts, models, parameters and examples, and an honest verdict.

No widgets here. pandas, scipy, altair and the like are imported when something needs them.
"""

from __future__ import annotations

from vig_notebook.tuning.dataset import Dataset, Example
from vig_notebook.tuning.experiment import Experiment
from vig_notebook.tuning.grid import Cell, Variant
from vig_notebook.tuning.importing import from_promptfoo
from vig_notebook.tuning.judge import Judge, PairJudge, ask_model
from vig_notebook.tuning.plan import Plan
from vig_notebook.tuning.progress import Progress
from vig_notebook.tuning.prompts import Prompt, PromptBook, word_changes
from vig_notebook.tuning.rating import Rating
from vig_notebook.tuning.responses import Response
from vig_notebook.tuning.round import Observer
from vig_notebook.tuning.scorers import Score, scorer

__all__ = [
    "Cell",
    "Dataset",
    "Example",
    "Experiment",
    "Judge",
    "Observer",
    "PairJudge",
    "Plan",
    "Progress",
    "Prompt",
    "PromptBook",
    "Rating",
    "Response",
    "Score",
    "Variant",
    "ask_model",
    "from_promptfoo",
    "scorer",
    "word_changes",
]
