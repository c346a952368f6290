"""`%vigthoria set`: the defaults of the cells that follow."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from traitlets import TraitError

from vig_notebook.notebook.options import nearest, number, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.notebook.commands import Defaults

__all__ = ["held", "run_set"]

_NUMBERS: Final[dict[str, Callable[[str], object]]] = {
    "temperature": number,
    "max_tokens": whole,
    "top_p": number,
    "seed": whole,
}

_LONGEST_VALUE: Final = 60
"""Characters of a value that are said again: a system prompt may be a page."""


def run_set(magic: Defaults, words: list[str], say: Callable[[str], None]) -> None:
    """Set each NAME=VALUE, where no value is the default again, and say what holds now.

    Raises:
        UsageError: A name is not known, or a value is not of its kind; then nothing is set.
    """
    wanted = dict(_parsed(magic, word) for word in words)
    before = {name: getattr(magic, name) for name in wanted}
    for name, value in wanted.items():
        try:
            magic.set_trait(name, value)
        except TraitError:
            for known, old in before.items():
                magic.set_trait(known, old)
            kinds = getattr(magic.traits()[name], "values", None)
            hint = f"it is one of {', '.join(kinds)}" if kinds else "it is of another kind"
            raise UsageError(f"{name} cannot be {value!r}: {hint}") from None
    now = ", ".join(held(magic)) or "nothing of your own; the server's defaults hold"
    say(f"the cells that follow have {now}")


def held(magic: Defaults) -> list[str]:
    """The settings that differ from the defaults, as NAME=VALUE."""
    values = ((name, getattr(magic, name)) for name in sorted(magic.trait_names(config=True)))
    return [f"{name}={_short(value)}" for name, value in values if value != _default(magic, name)]


def _parsed(magic: Defaults, word: str) -> tuple[str, object]:
    name, equals, text = word.partition("=")
    name = name.lstrip("-").replace("-", "_")
    names = sorted(magic.trait_names(config=True))
    if not equals or name not in names:
        near = name if name in names else nearest(name, names)
        hint = f"did you mean {near}=…?" if near else f"the settings are {', '.join(names)}"
        raise UsageError(f"set wants NAME=VALUE, not {word!r}; {hint}")
    if not text or text == "None":
        return name, _default(magic, name)
    try:
        return name, _NUMBERS.get(name, str)(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{name} cannot be {text!r}: {error}") from None


def _default(magic: Defaults, name: str) -> Any:
    return magic.traits()[name].default_value


def _short(value: object) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
