"""From promptfoo's YAML: the subset that both know, and a sentence for everything that is not taken.

An assertion belongs to a test there, a scorer to the experiment here. `{{ label }}` as the expected value becomes
`exact:label`; a value of a test's own goes into a column `expected_<type>` of its example, and the scorer looks
there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.checks import Expected, Json, Regex, Text
from vig_notebook.tuning.dataset import Dataset
from vig_notebook.tuning.extras import need
from vig_notebook.tuning.judge import Judge
from vig_notebook.tuning.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vig_notebook.tuning.scorers import Scorer

__all__ = ["Imported", "from_promptfoo"]

TEXTS = {"equals": "exact", "contains": "contains", "icontains": "icontains"}
TAKEN = frozenset({"description", "prompts", "providers", "targets", "tests", "defaultTest", "evaluateOptions"})
TAKEN_OF_TEST = frozenset({"description", "vars", "assert", "metadata"})


@dataclass(slots=True, kw_only=True)
class Imported:
    """What was taken from a promptfoo configuration.

    Attributes:
        prompts: The prompts.
        models: Model names; empty when none could be taken.
        params: One dict for each different set of parameters.
        examples: The tests' variables, expected values among them.
        scorers: Scorers made from assertions, by what they check.
        repeats: Repeats, or None.
        notes: A sentence for everything that was not taken.
    """

    prompts: list[Prompt] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    params: list[dict[str, object]] = field(default_factory=list)
    examples: list[dict[str, object]] = field(default_factory=list)
    scorers: dict[str, Scorer] = field(default_factory=dict)
    repeats: int | None = None
    notes: list[str] = field(default_factory=list)

    def options(self) -> dict[str, Any]:
        """What `Experiment` takes: `Experiment(**imported.options())`."""
        return {
            "prompts": self.prompts,
            "models": self.models or None,
            "params": self.params or None,
            "data": self.examples or None,
            "repeats": self.repeats,
            "scorers": list(self.scorers.values()),
        }

    def note(self, sentence: str) -> None:
        """Note what is not taken, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


def from_promptfoo(path: str | Path) -> Imported:
    """Read a promptfoo configuration.

    Files that it names are read from its own folder: prompts as text, tests as a dataset. Nothing in it is run.

    Raises:
        ConfigError: It cannot be read, is no configuration, or has no prompt that can be taken.
    """
    source = Path(path).expanduser()
    yaml = need("yaml", for_what="promptfoo files")
    try:
        found = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{source.name} cannot be read", seen=str(error)[:200], advice="Check the file") from error
    if not isinstance(found, Mapping) or "prompts" not in found:
        raise ConfigError(f"{source.name} is no promptfoo configuration", seen="it has no prompts", advice="Check it")
    taken = Imported()
    for name in found:
        if name not in TAKEN:
            taken.note(f"`{name}` is not taken.")
    _take_prompts(found["prompts"], source.parent, taken)
    _take_providers(found.get("providers", found.get("targets", [])), taken)
    options = found.get("evaluateOptions")
    taken.repeats = options.get("repeat") if isinstance(options, Mapping) else None
    _take_tests(found.get("tests", []), found.get("defaultTest", {}), source.parent, taken)
    if not taken.prompts:
        raise ConfigError(f"{source.name} has no prompt to take", seen=" ".join(taken.notes), advice="Write one in it")
    return taken


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _file(text: object, folder: Path) -> Path | None:
    """The file that `file://name` names, never one outside of the configuration's folder."""
    if not isinstance(text, str) or not text.startswith("file://"):
        return None
    target = (folder / text.removeprefix("file://")).resolve()
    return target if target.is_relative_to(folder.resolve()) else Path()


def _take_prompts(prompts: object, folder: Path, taken: Imported) -> None:
    items: list[tuple[object, object]]
    if isinstance(prompts, Mapping):
        items = [(label, f"file://{path}") for path, label in prompts.items()]
    else:
        items = [(None, prompt) for prompt in _listed(prompts)]
    for number, (label, prompt) in enumerate(items, start=1):
        own = prompt if isinstance(prompt, Mapping) else {"raw": prompt, "label": label}
        name = str(own.get("label") or own.get("id") or f"p{number}")
        text = _prompt_text(own.get("raw", own.get("id")), folder)
        if text is None:
            taken.note(f"The prompt {name} is not taken: it is no text.")
        else:
            taken.prompts.append(_prompt(name, text))


def _prompt_text(raw: object, folder: Path) -> str | None:
    path = _file(raw, folder)
    if path is None:
        return raw if isinstance(raw, str) else None
    if path.suffix not in {".txt", ".md", ".json", ".j2"} or not path.is_file():
        return None
    return path.read_text(encoding="utf-8")


