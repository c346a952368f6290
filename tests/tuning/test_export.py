from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pandas as pd
import pytest
import yaml

from tests.demos import LIMIT_S, Demo
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.checks import Expected, Json, Length, Number, Regex, Text
from vig_notebook.tuning.experiment import Experiment
from vig_notebook.tuning.importing import from_promptfoo
from vig_notebook.tuning.judge import Judge
from vig_notebook.tuning.prompts import Prompt
from vig_notebook.tuning.scorers import original

if TYPE_CHECKING:
    from tests.tuning.conftest import Maker

DATA = [{"text": "rain", "label": "wet", "n": 1}, {"text": 'say "fire"', "label": "hot", "n": 2}]

# What promptfoo's configuration schema demands of the members that we write (names, types, nothing else allowed).
_STRING = {"type": "string"}
SUBSET: dict[str, Any] = {
    "type": "object",
    "required": ["prompts"],
    "additionalProperties": False,
    "properties": {
        "description": _STRING,
        "prompts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["raw", "label"],
                "additionalProperties": False,
                "properties": {"raw": _STRING, "label": _STRING},
            },
        },
        "providers": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"id": {}, "label": {}, "config": {}},
            },
        },
        "defaultTest": {"$ref": "#/$defs/test"},
        "tests": {"type": "array", "items": {"$ref": "#/$defs/test"}},
        "evaluateOptions": {"type": "object"},
    },
    "$defs": {
        "test": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "description": _STRING,
                "vars": {"type": "object"},
                "assert": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {
                                "enum": [
                                    "equals",
                                    "contains",
                                    "icontains",
                                    "regex",
                                    "is-json",
                                    "javascript",
                                    "llm-rubric",
                                ]
                            },
                            "value": {},
                        },
                    },
                },
            },
        }
    },
}


def long(response: str, example: object) -> bool:
    return len(response) > 3


