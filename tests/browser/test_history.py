"""What was asked before the kernel was restarted is found again, in a table that reads well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.conftest import RESULTS

if TYPE_CHECKING:
    from tests.browser.lab import Notebook

LOAD = "%load_ext vig_notebook\n%env VIG_DEMO_PACE=0"
CELLS = [
    LOAD,
    "%%vigthoria --chat sea --out first\nExplain the tides to a child, with a table and `code`",
    "%%vigthoria --model demo-401\nThis one is refused <b>bold</b>",
    "first.wait()",
    f"{LOAD}\n%vigthoria history --limit 2",
    "from vig_notebook import history\nnewest = history(chat='sea', limit=1).loc[0]\n"
    "get_ipython().run_line_magic('vigthoria', f'show {newest.id}')",
    "print(newest['notebook'], newest['cell'])",
    "%%vigthoria --chat sea --wait\nAnd the moon?",
]


def test_history_after_a_restart_shows_what_was_asked_and_brings_it_back(notebook: Notebook) -> None:
    page = notebook.open(CELLS)
    for number in range(4):
        notebook.run_cell(number)
    notebook.restart_kernel()
    notebook.run_cell(4)
    table = notebook.output(4).locator(".vig-runs table")
    assert table.locator("tbody tr").count() == 2
    assert "This one is refused <b>bold</b>" in table.inner_text()
    assert "failed" in table.inner_text()
    assert table.locator("b").count() == 0
    page.evaluate("jupyterapp.shell.collapseLeft()")
    for theme, width_px in (("light", 1280), ("dark", 1280), ("dark", 480)):
        notebook.set_theme(theme)
        notebook.set_width(width_px)
        table.scroll_into_view_if_needed()
        page.screenshot(path=RESULTS / f"history-{theme}-{width_px}.png")
        box = notebook.output(4).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width_px
        sizes_px = table.evaluate("table => [table.scrollWidth, table.parentElement.clientWidth]")
        assert sizes_px[0] <= sizes_px[1]
    notebook.set_width(1280)
    notebook.run_cell(5)
    assert "Explain the tides" in notebook.output_text(5)
    assert "done" in notebook.output(5).locator(".vig-footer").inner_text()
    notebook.run_cell(6)
    name, cell = notebook.output_text(6).split()
    assert name.endswith(notebook.name)
    assert cell == notebook.saved()["cells"][1]["id"]
    notebook.run_cell(7)
    assert "goes on after 1 turn from the log" in notebook.output_text(7)
