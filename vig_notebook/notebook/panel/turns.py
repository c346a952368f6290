"""The conversation of the panel: its turns, each made once, in pages, so that no turn is sent again.

```
┌ Conversation ─────────────────────────────────────┐
│ [Show earlier turns]                              │  pages before the last two are not in the page
│ You                                               │
│ question                                          │  Output
│ Answer                                            │
│ AnswerView                                        │  as in a cell; within the first Output where all has come
│ [Edit] [Regenerate] [Copy] [Code to cell] < 2/3 > │  when it has ended
│ …                                                 │
└───────────────────────────────────────────────────┘
```

A list of children is sent anew whenever it grows; pages of ten turns keep it short, however long the conversation.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import ipywidgets as widgets

from vig_notebook.answers import first_code_block
from vig_notebook.notebook.answer_view import AnswerView, html_output
from vig_notebook.notebook.panel.words import question_html
from vig_notebook.notebook.record import record_parts
from vig_notebook.run import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.chats import Chat, Turn

__all__ = ["Action", "ConversationView", "TurnView"]

PAGE_TURNS = 10
"""Turns of a page: the list of a page's children stays under 500 bytes."""

SHOWN_PAGES = 2
"""Pages in the browser's document: more make typing slow, fewer hide what one has just read."""


class Action(StrEnum):
    """What the buttons below a turn do."""

    EDIT = "Edit"
    AGAIN = "Regenerate"
    COPY = "Copy"
    CODE = "Code to cell"
    BEFORE = "Previous branch"
    AFTER = "Next branch"


TOOLTIPS = {
    Action.EDIT: "Put the question into the prompt box; sending it makes a branch",
    Action.AGAIN: "Ask once more, with the parameters of now; makes a branch",
    Action.COPY: "Put the answer on the clipboard",
    Action.CODE: "Put the first code block into a new cell below",
    Action.BEFORE: "Previous branch",
    Action.AFTER: "Next branch",
}
SIGNS = {Action.BEFORE: "vig-before", Action.AFTER: "vig-after"}
"""Classes of the buttons that show a sign in place of their name, which is still read out."""


class Act(Protocol):
    """Who is told that a button was pressed. Called on any thread."""

    def __call__(self, action: Action, turn: Turn) -> None:
        """Do it."""


class Shared:
    """Layouts and styles that all turns share: each of them would be one more message a widget."""

    def __init__(self) -> None:
        self.layout = widgets.Layout()
        self.button = widgets.Layout(width="auto")
        self.button_style = widgets.ButtonStyle()


class TurnView:
    """One turn. Its question is sent once, its answer as it comes, its buttons at the end."""

    def __init__(self, turn: Turn, shared: Shared, act: Act) -> None:
        self.turn = turn
        self._answer: AnswerView | None = None
        self._shared = shared
        self._act = act
        self.is_closed = False
        self._place: tuple[int, int] = (1, 1)
        self._counted: widgets.Label | None = None
        self._question = widgets.Output(outputs=html_output(_first_html(turn)), layout=shared.layout)
        self._bar: widgets.HBox | None = None
        self.box = widgets.VBox([self._question], layout=shared.layout)
        self.box.add_class("vig-turn")

    @property
    def answer(self) -> AnswerView:
        """The answer's own widgets, made when first asked for."""
        if self._answer is None:
            self._answer = AnswerView()
            self.box.children = (self._question, self._answer.box)
        return self._answer

    def show(self) -> None:
        """Show a turn that was never painted and has ended."""
        outcome = self.turn.outcome
        if outcome is not None and not _is_one_piece(self.turn):
            self.answer.show(outcome)
        self.end()

    def end(self) -> None:
        """Offer what can be done with a turn that has ended."""
        outcome = self.turn.outcome
        failed = outcome is not None and outcome.state is RunState.FAILED
        actions = [Action.EDIT, Action.AGAIN, *([Action.COPY] if self.turn.answer else [])]
        if first_code_block(self.turn.answer) is not None:
            actions.append(Action.CODE)
        made = [
            self._button(action, "Try again" if failed and action is Action.AGAIN else action) for action in actions
        ]
        self._bar = widgets.HBox(made, layout=self._shared.layout)
        self._bar.add_class("vig-actions")
        self._show_place()
        self.box.children += (self._bar,)

    def place(self, at: int, count: int) -> None:
        """Say which of how many branches this is."""
        if (at, count) != self._place:
            self._place = (at, count)
            self._show_place()

    def close(self) -> None:
        """Close the widgets; what still comes is painted no more."""
        self.is_closed = True
        if self._answer is not None:
            self._answer.close()
        bar = self._bar.children if self._bar is not None else ()
        for widget in (*bar, *([self._bar] if self._bar is not None else []), self._question, self.box):
            widget.close()

    def _show_place(self) -> None:
        at, count = self._place
        if self._bar is None or count < 2:
            return
        if self._counted is None:
            self._counted = widgets.Label(layout=self._shared.layout)
            before, after = (self._button(one, one.value) for one in (Action.BEFORE, Action.AFTER))
            self._bar.children += (before, self._counted, after)
        *_, before, self._counted, after = self._bar.children
        self._counted.value = f"{at}/{count}"
        before.disabled, after.disabled = at == 1, at == count

    def _button(self, action: Action, title: str) -> widgets.Button:
        button = widgets.Button(
            description=title,
            tooltip=TOOLTIPS[action],
            layout=self._shared.button,
            style=self._shared.button_style,
        )
        if action in SIGNS:
            button.add_class(SIGNS[action])
        button.on_click(lambda _: self._act(action, self.turn))
        return button


