"""Run an experiment and show it, in the way that the front end can show it; as `notebook.show` does with a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython import get_ipython
from IPython.display import display

from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.grid.record import grid_record
from vig_notebook.notebook.grid.view import GridView
from vig_notebook.notebook.interrupt import watch_interrupts
from vig_notebook.notebook.show import FrontEnd, front_end

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.tuning import Experiment

__all__ = ["open_grid", "show_grid"]


def show_grid(experiment: Experiment, shell: InteractiveShell, *, plain: bool = False) -> None:
    """Run an experiment and show it. With a person at the front end it returns at once, else at the end.

    Raises:
        VigthoriaError: The settings are wrong.
        KeyboardInterrupt: Interrupted while waiting; the experiment is stopped, what came is shown.
    """
    if front_end(shell) is FrontEnd.PERSON:
        _stream(experiment, plain=plain)
        return
    _ = experiment.run()  # awaited or not, it goes on
    try:
        experiment.wait()
    finally:
        experiment.wait()  # after an interrupt it is stopped, and its end is near
        _write(experiment, plain=plain)


def open_grid(experiment: Experiment) -> None:
    """What `experiment.show()` does: a view that stays until it is closed; the record where nobody could close it."""
    shell = get_ipython()
    if shell is None or front_end(shell) is not FrontEnd.PERSON:
        _write(experiment, plain=False)
        return
    view = GridView(experiment, stays=not experiment.running)
    experiment.watch(view)
    view.display()
    view.begin()


def _stream(experiment: Experiment, *, plain: bool) -> None:
    view = GridView(experiment, plain=plain)
    experiment.watch(view)
    view.display()
    try:
        _ = experiment.run()
    except VigthoriaError as error:
        view.fail(error)
        return
    view.begin()
    watch_interrupts()


def _write(experiment: Experiment, *, plain: bool) -> None:
    bundle, metadata = grid_record(experiment, plain=plain)
    display(bundle, raw=True, metadata=metadata)
