"""The record of an experiment: a static table that reads without a kernel, in nbconvert and on a code host."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vig_notebook.notebook.grid.sheet import Sheet, distinct
from vig_notebook.notebook.grid.strip import strip_of
from vig_notebook.notebook.grid.words import answers_html, cell_facts, column_facts, example_text, marks
from vig_notebook.notebook.keys import masked
from vig_notebook.notebook.words import badge
from vig_notebook.render import escape_text, visible
from vig_notebook.settings import mask
from vig_notebook.tuning.responses import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vig_notebook.notebook.grid.sheet import Place
    from vig_notebook.settings import Endpoint
    from vig_notebook.tuning import Example, Experiment, Prompt, Response

__all__ = ["grid_record"]

MOST_ROWS = 60
"""A notebook with more is slow to open; `df` and `export` have every row."""

MOST_CHARS = 1_000
"""Of an answer, where several examples make a table of many."""

MOST_PLAIN_CHARS = 200
"""The same in plain text, which is for terminals and for comparing records."""

HEAD_CHARS = 160
"""Of the example's own text, at the head of its row."""


def grid_record(
    experiment: Experiment, *, plain: bool = False, differences: bool = False
) -> tuple[dict[str, str], dict[str, object]]:
    """The display bundle and the output metadata of an experiment. May take a second: not on the streaming thread.

    Args:
        experiment: The experiment.
        plain: Show answers as text, not as Markdown.
        differences: Show each answer as its differences to the baseline's.
    """
    page = _Page(experiment, plain=plain, differences=differences)
    return {"text/html": page.html(), "text/plain": page.text()}, {"vig_notebook": page.provenance()}


