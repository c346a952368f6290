"""The panel in a real JupyterLab: what a person sees of it and does with it."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.lab import Notebook

SETUP = "%env VIG_LOCAL_MODEL=off\n%env VIG_DEMO_PACE={pace}\n%load_ext vig_notebook\nimport vig_notebook as vig\n"
FOOTER = "scripted answers, no model"
LIGHTHOUSE = "Write a long story about a lighthouse"
CODE = "Write a Python function that adds two numbers"
HANG_UPS = """
from vig_notebook.engine import engine
async def hang_ups():
    server = await engine().shared("the demo server", None)
    await server.wait_closed_early({count})
    return server.closed_early
print("hang-ups", engine().run(hang_ups()).result(10))
"""


class PanelPage:
    """A panel in a cell, and what a person does with it."""

    def __init__(self, notebook: Notebook, cell: int = 1, nth: int = 0) -> None:
        self.notebook = notebook
        self.page: Page = notebook.page
        self.box: Locator = notebook.output(cell).locator(".vig-panel").nth(nth)
        self.prompt = self.box.get_by_role("textbox", name="Prompt", exact=True)
        self.turns = self.box.locator(".vig-turn")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.box.get_by_role("button", name=name, exact=True)

    def send(self, text: str, *, wait: bool = True) -> None:
        """Type and press Ctrl+Enter; with `wait`, until the answer has ended."""
        self.prompt.fill(text)
        self.prompt.press("Control+Enter")
        if wait:
            expect(self.prompt).to_have_value("")
            self.wait_until_ended()

    def wait_until_ended(self) -> None:
        expect(self.button("Send")).to_be_enabled(timeout=20_000)

    def wait_for_text(self, turn: int) -> None:
        """Wait until the answer of a turn has begun."""
        self.turns.nth(turn).locator(".vig-answer p, .vig-answer pre").first.wait_for()

    def choose_model(self, name: str) -> None:
        model = self.box.get_by_role("combobox", name="Model")
        model.fill(name)
        model.press("Enter")

    def set_field(self, name: str, text: str) -> None:
        """Type into a field of the drawer, which must be open."""
        field = self.box.get_by_role("textbox", name=name)
        field.fill(text)
        field.blur()

    def open_parameters(self) -> None:
        self.button("Parameters").click()
        self.box.get_by_role("textbox", name="Temperature").wait_for()

    def focused(self) -> str:
        """What has the focus: its name, or its tag."""
        return str(
            self.page.evaluate(
                "(() => { const e = document.activeElement;"
                " return e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent.trim()"
                " || e.title || e.tagName; })()"
            )
        )

    def said(self) -> str:
        return self.box.get_by_role("status").inner_text()


def open_panel(notebook: Notebook, *more: str, arguments: str = "", pace: float = 200) -> PanelPage:
    """Open a notebook whose second cell shows a panel; `more` are the cells after it."""
    notebook.open([SETUP.format(pace=pace) + f"panel = vig.Panel({arguments})", "panel", *more])
    notebook.run_cell(0)
    notebook.run_cell(1)
    panel = PanelPage(notebook)
    panel.prompt.wait_for()
    return panel


def shown(notebook: Notebook, i: int) -> str:
    """The text of a cell's output that can be seen."""
    return notebook.output(i).inner_text()


def saved_text(notebook: Notebook, i: int) -> str:
    """The plain text of the records in the saved file."""
    notebook.save()
    outputs = notebook.saved()["cells"][i]["outputs"]
    return "\n".join("".join(one["data"]["text/plain"]) for one in outputs if "text/html" in one["data"])


