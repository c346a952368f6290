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


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What nbval says of the notebooks, and of one with a changed output; all at once, since its start takes longest.

    They are run with the scripted server as fast as it goes, and every output is compared.
    """
    home = tmp_path_factory.mktemp("home")
    changed = home / "changed.ipynb"
    write_changed(changed)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "nbval.plugin", "-c", str(HERE / "nbval.ini")),
        # The root of both folders, else a report does not name what lies outside of it.
        *("--rootdir", HERE.anchor, "--nbval", "--nbval-current-env", "--nbval-cell-timeout=60"),
        *("-p", "no:cacheprovider", "-q", "-rA", "--nbval-sanitize-with", str(HERE / "sanitize.cfg")),
        *map(str, [*NOTEBOOKS, changed]),
    ]
    settings = {"VIG_LOCAL_MODEL": "off", "VIG_DEMO_PACE": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    folders = {f"XDG_{kind}_HOME": str(home) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    done = subprocess.run(
        command, cwd=HERE.anchor, env=os.environ | settings | folders, capture_output=True, text=True, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def verdicts(report: str, notebook: str) -> list[str]:
    """PASSED or FAILED for each code cell of a notebook."""
    return [
        line.split()[0]
        for line in report.splitlines()
        if line.startswith(("PASSED", "FAILED")) and f"/{notebook}::" in line
    ]


@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_gives_its_stored_outputs(report: str, notebook: Path) -> None:
    cells = [cell for cell in read(notebook).cells if cell.cell_type == "code"]
    assert verdicts(report, notebook.name) == ["PASSED"] * len(cells), report


@pytest.mark.timeout(LIMIT_S + 10)
def test_nbval_fails_when_a_stored_output_is_changed(report: str) -> None:
    assert verdicts(report, "changed.ipynb")[-1] == "FAILED", report
    assert "another text" in report


def write_changed(path: Path) -> None:
    """Write the start of the first notebook, with other words in every form of its first output."""
    notebook = read(NOTEBOOKS[0])
    last = next(place for place, cell in enumerate(notebook.cells) if cell.get("outputs"))
    output = notebook.cells[last].outputs[0]
    for kind in output.data:
        output.data[kind] = "another text"
    notebook.cells = notebook.cells[: last + 1]
    nbformat.write(notebook, path)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)
