"""The line commands of the run log, in a terminal's shell."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.error import UsageError

from vig_notebook.chats import named_chat
from vig_notebook.notebook.completion import Completion
from vig_notebook.notebook.history_table import moment
from vig_notebook.notebook.words import facts
from vig_notebook.store import default_store, run_log

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from tests.notebook.conftest import Kernel


class Person:
    """Types cells and line commands, and reads what is printed."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self.capsys = capsys

    def ask(self, prompt: str, line: str = "") -> str:
        self.shell.run_cell(f"%%vigthoria {line}\n{prompt}\n").raise_error()
        return self.capsys.readouterr().out

    def say(self, line: str) -> str:
        self.shell.run_line_magic("vigthoria", line)
        return self.capsys.readouterr().out

    def refused(self, line: str) -> str:
        with pytest.raises(UsageError) as caught:
            self.shell.run_line_magic("vigthoria", line)
        return str(caught.value)


@pytest.fixture
def person(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Person:
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    monkeypatch.chdir(tmp_path)
    return Person(shell, capsys)


def newest() -> str:
    return default_store().search(limit=1)[0].id


def test_history_without_any_run_says_so(person: Person) -> None:
    assert person.say("history") == "No run yet.\n"


def test_history_shows_the_newest_first_and_narrows(person: Person) -> None:
    person.ask("Write a haiku about tea", "--chat c")
    person.ask("Write a haiku about rain", "--model demo-401")
    shown = person.say("history")
    assert shown.index("about rain") < shown.index("about tea")
    assert "401 Unauthorized" in shown
    assert f"%vigthoria show {newest()[:8]}" in shown
    assert "about tea" not in person.say("history --state failed")
    assert "about rain" not in person.say("history --chat c --model demo --since 2d")
    assert "The newest 1; --limit 5 shows more." in person.say("history --limit 1")
    assert "about tea" in person.say('history "haiku about tea"')
    assert person.say("history lighthouse").startswith("No run is like that")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("history --state lost", "choose from 'done', 'stopped'"),
        ("history --limit many", "'many' is not a whole number"),
        ("history --limit 0", "--limit wants a number above 0"),
        ("history --since soon", "Write 30m, 12h, 2d or 1w for so long ago"),
        ("history --until 2d", "unrecognized arguments: --until"),
        ("show", "the form is: %vigthoria show ID"),
        ("show ffff", "there is no run 'ffff' in the log; see %vigthoria history"),
        ("rerun", "rerun wants the id of a run first"),
        ("rerun ffff", "there is no run 'ffff'"),
        ("rerun ffff --chat c", "rerun asks one request once more"),
        ("rerun ffff --mdel x", "did you mean --model?"),
        ("resume now", "resume wants nothing"),
        ("forget", "name runs, or a time, or all of them"),
        ("forget ffff --all", "name runs, or a time, or all of them"),
        ("export", "the form is: %vigthoria export FILE.jsonl"),
        ("export nowhere/at/all.jsonl", "The runs cannot be written: nowhere/at/all.jsonl: No such file"),
        ("import missing.jsonl", "The runs cannot be read: missing.jsonl: No such file"),
        ("log a b", "log wants a path"),
        ("log .", "No log can be kept there"),
        ("log talk.jsonl", "The run log is no JSON Lines file"),
        ("replay maybe", "replay wants on, off or only"),
        ("replay off talk.jsonl", "replay wants on, off or only"),
        ("replay on --pace slow", "choose from 'recorded', 'instant'"),
        ("replay only missing.jsonl", "The runs cannot be read"),
    ],
)
def test_command_that_is_wrong_is_refused_with_what_to_do(person: Person, line: str, sentence: str) -> None:
    assert sentence in person.refused(line)


def test_show_brings_an_answer_back_as_its_record(person: Person) -> None:
    answered = person.ask("Write a haiku about tea").split("\n[")[0]
    shown = person.say(f"show {newest()[:6].upper()}")
    assert f"Run {newest()[:8]}, today" in shown
    assert answered.strip() in shown
    assert "[demo · demo · the scripted demo server" in shown


def test_show_of_a_run_that_failed_says_why(person: Person) -> None:
    person.ask("Hello", "--model demo-401")
    shown = person.say(f"show {newest()}")
    assert "401 Unauthorized" in shown
    assert "failed: auth" in shown


def test_rerun_asks_the_same_again_with_what_is_given(person: Person) -> None:
    person.ask("Write a haiku about tea", "-s Kind -t 0.5")
    first = newest()
    person.say(f"rerun {first[:8]} --model demo-2 --seed 7 --out again")
    again = person.shell.user_ns["again"]
    assert again.request.to_body() | {"stream_options": None} == {
        "model": "demo-2",
        "messages": [{"role": "system", "content": "Kind"}, {"role": "user", "content": "Write a haiku about tea"}],
        "temperature": 0.5,
        "seed": 7,
        "stream": True,
        "stream_options": None,
    }
    assert again.labels["rerun"] == first


