"""The panel in a real shell, without a browser: what it sends, paints, keeps and takes out."""

from __future__ import annotations

import asyncio
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S, demo
from tests.notebook.test_record import ended
from vig_notebook import Panel
from vig_notebook.api import ask, question
from vig_notebook.chats import Chat, named_chat
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError, VigthoriaError
from vig_notebook.notebook.options import cell_options, parse_line, parser_of
from vig_notebook.notebook.panel.export import as_cells, as_python
from vig_notebook.notebook.panel.form import FIELDS, Form
from vig_notebook.notebook.panel.prompt import PlainPrompt
from vig_notebook.notebook.panel.saved import Transcript, bundle
from vig_notebook.notebook.panel.turns import Action
from vig_notebook.notebook.panel.view import PanelView
from vig_notebook.notebook.panel.words import question_html, sentences
from vig_notebook.notebook.show import FrontEnd
from vig_notebook.run import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from vig_notebook.run import Run

KEY = "vg-live-sk-canary0123456789"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo server answers, as fast as it can."""
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")


def settle() -> None:
    """Return when the streaming thread has done what it was asked to do, and what that asked for."""
    for _ in range(3):
        engine().run(asyncio.sleep(0)).result(LIMIT_S)


def view_of(panel: Panel) -> PanelView:
    """The widgets of a panel, as displaying it makes them."""
    view = PanelView(panel)
    panel._view = view
    settle()
    return view


def wait(panel: Panel) -> None:
    for run in panel.running:
        assert run.wait(LIMIT_S)
    settle()


def until(holds: Callable[[], bool]) -> None:
    """Let the streaming thread turn until something holds."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        settle()


def find(widget: Any, description: str) -> Any:
    """The first widget with this description, in the order of the page."""
    if getattr(widget, "description", None) == description:
        return widget
    return next((found for child in getattr(widget, "children", ()) if (found := find(child, description))), None)


def html(widget: Any) -> str:
    """All HTML that a widget shows."""
    own = "".join(one["data"]["text/html"] for one in getattr(widget, "outputs", ()))
    value = getattr(widget, "value", "") if type(widget).__name__ == "HTML" else ""
    return own + value + "".join(html(child) for child in getattr(widget, "children", ()))


@pytest.fixture
def panel(shell: InteractiveShell, widgets: Callable[[], list[Any]]) -> Iterator[Panel]:
    """A panel in a shell; its widgets are closed at the end."""
    made = Panel()
    yield made
    made.stop()
    wait(made)


def test_send_goes_on_with_the_conversation_and_fills_in_variables(panel: Panel, shell: InteractiveShell) -> None:
    shell.user_ns["topic"] = "rain"
    first = panel.send("Write a haiku about {{ topic }}")
    second = panel.send("Another one")
    assert panel.last is second
    assert second.result(LIMIT_S).text
    sent = second.request.to_body()["messages"]
    assert [message["content"] for message in sent] == ["Write a haiku about rain", first.text, "Another one"]
    assert panel.chat.turns[0].source == "Write a haiku about {{ topic }}"
    assert panel.chat.messages[-1] == {"role": "assistant", "content": second.text}