def _is_one_piece(turn: Turn) -> bool:
    """Whether a turn is shown in one Output: of a long conversation that opens twice as fast. A fold is a widget."""
    return turn.outcome is not None and turn.ended and not turn.outcome.reasoning_so_far


def _first_html(turn: Turn) -> str:
    """What is known of a turn when its view is made: the question, and the answer of one that has ended."""
    if turn.outcome is None or not _is_one_piece(turn):
        return question_html(turn)
    parts = record_parts(turn.outcome)
    return question_html(turn) + parts.answer + parts.ending


class ConversationView:
    """The turns of the current path. On the streaming thread only, but for its making."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self._shared = Shared()
        self._views: dict[Turn, TurnView] = {}
        self._pages: list[widgets.VBox] = []
        self._earlier_pages = 0
        self._earlier = widgets.Button(description="Show earlier turns", layout=self._shared.button)
        self._empty = widgets.HTML('<div class="vig-note">Nothing asked yet.</div>', layout=self._shared.layout)
        self.box = widgets.VBox([self._empty], layout=widgets.Layout())
        self.box.add_class("vig-conversation")

    def on_earlier(self, callback: Callable[[], None]) -> None:
        """Say who is told when earlier turns are asked for."""
        self._earlier.on_click(lambda _: callback())

    def want_earlier(self) -> None:
        """Have the next `show` show as many pages more as are shown at first."""
        self._earlier_pages += SHOWN_PAGES

    def view_of(self, turn: Turn) -> TurnView:
        """The view of a turn, made when first asked for."""
        view = self._views.get(turn)
        if view is None:
            view = self._views[turn] = TurnView(turn, self._shared, self._act)
        return view

    def show(self, chat: Chat) -> list[TurnView]:
        """Bring the page up to date with the current path; sends what has changed.

        Returns:
            The views that were made for it.
        """
        self._forget(chat)
        turns = chat.turns
        known = set(self._views)
        count = -(-len(turns) // PAGE_TURNS)
        first = max(0, count - SHOWN_PAGES - self._earlier_pages)
        for number in range(first, count):
            self._fill(number, turns[number * PAGE_TURNS : (number + 1) * PAGE_TURNS], chat)
        shown = self._pages[first:count]
        before = [self._earlier] if first else []
        self.box.children = tuple([*before, *shown] if turns else [self._empty])
        return [view for turn, view in self._views.items() if turn not in known]

    def close(self) -> None:
        """Close the widgets, also those that are not shown."""
        for view in self._views.values():
            view.close()
        for widget in (*self._pages, self._earlier, self._empty, self.box):
            widget.close()

    def _fill(self, number: int, turns: Sequence[Turn], chat: Chat) -> None:
        while len(self._pages) <= number:
            self._pages.append(widgets.VBox([], layout=self._shared.layout))
        for turn in turns:
            siblings = chat.siblings(turn)
            self.view_of(turn).place(siblings.index(turn) + 1, len(siblings))
        self._pages[number].children = tuple(self._views[turn].box for turn in turns)

    def _forget(self, chat: Chat) -> None:
        """Close the views of turns that are in the tree no more."""
        roots = set(chat.roots)
        first = next(iter(self._views), None)
        if first is None or first.path[0] in roots:  # a tree is forgotten as a whole
            return
        gone = [view for turn, view in self._views.items() if turn.path[0] not in roots]
        self._views = {turn: view for turn, view in self._views.items() if turn.path[0] in roots}
        self._earlier_pages = 0
        self.box.children = (self._empty,)
        for page in self._pages:
            page.children = ()
        for view in gone:
            view.close()
