"""The panel in a real kernel: what a person's front end and a program that runs notebooks get of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.notebook.conftest import Kernel

VIEW = "application/vnd.jupyter.widget-view+json"
SETUP = "import vig_notebook as vig; panel = vig.Panel()"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo server answers."""
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")


def test_person_gets_the_widget_and_a_record_that_grows_in_the_same_cell(kernel: Kernel) -> None:
    kernel.run(SETUP)
    shown = kernel.run("panel", person=True)
    bundles = [message["content"] for message in shown if message["msg_type"] == "display_data"]
    assert [set(bundle["data"]) for bundle in bundles] == [{VIEW, "text/plain"}, {"text/html", "text/plain"}]
    display_id = bundles[1]["transient"]["display_id"]
    cell = next(message for message in shown if message["msg_type"] == "display_data")["parent_header"]["msg_id"]
    kernel.client.execute("_ = panel.send('Write a haiku about rain'); _.wait()", allow_stdin=True)
    update = kernel.next_message("update_display_data")
    assert update["content"]["transient"]["display_id"] == display_id
    assert "haiku about rain" in update["content"]["data"]["text/plain"]
    assert VIEW not in update["content"]["data"]
    kernel.client.execute("for n in range(5): panel.send(f'Write a haiku about {n}')", allow_stdin=True)
    page = kernel.next_message("display_data")
    assert page["parent_header"]["msg_id"] == cell
    assert page["content"]["metadata"]["vig_notebook"]["page"] == 1


def test_program_gets_the_record_alone_and_waits(kernel: Kernel) -> None:
    kernel.run(SETUP)
    sent = kernel.run("_ = panel.send('Write a haiku about rain'); assert _.state.ended")
    assert kernel.reply["status"] == "ok"
    (answer,) = [one["content"]["data"] for one in sent if one["msg_type"] == "display_data"]
    assert set(answer) == {"text/html", "text/plain"}
    assert "scripted answers, no model" in answer["text/plain"]
    (shown,) = [one for one in kernel.run("panel") if one["msg_type"] == "display_data"]
    assert set(shown["content"]["data"]) == {"text/html", "text/plain"}
    assert "haiku about rain" in shown["content"]["data"]["text/plain"]
    assert not [one for one in kernel.run("panel") if one["msg_type"].startswith("comm")]
