from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vig_notebook.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    log = Store(path)
    yield log
    log.close()
