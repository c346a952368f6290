"""One place of the live grid: the answers that have come, those that are coming, and its button.

```
┌────────────────────────────┐
│ Segments of a live answer  │  only for one that is long
│ Output: live and ended     │  ended ones folded: ×3
│ first token…     [■ Stop]  │  or [↻ Retry]; stays in sight
└────────────────────────────┘
```

Widgets are made and assigned only in `sync`, which says how many messages it took: the view has a budget of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ipywidgets as widgets
from ipywidgets.widgets.widget_string import HTMLStyle  # the one style that the package does not give by name

from vig_notebook.notebook.answer_view import Segments, html_output
from vig_notebook.notebook.grid.words import answers_html, cell_facts
from vig_notebook.notebook.painter import Intake, PlainRenderer
from vig_notebook.render import StreamRenderer, escape_text
from vig_notebook.run import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.run import Run
    from vig_notebook.tuning import Response
    from vig_notebook.wire.chat import Delta

__all__ = ["LiveAnswer", "PlaceView", "Shared"]

STATUS_S = 1.0
"""Between two status lines of a place that streams."""

SCROLLS = 'tabindex="0" data-lm-suppress-shortcuts="true"'
"""Where there is no button to take the focus: so that a long answer is scrolled with the keyboard, too."""

SEGMENTS_COST = 3
"""Messages that open a column of segments."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Layout and style that all places have in common: each widget would open two comms for its own."""

    layout: widgets.Layout = field(default_factory=widgets.Layout)
    button_layout: widgets.Layout = field(default_factory=lambda: widgets.Layout(width="auto"))
    button_style: widgets.ButtonStyle = field(default_factory=widgets.ButtonStyle)
    facts_style: HTMLStyle = field(default_factory=HTMLStyle)


class LiveAnswer:
    """A sink that keeps a growing answer until there is budget to paint it.

    Attributes:
        run: The run, once it is asked.
        dirty: Whether there is text that was not painted.
    """

    def __init__(self, touched: Callable[[], object], *, plain: bool) -> None:
        self._intake = Intake(PlainRenderer() if plain else StreamRenderer())
        self.run: Run | None = None
        self.dirty = False
        self._touched = touched

    def start(self, run: Run) -> None:
        """Take the run."""
        self.run = run
        self._intake.start(run)
        self._touched()

    def write(self, delta: Delta) -> None:
        """Take a piece."""
        if text := delta.content or delta.refusal:
            self._intake.feed(text)
            self.dirty = True
            self._touched()

    def finish(self, run: Run) -> None:
        """Nothing to do: the response follows."""

    def settle(self) -> Renderer:
        """The text as segments, all that can be shown by now."""
        self._intake.settle()
        return self._intake.renderer

    @property
    def facts(self) -> list[str]:
        """State, first token, tokens and speed until now."""
        run = self.run
        if run is None:
            return []
        words = [run.status or ("thinking" if run.reasoning_so_far and not run.text_so_far else "")]
        words += ["connecting"] if run.state in {RunState.QUEUED, RunState.CONNECTING} and not run.status else []
        words += [f"first token {run.first_token_s:.2f} s"] if run.first_token_s is not None else []
        words += [f"≈{run.delta_count} tokens"] if run.delta_count else []
        words += [f"{run.delta_count / run.streaming_s:.0f} tokens/s"] if run.streaming_s > 1 else []
        return [word for word in words if word]


