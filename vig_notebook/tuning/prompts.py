"""Prompts: immutable versions of a template, each knowing the version it was made from.

```
short@v1 ──> short@v2 ──> short@v3
        └──> short@v4                 a version may have any earlier one as its parent
```
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.templates import render_template, template_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


__all__ = ["Prompt", "PromptBook", "as_prompts", "changes", "diff", "word_changes"]


COMMON = 0.5
"""The share of two texts that they must have in common to be shown as one, word by word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of a prompt. Never changed: `revise` makes the next version.

    Attributes:
        name: What its versions have in common.
        text: The template of the user's message; `{{ name }}` is looked up in the example.
        system: The template of the system message, or None.
        version: Counted from 1.
        parent: The version it was made from, or None.
        raw: The text is sent as it is: nothing in it is a template.
    """

    name: str
    text: str
    system: str | None = None
    version: int = 1
    parent: Prompt | None = None
    raw: bool = False

    @property
    def label(self) -> str:
        """Name and version, such as `short@v2`."""
        return f"{self.name}@v{self.version}"

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the content, and only with it."""
        content = json.dumps([self.text, self.system, self.raw])
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def lineage(self) -> list[Prompt]:
        """The versions this one came from, oldest first, itself last."""
        line: list[Prompt] = []
        prompt: Prompt | None = self
        while prompt is not None:
            line.append(prompt)
            prompt = prompt.parent
        return line[::-1]

    def revise(self, text: str, *, system: str | None = None, raw: bool | None = None, version: int = 0) -> Prompt:
        """Make the next version; the same content gives this one back.

        Args:
            text: The new template.
            system: The new system message; None takes it away.
            raw: Whether the text is no template; None keeps what it was.
            version: Its number, where versions between were made from another parent; 0 counts on.
        """
        child = replace(
            self,
            text=text,
            system=system,
            raw=self.raw if raw is None else raw,
            version=version or self.version + 1,
            parent=self,
        )
        return self if child.digest == self.digest else child

    @property
    def variables(self) -> frozenset[str]:
        """The names that the templates look up."""
        if self.raw:
            return frozenset()
        return template_names(self.text) | template_names(self.system or "")

    def messages(self, variables: Mapping[str, object]) -> list[dict[str, str]]:
        """Render the templates for one example. The text of a variable is never rendered again.

        Raises:
            ConfigError: A name in a template is not among the variables, or the template is broken.
        """

        def lookup(name: str) -> object:
            return variables[name]

        def filled(template: str) -> str:
            return template if self.raw else render_template(template, lookup, known=variables)

        system = [{"role": "system", "content": filled(self.system)}] if self.system else []
        return [*system, {"role": "user", "content": filled(self.text)}]

    def diff(self, other: Prompt | None = None) -> str:
        """The unified diff from another version to this one.

        Args:
            other: The version to compare with; None takes the parent.

        Returns:
            The diff; empty when nothing differs or there is no parent.
        """
        before = self.parent if other is None else other
        return "" if before is None else diff(before, self)


def _lines(prompt: Prompt) -> list[str]:
    if prompt.system is None:
        return prompt.text.splitlines()
    return ["[system]", *prompt.system.splitlines(), "[user]", *prompt.text.splitlines()]


def diff(before: Prompt, after: Prompt) -> str:
    """The unified diff between two prompts, one string with line ends between."""
    lines = difflib.unified_diff(_lines(before), _lines(after), before.label, after.label, lineterm="")
    return "\n".join(lines)


