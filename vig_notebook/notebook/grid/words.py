"""The words of the grid: its header, its columns, what stands under a cell, and the strip with the verdict.

Plain text comes out as sentences and lists of facts; HTML is made only from escaped text and our own classes, with
tags that also read without a style sheet.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from vig_notebook.notebook.grid.sheet import distinct, speeds
from vig_notebook.render import escape_text, render_html, visible
from vig_notebook.settings import mask
from vig_notebook.tuning.prompts import changes
from vig_notebook.tuning.responses import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from vig_notebook.notebook.grid.sheet import Distinct
    from vig_notebook.tuning import Example, Progress, Prompt, Response, Variant
    from vig_notebook.tuning.verdict import Flip

__all__ = [
    "answers_html",
    "cell_facts",
    "changes_html",
    "column_facts",
    "example_text",
    "flip_words",
    "header_facts",
    "marks",
    "prompt_changes_html",
    "row_head",
]

DIFF_CHARS = 3_000
"""The comparison by words is quadratic: two texts of this size take 20 ms, and all of the grid waits for it."""


def header_facts(now: Progress, *, failures: int, aside: int = 0) -> list[str]:
    """How far it is, what is set aside, what it has taken, when it will be over, and what slows it."""
    facts = [f"{now.done:,} of {now.total:,} done"]
    facts += [f"{now.cached:,} cached"] if now.cached else []
    facts += [f"{failures:,} failed"] if failures else []
    facts += [f"{aside:,} {'example' if aside == 1 else 'examples'} set aside"] if aside else []
    facts += [f"{now.in_flight:,} streaming"] if now.in_flight else []
    facts += [f"{now.tokens:,} tokens"] if now.tokens else []
    if now.eta_s:
        facts.append(f"about {_time(now.eta_s)} left")
    if now.pause_left_s >= 1:
        facts.append(f"slowed by the server (429 or 503), {now.pause_left_s:.0f} s left")
    return facts


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def column_facts(variant: Variant, *, all_of: Sequence[Variant], models: Collection[str] = ()) -> list[str]:
    """What stands under a column's name: model and parameters, where the name does not say them.

    Args:
        variant: The column.
        all_of: All columns.
        models: The models that answered, where that is known: a recorded answer may come from another.
    """
    facts = [model for model in models or (variant.model,) if model not in variant.label]
    facts += [f"{name}={value}" for name, value in variant.params.items() if f"{name}={value}" not in variant.label]
    alone = len({one.prompt.label for one in all_of}) == 1
    if alone and variant.prompt.parent is not None and variant.prompt.label not in variant.label:
        facts.insert(0, variant.prompt.label)
    return [_short(fact) for fact in facts]


def cell_facts(responses: Sequence[Response]) -> list[str]:
    """What stands under a cell that has ended: repeats, first token, speed."""
    whole = [one for one in responses if one.status.whole]
    first_s, rate = speeds(responses)
    facts = []
    if len(whole) > 1:
        different = len(distinct(whole))
        facts.append(f"{len(whole)} answers, {'all the same' if different == 1 else f'{different} different'}")
    if cached := sum(one.status is Status.CACHED for one in responses):
        facts.append("cached" if cached == len(responses) else f"{cached} cached")
    facts += [f"first token {first_s:.2f} s"] if first_s is not None else []
    facts += [f"{rate:.0f} tokens/s"] if rate else []
    return facts


def marks(group: Distinct) -> list[str]:
    """What stands over an answer: how often it came, and its scores."""
    words = [f"×{len(group.responses)}"] if len(group.responses) > 1 else []
    for name in dict.fromkeys(name for one in group.responses for name in one.scores):
        words.append(_score_words(name, [one for one in group.responses if name in one.scores]))
    words += ["stopped"] if group.first.status is Status.STOPPED else []
    words += [f"rated: {rating}" for rating in dict.fromkeys(one.rating for one in group.responses) if rating]
    return words


def row_head(example: Example, *, most_chars: int) -> str:
    """The name of an example and the beginning of its text."""
    text = example_text(example, most_chars=most_chars)
    return visible(mask(f"{example.id} · {text}" if text else example.id))


def example_text(example: Example, *, most_chars: int) -> str:
    """What an example says, less its name."""
    texts = [str(value) for name, value in example.variables.items() if name not in {"id", "example_id"}]
    return _short(" · ".join(" ".join(text.split()) for text in texts), most_chars)


def _score_words(name: str, responses: Sequence[Response]) -> str:
    scores = [one.scores[name] for one in responses]
    values = [score.value for score in scores if score.value is not None]
    reason = _short(scores[0].reason, 90)
    if not values:
        return f"{name}: not scored ({reason})"
    mean = fmean(values)
    if set(values) <= {0.0, 1.0} and mean in {0.0, 1.0}:
        return f"✓ {name}" if mean else f"✗ {name}" + (f": {reason}" if reason else "")
    return f"{name} {mean:.2f}"


def answers_html(
    responses: Sequence[Response], *, most_chars: int | None = None, base_text: str | None = None, plain: bool = False
) -> str:
    """The distinct answers of a place.

    Args:
        responses: Its responses, as `Sheet.at` gives them: without keys.
        most_chars: Where a longer text is cut; None never.
        base_text: Show the differences to this text.
        plain: Show the text as it is, not as Markdown.
    """
    return "".join(_answer_html(group, most_chars, base_text, plain=plain) for group in distinct(responses))


def _answer_html(group: Distinct, most_chars: int | None, base_text: str | None, *, plain: bool) -> str:
    words = " · ".join(escape_text(word) for word in marks(group))
    head = f'<div class="vig-mark">{words}</div>' if words else ""
    if group.first.error:
        head += f'<div class="vig-card">{escape_text(group.first.error)}</div>'
    text = group.text
    rest = ""
    if most_chars is not None and len(text) > most_chars:
        rest = f'<div class="vig-note">… {len(text) - most_chars:,} more characters</div>'
        text = text[:most_chars]
    return f'<div class="vig-one">{head}{_text_html(text, base_text, plain=plain)}{rest}</div>'


def _text_html(text: str, base_text: str | None, *, plain: bool) -> str:
    if base_text is not None:
        return f'<div class="vig-answer">{changes_html(base_text, text)}</div>'
    if not text:
        return ""
    return f'<div class="vig-answer">{f"<pre>{escape_text(text)}</pre>" if plain else render_html(text)}</div>'


def changes_html(before: str, after: str) -> str:
    """One text against another, word by word or line by line: what went is struck out, what came is bold."""
    if before.strip() == after.strip():
        return '<div class="vig-note">the same as the baseline</div>'
    if max(len(before), len(after)) > DIFF_CHARS:
        note = '<div class="vig-note">too long to compare word by word</div>'
        return f"{note}<pre>{escape_text(after)}</pre>"
    return f"<pre>{_changes(before, after)}</pre>"


def _changes(before: str, after: str) -> str:
    forms = {"=": "{}", "-": '<s class="vig-went">{}</s>', "+": '<strong class="vig-came">{}</strong>'}
    return "".join(forms[kind].format(escape_text(text)) for kind, text in changes(before, after))


def prompt_changes_html(before: Prompt, after: Prompt) -> str:
    """What changed from one version of a prompt to another."""
    parts = []
    if (before.system or "") != (after.system or ""):
        parts += ["system: " + _changes(mask(before.system or ""), mask(after.system or ""))]
    if before.text != after.text:
        parts += [_changes(mask(before.text), mask(after.text))]
    head = f"{escape_text(before.label)} → {escape_text(after.label)}"
    return f'<div class="vig-note">{head}</div>' + "".join(f"<pre>{part}</pre>" for part in parts)


def flip_words(flips: Iterable[tuple[str, str, str, Flip]]) -> list[str]:
    """The examples whose verdict changed, one a line, those to read first first."""
    return [
        f"{flip.example_id}: {'fixed' if flip.fixed else 'broken'} on {scorer} in {variant}, passed "
        f"{100 * flip.before:.0f} % of the repeats before and {100 * flip.after:.0f} % now ({flip.verdict})"
        for variant, _baseline, scorer, flip in flips
    ]


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