def test_rerun_at_another_server_asks_its_own_model(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person.ask("Hello")
    monkeypatch.setenv("VIGTHORIA_BASE_URL", "http://127.0.0.1:9/v1")
    person.say(f"rerun {newest()} --out again")
    assert person.shell.user_ns["again"].request.model == "vigthoria-creative-v2"


def test_forget_deletes_what_is_named(person: Person) -> None:
    person.ask("one")
    first = newest()
    person.ask("two")
    person.ask("three")
    assert person.say(f"forget {first[:8]}").startswith("forgot 1 run:")
    assert person.say("forget --before 2d").startswith("forgot no run:")
    assert person.say("forget --all").startswith("forgot 2 runs:")
    assert person.say("history") == "No run yet.\n"


def test_forget_says_when_another_program_still_reads(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vig_notebook.store.opening.BUSY_TIMEOUT_S", 0.01)
    person.ask("one")
    newest()
    path = default_store().path
    assert path is not None
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert person.say("forget --all").strip() == (
        "forgot 1 run: another program is using the log; what is left of them there is overwritten when it has done; "
        "what notebooks show stays"
    )
    reader.close()
    assert person.say("forget --all").strip() == ("forgot no run: the log has none like that")


def test_export_and_import_bring_runs_from_log_to_log(person: Person) -> None:
    person.ask("one")
    assert person.say("export runs.jsonl").startswith("wrote 1 run to runs.jsonl;")
    assert person.say("export tape.jsonl --cassette").startswith("wrote 1 run")
    assert re.fullmatch(r"the log is other\.sqlite, \d+ kB\n", person.say("log other.sqlite"))
    assert person.say("import runs.jsonl").startswith("took 1 run from runs.jsonl")
    assert person.say("import runs.jsonl").startswith("took 0 runs")
    assert "one" in person.say("history")


def test_log_off_keeps_nothing_and_says_so(person: Person) -> None:
    assert person.say("log off") == "no log is kept; %vigthoria log PATH keeps one\n"
    person.ask("one")
    assert person.say("history") == "No log is kept (%vigthoria log PATH, VIG_LOG).\n"


def test_log_that_cannot_be_kept_is_one_quiet_word_and_the_answer_is_whole(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIG_LOG", str(tmp_path))
    printed = [person.ask("Hello")]
    default_store().flush()
    printed += [person.ask("Hello"), person.ask("Hello")]
    problem = "· done · the run log has a problem: see %vigthoria log]"
    assert [problem in text for text in printed].count(True) == 1
    assert "Is a directory" in person.say("log")
    assert "log     Runs are not saved" in person.say("status")
    assert str(tmp_path) not in "".join(printed)


def test_replay_gives_the_answer_again_and_says_so(person: Person) -> None:
    assert person.say("replay on talk.jsonl") == "answers are kept in talk.jsonl, and given again from there\n"
    live = person.ask("Write a haiku about tea")
    assert person.say("replay only talk.jsonl").startswith("replay only: every request is answered from talk.jsonl")
    again = person.ask("Write a haiku about tea", "--out again")
    assert again.startswith(live.split("\n[")[0])
    assert "[replayed · demo · " in again
    assert facts(person.shell.user_ns["again"])[0] == "Done"
    missing = person.ask("Write a haiku about tea")
    assert "There is no recorded answer: 'Write a haiku about tea' to demo is not in talk.jsonl as often" in missing
    assert "replay  only, from talk.jsonl" in person.say("status")
    assert person.say("replay").startswith("replay only")
    person.say("replay on")
    assert person.say("replay off").startswith("replay is off")
    assert "replayed" not in person.ask("Write a haiku about tea")


def test_chat_goes_on_after_the_kernel_has_ended(person: Person) -> None:
    person.ask("First", "--chat plan -s Kind")
    restart()
    assert "goes on after 1 turn from the log" in person.ask("Second", "--chat plan -o second")
    sent = person.shell.user_ns["second"].request.to_body()["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[1]["content"] == "First"
    assert "goes on after" not in person.ask("Third", "--chat plan")
    assert len(named_chat("plan").turns) == 3
    restart()
    person.ask("Anew", "--chat plan --new")
    assert len(named_chat("plan").turns) == 1


def test_chat_that_is_forked_is_a_copy(person: Person) -> None:
    person.ask("First", "--chat a")
    restart()
    person.ask("Here", "--chat b --fork a")
    person.ask("Here again", "--chat b --fork a")
    person.ask("There", "--chat a")
    assert [turn.prompt for turn in named_chat("b").turns] == ["First", "Here again"]
    assert [turn.prompt for turn in named_chat("a").turns] == ["First", "There"]
    assert "has no turn" in person.ask("Hello", "--chat c --fork nobody")
    assert "it is the same one" in person.ask("Hello", "--chat a --fork a")
    assert "nobody" not in person.say("status")
    with pytest.raises(UsageError, match="give its name with --chat"):
        person.ask("Hello", "--fork a")


def test_reset_of_a_chat_holds_after_the_kernel_has_ended(person: Person) -> None:
    person.ask("First", "--chat plan")
    person.say("reset plan")
    restart()
    person.ask("Second", "--chat plan")
    assert [turn.prompt for turn in named_chat("plan").turns] == ["Second"]
    assert "First" in person.say("history")
    assert "there is no chat 'other'" in person.refused("reset other")


def restart() -> None:
    """Forget what a kernel that has ended no longer knows."""
    from vig_notebook.engine import engine

    default_store().flush()
    run_log().close()
    engine().kept.clear()


def test_words_at_the_cursor_are_completed(person: Person, shell: InteractiveShell) -> None:
    person.ask("Hello")
    person.say("history")
    completion = Completion(None)  # type: ignore[arg-type]  # asks nothing of the magic here

    def words(line: str) -> list[str]:
        return completion(shell, type("Event", (), {"line": line, "symbol": ""}))

    assert words("%vigthoria show ") == [newest()[:8]]
    assert "interrupted" in words("%vigthoria history --state ")
    assert words("%vigthoria replay ") == ["off", "on", "only"]
    assert {"history", "rerun", "replay"} <= set(words("%vigthoria "))


def test_resume_says_how_what_was_cut_off_is_asked_again(person: Person) -> None:
    assert person.say("resume") == "Nothing was interrupted.\n"
    person.ask("one")
    default_store()._ask(lambda log: log.execute("UPDATE runs SET state = 'interrupted'"))
    assert person.say("resume").endswith(f"%vigthoria rerun {newest()[:8]} asks it again.\n")
    person.ask("Another")
    default_store()._ask(lambda log: log.execute("UPDATE runs SET state = 'interrupted'"))
    assert person.say("resume").endswith(f"%vigthoria rerun {newest()[:8]} asks the first again.\n")
    default_store()._ask(lambda log: log.execute("""UPDATE runs SET labels = '{"experiment": "x"}'"""))
    assert person.say("resume").endswith("An experiment that is run again asks only what it lacks.\n")


def test_moment_is_no_longer_than_it_must_be() -> None:
    now = datetime(2026, 5, 4, 12, 0).astimezone()
    assert moment(now, now=now) == "today 12:00"
    assert moment(now.replace(month=1, day=2), now=now) == "2 Jan 12:00"
    assert moment(now.replace(year=2025), now=now) == "4 May 2025"


def plain(messages: list[dict[str, Any]]) -> str:
    """The plain texts of the displays and streams."""
    kept = [m["content"] for m in messages if m["msg_type"] in {"display_data", "stream"}]
    return "\n".join(content.get("text") or content["data"]["text/plain"] for content in kept)


def test_kernel_killed_mid_stream_is_interrupted_in_the_next(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.run("%env VIG_DEMO_PACE=40")
    kernel.run("%%vigthoria -o sea\nTell me about the sea", person=True)
    said = plain(
        kernel.run(
            "import os, time\n"
            "while len(sea.text_so_far) < 150: time.sleep(0.05)\n"
            "text = sea.text_so_far; time.sleep(1.5)\n"
            "print(os.getpid()); print(repr(text))",
            person=True,
        )
    )
    pid, text = said.split("\n", 1)
    subprocess.run(["kill", f"-{signal.SIGKILL.value}", pid], check=True)
    path = default_store().path
    assert path is not None
    while (found := default_store().search("sea")) and found[0].state != "interrupted":
        run_log().use(path)  # opens the log anew, as the next kernel does
    assert found[0].text.startswith(text.strip()[1:120].replace("\\n", "\n"))
    run_log().close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize("notebook", ["/srv/ada/work/talk.ipynb", r"D:\ada\talk.ipynb", "talk.ipynb"])
def test_show_names_the_notebook_and_not_its_folders(person: Person, notebook: str) -> None:
    person.ask("Hello")
    default_store()._ask(lambda log: log.execute("UPDATE runs SET notebook = ?", (notebook,)))
    shown = person.say(f"show {newest()[:8]}")
    assert ", in talk.ipynb: Hello" in shown
    assert "ada" not in shown


def test_history_says_what_is_wrong_with_the_log(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOG", "/proc/nowhere/runs.sqlite")
    person.ask("Hello")
    shown = person.say("history")
    assert "Hello" in shown
    assert shown.endswith("history lasts as long as the kernel.\n")


def test_cell_of_a_kernel_is_named_in_the_log(kernel: Kernel) -> None:
    kernel.run("%env JPY_SESSION_NAME=work/talk.ipynb")
    content = {"code": "%%vigthoria\nHello", "silent": False, "allow_stdin": False, "stop_on_error": True}
    message = kernel.client.session.msg("execute_request", content, metadata={"cellId": "cell-7"})
    kernel.client.shell_channel.send(message)
    kernel.client.get_shell_msg(timeout=30)
    row = plain(kernel.run("import vig_notebook, json\nprint(vig_notebook.history()[['notebook','cell']].to_json())"))
    assert json.loads(row.splitlines()[-1]) == {"notebook": {"0": "work/talk.ipynb"}, "cell": {"0": "cell-7"}}