def _prompt(name: str, text: str) -> Prompt:
    """A prompt from a text, or from a list of a system and a user message in JSON."""
    version = re.fullmatch(r"(.+)@v(\d+)", name)
    name, number = (version[1], int(version[2])) if version else (name, 1)
    try:
        messages = json.loads(text)
    except ValueError:
        messages = None
    if isinstance(messages, list) and [_role(one) for one in messages] == ["system", "user"]:
        system, user = (_verbatim(str(one["content"])) for one in messages)
        return Prompt(name=name, text=user[0], system=system[0], raw=user[1] and system[1], version=number)
    user_text, raw = _verbatim(text)
    return Prompt(name=name, text=user_text, raw=raw, version=number)


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, Mapping) and "content" in message else None


def _verbatim(text: str) -> tuple[str, bool]:
    """The text, and whether all of it is between `{% raw %}` and `{% endraw %}`."""
    found = re.fullmatch(r"\{% raw %\}(.*)\{% endraw %\}", text, re.DOTALL)
    return (found[1], True) if found else (text, False)


def _take_providers(providers: object, taken: Imported) -> None:
    for provider in _listed(providers):
        own = provider if isinstance(provider, Mapping) else {"id": provider}
        name, config = own.get("id"), own.get("config") or {}
        parts = name.split(":") if isinstance(name, str) else []
        if not parts or parts[0] in {"exec", "file", "python", "http", "https", "webhook"}:
            taken.note(f"The provider {name} is not taken: it is no model of a chat server.")
            continue
        if parts[0] != "openai":
            taken.note(f"The provider {name} is asked by its model's name, {parts[-1]}, at the server of the settings.")
        if parts[-1] not in taken.models:
            taken.models.append(parts[-1])
        params = _params(config, taken)
        if params not in taken.params:
            taken.params.append(params)


def _params(config: object, taken: Imported) -> dict[str, object]:
    params = {}
    for name, value in config.items() if isinstance(config, Mapping) else ():
        if name.startswith("api") or name in {"organization", "headers"}:
            taken.note(f"`{name}` of a provider is not taken: the settings choose the server and its key.")
        else:
            # A list here is a value (`stop`), and there values to try.
            params[str(name)] = [value] if isinstance(value, list) else value
    return params


def _take_tests(tests: object, default: object, folder: Path, taken: Imported) -> None:
    shared = default if isinstance(default, Mapping) else {}
    for test in _tests(tests, folder, taken):
        variables = {**_variables(shared.get("vars"), taken), **_variables(test.get("vars"), taken)}
        for name in test:
            if name not in TAKEN_OF_TEST:
                taken.note(f"`{name}` of a test is not taken.")
        for assertion in [*_listed(shared.get("assert") or []), *_listed(test.get("assert") or [])]:
            _take_assertion(assertion, variables, taken)
        taken.examples.append(variables)


def _tests(tests: object, folder: Path, taken: Imported) -> Iterable[Mapping[str, Any]]:
    for test in _listed(tests):
        path = _file(test, folder)
        if path is not None and path.suffix in {".csv", ".jsonl", ".tsv"} and path.is_file():
            yield from ({"vars": dict(example.variables)} for example in Dataset.of(path))
        elif isinstance(test, Mapping) and "path" not in test:
            yield test
        else:
            taken.note(f"The tests {test} are not taken: they are no .csv, .tsv or .jsonl file beside it.")


def _variables(variables: object, taken: Imported) -> dict[str, object]:
    if variables is None:
        return {}
    if not isinstance(variables, Mapping):
        taken.note("Variables in a file are not taken.")
        return {}
    for name, value in variables.items():
        if isinstance(value, list):
            taken.note(f"The values of `{name}` are one variable here, not one test each.")
        elif isinstance(value, str) and value.startswith("file://"):
            taken.note(f"The file of `{name}` is not read.")
    return {str(name): value for name, value in variables.items()}


def _take_assertion(assertion: object, variables: dict[str, object], taken: Imported) -> None:
    own = assertion if isinstance(assertion, Mapping) else {}
    kind, value = str(own.get("type")), own.get("value")
    if kind in TEXTS and isinstance(value, str | int | float):
        column = re.fullmatch(r"\{\{\s*(\w+)\s*\}\}", str(value))
        name = column[1] if column else f"expected_{kind}"
        if not column:
            variables[name] = str(value)
        text = Text(TEXTS[kind], Expected(name), contained=kind != "equals", any_case=kind == "icontains")
        taken.scorers[f"{kind} {name}"] = text
    elif kind == "regex" and isinstance(value, str):
        taken.scorers[f"regex {value}"] = Regex("regex", value)
    elif kind == "llm-rubric" and isinstance(value, str):
        taken.scorers[f"judge {value}"] = Judge(value)
    elif kind == "is-json" and (value is None or isinstance(value, Mapping)):
        taken.scorers[f"json {value}"] = Json() if value is None else Json("json_schema", dict(value))
    else:
        taken.note(f"The assertion `{kind}` is not taken: write it as a Python function.")