@pytest.mark.all_kernels  # the lowest has no anywidget: its prompt box is made of ipywidgets
def test_send_streams_into_the_conversation_and_stop_keeps_what_came(notebook: Notebook) -> None:
    panel = open_panel(notebook, "print(panel.last.state, len(panel.chat.messages))", pace=60)
    assert "Nothing asked yet" in shown(notebook, 1)
    panel.prompt.fill("Explain the tides in two paragraphs")
    panel.button("Send").click()
    panel.button("Generating…").wait_for()
    assert panel.button("Generating…").is_disabled()
    assert panel.button("Stop").is_enabled()
    expect(panel.prompt).to_have_value("")
    assert panel.focused() == "Prompt"
    lengths: set[int] = set()
    while FOOTER not in (text := panel.turns.first.inner_text()):
        lengths.add(len(text))
        notebook.page.wait_for_timeout(50)
    assert len(lengths) >= 5
    panel.wait_until_ended()
    assert re.search(r"first token \d+\.\d\d s · \d+ tokens · \d+ tokens/s", text)
    assert panel.button("Stop").is_disabled()

    panel.prompt.fill(LIGHTHOUSE)
    panel.button("Send").click()
    panel.wait_for_text(1)
    panel.button("Stop").click()
    panel.turns.nth(1).get_by_text("· stopped").wait_for(timeout=2000)
    panel.wait_until_ended()
    assert panel.focused() == "Prompt"
    assert "lighthouse" in panel.turns.nth(1).inner_text()
    assert "1 partial answer is kept and sent" in shown(notebook, 1)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "STOPPED 4")


def test_stop_before_the_first_byte_and_of_a_silent_server_and_the_keyboard_alone(notebook: Notebook) -> None:
    panel = open_panel(notebook, HANG_UPS.format(count=2), "print(len(panel.chat.messages))", pace=60)
    panel.box.get_by_role("combobox", name="Model").focus()
    order = []
    for _ in range(7):
        order.append(panel.focused())
        notebook.press("Tab")
    assert order == ["Model", "Parameters", "Conversation", "Prompt", "Send", "Preview", "Take out as cells"]
    panel.choose_model("demo-slow")
    panel.send("Write about tea", wait=False)
    panel.box.get_by_text("Connecting").wait_for()
    panel.button("Stop").click()
    panel.turns.first.get_by_text("· stopped").wait_for(timeout=2000)
    panel.wait_until_ended()
    panel.choose_model("demo-stall")
    panel.prompt.focus()
    notebook.page.keyboard.type("Write about coffee")
    notebook.press("Shift+Enter")
    notebook.page.keyboard.type("in prose")
    notebook.press("Meta+Enter")
    panel.wait_for_text(1)
    notebook.press("Escape")
    panel.turns.nth(1).get_by_text("· stopped").wait_for(timeout=2000)
    panel.wait_until_ended()
    assert panel.focused() == "Prompt"
    assert "stopped" in panel.said().lower()
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "hang-ups 2")
    notebook.run_cell(3)
    notebook.wait_for_output_text(3, "2")  # the turn without an answer is left out of what is sent next

    panel.prompt.focus()
    notebook.press("ArrowUp")
    expect(panel.prompt).to_have_value("Write about coffee\nin prose")
    heights = [panel.prompt.bounding_box()]
    panel.prompt.fill("line\n" * 8)
    heights.append(panel.prompt.bounding_box())
    assert heights[0] is not None
    assert heights[1] is not None
    assert heights[1]["height"] > heights[0]["height"] + 50
    panel.turns.first.get_by_role("button", name="Edit").focus()
    notebook.press("Enter")
    expect(panel.prompt).to_be_focused()
    expect(panel.prompt).to_have_value("Write about tea")
    fold = panel.button("Parameters")
    assert fold.get_attribute("aria-expanded") == "false"
    fold.focus()
    notebook.press("Space")
    expect(fold).to_have_attribute("aria-expanded", "true")
    notebook.press("Tab")
    assert panel.focused() == "System prompt"


