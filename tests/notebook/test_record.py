"""The record of a run, whatever the server says: it is always made, it is small, and its metadata can be saved."""

from __future__ import annotations

import html as html_module
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from vig_notebook.answers import parse_json
from vig_notebook.chats import Past
from vig_notebook.notebook import json_form
from vig_notebook.notebook import record as record_module
from vig_notebook.notebook.record import ending_html, ending_plain, provenance, record, record_parts
from vig_notebook.notebook.words import facts, footer_facts, own_speed
from vig_notebook.render import StreamRenderer
from vig_notebook.run import RunState
from vig_notebook.settings import Endpoint, Secret
from vig_notebook.wire.chat import ChatRequest, Message, Usage
from vig_notebook.wire.completion import Completion

if TYPE_CHECKING:
    from vig_notebook.run import Run

LONG = "x" * 300_000


def ended(text: str = "The answer", *, key: str | None = None, **says: Any) -> Past:
    """A run that has ended, and what its server said of it."""
    return Past(
        id="r1",
        request=ChatRequest([Message("user", "Hello")], model="asked-for"),
        endpoint=Endpoint(base_url="https://llm.example/v1", name="lab", api_key=Secret(key) if key else None),
        state=RunState.DONE,
        completion=Completion(text=text, **says),
        error=None,
        elapsed_s=1.0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        chat=None,
        labels={},
    )


def speed(value: object) -> dict[str, object]:
    return {"timings": {"predicted_per_second": value}}


@pytest.mark.parametrize("value", [10**400, -3.0, 0, True, math.inf, math.nan, 1e6, "fast", None])
def test_speed_that_is_none_is_not_said(value: object) -> None:
    run = ended(extra=speed(value))
    assert own_speed(run.completion) is None
    assert "tokens/s" not in " ".join(facts(cast("Run", run)) + footer_facts(run))
    assert "The answer" in record(run)[0]["text/html"]


def test_speed_of_the_server_is_said() -> None:
    assert own_speed(Completion(extra=speed(41))) == 41


