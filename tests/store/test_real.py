"""The log with the real engine, client and demo server, over a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vig_notebook.api import question, start
from vig_notebook.engine import engine
from vig_notebook.run import Plan, Run
from vig_notebook.store import Replay, Store

if TYPE_CHECKING:
    import pytest


def test_run_against_the_demo_server_is_in_the_log_and_comes_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")
    run = start("Tell me of the sea", sinks=[store.recorder()])
    text = run.text
    record = store.get(run.id)
    assert record is not None
    assert (record.state, record.text, record.server) == ("done", text, run.endpoint.name)
    assert record.delta_count == run.completion.delta_count
    assert store.warning is None
    asked = question("Tell me of the sea")
    again = Store(store.path)
    replay = Replay("only", again)
    played = Run(
        asked.request,
        asked.server.endpoint,
        sinks=(again.recorder(),),
        plan=Plan(source=replay),
    )
    assert engine().submit(played).result(30).text == text
    assert played.labels == {"replayed": run.id}
    again.close()


def test_run_that_is_stopped_while_it_streams_is_in_the_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "50")
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")

    class Stopper:
        def start(self, run: Run) -> None:
            self.run = run

        def write(self, delta: object) -> None:
            self.run.stop()

        def finish(self, run: Run) -> None:
            """Nothing more."""

    run = start("Tell me of the sea", sinks=[store.recorder(), Stopper()])
    assert run.wait(30)
    record = store.get(run.id)
    assert record is not None
    assert (record.state, record.text) == ("stopped", run.text)
    assert record.text
