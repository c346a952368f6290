"""The line commands on named prompts and their experiments: what `%%vigthoria --name NAME` cells have written.

=============================  ==================================================================================
`versions NAME`                its versions with their scores, oldest first
`diff A B`                     two versions word by word; `diff v1 short`, or `diff short` against its parent
`use NAME@v3`                  that version in a new cell; what is edited there has it as its parent
`compare NAME`                 verdict and figures; `--baseline v1`, `--score exact`
`rate NAME [v1] [--blind]`     choose between two answers at a time, by keys; `--judge "criterion"` beside a model
`holdout NAME`                 the last version on the examples set aside by `--holdout`: once, at the end
`plan NAME`                    what asking the rest would take
`show NAME`                    the grid once more
`resume NAME`                  ask what is missing
`export NAME FILE`             .csv, .jsonl, promptfoo's .yaml, or a pytest file .py
=============================  ==================================================================================

What an earlier kernel asked is found in the log.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.display import display

from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.grid.rating import RatingView
from vig_notebook.notebook.grid.show import open_grid, show_grid
from vig_notebook.notebook.grid.words import prompt_changes_html
from vig_notebook.notebook.show import FrontEnd, front_end
from vig_notebook.notebook.tuning_cell import ask_or_plan, recall_grid
from vig_notebook.notebook.workbook import workbook
from vig_notebook.render import escape_text, visible
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.notebook.workbook import Workbook
    from vig_notebook.tuning import Experiment, Prompt
    from vig_notebook.tuning.verdict import Comparison

    Say = Callable[[str], None]

__all__ = ["is_prompt", "run_tuning"]

BARS = "▁▂▃▄▅▆▇█"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; the form is: {self.usage}")


@dataclass(frozen=True, slots=True)
class _Given:
    """What a command was given, and what it stands in."""

    words: argparse.Namespace
    say: Say
    magic: object

    @property
    def name(self) -> str:
        return str(self.words.name)


def run_tuning(word: str, words: Sequence[str], say: Say, magic: object) -> None:
    """Run one of the commands.

    Args:
        word: Its name.
        words: What follows on the line.
        say: Prints a line.
        magic: The settings of the magic, for experiments that are laid out again.

    Raises:
        UsageError: It was not given what it needs.
        VigthoriaError: There is no such prompt, experiment or score.
    """
    options, *arguments = FORMS[word]
    parser = _Parser(prog=f"%vigthoria {word}", usage=f"%vigthoria {word} {options}", add_help=False)
    for argument in arguments:
        if argument in {"--blind", "--yes"}:
            parser.add_argument(argument, action="store_true")
        else:
            parser.add_argument(argument.rstrip("?"), nargs="?" if argument.endswith("?") else None)
    RUN[word](_Given(parser.parse_args(list(words)), say, magic))


def is_prompt(word: str) -> bool:
    """Whether a word is the name of a prompt, or of a version, here or in the log."""
    name = word.partition("@")[0]
    if not name.replace("-", "_").isidentifier():
        return False
    book = _book(name)
    return name in book.experiments or name in book.prompts.names


def _book(name: str) -> Workbook:
    """The workbook, with what the log has of a prompt; where a program runs the notebook, without."""
    book = workbook()
    if name and front_end(get_ipython()) is not FrontEnd.HEADLESS:
        book.recall(name)
    return book


def _experiment(given: _Given, name: str) -> Experiment:
    """The experiment of this name, or of this version; what another kernel asked is laid out again."""
    book = _book(name.partition("@")[0])
    if name not in book.experiments and name.partition("@")[0] in book.prompts.names:
        prompt = book.prompt(name) if "@" in name else book.prompts.current(name)
        if prompt.label not in book.experiments:
            book.keep(recall_grid(given.magic, prompt, get_ipython()), line=book.line_of(prompt))
        return book.experiments[prompt.label]
    return book.experiment(name)


def _versions(given: _Given) -> None:
    rows, means = [], []
    for prompt in _book(given.name).prompts.history(given.name):
        mean, words = _score_of(prompt, given)
        means.append(mean)
        parent = f"from {prompt.parent.label}" if prompt.parent is not None else "the first"
        rows.append((prompt.label, parent, words or "not scored", _flat(prompt.text)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(f"{row[i]:{width}}" for i, width in enumerate(widths)), row[3]]) for row in rows]
    given.say("\n".join([*lines, *([f"scores  {_bars(means)}"] if any(mean is not None for mean in means) else [])]))


def _score_of(prompt: Prompt, given: _Given) -> tuple[float | None, str]:
    """The first score of a version, its best variant's, and all of its scores in words."""
    try:
        experiment = _experiment(given, prompt.label)
    except (VigthoriaError, UsageError):  # its data or its scorer are not there, or not yet
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


