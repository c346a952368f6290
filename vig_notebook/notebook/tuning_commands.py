"""The line commands on named prompts and their experiments: what `%%vigthoria --name NAME` cells have written.

=============================  ==================================================================================
`versions NAME`                its versions with their scores, oldest first
`diff A B`                     two versions word by word; `diff v1 short`, or `diff short` against its parent
`use NAME@v3`                  that version in a new cell; what is edited there has it as its parent
`compare NAME`                 verdict and figures; `--baseline v1`, `--score exact`
`rate NAME [v1] [--blind]`     choose between two answers at a time, by keys
`plan NAME`                    what asking the rest would take
`show NAME`                    the grid once more
`resume NAME`                  ask what is missing
`export NAME FILE`             .csv, .jsonl, promptfoo's .yaml, or a pytest file .py
=============================  ==================================================================================
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, NoReturn

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.display import display

from vig_notebook.notebook.grid.rating import RatingView
from vig_notebook.notebook.grid.show import open_grid, show_grid
from vig_notebook.notebook.grid.words import prompt_changes_html
from vig_notebook.notebook.show import FrontEnd, front_end
from vig_notebook.notebook.workbook import workbook
from vig_notebook.render import escape_text, visible
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.tuning import Experiment, Prompt
    from vig_notebook.tuning.verdict import Comparison

    Say = Callable[[str], None]

__all__ = ["run_tuning"]

BARS = "▁▂▃▄▅▆▇█"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; the form is: {self.usage}")


def run_tuning(word: str, words: Sequence[str], say: Say) -> None:
    """Run one of the commands.

    Raises:
        UsageError: It was not given what it needs.
        VigthoriaError: There is no such prompt, experiment or score.
    """
    options, *arguments = FORMS[word]
    parser = _Parser(prog=f"%vigthoria {word}", usage=f"%vigthoria {word} {options}", add_help=False)
    for argument in arguments:
        if argument == "--blind":
            parser.add_argument(argument, action="store_true")
        else:
            parser.add_argument(argument.rstrip("?"), nargs="?" if argument.endswith("?") else None)
    RUN[word](parser.parse_args(list(words)), say)


def _versions(given: argparse.Namespace, say: Say) -> None:
    book = workbook()
    rows, means = [], []
    for prompt in book.prompts.history(given.name):
        mean, words = _score_of(prompt)
        means.append(mean)
        parent = f"from {prompt.parent.label}" if prompt.parent is not None else "the first"
        rows.append((prompt.label, parent, words or "not scored", _flat(prompt.text)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(f"{row[i]:{width}}" for i, width in enumerate(widths)), row[3]]) for row in rows]
    say("\n".join([*lines, *([f"scores  {_bars(means)}"] if any(mean is not None for mean in means) else [])]))


def _score_of(prompt: Prompt) -> tuple[float | None, str]:
    """The first score of a version, its best variant's, and all of its scores in words."""
    experiment = workbook().experiments.get(prompt.label)
    if experiment is None:
        return None, ""
    labels = {variant.label for variant in experiment.variants if variant.prompt == prompt}
    rows = [row for row in experiment.findings().summary_rows() if row["variant"] in labels]
    found = {one.name: [row[f"score.{one.name}"] for row in rows] for one in experiment.scorers}
    best = {name: max((v for v in values if isinstance(v, float)), default=math.nan) for name, values in found.items()}
    words = ", ".join(f"{name} {value:.2f}" for name, value in best.items() if not math.isnan(value))
    first = next(iter(best.values()), math.nan)
    return None if math.isnan(first) else first, words


def _bars(means: Sequence[float | None]) -> str:
    """A small line of scores over versions."""
    known = [mean for mean in means if mean is not None]
    low, high = min([0.0, *known]), max([1.0, *known])
    places = [None if mean is None else round((mean - low) / (high - low) * (len(BARS) - 1)) for mean in means]
    return "".join("·" if place is None else BARS[place] for place in places)


def _diff(given: argparse.Namespace, _say: Say) -> None:
    book = workbook()
    other = given.other or ""
    name = next((one.partition("@")[0] for one in (other, given.name) if one and not _is_version(one)), "")
    newer = book.prompt(other or given.name, of=name)
    older = book.prompt(given.name, of=name) if other else newer.parent
    if older is None:
        raise UsageError(f"{newer.label} is the first version: there is nothing to compare it with")
    html = f'<div class="vig-grid"><div class="vig-change">{prompt_changes_html(older, newer)}</div></div>'
    display({"text/html": html, "text/plain": visible(mask(newer.diff(older))) or "no difference"}, raw=True)


