"""`%vigthoria local`, with an engine that loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.gguf_files import gguf, write
from tests.local.test_process import FAKE_ENGINE
from vig_notebook.api import question
from vig_notebook.local import local_endpoint
from vig_notebook.notebook import local_commands as room
from vig_notebook.notebook.words import facts
from vig_notebook.run import Run
from vig_notebook.servers import choose, local_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    Said = Callable[[str], str]


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIG_LOCAL_MODEL")
    monkeypatch.setenv("PYTHONPATH", str(FAKE_ENGINE))
    monkeypatch.syspath_prepend(str(FAKE_ENGINE))
    monkeypatch.setattr("vig_notebook.local.model.WEIGHTS", "no_such_weights")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write(tmp_path / "tiny.gguf", gguf())


@pytest.fixture
def said(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a line as a person does; gives what it prints."""

    def run(line: str) -> str:
        capsys.readouterr()
        shell.run_cell(f"%vigthoria {line}")
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return captured.out + captured.err

    return run


def test_local_starts_a_model_that_cells_then_ask_until_it_is_stopped(said: Said, tiny: Path) -> None:
    assert said(f"local --gguf {tiny} --context-size 512") == (
        "loading the local model…\nlocal tiny is ready: a model on this machine\n"
    )
    assert said("").startswith("server  local tiny: a model on this machine (http://127.0.0.1:")
    assert "none is needed" in said("")
    assert local_model().server.pid is not None
    assert said("local stop") == "the local model has ended; the next cell that asks it starts it again\n"
    assert local_model().server.pid is None
    assert choose().endpoint.name == "local tiny"


def test_local_that_is_not_asked_by_the_cells_says_so(said: Said, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", "vg-live-sk-0123456789")
    assert said(f"local --gguf {tiny}").endswith("cells still ask Vigthoria, which your settings name\n")


def test_local_that_fails_leaves_the_model_that_was_chosen_before(said: Said, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    said(f"local --gguf {tiny}")
    assert "UsageError: text.gguf is no GGUF file" in said(f"local --gguf {tmp_path}/text.gguf --context-size 99")
    assert "UsageError: The model file nothing.gguf cannot be read" in said("local --gguf nothing.gguf")
    assert (choose().endpoint.name, local_model().context_size) == ("local tiny", 4096)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("local --gguf", "local wants nothing, stop, status, install, remove, --gguf FILE or --context-size N"),
        ("local strat", "local wants nothing, stop, status, install, remove, --gguf FILE or --context-size N"),
        ("local --context-size 0", "--context-size wants a number of tokens above 0, not '0'"),
        ("local", "The local model is not installed: there is no SmolLM2-135M-Instruct.Q4_1.gguf. Run python -m"),
    ],
)
def test_local_that_is_bad_is_refused_in_one_sentence(said: Said, line: str, words: str) -> None:
    assert f"UsageError: {words}" in said(line)


def test_local_install_remove_and_status_say_what_they_do(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "install", lambda say: say("installed"))
    monkeypatch.setattr(room, "remove", lambda say: say("removed"))
    monkeypatch.setattr(room, "status", lambda: iter(["one", "two"]))
    assert [said(f"local {word}") for word in ("install", "remove", "status")] == [
        "installed\n", "removed\n", "one\ntwo\n",
    ]  # fmt: skip


def test_status_of_a_run_names_the_local_model_whatever_was_asked_for() -> None:
    run = Run(question("Hello", model="vigthoria-creative-v2").request, local_endpoint("SmolLM2-135M"))
    assert facts(run)[1] == "local SmolLM2-135M: a very small model, expect mistakes"


def test_local_that_is_interrupted_leaves_the_model_that_was_chosen_before(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        room.run_local(["--gguf", str(tiny), "--context-size", "99"], lambda _: None)
    assert (local_model().gguf, local_model().context_size) == (None, 4096)
