"""A `%%vigthoria` cell in a real JupyterLab: what a person sees of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.browser.lab import Notebook

LOAD = "%load_ext vig_notebook"
FAST = "%env VIG_DEMO_PACE=150\n%load_ext vig_notebook"
"""For answers that are waited for to their end."""
POEM = "%%vigthoria -o poem\nWrite a long story about a lighthouse"
SEEN = """
from vig_notebook.engine import engine
async def hang_ups():
    server = await engine().shared("the demo server", None)
    await server.wait_closed_early(1)
    return server.closed_early
print("hang-ups", engine().run(hang_ups()).result(10))
"""
STATE = "print(poem.state, len(poem.text_so_far), poem.text_so_far[:40])"
FOOTER = "scripted answers, no model"
"""Stands in the footer of every record of the demo server, and nowhere while it streams."""


def saved_outputs(notebook: Notebook, i: int) -> list[dict[str, Any]]:
    """The outputs of a cell in the saved file."""
    notebook.save()
    return list(notebook.saved()["cells"][i]["outputs"])


def assert_record(notebook: Notebook, i: int, words: str) -> None:
    """The saved output of the cell is one plain record with these words, and no widget."""
    (output,) = saved_outputs(notebook, i)
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert words in "".join(output["data"]["text/plain"])
    assert output["metadata"]["vig_notebook"]["state"] in {"DONE", "STOPPED", "FAILED"}


def start_and_see_text(notebook: Notebook, i: int) -> None:
    """Run a cell and wait until its answer has begun."""
    notebook.run_cell(i)
    notebook.output(i).locator(".vig-answer p, .vig-answer pre").first.wait_for()


@pytest.mark.all_kernels
def test_answer_grows_in_place_and_becomes_a_record(notebook: Notebook) -> None:
    page = notebook.open([FAST, POEM, STATE])
    notebook.run_cell(0)
    notebook.run_cell(1)
    lengths: set[int] = set()
    while FOOTER not in (text := notebook.output_text(1)):
        lengths.add(len(text))
        page.wait_for_timeout(50)
    assert len(lengths) >= 5
    assert notebook.stop_button(1).count() == 0
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "DONE")
    assert_record(notebook, 1, "lighthouse")


@pytest.mark.all_kernels
def test_stop_by_mouse_ends_the_stream_and_keeps_the_text(notebook: Notebook) -> None:
    notebook.open([LOAD, POEM, SEEN, STATE])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.click_stop(1)
    notebook.wait_for_output_text(1, "stopped", limit_s=2)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "hang-ups 1")
    notebook.run_cell(3)
    notebook.wait_for_output_text(3, "STOPPED")
    assert notebook.stop_button(1).count() == 0
    assert_record(notebook, 1, "lighthouse")


def test_stop_by_keyboard_ends_the_stream_and_the_keyboard_still_works(notebook: Notebook) -> None:
    page = notebook.open([LOAD, POEM, SEEN])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.stop_button(1).focus()
    notebook.press("Enter")
    notebook.wait_for_output_text(1, "stopped", limit_s=2)
    page.wait_for_function("() => document.activeElement.closest('.jp-Cell')")
    notebook.press("ArrowDown")
    page.wait_for_function("() => jupyterapp.shell.currentWidget.content.activeCellIndex === 2")
    notebook.press("Shift+Enter")
    notebook.wait_for_output_text(2, "hang-ups 1")


def test_stop_is_reached_with_the_tab_key_and_has_a_name(notebook: Notebook) -> None:
    page = notebook.open([LOAD, POEM])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    button = notebook.stop_button(1)
    assert button.evaluate("button => button.tabIndex") == 0
    assert "kept" in str(button.get_attribute("title"))
    button.focus()
    assert page.evaluate("document.activeElement.textContent.trim()") == "Stop"
    notebook.press("Space")
    notebook.wait_for_output_text(1, "stopped", limit_s=2)


def test_stop_and_state_stay_in_sight_above_a_long_answer(notebook: Notebook) -> None:
    page = notebook.open([LOAD, "%%vigthoria -m demo-long\nWrite at length"])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    page.wait_for_function("() => document.querySelector('.vig-view').offsetHeight > 3000")
    notebook.output(1).hover()
    page.mouse.wheel(0, 1500)
    page.wait_for_function("() => document.querySelector('.vig-view').getBoundingClientRect().top < -500")
    box = notebook.output(1).locator(".vig-header").bounding_box()
    assert box is not None
    assert 0 < box["y"] < 150
    notebook.click_stop(1)
    notebook.wait_for_output_text(1, "stopped", limit_s=2)


@pytest.mark.all_kernels
def test_interrupt_stops_a_background_run(notebook: Notebook) -> None:
    notebook.open([LOAD, POEM, STATE])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.page.wait_for_timeout(300)  # a person needs longer to find the button
    notebook.interrupt_kernel()
    notebook.wait_for_output_text(1, "stopped", limit_s=2)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "STOPPED")


@pytest.mark.all_kernels
def test_interrupt_stops_a_cell_that_waits_for_a_silent_server(notebook: Notebook) -> None:
    notebook.open([LOAD, "%%vigthoria -m demo-stall -o poem\nWrite about tea", "poem.text", STATE])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.run_cell(2, wait=False)
    notebook.page.wait_for_timeout(300)
    notebook.interrupt_kernel()
    notebook.wait_for_output_text(2, "KeyboardInterrupt", limit_s=2)
    notebook.wait_for_output_text(1, "stopped", limit_s=2)


def test_painting_goes_on_while_another_cell_sleeps(notebook: Notebook) -> None:
    page = notebook.open([LOAD, POEM, "import time; time.sleep(4); print('awake')"])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.run_cell(2, wait=False)
    lengths: set[int] = set()
    while "awake" not in notebook.output_text(2):
        lengths.add(len(notebook.output_text(1)))
        page.wait_for_timeout(50)
    assert len(lengths) >= 5


def test_three_runs_stream_at_once_and_each_ends_with_its_own_text(notebook: Notebook) -> None:
    words = ("lighthouse", "harbour", "volcano")
    pace = FAST.replace("150", "60")  # the first must not end before the third has begun
    count = "from vig_notebook.engine import engine; print(len(engine().runs), 'runs')"
    notebook.open([pace, *(f"%%vigthoria\nWrite about a {word}" for word in words), count])
    notebook.run_cell(0)
    for i in (1, 2, 3, 4):
        notebook.run_cell(i, wait=False)
    notebook.wait_for_output_text(4, "3 runs")
    for i, word in enumerate(words, 1):
        notebook.wait_for_output_text(i, FOOTER)
        text = notebook.output_text(i)
        assert word in text
        assert not any(other in text for other in words if other != word)
        assert_record(notebook, i, word)


def test_error_is_a_card_below_the_text_that_came(notebook: Notebook) -> None:
    notebook.open([FAST, "%%vigthoria -m demo-cut\nWrite about tea", "%%vigthoria -m demo-401\nHello"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "failed: truncated")
    order = (
        notebook.output(1)
        .locator(".vig-answer, .vig-card, .vig-footer")
        .evaluate_all("elements => elements.map(element => element.className)")
    )
    assert order == ["vig-answer", "vig-card", "vig-footer"]
    assert "tea" in notebook.output_text(1)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "failed: auth")
    assert "401" in notebook.output_text(2)


def test_record_reads_the_same_after_save_restart_and_reload(notebook: Notebook) -> None:
    notebook.open([FAST, "%%vigthoria\nExplain tides with a table and some Python code"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, FOOTER)
    before = notebook.output_text(1)
    notebook.save()
    notebook.restart_kernel()
    notebook.reload()
    notebook.wait_for_output_text(1, FOOTER)
    assert notebook.output_text(1) == before
    assert "Error displaying widget" not in before


@pytest.mark.slow
def test_answer_saved_in_mid_stream_and_reloaded_becomes_a_record(notebook: Notebook) -> None:
    notebook.open([FAST, POEM])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    (output,) = saved_outputs(notebook, 1)
    assert "%vigthoria show" in "".join(output["data"]["text/plain"])  # for who has the file only
    notebook.reload()
    notebook.wait_for_output_text(1, FOOTER)
    before = notebook.output_text(1)
    assert_record(notebook, 1, "lighthouse")
    notebook.restart_kernel()
    notebook.reload()
    notebook.wait_for_output_text(1, FOOTER)
    assert notebook.output_text(1) == before


@pytest.mark.slow
def test_answer_that_ended_while_no_page_was_open_becomes_a_record(notebook: Notebook) -> None:
    wait = "import pathlib, threading\nended = pathlib.Path(f'{poem.id}.ended')\nprint(ended)\n"
    wait += "threading.Thread(target=lambda: (poem.wait(), ended.touch())).start()"
    page = notebook.open([FAST, POEM, wait])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.run_cell(2)
    ended = notebook.lab.notebooks / notebook.output_text(2).strip()
    notebook.save()
    page.goto("about:blank")
    while not ended.exists():
        page.wait_for_timeout(50)
    notebook.reload()
    notebook.wait_for_output_text(1, FOOTER)
    page.wait_for_function("() => !document.querySelector('.vig-view')")
    assert_record(notebook, 1, "lighthouse")


@pytest.mark.slow
def test_kernel_that_restarts_in_mid_stream_leaves_the_text_and_says_where_the_rest_is(notebook: Notebook) -> None:
    notebook.open([LOAD, POEM])
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.wait_for_output_text(1, "lighthouse")
    notebook.save()
    notebook.restart_kernel()
    notebook.wait_for_output_text(1, "The kernel ended before this answer did")
    shown = notebook.output_text(1)
    assert "lighthouse" in shown
    assert re.search(r"%vigthoria show [0-9a-f]{8}", shown)
    assert notebook.stop_button(1).count() == 0
    notebook.reload()  # what was saved was the view
    notebook.wait_for_output_text(1, "This answer was not saved")
    assert "Error displaying widget" not in notebook.output_text(1)
    (output,) = saved_outputs(notebook, 1)
    assert set(output["data"]) == {"text/html", "text/plain"}


def test_reasoning_is_folded_with_its_own_timer_and_kept(notebook: Notebook) -> None:
    notebook.open(["%env VIG_DEMO_PACE=80\n" + LOAD, "%%vigthoria -m demo-reasoning\nWhy is the sky blue?"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.output(1).get_by_text(re.compile(r"^Reasoning…")).wait_for()
    notebook.output(1).get_by_text(re.compile(r"^Reasoned for \d+ s")).wait_for()
    notebook.wait_for_output_text(1, FOOTER)
    assert "Reasoning" in notebook.output_text(1)


def test_cell_that_waits_can_be_stopped_with_its_button(notebook: Notebook) -> None:
    notebook.open([LOAD, "%%vigthoria --wait -o poem\nWrite a long story about a lighthouse", STATE])
    notebook.run_cell(0)
    notebook.run_cell(1, wait=False)
    notebook.output(1).locator(".vig-answer p, .vig-answer pre").first.wait_for()
    notebook.click_stop(1)
    notebook.wait_for_output_text(1, "stopped", limit_s=2)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "STOPPED")


def test_code_comes_in_the_next_cell(notebook: Notebook) -> None:
    page = notebook.open([FAST, "%%vigthoria --format code\nWrite a Python function that adds two numbers"])
    notebook.run_cell(0)
    notebook.run_cell(1, wait=False)
    notebook.wait_for_output_text(1, FOOTER)
    page.wait_for_function("() => document.querySelectorAll('.jp-Notebook .jp-CodeCell').length === 3")
    assert "def " in notebook.cell(2).inner_text()


def test_undefined_variable_is_a_card_that_names_it(notebook: Notebook) -> None:
    notebook.open([FAST, "topic = 'rain'", "%%vigthoria\nWrite about {{ topick }}"])
    for i in range(3):
        notebook.run_cell(i)
    notebook.wait_for_output_text(2, "topick")
    assert notebook.output(2).locator(".vig-card").count() == 1
    assert "topic" in notebook.output_text(2).replace("topick", "")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_has_colours_that_can_be_read_in_both_themes(notebook: Notebook, theme: str) -> None:
    page = notebook.open([FAST, "%%vigthoria\nWrite a Python function that adds two numbers"])
    notebook.set_theme(theme)
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, FOOTER)
    contrasts = page.evaluate(CONTRASTS)
    assert len({colour for colour, _ in contrasts}) >= 3
    assert min(contrast for _, contrast in contrasts) >= 4.5
    notebook.set_theme("light")


def test_narrow_window_keeps_stop_and_text_inside(notebook: Notebook) -> None:
    page = notebook.open([LOAD, POEM])
    notebook.set_width(400)
    page.evaluate("() => jupyterapp.shell.collapseLeft()")
    notebook.run_cell(0)
    start_and_see_text(notebook, 1)
    notebook.wait_for_output_text(1, "lighthouse is a")
    inside, stop = notebook.cell(1).bounding_box(), notebook.stop_button(1).bounding_box()
    assert inside is not None
    assert stop is not None
    # The paragraph is found and measured at once: the next paint puts another in its place.
    text_ends = notebook.cell(1).evaluate("cell => cell.querySelector('.vig-answer p').getBoundingClientRect().right")
    for right in (stop["x"] + stop["width"], text_ends):
        assert 0 < right <= inside["x"] + inside["width"] <= 400
    notebook.click_stop(1)
    notebook.wait_for_output_text(1, "stopped", limit_s=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.evaluate("() => jupyterapp.shell.expandLeft()")
    notebook.set_width(1280)


CONTRASTS = """() => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number)
        .map((value, i) => i < 3 && text.startsWith('color(') ? value * 255 : value);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = rgb(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('.jp-OutputArea .highlight pre, .jp-OutputArea .highlight span')]
        .filter(element => element.textContent.trim()).map(element => {
            const colour = getComputedStyle(element).color;
            const [a, b] = [light(rgb(colour)), light(ground(element))];
            return [colour, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
        });
}"""
