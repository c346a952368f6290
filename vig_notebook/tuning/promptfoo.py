"""To promptfoo's YAML: the subset that both know. `importing` reads it back.

promptfoo (promptfoo.dev) renders its prompts with Nunjucks, whose `{{ name }}`, `{% if %}` and `{% for %}` are
Jinja's. Each prompt, each model with its parameters, each example and each scorer has its counterpart there.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

from vig_notebook.tuning.checks import Expected, Json, Length, Number, Regex, Text
from vig_notebook.tuning.dataset import plain
from vig_notebook.tuning.extras import need
from vig_notebook.tuning.judge import Judge
from vig_notebook.tuning.scorers import original

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.tuning.experiment import Experiment
    from vig_notebook.tuning.grid import Variant
    from vig_notebook.tuning.prompts import Prompt
    from vig_notebook.tuning.scorers import Scorer

__all__ = ["to_promptfoo"]

SCHEMA = "https://promptfoo.dev/config-schema.json"
"""Editors check the file against it; nothing here fetches it."""


def to_promptfoo(experiment: Experiment) -> str:
    """The prompts, models, parameters, examples and scorers as a promptfoo configuration.

    A scorer that is a Python function cannot be taken along: the description says so.
    """
    yaml = need("yaml", for_what="promptfoo files")
    kept = [(scorer, _assertion(scorer)) for scorer in experiment.scorers]
    lost = [scorer.name for scorer, assertion in kept if assertion is None]
    description = f"{experiment.name}, written by vig_notebook."
    if lost:
        description += f" Not taken along: {', '.join(lost)} (Python)."
    variants = experiment.variants
    configuration = {
        "description": description,
        "prompts": [_prompt_out(prompt) for prompt in dict.fromkeys(v.prompt for v in variants)],
        "providers": list(_providers_out(variants).values()),
        "defaultTest": {"assert": [assertion for _, assertion in kept if assertion is not None]},
        "tests": [_test_out(example.id, example.variables) for example in experiment.data],
        "evaluateOptions": {"repeat": 1 + max(cell.repeat for cell in experiment.cells)},
    }
    body: str = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=110)
    return f"# yaml-language-server: $schema={SCHEMA}\n{body}"


def _prompt_out(prompt: Prompt) -> dict[str, str]:
    text, system = prompt.text, prompt.system
    if prompt.raw:
        text, system = _verbatim(text), None if system is None else _verbatim(system)
    if system is None:
        return {"label": prompt.label, "raw": text}
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return {"label": prompt.label, "raw": json.dumps(messages, ensure_ascii=False)}


def _verbatim(text: str) -> str:
    return f"{{% raw %}}{text}{{% endraw %}}"


def _providers_out(variants: Sequence[Variant]) -> dict[str, dict[str, object]]:
    providers: dict[str, dict[str, object]] = {}
    for variant in variants:
        words = [variant.model, *(f"{name}={value}" for name, value in variant.params.items())]
        provider: dict[str, object] = {"id": f"openai:chat:{variant.model}", "label": " ".join(words)}
        if variant.params:
            provider["config"] = copy.deepcopy(dict(variant.params))  # what is shared would be written as an alias
        providers[" ".join(words)] = provider
    return providers


def _test_out(name: str, variables: Mapping[str, object]) -> dict[str, object]:
    return {"description": name, "vars": plain(variables)}


def _assertion(scorer: Scorer) -> dict[str, object] | None:
    scorer = original(scorer)
    if isinstance(scorer, Text):
        return _text_out(scorer)
    if isinstance(scorer, Regex):
        return {"type": "regex", "value": scorer.pattern}
    if isinstance(scorer, Json):
        return {"type": "is-json"} if scorer.schema is None else {"type": "is-json", "value": dict(scorer.schema)}
    if isinstance(scorer, Number):
        last = "(output.match(/[-+]?[\\d,]*\\.?\\d+/g) || ['none']).pop().replace(/,/g, '')"
        wanted = f"Number({_in_javascript(scorer.expected)})"
        return {"type": "javascript", "value": f"Math.abs({last} - {wanted}) <= {scorer.tolerance}"}
    if isinstance(scorer, Judge):
        return {"type": "llm-rubric", "value": scorer.rubric}
    if isinstance(scorer, Length):
        most = "" if scorer.most == float("inf") else f" && output.trim().length <= {scorer.most:g}"
        return {"type": "javascript", "value": f"output.trim().length >= {scorer.least:g}{most}"}
    return None


def _text_out(scorer: Text) -> dict[str, object]:
    if scorer.any_case and not scorer.contained:
        wanted = f"String({_in_javascript(scorer.expected)}).trim().toLowerCase()"
        return {"type": "javascript", "value": f"output.trim().toLowerCase() === {wanted}"}
    kind = "equals" if not scorer.contained else "icontains" if scorer.any_case else "contains"
    expected = scorer.expected
    return {"type": kind, "value": f"{{{{ {expected.column} }}}}" if expected.literal is None else expected.literal}


def _in_javascript(expected: Expected) -> str:
    if expected.literal is not None:
        return json.dumps(expected.literal)
    return f"context.vars[{json.dumps(expected.column)}]"
