"""The widgets of the panel, and what its buttons do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets
from IPython.display import display, update_display

from vig_notebook.answers import first_code_block
from vig_notebook.engine import engine
from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.dry_run import request_bundle
from vig_notebook.notebook.panel.export import as_cells, as_python
from vig_notebook.notebook.panel.form import Drawer
from vig_notebook.notebook.panel.head import Head
from vig_notebook.notebook.panel.notice import Notice
from vig_notebook.notebook.panel.prompt import prompt_box
from vig_notebook.notebook.panel.saved import CellOutput, Transcript
from vig_notebook.notebook.panel.stage import Announcer, Stage
from vig_notebook.notebook.panel.tools import Tools
from vig_notebook.notebook.panel.turns import Action, ConversationView
from vig_notebook.notebook.panel.words import context_words
from vig_notebook.notebook.words import error_card, error_text, status_html
from vig_notebook.render import STYLE, escape_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.chats import Turn
    from vig_notebook.notebook.panel.panel import Panel
    from vig_notebook.notebook.panel.turns import TurnView
    from vig_notebook.run import Run

__all__ = ["PanelView"]

MOST_DISPLAYS = 3
"""Displays of one panel whose records are kept up to date; older ones are of cells that ran again."""


class PanelView:
    """Everything that is seen of a panel. Made in a cell, painted on the streaming thread.

    Attributes:
        has_ended: Whether its widgets are gone.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._editing: Turn | None = None
        self.has_ended = False
        self._pages_loaded = 0
        self._sync_asked = False
        self._displays: list[tuple[str, Transcript]] = []
        self._head = Head(panel)
        self._notice = Notice(self._end_edit)
        self._drawer = Drawer(
            panel.form, system=panel.chat.system or "", on_system=self._take_system, on_right=self._notice.hide
        )
        self._conversation = ConversationView(self._act)
        self._conversation.on_earlier(lambda: self._soon(self._show_earlier))
        self._status = widgets.HTML()
        self._prompt = prompt_box(self)
        self._tools = Tools(self)
        style = widgets.HTML(f"<style>{STYLE}</style>", layout=widgets.Layout(display="none"))
        parts = (self._head.widget, self._drawer.widget, self._conversation.box, self._notice.widget, self._status)
        self.box = widgets.VBox([style, *parts, self._prompt.widget, self._tools.widget])
        self.box.add_class("vig-panel")
        self._prompt.belongs_to(self.box)
        panel.chat.listeners.append(self)
        self()

    # What the panel calls.

    def display(self, shell: InteractiveShell) -> None:
        """Show the panel as this cell's output, and its record below it."""
        view = self.box._repr_mimebundle_()  # what displaying a widget calls
        data = view[0] if isinstance(view, tuple) else view
        handle = display({**data, "text/plain": repr(self._panel)}, raw=True, display_id=True)
        transcript = Transcript(CellOutput(shell))
        transcript.show(self._panel.chat)
        self._displays = [*self._displays, (handle.display_id, transcript)][-MOST_DISPLAYS:]
        for view in [one for one in self._panel.chat.listeners if isinstance(one, PanelView)]:
            view.forget_displays(transcript.output)

    def forget_displays(self, output: CellOutput) -> None:
        """Forget the displays that this output replaces; a view whose last one went is seen by nobody, and ends."""
        before = self._displays
        self._displays = [shown for shown in before if not output.replaces(shown[1].output)]
        if before and not self._displays:
            self.has_ended = True
            self._soon(self._end)

    def freeze(self) -> None:
        """Take the widgets away; the record stays."""
        self.has_ended = True
        for display_id, transcript in self._displays:
            note = {"text/html": '<div class="vig-note vig-frozen">Panel</div>', "text/plain": repr(self._panel)}
            update_display(note, raw=True, display_id=display_id)
            transcript.show(self._panel.chat)
        self._end()

    def _end(self) -> None:
        if self in self._panel.chat.listeners:
            self._panel.chat.listeners.remove(self)
        self._conversation.close()
        close(self.box)

    # What the prompt box calls, on any thread.

    def send_typed(self, text: str) -> None:
        """Ask; what is wrong is said, and the text stays in the box."""
        editing = self._editing
        after = editing.parent if editing is not None else self._panel.chat.current
        if self._try_to_ask(text, after=after):
            self._editing = None
            self._soon(lambda: self._accept(text))  # after what shows that a run is on

    def stop_typed(self) -> None:
        """Stop."""
        self._panel.stop()

    def preview_typed(self, text: str) -> None:
        """Show the exact request; nothing is sent."""
        after = self._editing.parent if self._editing is not None else self._panel.chat.current
        try:
            asked = self._panel.question(text, after=after)
        except VigthoriaError as error:
            self._refuse(error)
            return
        self._notice.show(request_bundle(asked)["text/html"])
        self._prompt.announce("The request is shown above the prompt. Nothing was sent.")

    def page_loaded(self) -> None:
        """A page has loaded the panel; the second one has loaded it again, and forgot the record's displays."""
        self._pages_loaded += 1

    def page_did(self, what: str, *, done: bool) -> None:
        """Say whether a text was copied or cells were made."""
        words = {
            ("copied", True): "Copied.",
            ("copied", False): "The browser did not allow to copy: select the text and press Ctrl+C.",
            ("inserted", True): "It is in a new cell below.",
            ("inserted", False): "This front end makes no cells for a widget.",
        }
        self._say(words[what, done], passing=done)

    # What the tools below the prompt call, on any thread.

    def take_out(self, *, as_code: bool) -> None:
        """Put the whole exchange into new cells."""
        panel = self._panel
        if not panel.chat.turns:
            self._say("There is nothing to take out yet.")
        elif as_code:
            self._insert([as_python(panel.chat, server=panel.server_options)])
        else:
            name = f"{panel.chat.name or 'panel'}-copy"
            self._insert(as_cells(panel.chat, name=name, server=panel.server_options))

    def clear(self) -> None:
        """Forget every turn."""
        self._panel.stop()
        self._editing = None
        self._panel.chat.reset()
        self._say("The conversation is empty.")

    def ask_once_more(self, sentence: str) -> None:
        """Say what a second press does."""
        self._prompt.announce(sentence)

    @property
    def turn_count(self) -> int:
        """How many turns there are to forget."""
        return len(self._panel.chat.turns)

    # On the streaming thread.

    def __call__(self) -> None:
        """Bring the page up to date, on the streaming thread. Any number of calls before it are one."""
        if not self._sync_asked:
            self._sync_asked = True
            self._soon(self._sync)

    def announces(self, run: Run) -> bool:
        """Whether this panel has asked it."""
        return self._panel.has_started(run)

    def show_status(self, run: Run) -> None:
        """Show state and times of a run; of several, those of the one that the others wait for."""
        if run in self._panel.running[1:]:
            return
        self._status.value = f'<div class="vig-status">{status_html(run)}</div>'

    def ended(self) -> None:
        """A run has ended."""
        self._sync()

    def _soon(self, step: Callable[[], object]) -> None:
        engine().loop.call_soon_threadsafe(step)

    def _sync(self) -> None:
        self._sync_asked = False
        if self.has_ended:
            return
        chat = self._panel.chat
        for view in self._conversation.show(chat):
            self._fill(view)
        self._drawer.show_system(chat.system or "")
        is_busy = bool(self._panel.running)
        self._prompt.show_busy(busy=is_busy)
        if not is_busy:
            self._status.value = f'<div class="vig-status">{escape_text(context_words(chat))}</div>'
        keeper = self._prompt.keep_record if self._pages_loaded > 1 else None
        for _, transcript in self._displays:
            transcript.show(chat, keeper=keeper)

    def _show_earlier(self) -> None:
        self._conversation.want_earlier()
        self._sync()

    def _fill(self, view: TurnView) -> None:
        """Show the answer of a turn, or paint it as it comes."""
        turn = view.turn
        if turn.run is not None and not turn.run.state.ended:
            turn.run.follow(Stage(self, view, Announcer(self._prompt.announce)))
        else:
            view.show()

    # What the buttons of a turn do, on any thread.

    def _accept(self, text: str) -> None:
        self._prompt.show_busy(busy=bool(self._panel.running))
        self._prompt.accept(text)

    def _act(self, action: Action, turn: Turn) -> None:
        siblings = self._panel.chat.siblings(turn)
        at = siblings.index(turn)
        match action:
            case Action.EDIT:
                self._edit(turn)
            case Action.AGAIN:
                self._try_to_ask(turn.prompt, after=turn.parent, is_template=False)
                self._prompt.focus()
            case Action.COPY:
                self._copy(turn.answer)
            case Action.CODE:
                self._insert([first_code_block(turn.answer) or ""])
            case Action.BEFORE:
                self._panel.chat.select(siblings[max(0, at - 1)])
                self._prompt.focus()
            case Action.AFTER:
                self._panel.chat.select(siblings[min(len(siblings) - 1, at + 1)])
                self._prompt.focus()

    def _edit(self, turn: Turn) -> None:
        self._editing = turn
        self._prompt.edit(turn.source or turn.prompt)
        self._say("Send makes a branch with the edited question. Close: it goes on at the end instead.", passing=False)

    def _try_to_ask(self, text: str, *, after: Turn | None, is_template: bool = True) -> bool:
        is_asked = False
        try:
            if self._panel.running:
                self._say("An answer is still coming: press Stop first, or wait for its end.")
            else:
                _ = self._panel.ask(text, after=after, is_template=is_template)
                is_asked = True
                self._notice.hide()
        except VigthoriaError as error:
            self._refuse(error)
        finally:
            if not is_asked:  # also when a variable's own method has raised
                self._prompt.refuse()
        return is_asked

    def _refuse(self, error: VigthoriaError) -> None:
        self._drawer.show_problems()
        self._notice.show(error_card(error))
        self._prompt.announce(error_text(error))

    def _copy(self, text: str) -> None:
        if not self._prompt.copy(text):
            self.page_did("copied", done=False)

    def _insert(self, sources: list[str]) -> None:
        if not self._prompt.insert_cells(sources):
            self.page_did("inserted", done=False)

    def _end_edit(self) -> None:
        self._editing = None
        self._prompt.focus()

    def _say(self, sentence: str, *, passing: bool = True) -> None:
        self._notice.show(f'<div class="vig-note">{escape_text(sentence)}</div>', passing=passing)
        self._prompt.announce(sentence)

    def _take_system(self, text: str) -> None:
        self._panel.chat.system = text if text.strip() else None


def close(widget: widgets.Widget) -> None:
    """Close a widget and all that is in it."""
    for child in getattr(widget, "children", ()):
        close(child)
    widget.close()
