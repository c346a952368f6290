"""Key and prompt in what a notebook shows, saves and remembers: outputs, tracebacks, messages, files (figure 2)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.client.conftest import DONE, HEAD, Close, Step, event
from tests.hygiene.canaries import FAULTS, KEY, PROMPT, lab, leaks, logs
from tests.scripts import scripted
from vig_notebook.notebook.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from tests.notebook.conftest import Kernel

ECHOES: dict[str, tuple[Step, ...]] = {
    **{name: FAULTS[name] for name in ("401 that echoes", "redirect that echoes", "error event that echoes")},
    **{name: FAULTS[name] for name in ("JSON that echoes", "page that echoes", "no HTTP", "request id that echoes")},
    **{name: FAULTS[name] for name in ("cut", "broken JSON that echoes")},
    "answer that echoes": (HEAD + event(f"Your key is {KEY}, is it not?") + DONE, Close()),
}
IN_PIECES = (HEAD + event(f"Key {KEY[:9]}") + event(KEY[9:]) + DONE, Close())

LOOKS = (
    "run",
    "run.request, run.endpoint",
    "run.error and (run.error, vars(run.error))",
    "%config Vigthoria",
    "%vigthoria",
    "%vigthoria profile",
    "%vigthoria doctor",
    "%vigthoria models",
    "%%vigthoria --profile lab --dry-run\nHello",
)
"""Cells that show what there is."""


@pytest.mark.parametrize("steps", ECHOES.values(), ids=ECHOES)
def test_cell_of_a_terminal_shows_no_key(
    steps: tuple[Step, ...],
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logs() as lines, scripted(*steps) as server:
        shell.run_line_magic("vigthoria", f"profile {lab(server.base_url, monkeypatch)}")
        shell.user_ns["question"] = PROMPT
        shell.run_cell("%%vigthoria -o run\n{{ question }}")
        assert PROMPT.encode() in server.requests[0].body
        for code in LOOKS:
            shell.run_cell(code)
        shown = capsys.readouterr()
        for mode in ("Plain", "Context", "Verbose"):
            shell.run_line_magic("xmode", mode)
            shell.run_cell("run.text")
        raised = capsys.readouterr()
    assert leaks(("output", shown.out + shown.err), ("log", "\n".join(lines))) == []
    if shell.user_ns["run"].error is not None:
        assert leaks(("traceback", raised.out + raised.err)) == []
    assert leaks(("cells", repr(shell.user_ns["In"]))) == []


CELLS = (
    "import logging; logging.basicConfig(level=logging.DEBUG); import os; question = os.environ['HIDDEN']",
    "%load_ext vig_notebook",
    "%xmode Verbose",
    "%%vigthoria --profile lab -o run\n{{ question }}",
    "print(repr(run.error))\nraise run.error",
    *LOOKS,
)


def saved(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file that a kernel of ours may have written."""
    for path in folder.rglob("*"):
        if path.is_file() and path != folder / "home" / "config" / "vig_notebook" / "config.toml":
            yield str(path), path.read_bytes().decode("latin-1")


@pytest.mark.usefixtures("kernel_loop")
@pytest.mark.parametrize(
    "steps", [ECHOES["401 that echoes"], IN_PIECES], ids=["401 that echoes", "answer that echoes in pieces"]
)
def test_notebook_that_is_saved_holds_no_key(
    steps: tuple[Step, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(*steps) as server:
        lab(server.base_url, monkeypatch)
        monkeypatch.setenv("HIDDEN", PROMPT)
        cells = [
            nbformat.v4.new_code_cell(cell.replace("PROMPT", "__import__('os').environ['HIDDEN']")) for cell in CELLS
        ]
        for cell in cells:
            cell.metadata["tags"] = ["raises-exception"]
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
        assert any(PROMPT.encode() in heard.body for heard in server.requests)
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    seen = list(saved(tmp_path))
    assert any("saved.ipynb" in place for place, _ in seen)
    assert [leak for leak in leaks(*seen) if KEY in leak or "saved.ipynb" in leak] == []


def test_record_hides_a_key_that_looks_like_none(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = 'open sesame "quoted"'.replace(" ", "-")
    says = json.dumps({"choices": [{"index": 0, "delta": {"content": f"a {key} b", "reasoning": key}}], "model": key})
    with scripted(HEAD + f"data: {says}\n\n".encode() + DONE, Close()) as server:
        profile = lab(server.base_url, monkeypatch)
        monkeypatch.setenv("LAB_KEY", key)
        shell.run_cell(f"%%vigthoria --profile {profile} --param user={key[:4]} -o run\nHello")
    bundle, metadata = record(shell.user_ns["run"])
    assert "a •••• b" in bundle["text/plain"]
    assert "sesame" not in json.dumps([bundle, metadata])


def test_messages_to_a_person_hold_no_key(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(*ECHOES["401 that echoes"]) as server:
        kernel.run(f"import os; os.environ['LAB_KEY'] = bytes.fromhex('{KEY.encode().hex()}').decode()")
        messages: list[Any] = kernel.run(
            f"%%vigthoria --base-url {server.base_url} --key-env LAB_KEY --wait -o run\nHello", person=True
        )
        messages += kernel.run("%xmode Verbose\nrun.text", person=True)
        assert server.requests[0].header("authorization") == f"Bearer {KEY}"
    assert "401" in json.dumps(messages, default=str)
    assert leaks(("messages", json.dumps(messages, default=str))) == []
    assert os.environ.get("LAB_KEY") is None
