"""The view of one answer: what it shows of one that has ended, and how many parts the page must wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest

from tests.notebook.test_record import ended
from vig_notebook.answers import parse_json
from vig_notebook.notebook import json_form
from vig_notebook.notebook.answer_view import AnswerView
from vig_notebook.render import StreamRenderer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "vg-canary-0123"


def outputs(widget: widgets.Widget) -> Iterator[widgets.Output]:
    """The Output widgets below a widget, in order."""
    if isinstance(widget, widgets.Output):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from outputs(child)


def html(view: AnswerView) -> str:
    """All that a view shows."""
    shown: list[Any] = [output["data"]["text/html"] for area in outputs(view.box) for output in area.outputs]
    return "".join(shown)


@pytest.mark.parametrize("spelling", [KEY, r"vg-c\u0061nary-0123"])
def test_answer_that_was_never_painted_is_shown_without_a_key_and_read_once(
    spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def parse(text: str) -> object:
        parsed.append(text)
        return parse_json(text)

    monkeypatch.setattr(json_form, "parse_json", parse)
    view = AnswerView(form="json")
    view.show(ended(f'{{"key": "{spelling}"}}', key=KEY, reasoning=f"I know {KEY}."))
    assert "0123" not in html(view)
    assert "••••" in html(view)
    assert "lab" in html(view)  # the server, in the footer
    assert len(parsed) == 1
    view.close()


def test_parts_are_counted_as_the_page_will_find_them() -> None:
    view, renderer = AnswerView(), StreamRenderer()
    view.paint_reasoning(renderer, seconds=1, over=False)
    for _ in range(3):
        renderer.feed("A paragraph of *text*, not long.\n\n" * 100)
        view.paint_answer(renderer)
    view.end(ended("x"))
    assert view.part_count == len(list(outputs(view.box))) >= 5
    view.close()
