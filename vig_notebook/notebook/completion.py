"""Tab completion of options, models, chats and commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vig_notebook.chats import named_chats
from vig_notebook.notebook.commands import COMMANDS, known_models
from vig_notebook.notebook.history_commands import STATES, shown_runs
from vig_notebook.notebook.options import option_names

if TYPE_CHECKING:
    from vig_notebook.notebook.commands import Defaults

__all__ = ["Completion"]


class Completion:
    """What IPython asks for completions of a line that starts with the magic."""

    def __init__(self, magic: Defaults) -> None:
        self._magic = magic

    def __call__(self, _shell: object, event: Any) -> list[str]:
        """The words that may stand at the cursor."""
        line, word = str(event.line), str(event.symbol)
        before = line[: len(line) - len(word)] if line.endswith(word) else line
        if re.search(r"(--model|-m)[ =]+$", before):
            return known_models(self._magic)
        if re.search(r"(--chat|--fork|\breset)[ =]+$", before):
            return [chat.name for chat in named_chats()]
        if re.search(r"--format[ =]+$", before):
            return ["markdown", "text", "code", "json"]
        if re.search(r"--state[ =]+$", before):
            return list(STATES)
        if re.search(r"%vigthoria\s+(show|rerun|forget)\s+$", before):
            return shown_runs()
        if re.search(r"%vigthoria\s+replay\s+$", before):
            return ["off", "on", "only"]
        if not line.lstrip().startswith("%%"):
            return sorted(COMMANDS)
        return option_names()