class PlaceView:
    """The widgets of one place."""

    def __init__(self, shared: Shared, *, stop: Callable[[], object], retry: Callable[[], object], plain: bool) -> None:
        self._shared = shared
        self._stop = stop
        self._retry = retry
        self._plain = plain
        self._segments: dict[int, Segments] = {}
        self._output = widgets.Output(layout=shared.layout)
        self._facts = widgets.HTML(layout=shared.layout, style=shared.facts_style, _dom_classes=("vig-facts",))
        self._button: widgets.Button | None = None
        self._button_shown = False
        self._answers = ""
        self._facts_at = 0.0
        below = (self._output, self._facts)
        self.box = widgets.VBox(below, layout=shared.layout, _dom_classes=("vig-place", "vig-live"))

    def sync(
        self, live: dict[int, LiveAnswer], responses: Sequence[Response], *, total: int, base_text: str | None
    ) -> int:
        """Bring the widgets up to date.

        Args:
            live: Answers in flight, by the cells' index.
            responses: Those that have ended.
            total: How many there will be.
            base_text: Show ended answers as differences to this text.

        Returns:
            How many messages it took.
        """
        settled = {index: answer.settle() for index, answer in live.items()}
        long = {index: renderer for index, renderer in settled.items() if renderer.frozen}
        short = [renderer for renderer in settled.values() if not renderer.frozen]
        cost = self._sync_children(long, responses, running=bool(live))
        for index, renderer in long.items():
            if live[index].dirty:
                live[index].dirty = False
                cost += self._segments[index].paint(renderer)
        tails = [html for renderer in short if (html := renderer.tail_html())]
        answers = "".join(f'<div class="vig-one vig-answer">{html}</div>' for html in tails)
        answers += answers_html(responses, base_text=base_text, plain=self._plain)
        cost += self._sync_output(answers)
        return cost + self._sync_facts(live, responses, total)

    def close(self) -> None:
        """Close the widgets; those that are shared stay."""
        for segments in self._segments.values():
            segments.close()
        for widget in (self._output, self._facts, self._button, self.box):
            if widget is not None:
                widget.close()

    def _sync_children(self, long: Collection[int], responses: Sequence[Response], *, running: bool) -> int:
        wanted = self._wanted_button(responses, running=running)
        cost = self._set_button(wanted)
        gone = self._segments.keys() - set(long)
        new = [index for index in long if index not in self._segments]
        if not gone and not new and bool(wanted) == self._button_shown:
            return cost
        old = [self._segments.pop(index) for index in gone]
        self._segments |= {index: Segments() for index in new}
        self._button_shown = bool(wanted)
        children = [*(self._segments[index].box for index in long), self._output, self._facts]
        self.box.children = tuple(children + ([self._button] if self._button_shown else []))
        for segments in old:
            segments.close()
        return cost + 1 + SEGMENTS_COST * (len(new) + len(old))

    def _wanted_button(self, responses: Sequence[Response], *, running: bool) -> str:
        if running:
            return "Stop"
        return "Retry" if any(not one.status.whole for one in responses) else ""

    def _set_button(self, description: str) -> int:
        """Make it, or make it another: the one that has the focus keeps it."""
        if not description or (self._button is not None and self._button.description == description):
            return 0
        stops = description == "Stop"
        state = {
            "description": description,
            "icon": "stop" if stops else "refresh",
            "tooltip": "Stop this place; what has come is kept" if stops else "Ask again what failed or was stopped",
            "_dom_classes": ("vig-stop",) if stops else ("vig-retry",),
        }
        if self._button is not None:
            with self._button.hold_sync():
                for name, value in state.items():
                    setattr(self._button, name, value)
            return 1
        self._button = widgets.Button(**state, layout=self._shared.button_layout, style=self._shared.button_style)
        self._button.on_click(lambda button: (self._stop if button.description == "Stop" else self._retry)())
        return 1

    def _sync_output(self, answers: str) -> int:
        if answers == self._answers:
            return 0
        self._answers = answers
        self._output.outputs = html_output(answers)
        return 1

    def _sync_facts(self, live: dict[int, LiveAnswer], responses: Sequence[Response], total: int) -> int:
        now = time.monotonic()
        if live and now - self._facts_at < STATUS_S:
            return 0
        words = self._facts_of(live, responses, total)
        html = f'<div class="vig-note" {"" if self._button_shown else SCROLLS}>{words}</div>'
        if html == self._facts.value:
            return 0
        self._facts_at = now
        self._facts.value = html
        return 1

    def _facts_of(self, live: dict[int, LiveAnswer], responses: Sequence[Response], total: int) -> str:
        words = cell_facts(responses)
        if live:
            words = [*next(iter(live.values())).facts]
            words += [f"{len(responses)} of {total} repeats done"] if total > 1 else []
        return " · ".join(escape_text(word) for word in words)
