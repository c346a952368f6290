"""The record of a run, whatever the server says: it is always made, it is small, and its metadata can be saved."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from vig_notebook.chats import Past
from vig_notebook.notebook import record as record_module
from vig_notebook.notebook.record import ending_html, ending_plain, record
from vig_notebook.notebook.words import facts, footer_facts, own_speed
from vig_notebook.run import RunState
from vig_notebook.settings import Endpoint, Secret
from vig_notebook.wire.chat import ChatRequest, Message
from vig_notebook.wire.completion import Completion

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
    assert "tokens/s" not in " ".join(facts(run) + footer_facts(run))
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