def word_changes(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The differences between two texts word by word, for showing one against the other.

    Yields:
        `("=", text)` for what both have, `("-", text)` for what only `before` has, `("+", text)` for what
        only `after` has, in reading order. The texts of "=" and "+" joined are `after`.
    """
    old, new = re.findall(r"\s+|\w+|\W", before), re.findall(r"\s+|\w+|\W", after)
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield "=", "".join(new[k:m])
            continue
        if j > i:
            yield "-", "".join(old[i:j])
        if m > k:
            yield "+", "".join(new[k:m])


def changes(before: str, after: str) -> list[tuple[str, str]]:
    """The differences between two texts as a person can read them.

    Returns:
        As `word_changes`; where less than half is common, the words of two texts would stand mixed, and so it is line
        by line: what went above what came, each with a line break at its end.
    """
    by_word = list(word_changes(before, after))
    common = 2 * sum(_weight(text) for kind, text in by_word if kind == "=")
    if not before or not after or common >= COMMON * (_weight(before) + _weight(after)):
        return by_word
    old, new = before.splitlines(), after.splitlines()
    found: list[tuple[str, str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        lines = [("=", new[k:m])] if tag == "equal" else [("-", old[i:j]), ("+", new[k:m])]
        found += [(kind, "".join(f"{line}\n" for line in some)) for kind, some in lines if some]
    return found


def _weight(text: str) -> int:
    """How much is to be read in a text."""
    return len(text) - sum(map(str.isspace, text))


def as_prompts(prompts: str | Prompt | Iterable[str | Prompt] | Mapping[str, str]) -> list[Prompt]:
    """Take prompts as a text, a Prompt, a list of either, or a dict of name to text.

    Raises:
        ConfigError: There is none, or two different ones have the same name and version.
    """
    if isinstance(prompts, str | Prompt):
        prompts = [prompts]
    named: Mapping[str, str | Prompt]
    named = prompts if isinstance(prompts, Mapping) else {f"p{i}": p for i, p in enumerate(prompts, start=1)}
    found = [p if isinstance(p, Prompt) else Prompt(name=name, text=p) for name, p in named.items()]
    if not found:
        raise ConfigError("There is no prompt", seen="the list is empty", advice="Give at least one")
    by_label: dict[str, Prompt] = {}
    for prompt in found:
        if by_label.setdefault(prompt.label, prompt) is not prompt:
            raise ConfigError(
                f"Two prompts are called {prompt.label}",
                seen="their name and version are the same",
                advice="Give them different names, or make one with prompt.revise(text)",
            )
    return found


class PromptBook:
    """The versions of prompts by name, as a notebook writes them: running an edited cell adds a version."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Prompt]] = {}
        self._current: dict[str, Prompt] = {}

    def write(self, name: str, text: str, *, system: str | None = None, raw: bool = False) -> Prompt:
        """Take what a cell holds: a version that is there already, or the next one, made from the current.

        Returns:
            The version, which is the current one from now on.
        """
        versions = self._versions.setdefault(name, [])
        new = Prompt(
            name=name,
            text=text,
            system=system,
            raw=raw,
            version=1 + max((old.version for old in versions), default=0),
            parent=self._current.get(name),
        )
        found = next((old for old in versions if old.digest == new.digest), None)
        if found is None:
            versions.append(new)
        self._current[name] = found or new
        return self._current[name]

    def restore(self, prompts: Iterable[Prompt]) -> list[Prompt]:
        """Take over versions from the log; those that are here stay as they are.

        Args:
            prompts: Versions of one name; the last becomes the current one where there is none.

        Returns:
            Those that were not here.
        """
        new = []
        for prompt in prompts:
            versions = self._versions.setdefault(prompt.name, [])
            if all(old.version != prompt.version for old in versions):
                new.append(prompt)
                versions.append(prompt)
                versions.sort(key=lambda one: one.version)
        for prompt in new[-1:]:
            self._current.setdefault(prompt.name, prompt)
        return new

    @property
    def names(self) -> list[str]:
        """The names of all prompts."""
        return list(self._versions)

    def current(self, name: str) -> Prompt:
        """The version that the next one is made from: the one that was written or used last.

        Raises:
            ConfigError: There is no prompt of this name.
        """
        return self._current.get(name) or self.history(name)[-1]

    def use(self, label: str) -> Prompt:
        """Make an earlier version current, so that the next one is made from it.

        Args:
            label: `short@v2`; `short` alone is its newest version.

        Raises:
            ConfigError: There is no such version.
        """
        name, _, version = label.partition("@v")
        versions = self.history(name)
        found = [one for one in versions if not version or str(one.version) == version]
        if not found:
            raise ConfigError(
                f"There is no prompt {label}",
                seen=f"{name} has {', '.join(one.label for one in versions)}",
                advice=f"See %vigthoria versions {name}",
            )
        self._current[name] = found[-1]
        return found[-1]

    def history(self, name: str) -> list[Prompt]:
        """The versions of a prompt, oldest first.

        Raises:
            ConfigError: There is no prompt of this name.
        """
        if name not in self._versions:
            known = ", ".join(self._versions) or "none yet"
            raise ConfigError(f"There is no prompt {name!r}", seen=f"there are: {known}", advice="Check the name")
        return list(self._versions[name])
