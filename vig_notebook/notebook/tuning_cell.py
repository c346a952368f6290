"""A `%%vigthoria` cell whose options compare: it becomes an experiment, and a grid.

A cell is one when a value has a comma (`--model a,b`), or with an option that only a grid has: `--repeats`, `--data`,
`--score`, `--name` and so on. Any other cell stays what it is. In a grid a line `---` stands between two prompts.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.display import display

from vig_notebook.errors import ConfigError
from vig_notebook.notebook.defaults import server_choice, settings_of
from vig_notebook.notebook.grid.show import show_grid
from vig_notebook.notebook.options import LISTS, nearest, parse_line, parser_of, text_or_file
from vig_notebook.notebook.place import place_of
from vig_notebook.notebook.show import FrontEnd, front_end
from vig_notebook.notebook.variables import user_variables
from vig_notebook.notebook.workbook import Workbook, workbook
from vig_notebook.render import escape_text
from vig_notebook.tuning import Experiment, Prompt, scorer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.tuning.scorers import Scorer

__all__ = ["GridWaiting", "ask_or_plan", "recall_grid", "run_grid"]

NOT_IN_GRIDS = {
    "chat": "the variants of a grid have no conversation",
    "fork": "the variants of a grid have no conversation",
    "new": "the variants of a grid have no conversation",
}

MOST_CALLS = 200
"""More than these are asked only with --yes: a slip in a list of values costs real money."""

BETWEEN_PROMPTS = re.compile(r"^---[ \t]*$", re.MULTILINE)


class Defaults(Protocol):
    """The settings of the magic."""

    model: Any
    system: Any
    format: Any
    temperature: Any
    max_tokens: Any
    top_p: Any
    seed: Any


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell and what it stands in."""

    magic: Defaults
    options: argparse.Namespace
    names: Mapping[str, Any]


def run_grid(magic: Defaults, options: argparse.Namespace, line: str, text: str, shell: InteractiveShell) -> Experiment:
    """Lay out the experiment of a cell and run it; one of more than 200 calls shows its plan instead.

    A version that another kernel has written counts as well: a name goes on where the log has it.

    Raises:
        UsageError: Options contradict each other, or name what is not there.
        VigthoriaError: The prompts or the settings are wrong.
        KeyboardInterrupt: Interrupted while waiting.
    """
    _refuse_what_no_grid_has(options)
    cell = _Cell(magic, options, user_variables(shell))
    book = workbook()
    here = place_of(shell).get("cell")
    if options.name:
        book.make_way(options.name, cell=here)
    # A program runs a notebook from its top: its versions are those that it writes.
    if options.name and front_end(shell) is not FrontEnd.HEADLESS:
        with contextlib.suppress(ConfigError):  # a log that cannot be read holds up no answer
            _say_earlier(options.name, book.recall(options.name))
    experiment = _experiment(cell, *_prompts(cell, text, book), line=line)
    book.keep(experiment, line=line, cell=here)
    ask_or_plan(experiment, shell, options, plain=(options.format or magic.format) == "text")
    return experiment


def ask_or_plan(
    experiment: Experiment, shell: InteractiveShell, options: argparse.Namespace, *, plain: bool = False
) -> None:
    """Run an experiment and show it; one of more than 200 calls shows its plan, without `--yes`."""
    dry = getattr(options, "dry_run", False)
    calls = len(experiment.missing) if dry else experiment.plan().calls
    if dry or (calls > MOST_CALLS and not options.yes):
        _show_plan(experiment, asks=not dry)
    else:
        show_grid(experiment, shell, plain=plain)


def recall_grid(magic: Any, prompt: Prompt, shell: InteractiveShell) -> Experiment:
    """Lay out the experiment of a version that another kernel asked, by its cell's options.

    What the log has of it is taken and scored; nothing is asked. Waits for the scores.

    Raises:
        UsageError: The options name what is not there, such as a variable that was not made yet.
        VigthoriaError: It came from no cell, or the settings are wrong.
    """
    book = workbook()
    line = book.line_of(prompt)
    if not line:
        seen = "it came from no cell of a notebook"
        raise ConfigError(f"The experiment of {prompt.label} is gone with its kernel", seen=seen, advice="Make it anew")
    options = parse_line(parser_of(type(magic).vigthoria), line)
    cell = _Cell(magic, options, user_variables(shell))
    experiment = _experiment(cell, [prompt], _earlier(prompt, options.baseline, book), line=line)
    experiment.recall().wait()
    return experiment


def _refuse_what_no_grid_has(options: argparse.Namespace) -> None:
    for name, why in NOT_IN_GRIDS.items():
        if getattr(options, name):
            raise UsageError(f"--{name} does not go with a grid: {why}")
    if options.limit and not options.data:
        raise UsageError("--limit takes the first examples of --data, which is missing")
    if options.holdout and not (options.data and options.name):
        raise UsageError("--holdout sets examples of --data aside, for the prompt of this --name: give both")
    if options.format in {"code", "json"}:
        instead = "; --score json tells which answers are JSON" if options.format == "json" else ""
        raise UsageError(f"--format {options.format} does not go with a grid: it is for one answer{instead}")


