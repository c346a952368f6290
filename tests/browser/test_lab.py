"""The fixtures of the browser tests do what they say, with nothing of ours in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.lab import Notebook

BUTTON = """
import ipywidgets
button, shown = ipywidgets.Button(description="Count"), ipywidgets.Output()
def count(_):
    shown.outputs = ({"output_type": "stream", "name": "stdout", "text": "clicked"},)
button.on_click(count)
display(button, shown)
"""


@pytest.mark.all_kernels
def test_notebook_runs_a_cell_and_shows_its_output(notebook: Notebook) -> None:
    notebook.open(["print(6 * 7)"])
    notebook.run_cell(0)
    notebook.wait_for_output_text(0, "42")
    notebook.save()
    assert notebook.saved()["cells"][0]["outputs"][0]["text"] == ["42\n"]


def test_notebook_passes_clicks_on_a_widget_to_the_kernel(notebook: Notebook) -> None:
    notebook.open([BUTTON])
    notebook.run_cell(0)
    notebook.traffic.clear()
    notebook.output(0).get_by_role("button", name="Count").click()
    notebook.wait_for_output_text(0, "clicked")
    assert notebook.traffic.sent.messages["shell/comm_msg:custom"] == 1
    assert notebook.traffic.received.messages["iopub/comm_msg:update"] == 1
    assert 100 < notebook.traffic.received.size_bytes["iopub/comm_msg:update"] < 2000


def test_notebook_interrupts_restarts_and_reloads(notebook: Notebook) -> None:
    notebook.open(["import time; print('begun'); time.sleep(60)", "print('again')"])
    notebook.run_cell(0, wait=False)
    notebook.wait_for_output_text(0, "begun")
    notebook.interrupt_kernel()
    notebook.wait_for_output_text(0, "KeyboardInterrupt")
    notebook.save()
    notebook.restart_kernel()
    notebook.reload()
    assert "KeyboardInterrupt" in notebook.output_text(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "again")


def test_notebook_changes_theme_and_width(notebook: Notebook) -> None:
    page = notebook.open(["1"])
    notebook.set_theme("dark")
    assert page.evaluate("document.body.dataset.jpThemeLight") == "false"
    notebook.set_theme("light")
    notebook.set_width(500)
    assert page.evaluate("window.innerWidth") == 500