def _is_version(text: str) -> bool:
    return text.startswith("v") and text[1:].isdigit()


def _use(given: argparse.Namespace, say: Say) -> None:
    book = workbook()
    prompt = book.prompts.use(given.name)
    get_ipython().set_next_input(book.cell_of(prompt))
    say(f"{prompt.label} is in the next cell; what you make of it has it as its parent")


def _compare(given: argparse.Namespace, _say: Say) -> None:
    experiment = workbook().experiment(given.name)
    findings = experiment.findings(_baseline(given.name, given.baseline))
    verdict = findings.verdict(given.score)
    table = _comparison_html(findings.comparisons(given.score)) if experiment.scorers and findings.pairs else ""
    lines = "<br>".join(map(escape_text, verdict.split("\n")))
    html = f'<div class="vig-grid"><div class="vig-strip">{lines}</div>{table}</div>'
    display({"text/html": html, "text/plain": visible(verdict)}, raw=True)


def _comparison_html(comparisons: Sequence[Comparison]) -> str:
    heads = ("variant", "baseline", "score", "difference", "95 % interval", "p, by Holm", "wins / ties / losses", "by")
    rows = []
    for one in comparisons:
        scale, digits = (100, 0) if one.in_points else (1, 3)
        low, high = (f"{scale * end:+.{digits}f}" for end in (one.interval.low, one.interval.high))
        interval = f"{low} to {high}" if one.interval.known else "unknown"
        cells = [one.variant, one.baseline, one.scorer, f"{scale * one.difference:+.{digits}f}", interval]
        cells += [f"{one.p_holm:.3f}", f"{one.wins} / {one.ties} / {one.losses}", one.method]
        rows.append("".join(f"<td>{escape_text(cell)}</td>" for cell in cells))
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="vig-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _baseline(name: str, version: str | None) -> str | None:
    """The label of a version that is named as `v1`; anything else as it is."""
    return workbook().prompt(version, of=name).label if version is not None and _is_version(version) else version


def _rate(given: argparse.Namespace, say: Say) -> None:
    experiment = workbook().experiment(given.name)
    rating = experiment.rate(baseline=_baseline(given.name, given.other))
    if front_end(get_ipython()) is not FrontEnd.PERSON:
        say(f"{len(rating.pairs)} pairs to rate, by a person in a notebook")
        return
    RatingView(rating, blind=given.blind).display()


def _plan(given: argparse.Namespace, say: Say) -> None:
    say(str(workbook().experiment(given.name).plan()))


def _show(given: argparse.Namespace, _say: Say) -> None:
    open_grid(workbook().experiment(given.name))


def _resume(given: argparse.Namespace, _say: Say) -> None:
    show_grid(workbook().experiment(given.name), get_ipython())


def _export(given: argparse.Namespace, say: Say) -> None:
    experiment: Experiment = workbook().experiment(given.name)
    say(f"written: {experiment.export(given.file, variant=given.variant)}")


FORMS = {
    "versions": ("NAME", "name"),
    "diff": ("VERSION [VERSION]", "name", "other?"),
    "use": ("NAME@VERSION", "name"),
    "compare": ("NAME [--baseline VERSION] [--score SCORE]", "name", "--baseline", "--score"),
    "rate": ("NAME [VERSION] [--blind]", "name", "other?", "--blind"),
    "plan": ("NAME", "name"),
    "show": ("NAME", "name"),
    "resume": ("NAME", "name"),
    "export": ("NAME FILE [--variant LABEL]", "name", "file", "--variant"),
}
RUN: dict[str, Callable[[argparse.Namespace, Say], None]] = {
    "versions": _versions,
    "diff": _diff,
    "use": _use,
    "compare": _compare,
    "rate": _rate,
    "plan": _plan,
    "show": _show,
    "resume": _resume,
    "export": _export,
}


def _flat(text: str, most: int = 60) -> str:
    flat = visible(mask(" ".join(text.split())))
    return flat if len(flat) <= most else flat[: most - 1] + "…"
