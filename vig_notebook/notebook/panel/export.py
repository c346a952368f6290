"""A conversation taken out of the panel: as cells of `%%vigthoria`, or as Python that asks the same again."""

from __future__ import annotations

import json
import pprint
import shlex
from textwrap import indent
from typing import TYPE_CHECKING

from vig_notebook.notebook.words import sent_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.chats import Chat, Turn

__all__ = ["as_cells", "as_python"]

OPTIONS = {"temperature": "--temperature", "top_p": "--top-p", "max_tokens": "--max-tokens", "seed": "--seed"}
WIDTH = 100


def as_cells(chat: Chat, *, name: str, server: Mapping[str, str | None]) -> list[str]:
    """The current path as cells of the magic.

    Args:
        chat: The conversation.
        name: The name of the conversation that the cells make.
        server: `base_url`, `key_env` and `profile`, where they were given.
    """
    turns = [turn for turn in chat.turns if turn.outcome is not None]
    system = chat.system or ""
    alone = len(turns) == 1 and "\n" not in system
    cells = [
        _cell(turn, _line(turn, system, name, server, first=at == 0, alone=alone)) for at, turn in enumerate(turns)
    ]
    if "\n" in system:  # an option cannot hold a line end
        cells.insert(0, f"from vig_notebook.chats import named_chat\n\nnamed_chat({name!r}).system = {system!r}")
    return cells


def as_python(chat: Chat, *, server: Mapping[str, str | None]) -> str:
    """The current path as Python that asks the same questions, with the same parameters, one after another."""
    turns = [turn for turn in chat.turns if turn.outcome is not None]
    asked = [(turn.prompt, _keywords(turn, server)) for turn in turns]
    first = [{"role": "system", "content": chat.system}] if chat.system else []
    return "\n".join(
        [
            "import vig_notebook as vig",
            "",
            f"messages = {_listed(first)}",
            f"questions = {_listed(asked)}",
            "for question, parameters in questions:",
            '    messages.append({"role": "user", "content": question})',
            "    answer = vig.stream_chat(messages, **parameters)",
            '    messages.append({"role": "assistant", "content": answer})',
        ]
    )


def _listed(items: Sequence[object]) -> str:
    """A list as Python, an item a line where that is wide enough."""
    lines = [indent(pprint.pformat(item, width=WIDTH, sort_dicts=False), "    ") for item in items]
    return "\n".join(["[", *(f"{line}," for line in lines), "]"]) if lines else "[]"


def _keywords(turn: Turn, server: Mapping[str, str | None]) -> dict[str, object]:
    outcome = turn.outcome
    if outcome is None:
        return {}
    given = {name: value for name, value in server.items() if value}
    return {"model": outcome.request.model, **sent_parameters(outcome), **given}


def _cell(turn: Turn, line: str) -> str:
    return f"%%vigthoria {line}".rstrip() + f"\n{turn.prompt}"


def _line(turn: Turn, system: str, name: str, server: Mapping[str, str | None], *, first: bool, alone: bool) -> str:
    outcome = turn.outcome
    if outcome is None:
        return ""
    words = [] if alone else ["--chat", name, *(["--new"] if first else [])]
    words += ["--model", outcome.request.model] if outcome.request.model else []
    if first and system and "\n" not in system:
        words += ["--system", system]
    for member, value in sent_parameters(outcome).items():
        words += _option(member, value)
    for option, given in server.items():
        words += [f"--{option.replace('_', '-')}", given] if given else []
    if any(mark in turn.prompt for mark in ("{{", "{%", "{#")):
        words.append("--raw")  # it is what was sent: its variables are filled in already
    return shlex.join(words)


def _option(member: str, value: object) -> list[str]:
    if member in OPTIONS:
        return [OPTIONS[member], str(value)]
    if member == "stop":
        stops = value if isinstance(value, list | tuple) else [value]
        return [word for stop in stops for word in ("--stop-sequence", str(stop))]
    return ["--param", f"{member}={json.dumps(value)}"]
