"""A person chooses between two answers, blind: by keys where anywidget is installed, by buttons everywhere.

```
┌──────────────────────────────────────────────────────────────┐
│ 7 of 20                                                      │
│ the example's text                                           │
│ 1                            │ 2                             │
│ Output: one answer           │ Output: the other             │
│ [1 better] [2 better] [0 Tie] [s Skip] [u Undo] [←] [→] [End]│
│ Keys: 1 or 2 the better one · 0 tie · …                      │
└──────────────────────────────────────────────────────────────┘
```

Which answer is whose is shown after the end only, with the result; the record keeps the result and the votes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from IPython.display import display, update_display

from vig_notebook.notebook.answer_view import html_output
from vig_notebook.notebook.keys import masked
from vig_notebook.render import STYLE, escape_text, render_html, visible
from vig_notebook.settings import mask

if TYPE_CHECKING:
    from vig_notebook.tuning import Rating, Response
    from vig_notebook.tuning.rating import Pair

__all__ = ["RatingView", "rating_record"]

BUTTONS = (
    ("1", "1 better", "The left answer is better (key 1)"),
    ("2", "2 better", "The right answer is better (key 2)"),
    ("0", "0 Tie", "Neither is better (key 0)"),
    ("s", "s Skip", "Leave this pair (key s)"),
    ("u", "u Undo", "Take the last vote back (key u)"),
    ("ArrowLeft", "←", "The pair before, without a vote"),
    ("ArrowRight", "→", "The next pair, without a vote"),
)
MOVES = {"ArrowLeft": -1, "ArrowRight": 1}


class RatingView:
    """Shows the pairs of a rating one by one, and the result at the end."""

    def __init__(self, rating: Rating, *, blind: bool = True) -> None:
        self._rating = rating
        self._blind = blind
        self._ended = False
        self._display_id: str | None = None
        self._progress = widgets.HTML()
        self._example = widgets.Output()
        self._sides = (widgets.Output(), widgets.Output())
        for side in self._sides:
            side.add_class("vig-place")
        pair = widgets.HBox(list(self._sides))
        pair.add_class("vig-gridrow")
        buttons = widgets.HBox([self._button(*one) for one in BUTTONS] + [self._end_button()])
        buttons.layout.flex_flow = "row wrap"
        style = widgets.HTML(f"<style>{STYLE}</style>", layout=widgets.Layout(display="none"))
        keys = [self._keys()] if self._has_keys() else []
        self.box = widgets.VBox([style, self._progress, self._example, pair, buttons, *keys])
        for name in ("vig-view", "vig-grid", "vig-rating"):
            self.box.add_class(name)
        self._show()

    def display(self) -> None:
        """Show the view as this cell's output."""
        handle = display(self.box, display_id=True)
        self._display_id = handle.display_id if handle is not None else None

    def press(self, key: str) -> None:
        """Take a key, or the button of that key."""
        if self._ended:
            return
        if key in MOVES:
            self._rating.move(MOVES[key])
        else:
            self._rating.press(key)
        if self._rating.voted == len(self._rating.pairs):
            self.end()
        else:
            self._show()

    def end(self) -> None:
        """Put the result in place of the view."""
        if self._ended:
            return
        self._ended = True
        bundle = rating_record(self._rating)
        self.box.children = (widgets.Output(outputs=html_output(bundle["text/html"])),)
        if self._display_id is not None:
            update_display(bundle, raw=True, display_id=self._display_id)

    def _show(self) -> None:
        rating, pair = self._rating, self._rating.current
        words = f"pair {min(rating.position + 1, len(rating.pairs))} of {len(rating.pairs)} · {rating.voted} voted"
        words += f" · your vote here: {vote}" if pair is not None and (vote := self._vote_on(pair)) else ""
        self._progress.value = f'<div class="vig-status" role="status" aria-live="polite">{words}</div>'
        if pair is None:
            words = '<div class="vig-note">That was the last pair. End shows the result; ← goes back.</div>'
            self._example.outputs = html_output(words)
            for side in self._sides:
                side.outputs = ()
            return
        self._example.outputs = html_output(_example_html(pair))
        for name, side, response in zip("12", self._sides, (pair.left, pair.right), strict=True):
            side.outputs = html_output(self._side_html(name, response))

    def _vote_on(self, pair: Pair) -> str:
        winner = self._rating.winner(pair)
        if winner is None:
            return ""
        return f"{1 if winner is pair.left else 2} is better" if winner else "a tie"

    def _side_html(self, name: str, response: Response) -> str:
        label = "" if self._blind else f" · {response.cell.variant.label}"
        head = f'<div class="vig-mark"><strong>{name}</strong>{escape_text(label)}</div>'
        return f'{head}<div class="vig-answer">{render_html(masked(response.output, response))}</div>'

    def _button(self, key: str, label: str, tooltip: str) -> widgets.Button:
        button = widgets.Button(description=label, tooltip=tooltip, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.press(key))
        return button

    def _end_button(self) -> widgets.Button:
        button = widgets.Button(
            description="End", icon="check", tooltip="Show the result so far", layout=widgets.Layout(width="auto")
        )
        button.on_click(lambda _: self.end())
        return button

    @staticmethod
    def _has_keys() -> bool:
        try:
            import anywidget  # noqa: F401  asked for, not used
        except ImportError:
            return False
        return True

    def _keys(self) -> Any:
        from vig_notebook.notebook.grid.keys import Keys

        keys = Keys()
        keys.on_msg(self._receive)
        return keys

    def _receive(self, _widget: object, content: dict[str, object], _buffers: object) -> None:
        if content.get("kind") == "key":
            self.press(str(content.get("key")))


def rating_record(rating: Rating) -> dict[str, str]:
    """The result and the votes: closed HTML and plain text."""
    result = str(rating.result())
    votes = [vote for pair in rating.pairs if (vote := _vote(rating, pair))]
    rows = "".join(
        f"<tr><td>{escape_text(example)}</td><td>{escape_text(winner)}</td></tr>" for example, winner in votes
    )
    table = f"<table><thead><tr><th>example</th><th>better</th></tr></thead><tbody>{rows}</tbody></table>"
    html = f'<div class="vig-strip">{escape_text(result)}</div><div class="vig-table">{table if votes else ""}</div>'
    plain = "\n".join([result, *(f"{visible(example)}: {visible(winner)}" for example, winner in votes)])
    return {"text/html": f'<div class="vig-grid">{html}</div>', "text/plain": plain}


def _vote(rating: Rating, pair: Pair) -> tuple[str, str] | None:
    """The example and whose answer was better; None without a vote."""
    winner = rating.winner(pair)
    if winner is None:
        return None
    return pair.example.id, winner.cell.variant.label if winner else "tie"


def _example_html(pair: Pair) -> str:
    texts = [str(value) for name, value in pair.example.variables.items() if name not in {"id", "example_id", "label"}]
    return f"<pre>{escape_text(mask(' · '.join(texts)))}</pre>" if texts else ""
