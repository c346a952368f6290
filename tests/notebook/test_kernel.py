"""The magic in real kernels: with a person at the front end, and run by programs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notebook.conftest import Kernel

CELL = "%%vigthoria -o poem\nWrite a haiku about rain"
PACE = "%env VIG_DEMO_PACE=20"


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    """The kinds of the messages that are outputs or belong to widgets."""
    named = ("display_data", "update_display_data", "stream", "error", "execute_result")
    return [m["msg_type"] for m in messages if m["msg_type"] in named or m["msg_type"].startswith("comm")]


def plain(message: dict[str, Any]) -> str:
    """The plain text of a display."""
    return str(message["content"]["data"]["text/plain"])


def test_headless_cell_waits_and_writes_one_display(kernel: Kernel) -> None:
    messages = kernel.run(CELL)
    assert kinds(messages) == ["display_data"]
    (shown,) = (m for m in messages if m["msg_type"] == "display_data")
    assert set(shown["content"]["data"]) == {"text/html", "text/plain"}
    assert "Rain" in plain(shown)
    assert shown["content"]["metadata"]["vig_notebook"]["state"] == "DONE"
    assert kernel.run("print(poem.state)")[-2]["content"]["text"] == "DONE\n"


def test_headless_cell_with_wait_is_awaited_and_writes_one_display(kernel: Kernel) -> None:
    assert kinds(kernel.run("%%vigthoria --wait\nHello")) == ["display_data"]
    assert kernel.reply["status"] == "ok"


def test_headless_cell_that_fails_shows_its_card_and_its_value_raises(kernel: Kernel) -> None:
    (shown,) = (m for m in kernel.run("%%vigthoria -m demo-401 -o refused\nHello") if m["msg_type"] == "display_data")
    assert "401" in plain(shown)
    assert "vig-card" in shown["content"]["data"]["text/html"]
    kernel.run("refused.text")
    assert (kernel.reply["status"], kernel.reply["ename"]) == ("error", "AuthError")


def test_cell_of_a_person_returns_before_the_answer_and_is_updated_with_the_record(kernel: Kernel) -> None:
    kernel.run(PACE)
    messages = kernel.run(CELL, person=True)
    (shown,) = (m for m in messages if m["msg_type"] == "display_data")
    assert "application/vnd.jupyter.widget-view+json" in shown["content"]["data"]
    state = kernel.run("print(poem.state, poem.completion.finish_reason)", person=True)
    assert "DONE" not in next(m["content"]["text"] for m in state if m["msg_type"] == "stream")
    kernel.client.execute("poem.wait()")
    update = kernel.next_message("update_display_data")
    view = shown["content"]["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert update["content"]["transient"] == shown["content"]["transient"] | {"vig_view": view}
    assert set(update["content"]["data"]) == {"text/html", "text/plain"}


def test_live_view_says_its_run_and_where_the_text_is_for_whoever_has_only_the_file(kernel: Kernel) -> None:
    kernel.run(PACE)
    (shown,) = (m for m in kernel.run(CELL, person=True) if m["msg_type"] == "display_data")
    run_id = kernel.run("print(poem.id)")[-2]["content"]["text"].strip()
    assert shown["content"]["metadata"] == {"vig_notebook": {"run": run_id}}
    assert f"%vigthoria show {run_id[:8]} brings back" in plain(shown)
    kernel.run("%vigthoria log off")
    (shown,) = (m for m in kernel.run(CELL, person=True) if m["msg_type"] == "display_data")
    assert "%vigthoria show" not in plain(shown)


@pytest.mark.parametrize(("model", "state"), [("demo", "DONE"), ("demo-401", "FAILED")])
def test_answer_to_a_person_that_ends_at_once_is_its_record_alone(kernel: Kernel, model: str, state: str) -> None:
    messages = kernel.run(f"%%vigthoria -m {model}\nWrite a haiku about rain", person=True)
    (shown,) = (m for m in messages if m["msg_type"] in {"display_data", "update_display_data"})
    assert set(shown["content"]["data"]) == {"text/html", "text/plain"}
    assert shown["content"]["metadata"]["vig_notebook"]["state"] == state


def test_cells_of_one_chat_run_one_after_another(kernel: Kernel) -> None:
    kernel.run(PACE)
    kernel.run("%%vigthoria --chat c -o one\nWrite a haiku", person=True)
    kernel.run("%%vigthoria --chat c -o two\nWrite a haiku", person=True)
    code = "print(one.state, two.state)\ntwo.wait()\nprint([m.content for m in two.request.messages][1] == one.text)"
    messages = kernel.run(code)
    text = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")
    assert text.split() == ["STREAMING", "QUEUED", "True"] or text.split() == ["CONNECTING", "QUEUED", "True"]


def test_value_that_waits_is_interrupted_and_its_run_stopped(kernel: Kernel) -> None:
    code = "import signal, threading\nthreading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()\npoem.text"
    kernel.run("%%vigthoria -m demo-stall -o poem\nHello", person=True)
    kernel.run(code, person=True)
    assert kernel.reply["ename"] == "KeyboardInterrupt"
    assert kernel.run("print(poem.state)")[-2]["content"]["text"] == "STOPPED\n"


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook that uses the value of a cell."""
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    cells = ["%load_ext vig_notebook", CELL, "print(len(poem.text) > 20)"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "poem.ipynb"
    nbformat.write(notebook, path)
    return path


def assert_whole(path: Path) -> None:
    """The notebook holds the whole answer and its use."""
    notebook: Any = nbformat.read(path, as_version=4)
    (shown,) = notebook.cells[1].outputs
    assert "Rain" in shown.data["text/plain"]
    assert "done]" in shown.data["text/plain"]
    assert notebook.cells[2].outputs[0].text == "True\n"
    assert not notebook.metadata.get("widgets")


@pytest.mark.slow
def test_nbconvert_executes_to_the_whole_answer_and_shows_it_in_html(on_disk: Path) -> None:
    command = [sys.executable, "-m", "nbconvert", "--execute", "--inplace", "--to", "notebook", str(on_disk)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert_whole(on_disk)
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", str(on_disk)], check=True, capture_output=True)
    assert "scripted answers, no model" in on_disk.with_suffix(".html").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_papermill_executes_to_the_whole_answer(on_disk: Path, tmp_path: Path) -> None:
    done = tmp_path / "done.ipynb"
    papermill.execute_notebook(on_disk, done, progress_bar=False, log_output=False)
    assert_whole(done)
