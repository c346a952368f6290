"""The live grid of a `%%vigthoria` cell that compares, in a real JupyterLab: what a person sees and does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.axe import violations
from tests.render.vocabulary import check

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.lab import Notebook

PACED = "%env VIG_DEMO_PACE={}\n%load_ext vig_notebook"
STORY = "Write a long story about {}"
OVER = "the scripted demo server"
"""Stands in the footer of a record, and nowhere while the grid is live."""

TICKETS = """
tickets = [{"text": f"the app crashed {i}", "label": "bug" if i % 3 else "praise"} for i in range(1, 17)]
"""
ASK_TICKETS = "%%vigthoria --data tickets --score exact:label --name short --repeats 2 --max-tokens 8\n"


def places(notebook: Notebook, i: int) -> Locator:
    """The places of the live grid, without the heads of its columns."""
    return notebook.output(i).locator(".vig-view .vig-gridrow:not(.vig-columns) > .vig-place")


def wait_until_all_grow(notebook: Notebook, i: int) -> None:
    """Wait until every place of the live grid shows more text than it does now."""
    now = places(notebook, i).evaluate_all("all => all.map(place => place.innerText.length)")
    handles = places(notebook, i).element_handles()
    notebook.page.wait_for_function(
        "([all, before]) => all.every((place, k) => place.innerText.length > before[k])", arg=[handles, now]
    )


def record_of(notebook: Notebook, i: int) -> dict[str, Any]:
    """The only output of a cell in the saved file: plain, and of our closed vocabulary."""
    notebook.save()
    (output,) = notebook.saved()["cells"][i]["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}
    check("".join(output["data"]["text/html"]))
    return dict(output)


@pytest.mark.slow
def test_columns_stream_at_once_and_become_a_table_that_stays(notebook: Notebook) -> None:
    notebook.open(
        [
            PACED.format(30),
            "%%vigthoria --model a,b --temperature 0,0.9 --repeats 3 --seed 7 --max-concurrency 12 --max-tokens 120 "
            "--out grid\n" + STORY.format("tides"),
            "print(len(grid.df), set(grid.df.status))",
        ]
    )
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "12 streaming")
    assert places(notebook, 1).locator(".vig-stop").count() == 4
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "0 set()")  # the table can be taken at any moment
    wait_until_all_grow(notebook, 1)
    places(notebook, 1).first.get_by_text("first token").first.wait_for()
    notebook.wait_for_output_text(1, OVER)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "12 {'ok'}")
    output = record_of(notebook, 1)
    assert output["metadata"]["vig_notebook"]["state"] == "DONE"
    before = notebook.output_text(1)
    assert "×3" in before
    notebook.restart_kernel()
    notebook.reload()
    notebook.wait_for_output_text(1, OVER)
    assert notebook.output_text(1) == before


def test_one_is_stopped_and_asked_again_then_all_are_stopped_by_keys_alone(notebook: Notebook) -> None:
    notebook.open(
        [PACED.format(25), "%%vigthoria --model demo-slow,b,c --out grid\n" + STORY.format("owls"), "grid.df.status"]
    )
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "3 streaming")
    second = places(notebook, 1).nth(1)
    second.get_by_role("button", name="Stop").focus()
    notebook.press("Space")
    second.get_by_role("button", name="Retry").wait_for()
    assert "stopped" in second.inner_text()
    notebook.wait_for_output_text(1, "2 streaming")
    notebook.press("Space")  # the focus has stayed where it was
    second.get_by_role("button", name="Stop").wait_for()
    notebook.wait_for_output_text(1, "3 streaming")
    notebook.output(1).get_by_role("button", name="Stop all").focus()
    notebook.press("Enter")
    notebook.wait_for_output_text(1, OVER, limit_s=3)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "stopped")
    assert record_of(notebook, 1)["metadata"]["vig_notebook"]["state"] == "STOPPED"


def test_interrupt_stops_all_and_asks_no_more(notebook: Notebook) -> None:
    notebook.open(
        [PACED.format(25), "%%vigthoria --repeats 30 --out grid\n" + STORY.format("owls"), "print(len(grid.df))"]
    )
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "8 streaming")
    notebook.interrupt_kernel()
    notebook.wait_for_output_text(1, OVER, limit_s=3)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "8")


@pytest.mark.slow
def test_reloaded_page_gets_the_record_and_a_dead_kernel_leaves_what_had_come(notebook: Notebook) -> None:
    notebook.open([PACED.format(25), "%%vigthoria --model a,b\n" + STORY.format("owls")])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "2 streaming")
    notebook.save()
    notebook.reload()
    notebook.output(1).get_by_role("button", name="Stop all").click()
    notebook.wait_for_output_text(1, OVER)
    assert record_of(notebook, 1)["metadata"]["vig_notebook"]["state"] == "STOPPED"
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "2 streaming")
    notebook.wait_for_output_text(1, "owls")
    notebook.restart_kernel()
    notebook.wait_for_output_text(1, "Run its cell again")
    assert "owls" in notebook.output_text(1)
    assert not notebook.output(1).locator(".vig-view").count()


def test_narrow_dark_grid_keeps_its_buttons_inside_shows_differences_and_is_accessible(notebook: Notebook) -> None:
    page = notebook.open(
        [PACED.format(30), "%%vigthoria --model a,demo-slow,b --max-tokens 40\nDescribe the moon in two sentences"]
    )
    notebook.set_theme("dark")
    notebook.set_width(500)
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "2 of 3 done")
    box = notebook.output(1).get_by_role("button", name="Stop all").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 500
    notebook.output(1).get_by_role("button", name="Differences to baseline").click()
    notebook.output(1).locator(".vig-came").first.wait_for()
    assert violations(page, ".vig-view.vig-grid") == []
    notebook.output(1).get_by_role("button", name="Stop all").click()
    notebook.wait_for_output_text(1, OVER)
    assert page.evaluate("document.documentElement.scrollWidth") <= 500
    notebook.set_width(1280)
    assert violations(page, ".vig-grid") == []


def test_edited_cell_opens_with_changes_flips_and_verdict_then_is_rated_by_keys(notebook: Notebook) -> None:
    page = notebook.open(
        [
            PACED.format(0) + TICKETS,
            ASK_TICKETS + "Is it bug or praise? {{ text }}",
            ASK_TICKETS + "Classify as bug or praise: {{ text }}",
            "%vigthoria rate short v1 --blind",
            "%vigthoria versions short",
        ]
    )
    for i in (0, 1):
        notebook.run_cell(i)
    notebook.wait_for_output_text(1, "32 answers ·")
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "64 answers ·")
    strip = notebook.output(2).locator(".vig-strip").inner_text()
    assert "short@v1 → short@v2" in strip
    assert "Classify" in strip
    assert "Verdict. short@v2 is better than short@v1 on exact" in strip
    assert "flipped; read these first" in strip
    assert "from before" in notebook.output_text(2)
    assert record_of(notebook, 2)["metadata"]["vig_notebook"]["verdict"].startswith("short@v2 is better")
    notebook.run_cell(3)
    notebook.wait_for_output_text(3, "pair 1 of 16")
    assert "short@v" not in notebook.output(3).inner_text()
    page.wait_for_function("() => document.activeElement.closest('.vig-rating')")
    assert violations(page, ".vig-rating") == []
    for key in ("1", "u", "ArrowRight", "ArrowLeft", *"0" * 4):
        notebook.press(key)
    notebook.wait_for_output_text(3, "pair 5 of 16 · 4 voted")
    for _ in range(11):
        notebook.press("2")
    notebook.output(3).get_by_role("button", name="1 better").click()
    notebook.wait_for_output_text(3, "by the exact sign test")
    assert "4 ties" in notebook.output_text(3)
    record_of(notebook, 3)
    notebook.run_cell(4)
    notebook.wait_for_output_text(4, "short@v2  from short@v1")