def test_parameters_and_system_prompt_are_sent(shell: InteractiveShell) -> None:
    panel = Panel(model="some", system="Kind", temperature=0.5, top_p=1, max_tokens=9, seed=7, stop=["A", "B"])
    body = panel.send("Hello").request.to_body()
    assert body == {
        "model": "some",
        "messages": [{"role": "system", "content": "Kind"}, {"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "top_p": 1,
        "max_tokens": 9,
        "seed": 7,
        "stop": ["A", "B"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_send_that_is_wrong_sends_nothing(panel: Panel) -> None:
    panel.form.texts["temperature"] = "3"
    with pytest.raises(ConfigError, match="Temperature must be a number from 0 to 2"):
        _ = panel.send("Hello")
    panel.form.texts.clear()
    with pytest.raises(ConfigError, match="nobody"):
        _ = panel.send("Hello {{ nobody }}")
    with pytest.raises(ConfigError, match="There is no prompt"):
        _ = panel.send(" ")
    assert panel.chat.turns == []
    assert panel.last is None


def test_panels_are_independent_and_share_a_named_chat(shell: InteractiveShell) -> None:
    one, two, other = Panel(chat="plan"), Panel(chat="plan"), Panel()
    _ = one.send("Hello").result(LIMIT_S)
    assert two.chat is one.chat is named_chat("plan")
    assert len(two.chat.turns) == 1
    assert other.chat.turns == []
    shell.run_cell("%%vigthoria --chat plan\nAnd now?\n").raise_error()
    assert len(one.chat.turns) == 2
    assert repr(one) == "<Panel plan, 2 turns>"


def test_prompt_reaches_the_users_variables_and_nothing_of_ipython(panel: Panel, shell: InteractiveShell) -> None:
    shell.user_ns["topic"] = "rain"
    for name in ("open", "get_ipython", "exit"):
        with pytest.raises(VigthoriaError, match=name):
            _ = panel.send("{{ " + name + " }}")
    assert panel.question("{{ topic }}", after=None).request.to_body()["messages"][-1]["content"] == "rain"


def test_panel_begins_with_the_defaults_of_the_magic(
    shell: InteractiveShell, widgets: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    shell.run_line_magic("vigthoria", "set temperature=0.5 max_tokens=20 top_p=0.9 seed=7 system='Be kind' model=mine")
    shell.run_line_magic("vigthoria", "set base_url=http://127.0.0.1:9/v1 key_env=OTHER_KEY")
    panel = Panel(seed=8)
    view = view_of(panel)
    names = ("Model", "System prompt", "Temperature", "Top-p", "Max tokens", "Seed")
    assert [find(view.box, name).value for name in names] == ["mine", "Be kind", "0.5", "0.9", "20", "8"]
    find(view.box, "Temperature").value = ""
    sent = panel.question("Hello", after=None).request
    assert (sent.model, sent.temperature, sent.max_tokens, sent.top_p, sent.seed) == ("mine", None, 20, 0.9, 8)
    assert panel.server_options == {"base_url": "http://127.0.0.1:9/v1", "key_env": "OTHER_KEY", "profile": None}


def test_server_that_is_given_takes_nothing_from_that_of_the_magic(shell: InteractiveShell) -> None:
    shell.run_line_magic("vigthoria", "set base_url=http://127.0.0.1:9/v1 key_env=OTHER_KEY system='Be kind'")
    named_chat("plan").system = "Be brief"
    panel = Panel(chat="plan", base_url="http://127.0.0.1:8/v1")
    assert panel.server_options == {"base_url": "http://127.0.0.1:8/v1", "key_env": None, "profile": None}
    assert panel.chat.system == "Be brief"


def test_stop_ends_what_the_panel_started_and_keeps_the_text(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "30")
    view = view_of(panel)
    view.send_typed("Write a long story")
    (run,) = panel.running
    until(lambda: bool(run.text_so_far))
    view.stop_typed()
    assert run.wait(LIMIT_S)
    assert run.state is RunState.STOPPED
    settle()
    assert "· stopped</div>" in html(view.box)
    assert "1 partial answer is kept and sent" in html(view.box)


def test_stop_before_the_first_step_leaves_a_turn_that_ended(panel: Panel) -> None:
    view = view_of(panel)
    view.send_typed("Hello")
    panel.stop()
    wait(panel)
    assert not view._prompt.widget.busy
    assert find(view._conversation.box, "Edit") is not None


def test_view_paints_the_turn_and_offers_what_can_be_done(panel: Panel) -> None:
    view = view_of(panel)
    assert "Nothing asked yet" in html(view.box)
    view.send_typed("Write a Python function that adds <b>two</b> numbers")
    wait(panel)
    shown = html(view.box)
    assert "&lt;b&gt;two&lt;/b&gt;" in shown
    assert "scripted answers, no model" in shown
    assert [find(view.box, name) is not None for name in ("Edit", "Regenerate", "Copy", "Code to cell")] == [True] * 4
    assert view._prompt.widget.last == "Write a Python function that adds <b>two</b> numbers"
    assert "tokens of context" in html(view.box)


def test_buttons_make_branches_and_walk_them(panel: Panel) -> None:
    view = view_of(panel)
    view.send_typed("Write a haiku about {{ 40 + 2 }} frogs")
    wait(panel)
    first = panel.chat.turns[0]
    view._act(Action.AGAIN, first)
    wait(panel)
    assert [turn.prompt for turn in panel.chat.roots] == ["Write a haiku about 42 frogs"] * 2
    view._act(Action.BEFORE, panel.chat.turns[0])
    assert panel.chat.turns == [first]
    view._act(Action.AFTER, first)
    view._act(Action.EDIT, first)
    assert view._prompt.widget.value == "Write a haiku about {{ 40 + 2 }} frogs"
    view.send_typed("Write a haiku about toads")
    wait(panel)
    assert len(panel.chat.roots) == 3
    assert find(view.box, "Previous branch") is not None
    view.send_typed("Go on")
    wait(panel)
    assert [turn.prompt for turn in panel.chat.turns] == ["Write a haiku about toads", "Go on"]
    view._act(Action.EDIT, panel.chat.turns[0])
    find(view._notice.widget, "Close").click()
    view.send_typed("Go on")
    wait(panel)
    assert len(panel.chat.turns) == 3


def test_sentence_that_nobody_need_act_on_goes_away_by_itself(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.notebook.panel.notice.PASSING_S", 0.01)
    view = view_of(panel)
    view.page_did("copied", done=True)
    view.page_did("copied", done=False)
    until(lambda: "select the text" in html(view._notice.widget))
    view.page_did("inserted", done=False)
    assert view._notice.widget.layout.display == ""
    view.page_did("inserted", done=True)
    until(lambda: view._notice.widget.layout.display == "none")


def test_send_while_a_run_is_on_is_refused_by_the_button_and_queued_from_python(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "2000")
    view = view_of(panel)
    view.send_typed("Write about rain")
    view.send_typed("Write about snow")
    assert len(panel.chat.turns) == 1
    second = panel.send("Write about wind")
    assert second.result(LIMIT_S).text
    assert [len(run.request.messages) for run in (panel.chat.turns[1].run,) if run] == [3]


def test_wrong_prompt_is_a_card_and_stays(panel: Panel) -> None:
    view = view_of(panel)
    panel.form.texts["seed"] = "x"
    view.send_typed("Hello")
    assert "Seed must be a whole number." in html(view._notice.widget)
    assert "Seed must be a whole number." in html(view._drawer.widget)
    assert view._drawer.fold.button.value
    assert view._prompt.widget.last == ""
    find(view.box, "Seed").value = "7"
    assert view._notice.widget.layout.display == "none"


def test_preview_is_the_exact_request_and_sends_nothing(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(panel)
    monkeypatch.setenv("VIGTHORIA_API_KEY", KEY)
    view.preview_typed("Hello {{ 1 + 1 }}")
    shown = html(view._notice.widget)
    assert "https://api.vigthoria.io/v1/chat/completions" in shown
    assert "Hello 2" in shown
    assert "canary" not in shown
    assert panel.chat.turns == []
    view.preview_typed("{{ nobody }}")
    assert "nobody" in html(view._notice.widget)


def test_models_are_listed_in_the_background(panel: Panel) -> None:
    view = view_of(panel)
    model = find(view.box, "Model")
    until(lambda: bool(model.options))
    assert "demo-reasoning" in model.options
    model.value = "another"
    assert panel.send("Hello").request.model == "another"


@pytest.mark.parametrize(
    ("scheme", "words"), [("http", "type the name of one"), ("ftp", "The base URL cannot be used")]
)
def test_models_that_cannot_be_listed_are_a_quiet_hint(
    shell: InteractiveShell, widgets: Callable[[], list[Any]], scheme: str, words: str
) -> None:
    with demo() as server:
        address = server.server.base_url.replace("http", scheme, 1)
        view = view_of(Panel(base_url=f"{address}/nowhere", api_key=server.server.token))
        until(lambda: words in html(view._head.widget))


def test_page_messages_reach_the_panel(panel: Panel) -> None:
    view = view_of(panel)
    receive = view._prompt._receive  # type: ignore[attr-defined]
    receive(None, {"kind": "send", "text": "Hello"}, [])
    wait(panel)
    receive(None, {"kind": "stop"}, [])
    receive(None, {"kind": "preview", "text": "Hello"}, [])
    receive(None, {"kind": "of another version"}, [])
    receive(None, {"kind": "copied", "done": False}, [])
    assert len(panel.chat.turns) == 1
    assert "select the text and press Ctrl+C" in html(view._notice.widget)


def test_plain_prompt_serves_where_anywidget_is_absent(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "vig_notebook.notebook.panel.prompt_widget", raising=False)
    view = view_of(panel)
    assert isinstance(view._prompt, PlainPrompt)
    find(view.box, "Prompt").value = "Hello <i>you</i>"
    find(view.box, "Send").click()
    wait(panel)
    assert len(panel.chat.turns) == 1
    assert find(view.box, "Prompt").value == ""
    assert find(view.box, "Stop").disabled
    find(view.box, "Copy").click()
    find(view.box, "Take out as Python").click()
    assert "This front end makes no cells" in html(view._notice.widget)
    find(view.box, "Edit").click()
    assert find(view.box, "Prompt").value == "Hello <i>you</i>"


def test_clear_asks_once(panel: Panel) -> None:
    view = view_of(panel)
    view.send_typed("Hello")
    wait(panel)
    clear = find(view.box, "Clear")
    clear.click()
    assert len(panel.chat.turns) == 1
    assert clear.description == "Really forget 1 turn?"
    clear.click()
    wait(panel)
    assert panel.chat.turns == []
    assert clear.description == "Clear"
    assert "Nothing asked yet" in html(view.box)
    clear.click()
    assert clear.description == "Clear"


def of_a_panel(widgets: list[Any]) -> list[str]:
    """The widgets that a panel is made of, without their layouts and styles."""
    names = (type(one).__name__ for one in widgets)
    return [name for name in names if name in {"VBox", "HBox", "Button", "Output", "PromptWidget"}]


def of_a_cell(chat: str, prompt: str) -> Run:
    """Ask as a cell with `--chat` does."""
    return ask(question(prompt, chat=named_chat(chat)), chat=named_chat(chat))


def test_turn_of_a_cell_streams_into_the_panel_which_can_stop_it(
    shell: InteractiveShell, widgets: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "90")
    panel = Panel(chat="plan")
    view = view_of(panel)
    run = of_a_cell("plan", "Write a long story about snow")
    settle()
    answer = view._conversation.view_of(panel.chat.turns[0]).answer.box
    until(lambda: bool(html(answer)))
    assert not run.state.ended
    assert view._prompt.widget.busy
    assert "Streaming" in view._status.value
    assert view._prompt.widget.announcement == ""  # the cell's own view says it
    view.send_typed("Me too")
    assert "An answer is still coming" in html(view._notice.widget)
    late = view_of(Panel(chat="plan"))
    until(lambda: len(html(late._conversation.box)) > 400)
    late.stop_typed()
    assert run.wait(LIMIT_S)
    settle()
    assert "· stopped</div>" in html(view.box)
    assert html(late._conversation.box) == html(view._conversation.box)
    assert not view._prompt.widget.busy
    assert find(view.box, "Copy") is not None


def test_panel_emptied_or_frozen_in_mid_answer_leaves_no_widget(
    panel: Panel, widgets: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "30")
    view = view_of(panel)
    before = of_a_panel(widgets())
    view.send_typed("Write a long story about snow")
    until(lambda: "Streaming" in view._status.value)
    panel.chat.reset()  # as %vigthoria reset does
    settle()
    (run,) = panel.running  # Stop still reaches it
    view.stop_typed()
    assert run.wait(LIMIT_S)
    settle()
    assert run.state is RunState.STOPPED
    assert not view._prompt.widget.busy
    assert sorted(of_a_panel(widgets())) == sorted([*before, "VBox"])  # a page, for the turns to come
    view.send_typed("Write a long story about hail")
    until(lambda: "Streaming" in view._status.value)
    panel.freeze()
    assert [turn.ended for turn in panel.chat.turns] == [True]
    assert of_a_panel(widgets()) == []


def test_several_runs_show_the_state_of_the_first(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "30")
    view = view_of(panel)
    _ = panel.ask("Write a long story about snow", after=None)
    second = panel.ask("Go on", after=panel.chat.current)
    until(lambda: "Streaming" in view._status.value)
    assert panel.running[1] is second
    view.show_status(second)
    assert "Streaming" in view._status.value


def test_long_conversation_shows_its_end_and_more_when_asked(
    shell: InteractiveShell, widgets: Callable[[], list[Any]]
) -> None:
    chat = Chat("long")
    for number in range(75):
        chat.add(f"Question {number}.")
    view = view_of(Panel(chat=chat))
    assert "Question 59." not in html(view.box)
    assert "Question 60." in html(view.box)
    find(view.box, "Show earlier turns").click()
    settle()
    assert "Question 40." in html(view.box)
    chat.reset()
    settle()
    assert "Question" not in html(view.box)


@pytest.mark.parametrize("reasoning", ["", "Let me think."])
def test_earlier_turns_are_shown_with_answers_and_buttons(
    shell: InteractiveShell, widgets: Callable[[], list[Any]], reasoning: str
) -> None:
    chat = Chat("long")
    for number in range(35):
        turn = chat.add(f"Question {number}.")
        turn.past = ended(f"Answer {number}.", reasoning=reasoning)
    view = view_of(Panel(chat=chat))
    find(view.box, "Show earlier turns").click()
    settle()
    shown = html(view.box)
    assert [f"Answer {number}." in shown for number in range(35)] == [True] * 35
    assert shown.count("Let me think.") == (35 if reasoning else 0)
    turns = [turn for page in view._conversation.box.children for turn in page.children]
    assert [find(turn, "Edit") is not None for turn in turns] == [True] * 35


class Session:
    """Takes the messages of a record."""

    def msg(self, *_given: object, **_named: object) -> None: ...

    def send(self, *_given: object, **_named: object) -> None: ...


@pytest.fixture
def displayed(
    shell: InteractiveShell, widgets: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., PanelView]:
    """Displays a panel in a cell, as a request of this number; gives the view."""
    monkeypatch.setattr("vig_notebook.notebook.panel.panel.front_end", lambda _shell: FrontEnd.PERSON)

    def show(panel: Panel, cell: str | None, request: int) -> PanelView:
        parent = {"header": {"msg_id": str(request)}, "metadata": {"cellId": cell} if cell else {}}
        publisher = SimpleNamespace(session=Session(), pub_socket=None, topic=b"")
        kernel = SimpleNamespace(get_parent=lambda _channel: parent)
        here = SimpleNamespace(display_pub=publisher, kernel=kernel, user_ns={}, user_ns_hidden={})
        monkeypatch.setattr("vig_notebook.notebook.panel.panel.get_ipython", lambda: here)
        panel._ipython_display_()
        assert panel._view is not None
        settle()
        return panel._view

    return show


def test_cell_that_runs_again_lets_go_of_the_panel_it_has_shown(
    displayed: Callable[..., PanelView], widgets: Callable[[], list[Any]]
) -> None:
    chat = named_chat("plan")
    first = Panel(chat="plan")
    displayed(first, "c1", 1)
    one_panel = of_a_panel(widgets())
    for request in (2, 3):
        displayed(Panel(chat="plan"), "c1", request)
    assert len(chat.listeners) == 1
    assert of_a_panel(widgets()) == one_panel
    view = displayed(first, "c2", 4)  # shown once more, it is as alive as any
    assert chat.listeners[1:] == [view]
    assert first.send("Hello").wait(LIMIT_S)
    settle()
    assert "Hello" in html(view.box)
    first.freeze()
    first.freeze()
    assert len(chat.listeners) == 1


def test_panel_that_is_let_go_can_be_frozen(displayed: Callable[..., PanelView]) -> None:
    first = Panel(chat="plan")
    displayed(first, "c1", 1)
    kept = displayed(Panel(chat="plan"), "c1", 2)
    first.freeze()
    assert named_chat("plan").listeners == [kept]


def test_panel_that_is_let_go_in_mid_answer_paints_no_more(
    displayed: Callable[..., PanelView], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "90")
    first = Panel(chat="plan")
    old = displayed(first, "c1", 1)
    run = first.send("Write a long story about snow")
    until(lambda: "Streaming" in old._status.value)
    late = displayed(Panel(chat="plan"), "c1", 2)
    until(lambda: len(html(late._conversation.box)) > 400)
    first.stop()
    assert run.wait(LIMIT_S)
    settle()
    assert "· stopped</div>" in html(late.box)
    assert "· stopped</div>" not in html(old.box)


def test_panels_that_are_on_the_page_stay_alive(displayed: Callable[..., PanelView]) -> None:
    two, other = Panel(chat="plan"), Panel(chat="plan")
    views = [displayed(two, "c1", 1), displayed(two, "c2", 2), displayed(other, "c3", 3)]
    views += [displayed(Panel(chat="plan"), "c2", 4), displayed(Panel(chat="plan"), "c2", 4)]  # both of one run
    views += [displayed(Panel(chat="plan"), None, number) for number in (5, 6)]  # no front end has said which cell
    assert named_chat("plan").listeners == list(dict.fromkeys(views))


class Output:
    """Takes what a transcript sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bool]] = []

    def send(self, data: Mapping[str, str], metadata: Any, *, display_id: str, update: bool) -> None:
        self.sent.append((metadata["vig_notebook"]["page"], update))


def test_record_sends_only_the_page_that_has_changed(shell: InteractiveShell) -> None:
    chat, output = Chat("record"), Output()
    transcript = Transcript(output)  # type: ignore[arg-type]
    for number in range(12):
        chat.add(f"Question {number}")
        transcript.show(chat)
    assert output.sent[:6] == [*[(0, False)], *[(0, True)] * 4, (1, False)]
    assert output.sent[-2:] == [(2, False), (2, True)]
    transcript.show(chat)
    assert len(output.sent) == 12
    chat.reset()
    transcript.show(chat)
    assert output.sent[12:] == [(0, True), (1, True), (2, True)]


def test_record_is_closed_html_and_reads_as_text(panel: Panel) -> None:
    assert bundle(panel.chat, [])[0]["text/plain"] == "Conversation: nothing asked yet"
    _ = panel.send("<script>alert(1)</script> **bold**").result(LIMIT_S)
    data, metadata = bundle(panel.chat, panel.chat.turns)
    assert "<script" not in data["text/html"]
    assert "<style" not in data["text/html"]
    assert "<details" not in data["text/html"]
    assert "You: <script>alert(1)</script> **bold**" in data["text/plain"]
    assert metadata["vig_notebook"]["turns"][0]["state"] == "DONE"  # type: ignore[index]


def test_freeze_closes_the_widgets_and_forgets_the_chat(panel: Panel, widgets: Callable[[], list[Any]]) -> None:
    view = view_of(panel)
    view.send_typed("Hello")
    wait(panel)
    panel.freeze()
    assert panel.chat.listeners == []
    assert of_a_panel(widgets()) == []
    panel.freeze()
    assert len(panel.chat.turns) == 1


def test_terminal_shows_the_record(panel: Panel, capsys: pytest.CaptureFixture[str]) -> None:
    _ = panel.send("Write a haiku about rain").result(LIMIT_S)
    panel._ipython_display_()
    assert "You: Write a haiku about rain" in capsys.readouterr().out


def test_line_command_makes_a_panel_of_a_chat(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    named_chat("plan").add("What was asked")
    shell.run_line_magic("vigthoria", "panel --chat plan")
    assert "You: What was asked" in capsys.readouterr().out
    shell.run_cell("%vigthoria panel plan")
    assert "panel takes nothing but --chat NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", " 0.70 ", 0.7),
        ("temperature", "1", 1),
        ("top_p", "0", 0),
        ("max_tokens", "300", 300),
        ("seed", "-4", -4),
        ("stop", "END\n  two blanks\n", ["END", "  two blanks"]),
        ("stop", " ", None),
        ("temperature", "", None),
    ],
)
def test_field_reads(name: str, text: str, value: object) -> None:
    assert Form("", {name: text}).parameters() == ({} if value is None else {name: value})


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("temperature", "hot", "Temperature must be a number from 0 to 2."),
        ("temperature", "nan", "Temperature must be a number from 0 to 2."),
        ("top_p", "1.5", "Top-p must be a number from 0 to 1."),
        ("max_tokens", "0", "Max tokens must be a whole number from 1 up."),
        ("max_tokens", "1.5", "Max tokens must be a whole number from 1 up."),
        ("seed", "one", "Seed must be a whole number."),
        ("stop", "a\nb\nc\nd\ne", "Stop sequences may have at most 4 lines."),
    ],
)
def test_field_says_what_is_wrong(name: str, text: str, problem: str) -> None:
    form = Form("", {name: text})
    assert [form.problem(one) for one in FIELDS if one.name == name] == [problem]
    with pytest.raises(ConfigError, match="nothing was sent"):
        form.parameters()


@pytest.mark.parametrize(
    ("text", "said", "end"),
    [
        ("Half a sent", "", 0),
        ("One. Two! Thr", "One. Two!", 9),
        ("# **Bold** head\n- `x`", "Bold head", 16),
        ("x" * 600 + ". ", "x" * 500 + "…", 601),
    ],
)
def test_sentences_are_whole(text: str, said: str, end: int) -> None:
    assert sentences(text) == (said, end)


def asked(panel: Panel, *prompts: str) -> list[Run]:
    runs = [panel.send(prompt) for prompt in prompts]
    for run in runs:
        assert run.wait(LIMIT_S)
    return runs


def test_exchange_taken_out_as_cells_is_asked_again(shell: InteractiveShell) -> None:
    panel = Panel(system="Be 'kind'", temperature=0, stop=["A B"], max_tokens=50)
    runs = asked(panel, "Write a haiku about rain", "{% raw %}What is {{ this }}?{% endraw %}")
    cells = as_cells(panel.chat, name="copy", server=panel.server_options)
    assert cells[0].startswith("%%vigthoria --chat copy --new --model demo --system ")
    assert "--raw" in cells[1]
    for cell in cells:
        shell.run_cell(cell + "\n").raise_error()
    copy = [turn.run for turn in named_chat("copy").turns]
    assert [run.request.to_body() for run in copy if run] == [run.request.to_body() for run in runs]


def test_system_prompt_of_several_lines_comes_in_a_cell_of_its_own(shell: InteractiveShell) -> None:
    panel = Panel(system="Two\nlines", base_url="http://127.0.0.1:9/v1")
    turn = panel.chat.add("Hello")
    turn.run = panel.ask("Hello", after=None)
    turn.run.stop()
    assert turn.run.wait(LIMIT_S)
    first, cell = as_cells(panel.chat, name="copy", server=panel.server_options)
    shell.run_cell(first).raise_error()
    assert named_chat("copy").system == "Two\nlines"
    line, _, prompt = cell.partition("\n")

    @cell_options
    def magic() -> None: ...

    options = parse_line(parser_of(magic), line.removeprefix("%%vigthoria"))
    assert (options.base_url, options.chat, prompt) == ("http://127.0.0.1:9/v1", "copy", "Hello")
    panel.chat.system = None
    (alone,) = as_cells(panel.chat, name="copy", server={})
    assert alone == "%%vigthoria --model vigthoria-creative-v2\nHello"


def test_exchange_taken_out_as_python_is_asked_again(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    panel = Panel(system="Kind", temperature=0.25)
    runs = asked(panel, "Write a haiku about rain", "Another")
    code = as_python(panel.chat, server=panel.server_options)
    names = shell.user_ns
    shell.ex(code)
    assert [message["content"] for message in names["messages"]] == [
        "Kind",
        "Write a haiku about rain",
        runs[0].text,
        "Another",
        runs[1].text,
    ]
    assert runs[0].text in capsys.readouterr().out


def test_question_hides_nothing_and_holds_no_key(shell: InteractiveShell) -> None:
    chat = Chat("x")
    shown = question_html(chat.add(f"\u202etext {KEY}"))
    assert "U+202E" in shown
    assert "canary" not in shown
