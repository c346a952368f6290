"""Tab completion of options, of what they take, and of commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from vig_notebook.chats import named_chats
from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.commands import COMMANDS, known_models
from vig_notebook.notebook.history_commands import STATES, shown_runs
from vig_notebook.notebook.options import option_names
from vig_notebook.settings import read_profiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.notebook.commands import Defaults

__all__ = ["Completion"]

_FORMATS: Final = ["markdown", "text", "code", "json"]
_LOCAL: Final = ["stop", "status", "install", "remove", "--gguf", "--context-size"]


def _chats(_magic: Defaults) -> list[str]:
    return [chat.name for chat in named_chats()]


def _profiles(_magic: Defaults) -> list[str]:
    try:
        return list(read_profiles().by_name)
    except VigthoriaError:
        return []  # completion is no place to complain


def _settings(magic: Defaults) -> list[str]:
    return [f"{name}=" for name in sorted(magic.trait_names(config=True))]


_AFTER: Final[dict[str, Callable[[Defaults], list[str]]]] = {
    r"(--model|-m|\bset .*\bmodel)[ =]+$": known_models,
    r"(--chat|--fork|\breset)[ =]+$": _chats,
    r"(--format|\bset .*\bformat)[ =]+$": lambda _magic: _FORMATS,
    r"(--profile|%vigthoria\s+profile|\bset .*\bprofile)[ =]+$": _profiles,
    r"--state[ =]+$": lambda _magic: list(STATES),
    r"%vigthoria\s+(show|rerun|forget)\s+$": lambda _magic: shown_runs(),
    r"%vigthoria\s+replay\s+$": lambda _magic: ["off", "on", "only"],
    r"%vigthoria\s+local\s+$": lambda _magic: _LOCAL,
    r"%vigthoria\s+set\s+(\S+\s+)*$": _settings,
    r"%%vigthoria\b": lambda _magic: option_names(),
    r"^\s*%?vigthoria\s+$": lambda _magic: sorted(COMMANDS),
}
"""What stands before the cursor, and what may follow; the first that fits."""


class Completion:
    """What IPython asks for completions of a line that starts with the magic."""

    def __init__(self, magic: Defaults) -> None:
        self._magic = magic

    def __call__(self, _shell: object, event: Any) -> list[str]:
        """The words that may stand at the cursor."""
        line, word = str(event.line), str(event.symbol)
        before = line[: len(line) - len(word)] if line.endswith(word) else line
        return next((words(self._magic) for pattern, words in _AFTER.items() if re.search(pattern, before)), [])
