"""What the cells of a notebook have written: versions of prompts, and the last experiment of each name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.tuning import PromptBook
from vig_notebook.tuning.log import as_log
from vig_notebook.tuning.versions import logged_versions

if TYPE_CHECKING:
    from vig_notebook.tuning import Experiment, Prompt

__all__ = ["Workbook", "workbook"]


class Workbook:
    """Lives as long as the engine; what an earlier kernel wrote is found in the log.

    Attributes:
        prompts: The versions of the named prompts.
        experiments: The last experiment of each name, and those before it by the version's label.
        log: Where the answers of all of them are kept.
    """

    def __init__(self) -> None:
        self.prompts = PromptBook()
        self.experiments: dict[str, Experiment] = {}
        self.log = as_log(None)
        self._lines: dict[str, str] = {}
        self._cells: dict[str, str | None] = {}

    def keep(self, experiment: Experiment, *, line: str, cell: str | None = None) -> None:
        """Keep an experiment, the options of the cell it comes from, and the cell's id where it is known."""
        self.experiments[experiment.name] = experiment
        self._cells[experiment.name] = cell
        for prompt in self._own(experiment):
            self.experiments[prompt.label] = experiment
            self._lines[prompt.label] = line

    def make_way(self, name: str, *, cell: str | None) -> None:
        """Have the experiment of this name ended before a cell asks the next.

        A cell that is run again replaces what it has asked before, which is stopped: its view is gone with the cell's
        output. Another cell, as when all cells are run, is held against the answers: it waits for them.

        Raises:
            KeyboardInterrupt: Interrupted while waiting; the experiment is stopped.
        """
        known = self.experiments.get(name)
        if known is None or not known.running:
            return
        if cell is None or cell == self._cells.get(name):
            known.stop()
        else:
            known.wait()

    def recall(self, name: str) -> list[Prompt]:
        """Take over the versions of a prompt that other kernels have written; gives those that were not here."""
        versions = {one.prompt.label: one for one in logged_versions(self.log, name)}
        new = self.prompts.restore(one.prompt for one in versions.values())
        self._lines |= {prompt.label: versions[prompt.label].line for prompt in new}
        return new

    def experiment(self, name: str) -> Experiment:
        """The experiment of this name, or the one that asked this version.

        Raises:
            ConfigError: There is none.
        """
        if name not in self.experiments:
            known = ", ".join(one for one in self.experiments if "@" not in one) or "none yet"
            raise ConfigError(
                f"There is no experiment {name!r}", seen=f"there are: {known}", advice="Run its cell, with --name"
            )
        return self.experiments[name]

    def prompt(self, label: str, *, of: str = "") -> Prompt:
        """A version: `short@v2`, `short` for its newest, or `v2` of the prompt `of`.

        Raises:
            ConfigError: There is none.
        """
        whole = f"{of}@{label}" if of and label.startswith("v") and label[1:].isdigit() else label
        name, at, _ = whole.partition("@")
        found = [one for one in self.prompts.history(name) if not at or one.label == whole]
        if not found:
            known = ", ".join(one.label for one in self.prompts.history(name))
            raise ConfigError(f"There is no prompt {whole}", seen=f"there are {known}", advice="Name one of them")
        return found[-1]

    def line_of(self, prompt: Prompt) -> str:
        """The options of the cell that asked this version; empty where it came from no cell."""
        return self._lines.get(prompt.label, "").strip()

    def cell_of(self, prompt: Prompt) -> str:
        """The cell that asked this version, to be run again."""
        return f"%%vigthoria {self.line_of(prompt) or f'--name {prompt.name}'}\n{prompt.text}"

    @staticmethod
    def _own(experiment: Experiment) -> list[Prompt]:
        prompts = dict.fromkeys(variant.prompt for variant in experiment.variants)
        return [prompt for prompt in prompts if prompt not in experiment.reference]


def workbook() -> Workbook:
    """The one workbook of this process."""
    kept = engine().kept
    if "workbook" not in kept:
        kept["workbook"] = Workbook()
    return cast("Workbook", kept["workbook"])
