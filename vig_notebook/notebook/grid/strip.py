"""The verdict strip: what changed in the prompt, which examples flipped, and the sentence about the difference.

Its figures come from scipy, whose import takes a second: never call this on the streaming thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.grid.words import flip_words, prompt_changes_html
from vig_notebook.notebook.keys import masked
from vig_notebook.render import escape_text, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vig_notebook.tuning import Experiment, Prompt
    from vig_notebook.tuning.verdict import Flip

__all__ = ["Strip", "strip_of"]

MOST_FLIPS = 8
"""More than these nobody reads before the answers themselves; `grid.flips()` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What the strip says.

    Attributes:
        changes: Each new prompt with the version it was made from.
        flips: The flips with their variant, baseline and score; None where there is no score to flip.
        scorers: Names of the scores on which flips were looked for.
        interim: More is to come: the flips are counted, not listed, so that the rows below stay where they are.
        verdict: The sentences of the verdict; empty where there is none.
        notes: Why cells were left unasked, and the like.
    """

    changes: Sequence[tuple[Prompt, Prompt]]
    flips: Sequence[tuple[str, str, str, Flip]] | None
    scorers: Sequence[str]
    verdict: str
    notes: Sequence[str]
    interim: bool = False

    @property
    def html(self) -> str:
        """The strip as closed HTML."""
        parts = [f'<div class="vig-change">{prompt_changes_html(old, new)}</div>' for old, new in self.changes]
        if self.verdict:
            lines = "<br>".join(escape_text(line) for line in self.verdict.split("\n"))
            parts.append(f'<div class="vig-verdict"><strong>Verdict.</strong> {lines}</div>')
        parts += [self._flips_html()] if self.flips is not None else []
        parts += [f'<div class="vig-note">{escape_text(note)}</div>' for note in self.notes]
        return f'<div class="vig-strip">{"".join(parts)}</div>' if parts else ""

    @property
    def plain(self) -> str:
        """The strip as plain text."""
        lines = [visible(new.diff(old)) for old, new in self.changes]
        lines += [f"Verdict. {self.verdict}"] if self.verdict else []
        lines += self._flip_lines() if self.flips is not None else []
        return "\n".join([*lines, *(visible(note) for note in self.notes)])

    def _flip_lines(self) -> list[str]:
        flips = self.flips or ()
        if not flips:
            head = f"No example flipped on {visible(' or '.join(self.scorers))}"
            return [f"{head} so far." if self.interim else f"{head}."]
        flipped = len({flip.example_id for *_, flip in flips})
        head = f"{flipped} {'example' if flipped == 1 else 'examples'} flipped"
        if self.interim:
            return [f"{head} so far."]
        more = [f"and {len(flips) - MOST_FLIPS} more: see flips()"] if len(flips) > MOST_FLIPS else []
        return [f"{head}; read these first:", *map(visible, flip_words(flips[:MOST_FLIPS])), *more]

    def _flips_html(self) -> str:
        head, *lines = self._flip_lines()
        items = "".join(f"<li>{escape_text(line)}</li>" for line in lines)
        return f'<div class="vig-flips">{escape_text(head)}{f"<ul>{items}</ul>" if items else ""}</div>'


def strip_of(experiment: Experiment) -> Strip:
    """What is to be said of an experiment now."""
    findings = experiment.findings()
    compared = bool(experiment.scorers) and len(experiment.variants) > 1
    flips, verdict, notes = None, "", []
    try:
        if compared:
            verdict = findings.verdict()
            flips = findings.found_flips() if any(one.scores for one in findings.responses) else None
    except VigthoriaError as error:  # scipy is not installed
        notes.append(str(error))
    notes += [_not_asked(prompt) for prompt in experiment.reference if not _has_answers(experiment, prompt)]
    if experiment.progress.note:
        notes.append(experiment.progress.note)
    return Strip(
        changes=_changes(experiment),
        flips=flips,
        scorers=findings.scorers,
        verdict=masked(verdict, experiment),
        notes=[masked(note, experiment) for note in notes],
        interim=findings.interim,
    )


def _has_answers(experiment: Experiment, prompt: Prompt) -> bool:
    return any(one.cell.variant.prompt == prompt and one.status.whole for one in experiment.responses)


def _not_asked(prompt: Prompt) -> str:
    return (
        f"{prompt.label} was never asked with these models, parameters and examples, so there is nothing to compare "
        "with. Run its cell once with the same options."
    )


def _changes(experiment: Experiment) -> list[tuple[Prompt, Prompt]]:
    prompts = list(dict.fromkeys(variant.prompt for variant in experiment.variants))
    changed = [(new.parent, new) for new in prompts if new.parent is not None and new not in experiment.reference]
    return [(_told(old, experiment), _told(new, experiment)) for old, new in changed]


def _told(prompt: Prompt, experiment: Experiment) -> Prompt:
    """A prompt without keys."""
    system = None if prompt.system is None else masked(prompt.system, experiment)
    return replace(prompt, text=masked(prompt.text, experiment), system=system)