def test_branches_are_walked_and_errors_are_cards_that_are_tried_again(notebook: Notebook) -> None:
    asked = "print([m['content'] for m in panel.chat.messages if m['role'] == 'user'])"
    panel = open_panel(notebook, asked, "topic = 1", pace=0)
    notebook.run_cell(3)
    panel.send("Write a haiku about rain")
    panel.send("Write a haiku about snow")
    panel.turns.nth(1).get_by_role("button", name="Regenerate").click()
    panel.turns.nth(1).get_by_text("2/2").wait_for()
    panel.wait_until_ended()
    panel.turns.first.get_by_role("button", name="Edit").click()
    expect(panel.prompt).to_have_value("Write a haiku about rain")
    panel.send("Write a haiku about wind")
    expect(panel.turns).to_have_count(1)
    panel.turns.first.get_by_text("2/2").wait_for()
    panel.turns.first.get_by_role("button", name="Previous branch").click()
    expect(panel.turns).to_have_count(2)
    assert "rain" in panel.turns.first.inner_text()
    panel.turns.nth(1).get_by_role("button", name="Previous branch").click()
    panel.turns.nth(1).get_by_text("1/2").wait_for()
    panel.turns.first.get_by_role("button", name="Next branch").click()
    expect(panel.turns).to_have_count(1)
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "['Write a haiku about wind']")

    panel.choose_model("demo-401")
    panel.send("Write a haiku about hail", wait=False)
    panel.turns.nth(1).locator(".vig-card").get_by_text("401 Unauthorized").wait_for()
    panel.wait_until_ended()
    panel.choose_model("demo-reasoning")
    panel.turns.nth(1).get_by_role("button", name="Try again").click()
    panel.turns.nth(1).get_by_text("2/2").wait_for()
    assert "401" not in panel.turns.nth(1).inner_text()
    fold = panel.turns.nth(1).get_by_role("button", name=re.compile("^Reasoned for"))
    inner = panel.turns.nth(1).locator(".vig-folded")
    expect(inner).to_be_hidden()
    fold.focus()
    notebook.press("Enter")
    expect(inner).to_be_visible()
    panel.prompt.fill("About {{ topik }}")
    panel.prompt.press("Control+Enter")
    panel.box.locator(".vig-notice .vig-card").get_by_text("topik").wait_for()
    expect(panel.prompt).to_have_value("About {{ topik }}")
    panel.button("Clear").click()
    panel.button("Really forget 2 turns?").wait_for()
    assert panel.turns.count() == 2
    panel.button("Really forget 2 turns?").click()
    expect(panel.turns).to_have_count(0)
    assert "Nothing asked yet" in shown(notebook, 1)


@pytest.mark.slow
def test_parameters_are_checked_sent_and_shown_and_the_exchange_comes_in_cells(notebook: Notebook) -> None:
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    setting = "animal = 'otter'\n%config Vigthoria.seed = 7\npanel = vig.Panel(system='Kind'); panel"
    panel = open_panel(notebook, setting, "panel", pace=0)
    notebook.run_cell(2)
    notebook.run_cell(3)
    panel = PanelPage(notebook, 3)  # the second view: what is made comes below it
    options = panel.box.locator("datalist option")
    expect(options).not_to_have_count(0)
    assert "demo-slow" in options.evaluate_all("found => found.map(option => option.value)")
    panel.open_parameters()
    expect(panel.box.get_by_role("textbox", name="Seed")).to_have_value("7")
    panel.set_field("Temperature", "hot")
    panel.box.get_by_text("Temperature must be a number from 0 to 2.").wait_for()
    panel.prompt.fill("Write a haiku about an {{ animal }}")
    panel.prompt.press("Control+Enter")
    panel.box.locator(".vig-notice .vig-card").wait_for()
    expect(panel.button("Send")).to_be_enabled()
    expect(panel.prompt).to_have_value("Write a haiku about an {{ animal }}")
    expect(panel.turns).to_have_count(0)
    for name, text in (("Temperature", "0.5"), ("Top-p", "0.9"), ("Max tokens", "400")):
        panel.set_field(name, text)
    panel.set_field("Stop sequences", "END\nFIN")
    panel.box.get_by_text("must be a number").first.wait_for(state="hidden")
    panel.button("Preview").click()
    notice = panel.box.locator(".vig-notice")
    notice.get_by_text('"Write a haiku about an otter"').wait_for()
    assert '"temperature": 0.5' in notice.inner_text()
    expect(panel.prompt).to_be_in_viewport()
    expect(panel.turns).to_have_count(0)
    panel.prompt.press("Control+Enter")
    panel.turns.first.get_by_text("temperature 0.5 · top_p 0.9 · max_tokens 400").wait_for()
    footer = panel.turns.first.locator(".vig-footer").inner_text()
    assert "seed 7 · stop ['END', 'FIN']" in footer
    panel.wait_until_ended()

    panel.send(CODE)
    panel.turns.nth(1).get_by_role("button", name="Copy").click()
    panel.box.get_by_text("Copied.").first.wait_for()
    assert "```python" in notebook.page.evaluate("navigator.clipboard.readText()")
    panel.turns.nth(1).get_by_role("button", name="Code to cell").click()
    cells = notebook.page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells).to_have_count(5)
    assert "def " in notebook.cell(4).inner_text()
    panel.button("Take out as Python").click()
    expect(cells).to_have_count(6)
    notebook.run_cell(4)
    notebook.wait_for_output_text(4, "def adds_numbers")
    assert "otter" in notebook.output_text(4).lower()
    panel.button("Take out as cells").click()
    expect(cells).to_have_count(8)
    assert "--chat panel-copy --new --model demo --system Kind --temperature 0.5" in notebook.cell(4).inner_text()
    notebook.run_cell(4)
    notebook.wait_for_output_text(4, FOOTER)
    assert "max_tokens 400 · seed 7 · stop ['END', 'FIN']" in notebook.output_text(4)
    panel.turns.first.get_by_role("button", name="Edit").click()
    expect(panel.prompt).to_have_value("Write a haiku about an {{ animal }}")


