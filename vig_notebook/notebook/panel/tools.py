"""The tools below the prompt: take the exchange out, and clear it, which asks once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import ipywidgets as widgets

from vig_notebook.engine import engine

if TYPE_CHECKING:
    import asyncio

__all__ = ["Tools"]

CLEAR_S = 5.0
"""How long Clear waits for its second press."""


class Bench(Protocol):
    """Who does it. Called on any thread."""

    @property
    def turn_count(self) -> int:
        """How many turns there are to forget."""

    def take_out(self, *, as_code: bool) -> None:
        """Put the whole exchange into new cells."""

    def clear(self) -> None:
        """Forget every turn."""

    def ask_once_more(self, sentence: str) -> None:
        """Say what a second press does."""


class Tools:
    """Buttons."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._armed: asyncio.TimerHandle | None = None
        cells = self._button("Take out as cells", "Put the exchange into new %%vigthoria cells below")
        python = self._button("Take out as Python", "Put Python that asks the same into a new cell below")
        self._clear = self._button("Clear", "Forget the conversation; asks once")
        cells.on_click(lambda _: bench.take_out(as_code=False))
        python.on_click(lambda _: bench.take_out(as_code=True))
        self._clear.on_click(lambda _: self._pressed())
        self.widget = widgets.HBox([cells, python, self._clear])
        self.widget.add_class("vig-tools")

    def _pressed(self) -> None:
        if self._clear.button_style == "danger":
            self._disarm()
            self._bench.clear()
        elif self._bench.turn_count:
            self._arm(self._bench.turn_count)

    def _arm(self, count: int) -> None:
        turns = "1 turn" if count == 1 else f"{count} turns"
        self._clear.button_style, self._clear.description = "danger", f"Really forget {turns}?"
        self._bench.ask_once_more(f"Press again to forget {turns}.")
        engine().loop.call_soon_threadsafe(self._disarm_later)

    def _disarm_later(self) -> None:
        self._armed = engine().loop.call_later(CLEAR_S, self._disarm)

    def _disarm(self) -> None:
        self._clear.button_style, self._clear.description = "", "Clear"

    def _button(self, description: str, tooltip: str) -> widgets.Button:
        return widgets.Button(description=description, tooltip=tooltip, layout=widgets.Layout(width="auto"))
