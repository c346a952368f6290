"""The prompt box: an anywidget where there is one, plain ipywidgets elsewhere.

Of the browser come `send`, `preview` (both with the text), `stop`, `loaded` (a page has the panel), `copied` and
`inserted` (whether it was done). To the browser go `text`, `ready`, `focus`, `copy`, `cells` and `record`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets

from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PlainPrompt", "PromptBox", "RichPrompt", "prompt_box"]


class Typist(Protocol):
    """Who is told what a person does. Called on any thread."""

    def send_typed(self, text: str) -> None:
        """Send was pressed."""

    def stop_typed(self) -> None:
        """Stop was pressed."""

    def preview_typed(self, text: str) -> None:
        """Preview was pressed."""

    def page_loaded(self) -> None:
        """A page has loaded the panel."""

    def page_did(self, what: str, *, done: bool) -> None:
        """The page has tried to copy a text ("copied") or to make cells ("inserted")."""


class PromptBox(Protocol):
    """What the panel needs of its prompt box."""

    widget: widgets.Widget

    def show_busy(self, *, busy: bool) -> None:
        """Send or Stop is on."""

    def accept(self, text: str) -> None:
        """The text was sent: empty the box, and remember the text."""

    def refuse(self) -> None:
        """The text was not sent: it stays."""

    def edit(self, text: str) -> None:
        """Put a text into the box, and the focus."""

    def focus(self) -> None:
        """Put the focus into the box."""

    def announce(self, sentence: str) -> None:
        """Say a sentence to a screen reader."""

    def copy(self, text: str) -> bool:
        """Put a text on the clipboard; False where no page can."""

    def insert_cells(self, sources: Sequence[str]) -> bool:
        """Make cells below the panel; False where no page can."""

    def keep_record(self, page: int, data: Mapping[str, str], metadata: Mapping[str, object]) -> None:
        """Write a page of the record into the notebook of a page that was loaded again."""

    def belongs_to(self, panel: widgets.Widget) -> None:
        """Say what widget the panel is."""


def prompt_box(typist: Typist) -> PromptBox:
    """The best prompt box that there is."""
    try:
        return RichPrompt(typist)
    except ImportError:
        return PlainPrompt(typist)


class RichPrompt:
    """The anywidget."""

    def __init__(self, typist: Typist) -> None:
        from vig_notebook.notebook.panel.prompt_widget import PromptWidget

        self._typist = typist
        self.widget: Any = PromptWidget()
        self.widget.on_msg(self._receive)

    def show_busy(self, *, busy: bool) -> None:
        """Send or Stop is on."""
        self.widget.busy = busy

    def accept(self, text: str) -> None:
        """The text was sent: empty the box, and remember the text."""
        self.widget.last = text
        self._set("")
        self.widget.send({"kind": "ready"})

    def refuse(self) -> None:
        """The text was not sent: it stays."""
        self.widget.send({"kind": "ready"})

    def edit(self, text: str) -> None:
        """Put a text into the box, and the focus."""
        self._set(text)
        self.focus()

    def focus(self) -> None:
        """Put the focus into the box."""
        self.widget.send({"kind": "focus"})

    def announce(self, sentence: str) -> None:
        """Say a sentence to a screen reader."""
        self.widget.announcement = sentence

    def copy(self, text: str) -> bool:
        """Put a text on the clipboard."""
        self.widget.send({"kind": "copy", "text": text})
        return True

    def insert_cells(self, sources: Sequence[str]) -> bool:
        """Make cells below the panel."""
        self.widget.send({"kind": "cells", "sources": list(sources)})
        return True

    def keep_record(self, page: int, data: Mapping[str, str], metadata: Mapping[str, object]) -> None:
        """Write a page of the record into the notebook of a page that was loaded again."""
        self.widget.send({"kind": "record", "page": page, "data": dict(data), "metadata": dict(metadata)})

    def belongs_to(self, panel: widgets.Widget) -> None:
        """Say what widget the panel is: the page finds its cell by it."""
        self.widget.panel = panel.model_id

    def _set(self, text: str) -> None:
        self.widget.value = text
        # The page may have typed on since the kernel last heard: then the trait alone would change nothing.
        self.widget.send({"kind": "text", "text": text})

    def _receive(self, _widget: widgets.Widget, content: dict[str, Any], _buffers: object) -> None:
        match content:
            case {"kind": "send", "text": str(text)}:
                self._typist.send_typed(text)
            case {"kind": "preview", "text": str(text)}:
                self._typist.preview_typed(text)
            case {"kind": "stop"}:
                self._typist.stop_typed()
            case {"kind": "loaded"}:
                self._typist.page_loaded()
            case {"kind": "copied" | "inserted" as what, "done": bool(done)}:
                self._typist.page_did(what, done=done)
            case _:
                pass  # of a page that is newer than this kernel


class PlainPrompt:
    """A text area and buttons, where anywidget is not installed. No shortcuts, no clipboard, no cells."""

    def __init__(self, typist: Typist) -> None:
        self._typist = typist
        self._text = widgets.Textarea(placeholder="Ask…", layout=widgets.Layout(width="auto"))
        self._text.description = "Prompt"
        self._send = self._button("Send", "Send the prompt", primary=True)
        self._stop = self._button("Stop", "Stop the answer; what has come is kept")
        self._preview = self._button("Preview", "Show the exact request; nothing is sent")
        self._live = widgets.HTML()
        self._send.on_click(lambda _: typist.send_typed(self._text.value))
        self._stop.on_click(lambda _: self._stopped())
        self._preview.on_click(lambda _: typist.preview_typed(self._text.value))
        buttons = widgets.HBox([self._send, self._stop, self._preview])
        self.widget: Any = widgets.VBox([self._text, buttons, self._live])
        self.widget.add_class("vig-prompt")
        self.show_busy(busy=False)

    def show_busy(self, *, busy: bool) -> None:
        """Send or Stop is on."""
        self._send.description = "Generating…" if busy else "Send"
        self._send.disabled, self._stop.disabled = busy, not busy

    def accept(self, _text: str) -> None:
        """The text was sent: empty the box."""
        self._text.value = ""
        self._text.focus()

    def refuse(self) -> None:
        """The text was not sent: it stays."""

    def edit(self, text: str) -> None:
        """Put a text into the box, and the focus."""
        self._text.value = text
        self._text.focus()

    def focus(self) -> None:
        """Put the focus into the box."""
        self._text.focus()

    def announce(self, sentence: str) -> None:
        """Say a sentence to a screen reader."""
        self._live.value = (
            f'<div class="vig-visually-hidden" role="status" aria-live="polite">{escape_text(sentence)}</div>'
        )

    def copy(self, text: str) -> bool:  # noqa: ARG002  the box's form
        """No page can."""
        return False

    def insert_cells(self, sources: Sequence[str]) -> bool:  # noqa: ARG002  the box's form
        """No page can."""
        return False

    def keep_record(self, page: int, data: Mapping[str, str], metadata: Mapping[str, object]) -> None:
        """No page can."""

    def belongs_to(self, panel: widgets.Widget) -> None:
        """Nothing depends on it."""

    def _stopped(self) -> None:
        self._typist.stop_typed()
        self._text.focus()

    def _button(self, description: str, tooltip: str, *, primary: bool = False) -> widgets.Button:
        return widgets.Button(
            description=description,
            tooltip=tooltip,
            button_style="primary" if primary else "",
            layout=widgets.Layout(width="auto"),
        )