def assert_on_the_page(panel: PanelPage, width_px: int) -> None:
    """Nothing of the panel is wider than the window, and nothing a person needs is cut off."""
    assert panel.page.evaluate("document.documentElement.scrollWidth") <= width_px
    for name in ("Send", "Stop", "Clear"):
        box = panel.button(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width_px


def test_panel_is_accessible_in_light_dark_and_narrow(notebook: Notebook) -> None:
    panel = open_panel(notebook, pace=0)
    assert violations(notebook.page, ".vig-panel") == []
    panel.send(CODE)
    panel.choose_model("demo-reasoning")
    panel.send("Why is the sky blue?")
    panel.turns.nth(1).get_by_role("button", name=re.compile("^Reasoned for")).click()
    panel.choose_model("demo-401")
    panel.send("Compare tea and coffee in a table")
    panel.turns.nth(1).get_by_role("button", name="Regenerate").click()
    panel.turns.nth(1).get_by_text("2/2").wait_for()
    panel.wait_until_ended()
    panel.open_parameters()
    panel.set_field("Temperature", "hot")
    panel.prompt.fill("Go on")
    panel.button("Preview").click()
    panel.box.locator(".vig-notice .vig-card").wait_for()
    assert violations(notebook.page, ".vig-panel") == []
    notebook.set_theme("dark")
    assert violations(notebook.page, ".vig-panel") == []
    notebook.page.evaluate("jupyterapp.shell.collapseLeft()")
    notebook.set_width(400)
    notebook.page.wait_for_timeout(200)
    assert_on_the_page(panel, 400)
    assert violations(notebook.page, ".vig-panel") == []
    notebook.set_theme("light")
    notebook.set_width(1280)


@pytest.mark.slow
def test_views_and_cells_of_one_chat_stay_in_step_and_the_record_reads_without_a_kernel(notebook: Notebook) -> None:
    cells = ("panel", f"%%vigthoria --chat plan -o run\n{LIGHTHOUSE}", "panel.freeze()")
    doors = ("other = vig.Panel(); other", "%vigthoria panel --chat plan", LISTENERS)
    panel = open_panel(notebook, *cells, *doors, arguments="chat='plan'", pace=100)
    notebook.run_cell(2)
    second = PanelPage(notebook, 2)
    panel.prompt.fill("Write a haiku")
    expect(second.prompt).to_have_value("Write a haiku")
    second.prompt.fill("Write a haiku about rain")
    second.button("Send").click()
    expect(panel.turns).to_have_count(1)
    panel.wait_until_ended()
    assert second.focused() == "Prompt"
    assert panel.turns.first.inner_text() == second.turns.first.inner_text()
    notebook.run_cell(3)
    panel.wait_for_text(1)
    expect(panel.button("Generating…")).to_be_disabled()
    panel.button("Stop").click()
    panel.turns.nth(1).get_by_text("· stopped").wait_for()
    notebook.wait_for_output_text(3, "· stopped")
    panel.wait_until_ended()
    notebook.run_cell(5)
    other = PanelPage(notebook, 5)
    other.prompt.wait_for()
    assert other.turns.count() == 0
    for _ in range(2):  # the second time, the first panel's place is taken
        notebook.run_cell(6)
        expect(PanelPage(notebook, 6).turns).to_have_count(2)
    notebook.run_cell(7)
    notebook.wait_for_output_text(7, "2 views")

    records = notebook.output(1).locator(".vig-transcript")
    expect(records).to_have_count(1)
    expect(records.first).to_be_hidden()
    assert "haiku about rain" in saved_text(notebook, 1)
    notebook.reload()
    panel.prompt.wait_for()
    assert "haiku about rain" in panel.turns.first.inner_text()
    for word in ("wind", "hail", "frost", "dew"):
        panel.send(f"Write a haiku about {word}")
    text = saved_text(notebook, 1)
    assert all(word in text for word in ("rain", "lighthouse", "wind", "hail", "frost", "dew"))
    assert text.count("You: ") == 6
    notebook.run_cell(4)
    notebook.output(1).locator(".vig-panel").wait_for(state="detached")
    expect(records.first).to_be_visible()
    assert "lighthouse" in shown(notebook, 1)
    assert "haiku about rain" in shown(notebook, 2)

    last = notebook.output(6)
    assert "haiku about dew" in saved_text(notebook, 6)
    notebook.restart_kernel()
    notebook.page.evaluate(OPEN_AGAIN, notebook.name)
    last.get_by_text("model not found").wait_for(state="attached")
    expect(last.get_by_text("model not found")).to_be_hidden()
    expect(last.locator(".vig-transcript")).to_have_count(2)
    expect(last.get_by_text("haiku about rain")).to_be_visible()
    expect(last.get_by_text("haiku about dew")).to_be_visible()


LISTENERS = "print(len(panel.chat.listeners), 'views')"

OPEN_AGAIN = """async path => {
    jupyterapp.shell.currentWidget.dispose();
    await jupyterapp.commands.execute('docmanager:open', { path });
}"""

LONG = """
from vig_notebook.chats import Chat, Past
from vig_notebook.run import RunState
from vig_notebook.settings import Endpoint
from vig_notebook.wire.chat import ChatRequest, Message
from vig_notebook.wire.completion import Completion
long = Chat("long")
for number in range(200):
    long.add(f"Question {number}").past = Past(
        id=str(number), request=ChatRequest([Message("user", "?")], model="m"), endpoint=Endpoint(base_url=""),
        state=RunState.DONE, completion=Completion(text=f"Answer {number}: " + "a *word* and `code`, " * 100),
    )
panel = vig.Panel(chat=long, max_tokens=400)
"""


@pytest.mark.slow
def test_long_conversation_stays_responsive_and_follows_its_end(notebook: Notebook) -> None:
    notebook.open([SETUP.format(pace=100) + LONG, "vig.Panel()", "panel"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    empty = PanelPage(notebook)
    empty.prompt.wait_for()
    usual_ms = median(empty.prompt.evaluate(KEY_DELAYS))
    notebook.run_cell(2)
    panel = PanelPage(notebook, 2)
    expect(panel.turns).to_have_count(20)
    assert median(panel.prompt.evaluate(KEY_DELAYS)) < 2 * usual_ms
    notebook.traffic.clear()
    panel.send(LIGHTHOUSE, wait=False)
    expect(panel.turns).to_have_count(11)  # the page before the last is folded away
    panel.wait_for_text(10)
    conversation = panel.box.get_by_role("region", name="Conversation")
    panel.page.wait_for_function(AT_END, arg=conversation.element_handle())
    conversation.hover()
    panel.page.mouse.wheel(0, -300)
    panel.page.wait_for_function(AT_REST, arg=conversation.element_handle())
    top = conversation.evaluate("one => one.scrollTop")
    panel.wait_until_ended()
    assert conversation.evaluate("one => one.scrollTop") == top  # what is read stays where it is
    assert "lighthouse" in panel.turns.last.inner_text()
    notebook.page.wait_for_timeout(1200)  # a draft is kept after a second: it must not come back
    expect(panel.prompt).to_have_value("")
    assert sum(notebook.traffic.received.size_bytes.values()) < 100_000
    assert "Answer 0:" in saved_text(notebook, 2)


AT_END = "one => one.scrollHeight - one.scrollTop - one.clientHeight < 60"
AT_REST = """one => {
    const isAtRest = one.before === one.scrollTop;
    one.before = one.scrollTop;
    return isAtRest && one.scrollHeight - one.scrollTop - one.clientHeight > 200;
}"""
KEY_DELAYS = """async area => {
    const delays = [];
    for (let i = 0; i < 20; i++) {
        const began = performance.now();
        area.value += 'x';
        area.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        delays.push(performance.now() - began);
    }
    return delays;
}"""
