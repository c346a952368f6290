"""The versions of a prompt as the log has them, for a process that did not write them.

Every call of an experiment carries its version as labels: number, template, system template, parent, and the options
of the cell it came from. A version that was never asked, and one that was forgotten, is not there; where prompts are
not logged, none is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vig_notebook.tuning.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vig_notebook.tuning.log import AnswerLog

__all__ = ["Version", "labels_of", "logged_versions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version in the log.

    Attributes:
        prompt: The prompt, with its parent where the log has that too.
        line: The options of the cell that asked it; empty where it came from no cell.
    """

    prompt: Prompt
    line: str = ""


def labels_of(prompt: Prompt) -> dict[str, str]:
    """What a call carries of its prompt."""
    labels = {"prompt": prompt.label, "prompt_digest": prompt.digest, "template": prompt.text}
    if prompt.system is not None:
        labels["system_template"] = prompt.system
    if prompt.parent is not None:
        labels["parent"] = prompt.parent.label
    if prompt.raw:
        labels["raw"] = "yes"
    return labels


def logged_versions(log: AnswerLog, name: str) -> list[Version]:
    """The versions of a prompt, the one that was asked last at the end. Waits for the log."""
    newest: dict[int, Mapping[str, str]] = {}
    for labels in log.labels("experiment", name):
        number = _number(labels.get("prompt", ""), name)
        if number and "template" in labels:
            newest.pop(number, None)
            newest[number] = labels
    built: dict[int, Prompt] = {}
    for number, labels in sorted(newest.items()):
        parent = built.get(_number(labels.get("parent", ""), name))
        built[number] = _prompt(name, number, labels, parent)
    return [Version(prompt=built[number], line=labels.get("line", "")) for number, labels in newest.items()]


def _number(label: str, name: str) -> int:
    """The number in `short@v2`; 0 for what is no version of this name."""
    number = label.removeprefix(f"{name}@v")
    return int(number) if number != label and number.isdecimal() else 0


def _prompt(name: str, number: int, labels: Mapping[str, str], parent: Prompt | None) -> Prompt:
    return Prompt(
        name=name,
        text=labels["template"],
        system=labels.get("system_template"),
        version=number,
        parent=parent,
        raw="raw" in labels,
    )
