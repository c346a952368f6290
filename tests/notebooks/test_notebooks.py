"""The stored outputs of the notebooks are what the scripted demo server gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

HERE = Path(__file__).parent
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))
LIMIT_S = 300


def nbval(notebook: Path) -> subprocess.CompletedProcess[str]:
    """Run the notebook with the scripted server, as fast as it goes, and compare every output."""
    command = [
        *(sys.executable, "-m", "pytest", "-c", str(HERE / "nbval.ini"), "--rootdir", str(notebook.parent)),
        *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "-p", "no:cacheprovider", "-q"),
        *("--nbval-sanitize-with", str(HERE / "sanitize.cfg"), str(notebook)),
    ]
    settings = os.environ | {"VIG_LOCAL_MODEL": "off", "VIG_DEMO_PACE": "0"}
    return subprocess.run(
        command, cwd=notebook.parent, env=settings, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_gives_its_stored_outputs(notebook: Path) -> None:
    done = nbval(notebook)
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(LIMIT_S + 10)
def test_nbval_fails_when_a_stored_output_is_changed(tmp_path: Path) -> None:
    notebook: Any = nbformat.read(NOTEBOOKS[0], as_version=4)
    last = next(i for i, cell in enumerate(notebook.cells) if cell.get("outputs"))
    change(notebook.cells[last].outputs[0])
    notebook.cells = notebook.cells[: last + 1]
    changed = tmp_path / "changed.ipynb"
    nbformat.write(notebook, changed)
    done = nbval(changed)
    assert done.returncode == 1, done.stdout
    assert "another text" in done.stdout


def change(output: Any) -> None:
    """Put other words into every form of an output."""
    if "text" in output:
        output.text = "another text"
    for kind in output.get("data", {}):
        output.data[kind] = "another text"