def test_table_is_written_and_read_again(make: Maker, tmp_path: Path) -> None:
    experiment = make(data=DATA, repeats=1, scorers=long)
    experiment.run().wait(LIMIT_S)
    path = experiment.export(tmp_path / "results.csv")
    assert len(pd.read_csv(path)) == 2
    rows = [json.loads(line) for line in experiment.export(tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["var.text"] for row in rows] == ["rain", 'say "fire"']
    assert rows[0]["started_at"].startswith("20")


def test_what_cannot_be_written_is_said(make: Maker, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"r\.xlsx cannot be written: its name ends in '\.xlsx'"):
        make(data=DATA).export(tmp_path / "r.xlsx")
    with pytest.raises(ConfigError, match=r"r\.yaml cannot be written: No such file"):
        make(data=DATA).export(tmp_path / "nowhere" / "r.yaml")


SCORERS = [
    "exact:label", "iexact:label", "iexact:'a b'", "contains:text", "icontains:'it''s'", "regex:^a", "json", "length:5",
    "length:2:5", "number:n:0.5", long, Json("json_schema", {"type": "object"}), Length(float("inf"), 3, "least"),
]  # fmt: skip


def test_promptfoo_is_written_by_its_schema(make: Maker, tmp_path: Path) -> None:
    raw = Prompt(name="raw", text="{x} {{ y }}", system="{% z", raw=True)
    asked = Prompt(name="ask", text="{{ text }}", system="Be brief")
    experiment = make(
        [asked, asked.revise("What is {{ text }}?"), raw], models=["a", "b"], params={"temperature": [0, 1]},
        data=DATA, repeats=2, scorers=SCORERS, name="tickets",
    )  # fmt: skip
    text = experiment.export(tmp_path / "promptfooconfig.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json\n")
    found = yaml.safe_load(text)
    jsonschema.validate(found, SUBSET)
    assert found["description"] == "tickets, written by vig_notebook. Not taken along: long (Python)."
    assert [one["label"] for one in found["providers"]] == [
        "a temperature=0", "a temperature=1", "b temperature=0", "b temperature=1",
    ]  # fmt: skip
    assert found["evaluateOptions"] == {"repeat": 2}
    assert found["defaultTest"]["assert"][:2] == [
        {"type": "equals", "value": "{{ label }}"},
        {"type": "javascript",
         "value": 'output.trim().toLowerCase() === String(context.vars["label"]).trim().toLowerCase()'},
    ]  # fmt: skip
    assert [one["value"] for one in found["defaultTest"]["assert"] if one["type"] == "javascript"][1:4] == [
        'output.trim().toLowerCase() === String("a b").trim().toLowerCase()',
        "output.trim().length >= 0 && output.trim().length <= 5",
        "output.trim().length >= 2 && output.trim().length <= 5",
    ]


def test_promptfoo_there_and_back(make: Maker, tmp_path: Path) -> None:
    raw = Prompt(name="raw", text="{x} {{ y }}", raw=True)
    asked = Prompt(name="ask", text="{{ text }}", system="Be brief")
    specs = ["exact:label", "contains:text", "icontains:text", "regex:^a", "json", "judge:polite?"]
    experiment = make(
        [asked, asked.revise("What is {{ text }}?"), raw], models=["a", "b"],
        params={"temperature": [0, 1], "stop": [["x"]]}, data=DATA, repeats=2, scorers=specs,
    )  # fmt: skip
    path = experiment.export(tmp_path / "p.yaml")
    assert "&id" not in path.read_text()  # what the providers share is written out
    taken = from_promptfoo(path)
    assert taken.notes == []
    assert [(p.label, p.text, p.system, p.raw) for p in taken.prompts] == [
        ("ask@v1", "{{ text }}", "Be brief", False),
        ("ask@v2", "What is {{ text }}?", None, False),
        ("raw@v1", "{x} {{ y }}", None, True),
    ]
    assert taken.examples == DATA
    again = Experiment(**taken.options(), store="off", base_url="http://127.0.0.1:9")
    assert [v.label for v in again.variants] == [v.label for v in experiment.variants]
    assert [dict(v.params) for v in again.variants] == [dict(v.params) for v in experiment.variants]
    assert len(again.cells) == len(experiment.cells)
    assert [type(original(one)) for one in again.scorers] == [Text, Text, Text, Regex, Json, Judge]
    assert [one.rubric for one in again.scorers if isinstance(one, Judge)] == ["polite?"]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(text)
    return path


def test_promptfoo_with_files_and_values_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("Translate {{ text }}")
    (tmp_path / "more.csv").write_text("text,label\nc,d\n")
    taken = from_promptfoo(write(tmp_path, """
prompts: [file://one.txt, {id: file://one.txt, label: named}, "plain {{ text }}"]
providers: openai:gpt-x
tests:
  - vars: {text: a}
    assert:
      - {type: equals, value: b}
      - {type: contains, value: "{{label}}"}
      - {type: is-json, value: {type: object}}
  - file://more.csv
"""))  # fmt: skip
    assert [(p.name, p.text) for p in taken.prompts] == [
        ("p1", "Translate {{ text }}"), ("named", "Translate {{ text }}"), ("p3", "plain {{ text }}"),
    ]  # fmt: skip
    assert taken.models == ["gpt-x"]
    assert taken.params == [{}]
    assert taken.examples == [{"text": "a", "expected_equals": "b"}, {"text": "c", "label": "d"}]
    assert list(taken.scorers.values()) == [
        Text("exact", Expected("expected_equals")),
        Text("contains", Expected("label"), contained=True),
        Json("json_schema", {"type": "object"}),
    ]
    assert taken.notes == []
    assert taken.repeats is None


def test_promptfoo_prompts_by_name(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("A {{ text }}")
    (tmp_path / "chat.json").write_text('[{"role": "user", "content": "x"}]')
    taken = from_promptfoo(write(tmp_path, "prompts: {one.txt: first, chat.json: second}\n"))
    assert [(p.name, p.text) for p in taken.prompts] == [
        ("first", "A {{ text }}"),
        ("second", '[{"role": "user", "content": "x"}]'),
    ]


def test_everything_that_is_not_taken_has_its_sentence(tmp_path: Path) -> None:
    taken = from_promptfoo(write(tmp_path, """
scenarios: []
prompts: ["{{ a }}", file://../secret.txt, file://x.py, {label: n, function: 1}]
targets:
  - exec:run.sh
  - {id: {}, config: {}}
  - {id: "anthropic:messages:m", config: {apiKey: x, apiHost: y, headers: {}, temperature: 0.5}}
defaultTest: {vars: {shared: 1}, assert: [{type: similar, value: polite}]}
tests:
  - {vars: {a: [1, 2], b: "file://b.txt"}, options: {}, assert: [{type: equals, value: {a: 1}}, nonsense]}
  - {vars: file://vars.yaml}
  - file://tests.yaml
  - {path: x}
"""))  # fmt: skip
    assert taken.notes == [
        "`scenarios` is not taken.",
        "The prompt p2 is not taken: it is no text.",
        "The prompt p3 is not taken: it is no text.",
        "The prompt n is not taken: it is no text.",
        "The provider exec:run.sh is not taken: it is no model of a chat server.",
        "The provider {} is not taken: it is no model of a chat server.",
        "The provider anthropic:messages:m is asked by its model's name, m, at the server of the settings.",
        "`apiKey` of a provider is not taken: the settings choose the server and its key.",
        "`apiHost` of a provider is not taken: the settings choose the server and its key.",
        "`headers` of a provider is not taken: the settings choose the server and its key.",
        "The values of `a` are one variable here, not one test each.",
        "The file of `b` is not read.",
        "`options` of a test is not taken.",
        "The assertion `similar` is not taken: write it as a Python function.",
        "The assertion `equals` is not taken: write it as a Python function.",
        "The assertion `None` is not taken: write it as a Python function.",
        "Variables in a file are not taken.",
        "The tests file://tests.yaml are not taken: they are no .csv, .tsv or .jsonl file beside it.",
        "The tests {'path': 'x'} are not taken: they are no .csv, .tsv or .jsonl file beside it.",
    ]
    assert taken.params == [{"temperature": 0.5}]
    assert taken.examples == [{"shared": 1, "a": [1, 2], "b": "file://b.txt"}, {"shared": 1}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "cannot be read"),
        ("- a", "is no promptfoo configuration"),
        ("tests: []", "is no promptfoo configuration"),
        ("prompts: [file://x.py]", "has no prompt to take: The prompt p1 is not taken"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        from_promptfoo(write(tmp_path, text))
    with pytest.raises(ConfigError, match="cannot be read"):
        from_promptfoo(tmp_path / "nowhere.yaml")


def test_frozen_prompt_passes_where_it_was_measured(make: Maker, fast: Demo, tmp_path: Path) -> None:
    prompt = Prompt(name='so"""so', text="Write a haiku about {{ text }}", system="Be {{ label }}")
    experiment = make(
        [prompt], data=DATA, repeats=1, params={"max_tokens": 50}, name="a\nb",
        scorers=["length:3:500", "length:9000:9999", "regex:[a-z]", "exact:label", long,
                 Length(float("inf"), 1, "least"), Number("number", Expected(literal="x"))],
    )  # fmt: skip
    with pytest.raises(ConfigError, match="There is nothing to hold the prompt to"):
        experiment.export(tmp_path / "test_early.py")
    experiment.run().wait(LIMIT_S)
    path = experiment.export(tmp_path / "test_frozen.py")
    text = path.read_text()
    assert "Not taken along, since they are Python functions: long, number." in text
    assert "# measured: 1.000 over 2 examples" in text
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(path)],
        cwd=Path(__file__).parents[2], check=False, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "VIGTHORIA_BASE_URL": fast.server.base_url,
             "VIGTHORIA_API_KEY": fast.server.token, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert "5 passed" in done.stdout, done.stdout + done.stderr


def test_frozen_variant_is_chosen(make: Maker, tmp_path: Path) -> None:
    raw = Prompt(name="p", text="{x} a haiku", raw=True)
    experiment = make(
        [raw, raw.revise("{{ x }} a poem")], data=DATA, repeats=2, scorers=["length:1:9", "length:1:5000"]
    )
    experiment.run().wait(LIMIT_S)
    text = experiment.export(tmp_path / "test_a.py", variant="p@v1").read_text()
    assert "text='{x} a haiku'" in text
    assert "raw=True" in text
    assert "'length_2': Length(" in text
    with pytest.raises(ConfigError, match="There is no variant 'x': there are p@v1, p@v2"):
        experiment.export(tmp_path / "test_b.py", variant="x")