def _experiment(cell: _Cell, prompts: list[Prompt], reference: list[Prompt], *, line: str) -> Experiment:
    options, magic = cell.options, cell.magic
    data = _data(cell)
    columns = set(data[0] if isinstance(data, list) and data else ()) if data is not None else set()
    wanted = {name for prompt in (*prompts, *reference) for name in prompt.variables} - columns
    return Experiment(
        prompts,
        models=_models(options.model or magic.model),
        params=_params(cell),
        data=data,
        repeats=options.repeats,
        scorers=[_scorer(spec, cell.names) for spec in options.score or ()],
        baseline=_baseline(cell, prompts, reference),
        max_concurrency=options.max_concurrency or 8,
        budget=options.budget_tokens,
        store=workbook().log,
        name=options.name or "grid",
        labels=place_of(get_ipython()) | ({"line": line.strip()} if options.name else {}),
        reference=reference,
        limit=options.limit,
        holdout=options.holdout,
        variables={name: cell.names[name] for name in wanted if name in cell.names},
        **server_choice(vars(options), settings_of(magic)),
    )


def _prompts(cell: _Cell, text: str, book: Workbook) -> tuple[list[Prompt], list[Prompt]]:
    """The prompts of the cell, and the earlier versions they are held against."""
    options = cell.options
    texts = [part.strip("\n") for part in BETWEEN_PROMPTS.split(text)]
    if not all(part.strip() for part in texts):
        raise ConfigError("There is no prompt", seen="the text is empty", advice="Write what you want to ask.")
    system = text_or_file(options.system) or cell.magic.system
    if options.name is None:
        names = [f"p{number}" for number in range(1, len(texts) + 1)] if len(texts) > 1 else ["prompt"]
        return [Prompt(name=n, text=t, system=system, raw=options.raw) for n, t in zip(names, texts, strict=True)], []
    if len(texts) > 1:
        raise UsageError("--name is the name of one prompt: leave out the lines ---, or the name")
    prompt = book.prompts.write(options.name, texts[0], system=system, raw=options.raw)
    return [prompt], _earlier(prompt, options.baseline, book)


def _earlier(prompt: Prompt, baseline: str | None, book: Workbook) -> list[Prompt]:
    """The parent, and the version that is named as the baseline."""
    found = [prompt.parent] if prompt.parent is not None else []
    for one in book.prompts.history(prompt.name):
        if baseline in {f"v{one.version}", one.label} and one not in found:
            found.insert(0, one)
    return [one for one in found if one != prompt]


def _baseline(cell: _Cell, prompts: Sequence[Prompt], reference: Sequence[Prompt]) -> str | None:
    if cell.options.baseline is not None or not reference:
        return cell.options.baseline  # type: ignore[no-any-return]  # a text or None
    return prompts[0].parent.label if prompts[0].parent is not None else None


def _models(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"--model {text}: a name is missing beside a comma")
    return list(dict.fromkeys(names))


def _params(cell: _Cell) -> dict[str, object]:
    """The members of the request; a tuple is a list of values to try."""
    options, magic = cell.options, cell.magic
    given = {name: getattr(options, name) for name in (*LISTS, "max_tokens")}
    given = {name: getattr(magic, name) if value is None else value for name, value in given.items()}
    params = {name: _values(value) for name, value in given.items() if value is not None}
    if options.stop_sequence:
        params["stop"] = [list(options.stop_sequence)]
    return params | {name: [value] for name, value in options.param or ()}


def _values(value: object) -> list[object]:
    return list(dict.fromkeys(value)) if isinstance(value, tuple) else [value]


def _data(cell: _Cell) -> Any:
    """The examples: a variable of this name, or a file."""
    named = cell.options.data
    if named is None:
        return None
    if named.isidentifier():
        if named in cell.names:
            return _rows(named, cell.names[named])
        if not Path(named).exists():
            near = nearest(named, [name for name in cell.names if not name.startswith("_")])
            raise UsageError(f"--data {named}: there is no such variable{f'; did you mean {near}?' if near else ''}")
    return named


def _rows(name: str, value: Any) -> list[dict[str, object]]:
    if hasattr(value, "to_dict"):
        return [{str(column): cell for column, cell in row.items()} for row in value.to_dict(orient="records")]
    if isinstance(value, list | tuple) and all(hasattr(row, "keys") for row in value):
        return [dict(row) for row in value]
    if hasattr(value, "examples"):
        return [{"id": one.id, **one.variables} for one in value]
    raise UsageError(f"--data {name}: it is a {type(value).__name__}, not a table or a list of dicts")


def _scorer(spec: str, names: Mapping[str, Any]) -> Scorer:
    """A scorer by its spec, or a function of the notebook by its name."""
    found = names.get(spec)
    return scorer(found if callable(found) else spec)


def _show_plan(experiment: Experiment, *, asks: bool) -> None:
    note = f"This would take more than {MOST_CALLS} calls. Add --yes to the line to ask them." if asks else "Dry run."
    _show_note(f"{note} Nothing was asked.", str(experiment.plan()))


def _say_earlier(name: str, versions: Sequence[Prompt]) -> None:
    if not versions:
        return
    first, *rest = sorted(versions, key=lambda one: one.version)
    known = f"{first.label} to v{rest[-1].version}" if rest else first.label
    _show_note(f"{name} goes on from the log, which has {known}. Another --name begins anew.")


def _show_note(note: str, text: str = "") -> None:
    html = f'<div class="vig-note">{escape_text(note)}</div>{f"<p>{escape_text(text)}</p>" if text else ""}'
    plain = "\n".join([note, *([text] if text else [])])
    display({"text/html": f'<div class="vig-answer">{html}</div>', "text/plain": plain}, raw=True)


class GridWaiting:
    """What a cell with `--wait` returns: awaiting it shows nothing and gives None."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        if self._experiment.running:
            _ = await self._experiment

    def __repr__(self) -> str:
        return ""
