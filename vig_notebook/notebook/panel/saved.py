"""The record of the panel: what stays in the notebook, readable without a kernel.

It is a row of displays below the panel, five turns each. Only the last one is sent anew at the end of a turn, so
the bytes of a turn do not grow with the conversation. Where the panel is alive the style sheet hides them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Protocol

from vig_notebook.notebook.panel.words import turn_record
from vig_notebook.notebook.record import provenance
from vig_notebook.render import escape_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.chats import Chat, Turn

__all__ = ["CellOutput", "Transcript", "bundle"]

PAGE_TURNS = 5
"""JupyterLab shows 50 outputs of a cell and folds the rest: so 245 turns are seen, and few are sent anew."""


class Keeper(Protocol):
    """Where a page of the record is written besides, for a browser page that was loaded again."""

    def __call__(self, page: int, data: Mapping[str, str], metadata: Mapping[str, object]) -> None:
        """Write a page."""


class CellOutput:
    """The output of the cell that is running now: it can be added to for as long as the page knows the cell.

    `display()` puts an output into the cell that runs when it is called, from another thread perhaps into
    none; so the messages are sent as the display publisher sends them, with this cell as their parent.

    Attributes:
        cell: The id of the cell; None where the front end does not say it.
        request: The id of the message that runs it: another each time.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._publisher: Any = shell.display_pub
        kernel: Any = getattr(shell, "kernel", None)
        self._parent = kernel.get_parent("shell") if kernel is not None else {}
        self.cell: str | None = self._parent.get("metadata", {}).get("cellId")
        self.request: str | None = self._parent.get("header", {}).get("msg_id")

    def replaces(self, other: CellOutput) -> bool:
        """Whether the cell of the other has run again since, and what it had shown is gone."""
        return self.cell is not None and self.cell == other.cell and self.request != other.request

    def send(self, data: Mapping[str, str], metadata: Mapping[str, object], *, display_id: str, update: bool) -> None:
        """Add an output, or replace the one of this id."""
        session = self._publisher.session
        content = {"data": dict(data), "metadata": dict(metadata), "transient": {"display_id": display_id}}
        kind = "update_display_data" if update else "display_data"
        message = session.msg(kind, content, parent=self._parent)
        session.send(self._publisher.pub_socket, message, ident=self._publisher.topic)


class Transcript:
    """The record of one display of a panel.

    Attributes:
        output: The cell that it stands in.
    """

    def __init__(self, output: CellOutput) -> None:
        self.output = output
        self._shown: list[tuple[object, ...]] = []
        self._ids: list[str] = []

    def show(self, chat: Chat, *, keeper: Keeper | None = None) -> None:
        """Send the pages that have changed.

        Args:
            chat: The conversation.
            keeper: Where they are written besides.
        """
        turns = [turn for turn in chat.turns if turn.ended]
        count = max(1, -(-len(turns) // PAGE_TURNS))
        for page in range(max(count, len(self._shown))):
            some = turns[page * PAGE_TURNS : (page + 1) * PAGE_TURNS]
            key = tuple((id(turn), *_place(chat, turn)) for turn in some)
            is_new = page >= len(self._shown)
            if not is_new and self._shown[page] == key:
                continue
            data, metadata = bundle(chat, some, page=page)
            if is_new:
                self._shown.append(key)
                self._ids.append(uuid.uuid4().hex)
            self._shown[page] = key
            self.output.send(data, metadata, display_id=self._ids[page], update=not is_new)
            if keeper is not None:
                keeper(page, data, metadata)


def bundle(chat: Chat, turns: Sequence[Turn], *, page: int = 0) -> tuple[dict[str, str], dict[str, object]]:
    """A page of the record: its display bundle and its metadata."""
    records = [turn_record(turn, place=_place(chat, turn)) for turn in turns]
    html, plain = [one for one, _ in records], [one for _, one in records]
    if page == 0:
        head = _head(chat)
        html.insert(0, f'<div class="vig-note">{escape_text(head)}</div>')
        plain.insert(0, head)
    data = {
        "text/html": f'<div class="vig-transcript">{"".join(html)}</div>',
        "text/plain": "\n\n".join(plain),
    }
    sources = [provenance(turn.outcome) for turn in turns if turn.outcome is not None]
    return data, {"vig_notebook": {"page": page, "turns": sources}}


def _head(chat: Chat) -> str:
    name = f"Conversation {chat.name}".rstrip()
    return name if chat.turns else f"{name}: nothing asked yet"


def _place(chat: Chat, turn: Turn) -> tuple[int, int]:
    siblings = chat.siblings(turn)
    return siblings.index(turn) + 1, len(siblings)
