"""The local model is on in these tests, where the others switch it off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from vig_notebook.local import LocalServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def switched_on(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says that no local model is used."""
    monkeypatch.delenv("VIG_LOCAL_MODEL")


@pytest.fixture(scope="package")
def server() -> Iterator[LocalServer]:
    """The real model, in one process for all tests of it; each reaches it from a loop of its own."""
    made = LocalServer()
    asyncio.run(made.start("SmolLM2-135M", context_size=2048))
    yield made
    made.close()
