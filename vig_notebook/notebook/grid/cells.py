"""One place of the live grid: the answers that have come, those that are coming, and its button.

```
┌────────────────────────────┐
│ Segments of a live answer  │  only for one that is long
│ Output: live and ended     │  ended ones folded: ×3; first token, tokens/s
│ [■ Stop]  or  [↻ Retry]    │
└────────────────────────────┘
```

Widgets are made and assigned only in `sync`, which says how many messages it took: the view has a budget of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.notebook.answer_view import Segments, html_output
from vig_notebook.notebook.grid.words import answers_html, cell_facts
from vig_notebook.notebook.painter import PlainRenderer
from vig_notebook.render import StreamRenderer, escape_text
from vig_notebook.run import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.notebook.painter import Renderer
    from vig_notebook.run import Run
    from vig_notebook.tuning import Response
    from vig_notebook.wire.chat import Delta

__all__ = ["LiveAnswer", "PlaceView", "Shared"]

STATUS_S = 1.0
"""Between two status lines of a place when nothing but the time has changed."""

SEGMENTS_COST = 3
"""Messages that open a column of segments."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Layout and style that all places have in common: each widget would open two comms for its own."""

    layout: widgets.Layout = field(default_factory=widgets.Layout)
    button_layout: widgets.Layout = field(default_factory=lambda: widgets.Layout(width="auto"))
    button_style: widgets.ButtonStyle = field(default_factory=widgets.ButtonStyle)


class LiveAnswer:
    """A sink that keeps a growing answer until there is budget to paint it.

    Attributes:
        renderer: The text as segments.
        run: The run, once it is asked.
        dirty: Whether there is text that was not painted.
    """

    def __init__(self, touched: Callable[[], object], *, plain: bool) -> None:
        self.renderer: Renderer = PlainRenderer() if plain else StreamRenderer()
        self.run: Run | None = None
        self.dirty = False
        self._touched = touched

    def start(self, run: Run) -> None:
        """Take the run."""
        self.run = run
        self._touched()

    def write(self, delta: Delta) -> None:
        """Take a piece."""
        if text := delta.content or delta.refusal:
            self.renderer.feed(text)
            self.dirty = True
            self._touched()

    def finish(self, run: Run) -> None:
        """Nothing to do: the response follows."""

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
        self._button: widgets.Button | None = None
        self._shown: tuple[str, str] = ("", "")
        self._shown_at = 0.0
        self.box = widgets.VBox([self._output], layout=shared.layout, _dom_classes=("vig-place",))

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
        long = {index: answer for index, answer in live.items() if answer.renderer.frozen}
        short = [answer for answer in live.values() if not answer.renderer.frozen]
        cost = self._sync_children(long, responses, running=bool(live))
        for index, answer in long.items():
            if answer.dirty:
                answer.dirty = False
                before = len(answer.renderer.frozen)
                self._segments[index].paint(answer.renderer)
                cost += 1 + 2 * (len(answer.renderer.frozen) - before)
        answers = "".join(f'<div class="vig-one vig-answer">{answer.renderer.tail_html()}</div>' for answer in short)
        answers += answers_html(responses, base_text=base_text, plain=self._plain)
        return cost + self._sync_output(answers, live, responses, total)

    def close(self) -> None:
        """Close the widgets; those that are shared stay."""
        for segments in self._segments.values():
            segments.close()
        for widget in (self._output, self._button, self.box):
            if widget is not None:
                widget.close()

    def _sync_children(self, live: dict[int, LiveAnswer], responses: Sequence[Response], *, running: bool) -> int:
        button = self._wanted_button(responses, running=running)
        gone = self._segments.keys() - live.keys()
        new = [index for index in live if index not in self._segments]
        if not gone and not new and button == (self._button.description if self._button is not None else ""):
            return 0
        old = [self._segments.pop(index) for index in gone]
        self._segments |= {index: Segments() for index in new}
        cost = self._set_button(button)
        children = [*(self._segments[index].box for index in live), self._output]
        self.box.children = tuple(children + ([self._button] if self._button is not None else []))
        for segments in old:
            segments.close()
        return cost + 1 + SEGMENTS_COST * (len(new) + len(old))

    def _wanted_button(self, responses: Sequence[Response], *, running: bool) -> str:
        if running:
            return "Stop"
        return "Retry" if any(not one.status.whole for one in responses) else ""

    def _set_button(self, description: str) -> int:
        if self._button is not None:
            self._button.close()
            self._button = None
        if not description:
            return 1
        stops = description == "Stop"
        self._button = widgets.Button(
            description=description,
            icon="stop" if stops else "refresh",
            tooltip="Stop this place; what has come is kept" if stops else "Ask again what failed or was stopped",
            layout=self._shared.button_layout,
            style=self._shared.button_style,
            _dom_classes=("vig-stop",) if stops else ("vig-retry",),
        )
        action = self._stop if stops else self._retry
        self._button.on_click(lambda _: action())
        return 2

    def _sync_output(self, answers: str, live: dict[int, LiveAnswer], responses: Sequence[Response], total: int) -> int:
        facts = self._facts(live, responses, total)
        now = time.monotonic()
        if (answers, facts) == self._shown or (answers == self._shown[0] and live and now - self._shown_at < STATUS_S):
            return 0
        self._shown, self._shown_at = (answers, facts), now
        self._output.outputs = html_output(f'{answers}<div class="vig-note">{facts}</div>')
        return 1

    def _facts(self, live: dict[int, LiveAnswer], responses: Sequence[Response], total: int) -> str:
        words = cell_facts(responses)
        if live:
            words = [*next(iter(live.values())).facts]
            words += [f"{len(responses)} of {total} repeats done"] if total > 1 else []
        return " · ".join(escape_text(word) for word in words)
