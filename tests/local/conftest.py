"""The local model is on in these tests, where the others switch it off."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def switched_on(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says that no local model is used."""
    monkeypatch.delenv("VIG_LOCAL_MODEL")
