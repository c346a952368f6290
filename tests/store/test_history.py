from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

import vig_notebook.store
from tests.store.runs import ask, keep
from vig_notebook.store import Store, default_store, history

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.table.find_spec", lambda _: None)


def test_history_is_a_table(store: Store) -> None:
    run = ask(store, "a poem", "the sea")
    keep(store, "another")
    frame = history("poem", store=store)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:6] == ["id", "created_at", "state", "model", "prompt", "text"]
    assert frame.to_dict("records")[0]["id"] == run.id
    assert len(history(store=store)) == 2
    assert list(history("nowhere", store=store).columns)[:3] == ["id", "created_at", "state"]


@pytest.mark.usefixtures("without_pandas")
def test_history_without_pandas_is_a_list(store: Store) -> None:
    keep(store, "a poem", "the sea")
    [row] = history("poem", store=store)
    assert row["text"] == "the sea"
    assert "key" not in row


def test_history_is_of_the_default_log(tmp_path: Path) -> None:
    keep(default_store(), "a poem")
    assert len(history(since="1h")) == 1
    assert default_store().path == tmp_path / "home" / "data" / "vig_notebook" / "runs.sqlite"


def _place(name: str) -> tuple[bool, bool, str]:
    return not name.isupper(), name[0].islower(), name


def test_names_are_sorted_and_there() -> None:
    assert vig_notebook.store.__all__ == sorted(vig_notebook.store.__all__, key=_place)
    assert all(hasattr(vig_notebook.store, name) for name in vig_notebook.store.__all__)