@pytest.mark.parametrize("part", ["footer_facts", "provenance", "render_html", "error_card"])
def test_record_keeps_answer_and_state_where_a_part_fails(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise OverflowError("canary")

    monkeypatch.setattr(record_module, part, fails)
    run = ended("not <JSON>")
    bundle, metadata = record(run, form="json" if part == "error_card" else "markdown")
    assert "&lt;JSON&gt;" in bundle["text/html"]
    assert "not <JSON>" in bundle["text/plain"]
    assert "done" in ending_plain(run).lower()
    assert "done" in ending_html(run).lower()
    assert metadata["vig_notebook"]["state"] == "DONE"  # type: ignore[index]  # a dict
    assert "OverflowError" in caplog.text
    assert "canary" not in caplog.text


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize(
    "text",
    [
        nested(900),
        nested(900, ",".join("1" * 2000)),
        nested(100_000),
        json.dumps([{"number": i} for i in range(20_000)]),
    ],
    ids=["deep", "deep and wide", "too deep to read", "long"],
)
def test_json_that_would_grow_by_its_indents_is_shown_as_it_came(text: str) -> None:
    html = record(ended(text), form="json")[0]["text/html"]
    assert '<pre class="vig-plain">' in html
    assert text in html_module.unescape(html)
    assert len(html) < 7 * len(text) + 2000


@pytest.mark.parametrize("text", ['{"a": [1, {"b": "ü"}]}', "[[[[[[1]]]]]]", '```json\n{"a":{"b":1}}\n```'])
def test_json_is_indented(text: str) -> None:
    html = record(ended(text), form="json")[0]["text/html"]
    assert html.count("\n") >= 4
    assert 'class="highlight"' in html


@pytest.mark.parametrize("text", ['{"a": 1}', "no JSON"])
def test_json_is_parsed_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(text: str) -> object:
        parsed.append(text)
        return parse_json(text)

    monkeypatch.setattr(json_form, "parse_json", parse)
    bundle, _ = record(ended(text), form="json")
    assert parsed == [text]
    assert ("not JSON" in bundle["text/plain"]) == ("no JSON" in text)
    assert ("not JSON" in bundle["text/html"]) == ("no JSON" in text)


def test_json_whose_bare_key_is_masked_is_no_error() -> None:
    bundle, _ = record(ended('{"account": 12345678901}', key="12345678901"), form="json")
    assert "not JSON" not in bundle["text/plain"]
    assert "12345678901" not in json.dumps(bundle)


@pytest.mark.parametrize("spelling", ["vg-canary-0123", r"vg-c\u0061nary-0123"])
def test_json_that_spells_a_key_otherwise_hides_it(spelling: str) -> None:
    bundle, _ = record(ended(f'{{"key": "{spelling}"}}', key="vg-canary-0123"), form="json")
    assert "canary" not in bundle["text/html"]
    assert "0123" not in json.dumps(bundle)


def test_answer_that_was_rendered_while_it_came_is_not_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "See [it][1], *please*.\n\n" * 200 + "[1]: https://a.example/page\n"
    renderer = StreamRenderer()
    renderer.feed(text)
    whole = record(ended(text))[0]
    monkeypatch.setattr(record_module, "render_html", None)
    assert record_parts(ended(text), rendered=renderer).bundle == whole
    monkeypatch.undo()
    assert "other" in record_parts(ended("other"), rendered=renderer).answer


def test_code_of_any_length_keeps_no_other_answer_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "render_html", None)
    text = "```python\nx = 1\n```\n\n" * (json_form.LARGEST_CHARS // 20)
    assert text in html_module.unescape(record_parts(ended(text), form="code").answer)


@pytest.mark.parametrize(("reason", "word"), [("stop", "done: an answer without text"), ("length", "done: cut at")])
def test_answer_without_text_says_so(reason: str, word: str) -> None:
    bundle, _ = record(ended("", finish_reason=reason))
    assert word in bundle["text/plain"]
    assert word in bundle["text/html"]
    assert "without text" not in record(ended("text"))[0]["text/plain"]


def test_words_of_the_server_are_capped() -> None:
    usage = Usage.from_dict({"completion_tokens": 7, "details": LONG})
    bundle, metadata = record(ended(model=LONG, finish_reason=LONG, usage=usage))
    assert len(json.dumps([bundle, metadata])) < 4000
    told: Any = metadata["vig_notebook"]
    assert told["usage"] == {"completion_tokens": 7}
    assert told["model"] == "x" * 199 + "…"


def test_word_that_is_cut_holds_no_half_of_a_key() -> None:
    key = "open-sesame-42"
    bundle, metadata = record(ended(model="x" * 190 + key, finish_reason="y" * 190 + key, key=key))
    assert "open" not in json.dumps([bundle, metadata])


def test_usage_is_kept_as_the_server_sent_it() -> None:
    sent = {"prompt_tokens": 3, "completion_tokens": 7, "details": {"cached": 1}}
    assert provenance(ended(usage=Usage.from_dict(sent)))["usage"] == sent


def test_metadata_is_json_that_every_reader_reads() -> None:
    odd = {"nan": math.nan, "inf": [math.inf], "large": 2**63, "small": -(2**63), "half\ud800": "\ud83d", "yes": True}
    told: Any = provenance(ended(model="m\ud83d", usage=Usage.from_dict(odd)))
    assert told["model"] == "m\ufffd"
    kept = {"nan": "nan", "inf": ["inf"], "large": str(2**63), "small": -(2**63), "half\ufffd": "\ufffd", "yes": True}
    assert told["usage"] == kept
    json.dumps(told, allow_nan=False, ensure_ascii=False).encode()


def test_usage_of_a_number_that_cannot_be_written_is_left_out() -> None:
    usage = Usage.from_dict({"total_tokens": 3, "odd": 10**5000})
    assert provenance(ended(usage=usage))["usage"] == {"total_tokens": 3}