class _Page:
    def __init__(self, experiment: Experiment, *, plain: bool, differences: bool) -> None:
        self._experiment = experiment
        self._plain = plain
        self._differences = differences
        self._sheet = Sheet(experiment)
        self._responses = {one.cell.index: one for one in experiment.responses}
        self._strip = strip_of(experiment)

    # HTML.

    def html(self) -> str:
        parts = [self._strip.html, self._prompts_html(), self._table_html(), self._footer_html()]
        return f'<div class="vig-grid">{"".join(parts)}</div>'

    def _prompts_html(self) -> str:
        return "".join(
            f'<div class="vig-prompt"><div class="vig-note">{escape_text(_title(prompt))}</div>'
            f"<pre>{escape_text(self._text_of(prompt))}</pre></div>"
            for prompt in self._prompts
        )

    def _table_html(self) -> str:
        head = "<th></th>" if self._sheet.has_rows else ""
        head += "".join(f"<th>{self._column_html(i)}</th>" for i in range(len(self._sheet.variants)))
        rows = "".join(self._row_html(example) for example in self._shown)
        return f'<div class="vig-table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'

    def _column_html(self, index: int) -> str:
        variant = self._sheet.variants[index]
        models = {one.model for one in self._responses.values() if one.cell.variant is variant and one.model}
        facts = column_facts(variant, all_of=self._sheet.variants, models=models)
        lines = [*facts, *self._scores_of(variant.label)]
        if variant.prompt in self._experiment.reference:
            lines.append("from before")
        note = f'<div class="vig-note">{escape_text(" · ".join(lines))}</div>' if lines else ""
        return f"{escape_text(variant.label)}{note}"

    def _row_html(self, example: Example) -> str:
        head = f"<th>{self._head_html(example)}</th>" if self._sheet.has_rows else ""
        places = [(example.id, variant.index) for variant in self._sheet.variants]
        return f"<tr>{head}{''.join(f'<td>{self._place_html(place)}</td>' for place in places)}</tr>"

    def _head_html(self, example: Example) -> str:
        text = example_text(example, most_chars=HEAD_CHARS)
        note = f'<div class="vig-note">{escape_text(mask(text))}</div>' if text else ""
        return f"{escape_text(example.id)}{note}"

    def _place_html(self, place: Place) -> str:
        found = self._sheet.at(place, self._responses)
        if not found:
            return '<div class="vig-note">not asked</div>'
        most = MOST_CHARS if self._sheet.has_rows else None
        base = self._sheet.base_text(place, self._responses) if self._differences else None
        facts = " · ".join(escape_text(fact) for fact in cell_facts(found))
        note = f'<div class="vig-note">{facts}</div>' if facts else ""
        return answers_html(found, most_chars=most, base_text=base, plain=self._plain) + note

    def _footer_html(self) -> str:
        mark = self._mark
        words = " · ".join(escape_text(mask(fact)) for fact in self._facts())
        return f'<div class="vig-footer">{f"""<span class="vig-badge">{mark}</span> """ if mark else ""}{words}</div>'

    # Plain text.

    def text(self) -> str:
        blocks = [self._strip.plain]
        blocks += [f"{_title(prompt)}:\n{visible(self._text_of(prompt))}" for prompt in self._prompts]
        blocks += [self._row_text(example) for example in self._shown]
        blocks.append(f"[{' · '.join(visible(mask(fact)) for fact in self._facts(marked=True))}]")
        return "\n\n".join(filter(None, blocks))

    def _row_text(self, example: Example) -> str:
        head = [f"== {visible(example.id)}"] if self._sheet.has_rows else []
        columns = []
        for variant in self._sheet.variants:
            found = self._sheet.at((example.id, variant.index), self._responses)
            facts = " · ".join(cell_facts(found))
            columns.append(f"-- {visible(variant.label)}{f' ({facts})' if facts else ''}\n{self._answers_text(found)}")
        return "\n".join([*head, *columns])

    def _answers_text(self, found: Sequence[Response]) -> str:
        if not found:
            return "not asked"
        lines = []
        for group in distinct(found):
            text = " ".join(group.text.split())[:MOST_PLAIN_CHARS] if self._sheet.has_rows else group.text
            words = f"[{' · '.join(marks(group))}] " if marks(group) else ""
            lines.append(visible(f"{words}{group.first.error}{' ' if group.first.error else ''}{text}"))
        return "\n".join(lines)

    # Facts.

    @property
    def _endpoint(self) -> Endpoint:
        """The server that answered, now or then."""
        known = [one.endpoint for one in self._responses.values() if one.endpoint is not None]
        return known[-1] if known else self._experiment.endpoint

    @property
    def _mark(self) -> str:
        return badge(self._endpoint)

    @property
    def _prompts(self) -> list[Prompt]:
        return list(dict.fromkeys(variant.prompt for variant in self._sheet.variants))

    def _text_of(self, prompt: Prompt) -> str:
        text = prompt.text if prompt.system is None else f"[system]\n{prompt.system}\n[user]\n{prompt.text}"
        return masked(text, self._experiment)

    @property
    def _shown(self) -> Sequence[Example]:
        return self._sheet.examples[:MOST_ROWS]

    def _scores_of(self, label: str) -> list[str]:
        rows = {str(row["variant"]): row for row in self._experiment.findings().summary_rows()}
        words = []
        for scorer in self._experiment.scorers:
            mean, low, high = (rows[label][f"score.{scorer.name}{end}"] for end in ("", ".low", ".high"))
            if isinstance(mean, float):
                interval = f" ({low:.2f} to {high:.2f})" if isinstance(low, float) and not math.isnan(low) else ""
                words.append(f"{scorer.name} {mean:.2f}{interval}")
        return words

    def _facts(self, *, marked: bool = False) -> list[str]:
        now, endpoint, shown = self._experiment.progress, self._endpoint, self._responses.values()
        examples, variants = len(self._sheet.examples), len(self._sheet.variants)
        aside, cached = len(self._experiment.held_out or ()), sum(one.status is Status.CACHED for one in shown)
        facts = [self._mark] if marked else []
        facts += [self._experiment.name, f"{endpoint.name}: {endpoint.note}" if endpoint.note else endpoint.name]
        facts.append(f"{_count(examples, 'example')} × {_count(variants, 'variant')}, {_count(len(shown), 'answer')}")
        facts += [f"{_count(aside, 'example')} set aside"] if aside else []
        facts += [f"{cached:,} cached"] if cached else []
        facts += [f"{now.tokens:,} tokens"] if now.tokens else []
        if hidden := examples - len(self._shown):
            facts.append(f"{_count(hidden, 'row')} not shown here: see df")
        if now.failed:
            facts.append(f"{now.failed:,} failed: run the cell again, and they alone are asked")
        elif unasked := len(self._experiment.missing):
            facts.append(f"{unasked:,} stopped or not asked: run the cell again, and they alone are asked")
        return [fact for fact in facts if fact]

    def provenance(self) -> dict[str, object]:
        now = self._experiment.progress
        stopped = any(one.status is Status.STOPPED for one in self._responses.values()) or self._experiment.missing
        state = "FAILED" if now.failed else "STOPPED" if stopped else "DONE"
        return {
            "experiment": self._experiment.name,
            "state": state,
            "prompts": {prompt.label: prompt.digest for prompt in self._prompts},
            "models": list(dict.fromkeys(one.model for one in self._responses.values() if one.model)),
            "parameters": [dict(variant.params) for variant in self._sheet.variants],
            "server": self._endpoint.name,
            "answers": len(self._responses),
            "verdict": self._strip.verdict,
        }


def _title(prompt: Prompt) -> str:
    parent = f", made from {prompt.parent.label}" if prompt.parent is not None else ""
    return f"Prompt {prompt.label}{parent}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word if number == 1 else word + 's'}"
