"""The parameters of the panel: what was typed, what is wrong with it, and the drawer that holds the fields."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from vig_notebook.errors import ConfigError
from vig_notebook.notebook.answer_view import Fold
from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FIELDS", "Drawer", "Field", "Form"]

MOST_STOPS = 4
"""How many stop sequences the API takes."""


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # also of NaN
        raise ValueError(f"must be a number from {low:g} to {high:g}")
    return int(value) if value.is_integer() and text.lstrip("+-").isdigit() else value


def _whole(text: str, low: int | None = None) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError("must be a whole number" + (f" from {low} up" if low is not None else "")) from None
    if low is not None and value < low:
        raise ValueError(f"must be a whole number from {low} up")
    return value


def _stops(text: str) -> list[str]:
    stops = [line for line in text.split("\n") if line]
    if len(stops) > MOST_STOPS:
        raise ValueError(f"may have at most {MOST_STOPS} lines")
    return stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One parameter: its name on the wire and on the page, and how its text is read."""

    name: str
    title: str
    hint: str
    read: Callable[[str], object]
    lines: int = 1


FIELDS = (
    Field(name="temperature", title="Temperature", hint="0 to 2", read=lambda text: _number(text, 0, 2)),
    Field(name="top_p", title="Top-p", hint="0 to 1", read=lambda text: _number(text, 0, 1)),
    Field(name="max_tokens", title="Max tokens", hint="the longest answer", read=lambda text: _whole(text, 1)),
    Field(name="seed", title="Seed", hint="asks for the same answer again", read=_whole),
    Field(name="stop", title="Stop sequences", hint="one a line", read=_stops, lines=2),
)


@dataclass(slots=True)
class Form:
    """What was typed. An empty text is not sent: the server's own default holds.

    Attributes:
        model: The model's name; empty for the server's default.
        texts: The parameters by name.
    """

    model: str = ""
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *, model: str | None, parameters: Mapping[str, object]) -> Form:
        """The form for values given from Python."""
        texts = {name: _text(value) for name, value in parameters.items() if value is not None}
        return cls(model or "", texts)

    def problem(self, one: Field) -> str:
        """What is wrong with a field, as a sentence; empty when nothing is."""
        try:
            self.value(one)
        except ValueError as error:
            return f"{one.title} {error}."
        return ""

    def value(self, one: Field) -> object:
        """The value that is sent; None for one that is not.

        Raises:
            ValueError: The text cannot be read.
        """
        text = self.texts.get(one.name, "")
        return one.read(text if one.lines > 1 else text.strip()) if text.strip() else None

    def parameters(self) -> dict[str, object]:
        """The parameters that are sent.

        Raises:
            ConfigError: A field is wrong.
        """
        problems = [problem for one in FIELDS if (problem := self.problem(one))]
        if problems:
            raise ConfigError(problems[0], advice="Correct it in Parameters; nothing was sent.")
        return {one.name: value for one in FIELDS if (value := self.value(one)) is not None}


def _text(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


class Drawer:
    """The fields, folded away; a wrong one says what is wrong beneath it."""

    def __init__(
        self, form: Form, *, system: str, on_system: Callable[[str], None], on_right: Callable[[], None]
    ) -> None:
        self._form = form
        self._on_right = on_right
        self._problems = {one.name: widgets.HTML() for one in FIELDS}
        self._system = widgets.Textarea(value=system, description="System prompt", continuous_update=False, rows=2)
        self._system.layout.width = "auto"
        self._system.add_class("vig-field")
        self._system.observe(lambda change: on_system(change["new"]), "value")
        fields = [self._field(one) for one in FIELDS]
        inner = widgets.VBox([self._system, *fields])
        inner.add_class("vig-fields")
        self.fold = Fold("Parameters", inner)
        self.fold.button.tooltip = "Open or close the parameters"
        self.widget = self.fold.box

    def show_problems(self) -> None:
        """Say what is wrong with each field, and open the drawer when something is."""
        for one in FIELDS:
            self._show_problem(one)
        if self._has_problem:
            self.fold.button.value = True

    def show_system(self, text: str) -> None:
        """Bring the system prompt up to date with the chat's."""
        if self._system.value != text:
            self._system.value = text

    @property
    def _has_problem(self) -> bool:
        return any(self._form.problem(one) for one in FIELDS)

    def _field(self, one: Field) -> widgets.VBox:
        make = widgets.Text if one.lines == 1 else widgets.Textarea
        typed = make(
            value=self._form.texts.get(one.name, ""),
            description=one.title,
            placeholder=one.hint,
            continuous_update=False,
            layout=widgets.Layout(width="auto"),
        )
        typed.add_class("vig-field")
        typed.observe(lambda change: self._take(one, change), "value")
        return widgets.VBox([typed, self._problems[one.name]])

    def _take(self, one: Field, change: dict[str, Any]) -> None:
        self._form.texts[one.name] = change["new"]
        self._show_problem(one)
        if not self._has_problem:
            self._on_right()

    def _show_problem(self, one: Field) -> None:
        problem = self._form.problem(one)
        html = f'<div class="vig-problem">{escape_text(problem)}</div>' if problem else ""
        if self._problems[one.name].value != html:
            self._problems[one.name].value = html