def _diff(given: _Given) -> None:
    other = given.words.other or ""
    name = next((one.partition("@")[0] for one in (other, given.name) if one and not _is_version(one)), "")
    book = _book(name)
    newer = book.prompt(other or given.name, of=name)
    older = book.prompt(given.name, of=name) if other else newer.parent
    if older is None:
        raise UsageError(f"{newer.label} is the first version: there is nothing to compare it with")
    html = f'<div class="vig-grid"><div class="vig-change">{prompt_changes_html(older, newer)}</div></div>'
    display({"text/html": html, "text/plain": visible(mask(newer.diff(older))) or "no difference"}, raw=True)


def _is_version(text: str) -> bool:
    return text.startswith("v") and text[1:].isdigit()


def _use(given: _Given) -> None:
    book = _book(given.name.partition("@")[0])
    prompt = book.prompts.use(given.name)
    get_ipython().set_next_input(book.cell_of(prompt))
    given.say(f"{prompt.label} is in the next cell; what you make of it has it as its parent")


def _compare(given: _Given) -> None:
    experiment = _experiment(given, given.name)
    findings = experiment.findings(_baseline(given.name, given.words.baseline))
    verdict = findings.verdict(given.words.score)
    table = _comparison_html(findings.comparisons(given.words.score)) if experiment.scorers and findings.pairs else ""
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
    if version is None or not _is_version(version):
        return version
    return workbook().prompt(version, of=name.partition("@")[0]).label


def _rate(given: _Given) -> None:
    experiment = _experiment(given, given.name)
    baseline, judge = _baseline(given.name, given.words.other), given.words.judge
    if front_end(get_ipython()) is FrontEnd.PERSON:
        RatingView(experiment.rate(baseline=baseline, judge=judge), blind=given.words.blind).display()
    elif judge is not None:
        given.say(str(experiment.judge(judge, baseline=baseline)))
    else:
        given.say(f"{len(experiment.rate(baseline=baseline).pairs)} pairs to rate, by a person in a notebook")


def _holdout(given: _Given) -> None:
    experiment = _experiment(given, given.name)
    if experiment.held_out is None:
        raise UsageError(f"{given.name} has set nothing aside: run its cell with --holdout 0.3, say")
    held = experiment.on_holdout(given.words.variant)
    workbook().experiments[held.name] = held
    ask_or_plan(held, get_ipython(), given.words)


def _plan(given: _Given) -> None:
    given.say(str(_experiment(given, given.name).plan()))


def _show(given: _Given) -> None:
    open_grid(_experiment(given, given.name))


def _resume(given: _Given) -> None:
    show_grid(_experiment(given, given.name), get_ipython())


def _export(given: _Given) -> None:
    experiment = _experiment(given, given.name)
    given.say(f"written: {experiment.export(given.words.file, variant=given.words.variant)}")


FORMS = {
    "versions": ("NAME", "name"),
    "diff": ("VERSION [VERSION]", "name", "other?"),
    "use": ("NAME@VERSION", "name"),
    "compare": ("NAME [--baseline VERSION] [--score SCORE]", "name", "--baseline", "--score"),
    "rate": ("NAME [VERSION] [--blind] [--judge CRITERION]", "name", "other?", "--blind", "--judge"),
    "holdout": ("NAME [--variant LABEL] [--yes]", "name", "--variant", "--yes"),
    "plan": ("NAME", "name"),
    "show": ("NAME", "name"),
    "resume": ("NAME", "name"),
    "export": ("NAME FILE [--variant LABEL]", "name", "file", "--variant"),
}
RUN: dict[str, Callable[[_Given], None]] = {
    "versions": _versions,
    "diff": _diff,
    "use": _use,
    "compare": _compare,
    "rate": _rate,
    "holdout": _holdout,
    "plan": _plan,
    "show": _show,
    "resume": _resume,
    "export": _export,
}


def _flat(text: str, most: int = 60) -> str:
    flat = visible(mask(" ".join(text.split())))
    return flat if len(flat) <= most else flat[: most - 1] + "…"
