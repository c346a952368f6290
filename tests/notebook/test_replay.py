"""A notebook with its cassette beside it runs again with no server, no key and no network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests import notebooks
from tests.demos import demo

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPARE = Path(notebooks.__path__[0])

CELLS = [
    "%load_ext vig_notebook",
    "%vigthoria replay on talk.vig.jsonl",
    "%%vigthoria --chat talk\nWrite a haiku about rain",
    "%%vigthoria --chat talk --out second\nAnd one about snow",
    "%%vigthoria --raw\nWrite a haiku about tea",
    "%%vigthoria --raw\nWrite a haiku about tea",
    "print(len(second.text), second.request.to_body()['messages'][1])",
]


def execute(notebook: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a notebook as a program does, and save its outputs."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--inplace", "--execute", notebook.name]
    return subprocess.run(
        command, cwd=notebook.parent, env=os.environ | settings, capture_output=True, text=True, timeout=90, check=False
    )


def compare(notebook: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook with nbval, and compare its outputs with those that it has."""
    command = [
        *(sys.executable, "-m", "pytest", "-p", "nbval.plugin", "-c", str(COMPARE / "nbval.ini")),
        *("--rootdir", str(notebook.parent), "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-q"),
        *("--nbval-sanitize-with", str(COMPARE / "sanitize.cfg"), str(notebook)),
    ]
    settings = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=notebook.parent, env=settings, capture_output=True, text=True, timeout=90, check=False
    )


def plain(notebook: Path) -> list[str]:
    """The texts of the outputs."""
    outputs = [output for cell in nbformat.read(notebook, as_version=4).cells for output in cell.outputs]
    return [output.text if "text" in output else output.data["text/plain"] for output in outputs]


def write(path: Path, cells: Sequence[str]) -> Path:
    notebook: Any = new_notebook(cells=[new_code_cell(source) for source in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "python3", "language": "python"}
    nbformat.write(notebook, path)
    return path


@pytest.mark.slow
def test_conversation_that_was_recorded_passes_nbval_with_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = write(tmp_path / "talk.ipynb", CELLS)
    with demo() as server:
        done = execute(talk, VIGTHORIA_BASE_URL=server.server.base_url, VIGTHORIA_API_KEY=server.server.token)
    assert done.returncode == 0, done.stderr
    cassette = (tmp_path / "talk.vig.jsonl").read_bytes()
    assert len(cassette.splitlines()) == 1 + 4
    assert server.server.token.encode() not in cassette
    recorded = plain(talk)
    assert not any("replayed" in text for text in recorded)
    monkeypatch.setenv("VIG_REPLAY", "only")
    checked = compare(talk)
    assert checked.returncode == 0, checked.stdout
    assert execute(talk).returncode == 0
    assert [text.split("\n\n[")[0] for text in plain(talk)] == [text.split("\n\n[")[0] for text in recorded]
    assert [text.count("[replayed") for text in plain(talk)] == [0, 1, 1, 1, 1, 0]
    assert (tmp_path / "talk.vig.jsonl").read_bytes() == cassette


@pytest.mark.slow
def test_cell_that_was_not_recorded_is_an_error_that_names_it_and_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.jsonl").write_text('{"format":"vig_notebook runs","version":1}\n')
    monkeypatch.setenv("VIG_REPLAY", "only empty.jsonl")
    shared = "from vig_notebook.engine import engine\nprint(engine()._shared)"
    missing = write(tmp_path / "missing.ipynb", [CELLS[0], "%%vigthoria\nWhere is the moon?", shared])
    assert execute(missing).returncode == 0
    card, servers = plain(missing)
    assert "There is no recorded answer: 'Where is the moon?' to demo is not in empty.jsonl" in card
    assert servers == "{}\n"
