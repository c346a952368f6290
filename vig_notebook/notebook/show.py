"""Start a question and show its run, in the way that the front end can show it.

===========  ==========================================================================================
a person     a view that streams; the cell returns at once, and the record replaces the view at the end
headless     (nbconvert, papermill, nbval) the cell waits, and writes one display, the record
terminal     the text is printed as it comes; Ctrl+C stops it
===========  ==========================================================================================
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Any

from IPython.display import display

from vig_notebook.api import ask
from vig_notebook.notebook.interrupt import watch_interrupts
from vig_notebook.notebook.keys import visible_stream
from vig_notebook.notebook.painter import Painter
from vig_notebook.notebook.place import place_of
from vig_notebook.notebook.record import ending_plain, record
from vig_notebook.notebook.view import RunView
from vig_notebook.render import VisibleStream
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.api import Question
    from vig_notebook.chats import Chat
    from vig_notebook.notebook.record import Format
    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.wire.chat import Delta

__all__ = ["FrontEnd", "front_end", "show", "show_record"]


AT_ONCE_S = 0.15
"""An answer that ends sooner, such as a refusal, is shown as its record alone: a view would only flicker, and nobody
can press a button that soon."""


class FrontEnd(Enum):
    """Who is looking."""

    PERSON = "person"
    HEADLESS = "headless"
    TERMINAL = "terminal"


def front_end(shell: InteractiveShell) -> FrontEnd:
    """Tell who is looking: a person's front end allows `input()`, a program that runs notebooks does not."""
    kernel: Any = getattr(shell, "kernel", None)
    if kernel is None:
        return FrontEnd.TERMINAL
    content = kernel.get_parent("shell").get("content", {})
    return FrontEnd.PERSON if content.get("allow_stdin", False) else FrontEnd.HEADLESS


def show(
    asked: Question,
    shell: InteractiveShell,
    *,
    form: Format = "markdown",
    chat: Chat | None = None,
    labels: dict[str, str] | None = None,
    out: str | None = None,
) -> Run:
    """Start a question and show it. With a person at the front end it returns at once, else at the end.

    Args:
        asked: What `question` made.
        shell: The shell whose cell this is.
        form: How the text is shown.
        chat: The conversation this becomes a turn of.
        labels: Free words kept with the run, beside the notebook and the cell.
        out: The variable that becomes the run, as soon as it has started: an interrupt leaves it bound.

    Raises:
        KeyboardInterrupt: Interrupted while waiting; the run is stopped, what came is shown.
    """

    def start(*, sinks: Sequence[Sink] = ()) -> Run:
        run = ask(asked, sinks=sinks, chat=chat, labels=place_of(shell) | (labels or {}))
        if out:
            shell.user_ns[out] = run
        return run

    match front_end(shell):
        case FrontEnd.PERSON:
            return _stream(start, form=form)
        case FrontEnd.HEADLESS:
            run = start()
            show_record(run, form=form)
            return run
        case FrontEnd.TERMINAL:
            return _print(start, form=form)


def _stream(start: Callable[..., Run], *, form: Format) -> Run:
    view = RunView(form=form)
    run = start(sinks=(Painter(view, plain=form != "markdown"),))
    view.watch(run)
    try:
        run.wait(AT_ONCE_S)
    finally:
        view.display()
    watch_interrupts()
    return run


def show_record(run: Run, *, form: Format = "markdown") -> None:
    """Wait for the end, and show the record as an output of the cell.

    Raises:
        KeyboardInterrupt: Interrupted while waiting; the run is stopped, what came is shown.
    """
    try:
        run.wait()
    finally:
        run.wait()  # after an interrupt the run is stopped, and its end is near
        bundle, metadata = record(run, form=form)
        display(bundle, raw=True, metadata=metadata)


def _print(start: Callable[..., Run], *, form: Format) -> Run:
    run = start(sinks=(_Printer(),))
    try:
        run.wait()
    finally:
        run.wait()
        sys.stdout.write(f"\n{ending_plain(run, form=form)}\n")
    return run


class _Printer:
    """A sink that prints the answer, with hidden characters made visible: a terminal obeys escape codes."""

    def __init__(self) -> None:
        self._shown = VisibleStream(mask)

    def start(self, run: Run) -> None:
        self._shown = visible_stream(run)

    def write(self, delta: Delta) -> None:
        sys.stdout.write(self._shown.feed(delta.content or delta.refusal or ""))
        sys.stdout.flush()

    def finish(self, run: Run) -> None:  # noqa: ARG002  the sink's form
        sys.stdout.write(self._shown.flush())
        sys.stdout.flush()
