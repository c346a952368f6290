"""The cell magic in a real shell: a terminal's, where the cell waits and prints."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from IPython.core.async_helpers import get_asyncio_loop
from IPython.core.completer import provisionalcompleter

from vig_notebook.chats import named_chat
from vig_notebook.notebook.completion import Completion
from vig_notebook.run import Run, RunState
from vig_notebook.settings import profile_file

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo server answers as fast as it can."""
    monkeypatch.setenv("VIG_DEMO_PACE", "0")


def cell(shell: InteractiveShell, line: str, body: str) -> None:
    """Run a cell as a person does, through all of IPython's transformers."""
    shell.run_cell(f"%%vigthoria {line}\n{body}\n").raise_error()


def test_cell_prints_the_answer_and_binds_the_run(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["topic"] = "lighthouses"
    cell(shell, "--out poem", "Write a poem about {{ topic }}")
    poem = shell.user_ns["poem"]
    assert isinstance(poem, Run)
    assert poem.state is RunState.DONE
    printed = capsys.readouterr().out
    assert poem.text in printed
    assert "lighthouses" in poem.text
    assert "[demo" in printed


def test_cell_sends_what_is_passed(shell: InteractiveShell) -> None:
    cell(shell, "-o run -m some-model -t 0.7 --max-tokens 300 --stop-sequence END --param user=ann -s Kind", "Hello")
    body = shell.user_ns["run"].request.to_body()
    assert body == {
        "model": "some-model",
        "messages": [{"role": "system", "content": "Kind"}, {"role": "user", "content": "Hello"}],
        "temperature": 0.7,
        "max_tokens": 300,
        "stop": ["END"],
        "user": "ann",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_cell_with_an_undefined_variable_names_it_and_the_nearest(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["topic"] = "rain"
    cell(shell, "--out fresh", "Write about {{ topick }}")
    printed = capsys.readouterr().out
    assert "topick" in printed
    assert "topic" in printed.replace("topick", "")
    assert "fresh" not in shell.user_ns


def test_cell_that_fails_takes_away_the_older_run_of_its_name(shell: InteractiveShell) -> None:
    cell(shell, "--out answer", "Hello")
    assert "answer" in shell.user_ns
    cell(shell, "--out answer", "Hello {{ nobody }}")
    assert "answer" not in shell.user_ns


def test_cell_takes_an_earlier_run_into_its_prompt(shell: InteractiveShell) -> None:
    cell(shell, "--out first", "Write a haiku about tea")
    cell(shell, "--out second", "Translate: {{ first }}")
    sent = shell.user_ns["second"].request.to_body()["messages"][0]["content"]
    assert sent == f"Translate: {shell.user_ns['first'].text}"


@pytest.mark.parametrize(
    "prompt",
    ["{{ open('/etc/passwd').read() }}", "{{ exit }}", "{{ quit() }}", "{{ get_ipython() }}", "{{ input() }}",
     "{{ In }}", "{{ __builtins__ }}", "{{ _ }}"],
)  # fmt: skip
def test_cell_reaches_nothing_that_ipython_put_among_the_variables(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], prompt: str
) -> None:
    shell.run_cell("'an output'")
    cell(shell, "-o run", prompt)
    assert "There is no variable '" in capsys.readouterr().out
    assert "run" not in shell.user_ns


def test_cell_takes_a_variable_of_the_users_own_with_such_a_name(shell: InteractiveShell) -> None:
    shell.run_cell("open = 'at nine'")
    cell(shell, "-o run", "The shop is open {{ open }}")
    assert shell.user_ns["run"].request.to_body()["messages"][0]["content"] == "The shop is open at nine"


def test_cell_with_a_failed_run_in_its_prompt_names_it(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(shell, "-m demo-cut -o failed", "Hello")
    capsys.readouterr()
    cell(shell, "-o next", "Translate: {{ failed }}")
    printed = capsys.readouterr().out
    assert "The variable 'failed' has no text" in printed
    assert "Run the cell that sets failed again, or take what had come with {{ failed.text_so_far }}." in printed
    assert "next" not in shell.user_ns


def test_cell_with_raw_sends_braces_as_they_stand(shell: InteractiveShell) -> None:
    cell(shell, "--raw -o run", "What is {{ this }}?")
    assert shell.user_ns["run"].request.to_body()["messages"][0]["content"] == "What is {{ this }}?"


def test_cell_with_single_braces_and_dollars_sends_them_as_text(shell: InteractiveShell) -> None:
    shell.user_ns["x"] = "never"
    cell(shell, "-o run", "{'a': 1} {x} $x $HOME")
    assert shell.user_ns["run"].request.to_body()["messages"][0]["content"] == "{'a': 1} {x} $x $HOME"


def test_cell_with_dry_run_shows_the_request_and_sends_nothing(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", "vg-live-sk-canary0123456789")
    cell(shell, "--dry-run -t 0 -o run", "Hello")
    printed = capsys.readouterr().out
    assert "POST https://api.vigthoria.io/v1/chat/completions" in printed
    assert '"temperature": 0' in printed
    assert "canary" not in printed
    assert "run" not in shell.user_ns


def test_cell_with_dry_run_shows_the_address_of_the_demo_that_runs(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(shell, "--dry-run", "Hello")
    assert "POST (the scripted demo server, not started yet)\n" in capsys.readouterr().out
    cell(shell, "", "Hello")
    cell(shell, "--dry-run", "Hello")
    printed = capsys.readouterr().out
    assert "POST http://127.0.0.1:" in printed
    assert "Authorization: Bearer ••••\n" in printed


def test_cells_of_one_chat_go_on_with_it_and_new_begins_anew(shell: InteractiveShell) -> None:
    cell(shell, "--chat plan -o one -s Kind", "First question")
    cell(shell, "--chat plan -o two", "Second question")
    sent = shell.user_ns["two"].request.to_body()["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]
    assert sent[2]["content"] == shell.user_ns["one"].text
    cell(shell, "--chat plan --new -o three", "Third question")
    assert [m["role"] for m in shell.user_ns["three"].request.to_body()["messages"]] == ["system", "user"]
    assert len(named_chat("plan").turns) == 1


def test_cell_of_a_chat_leaves_out_a_turn_that_failed(shell: InteractiveShell) -> None:
    cell(shell, "--chat c -m demo-401", "Refused")
    cell(shell, "--chat c -o next", "Hello")
    assert [m["content"] for m in shell.user_ns["next"].request.to_body()["messages"]] == ["Hello"]


def test_cell_with_json_parses_the_answer(shell: InteractiveShell) -> None:
    cell(shell, "--format json -o answer", "Give me JSON about rain")
    assert shell.user_ns["answer"].json() == json.loads(shell.user_ns["answer"].text)


def test_cell_with_json_that_does_not_parse_says_so(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(shell, "--format json", "Write a poem")
    assert "not JSON" in capsys.readouterr().out


def test_cell_with_a_refused_key_prints_what_to_do(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    cell(shell, "-m demo-401", "Hello")
    printed = capsys.readouterr().out
    assert "401" in printed
    assert "Traceback" not in printed


def test_cell_with_a_bad_line_is_a_usage_error_without_a_traceback(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shell.run_cell("%%vigthoria --temprature 1\nHello\n")
    assert not result.success
    captured = capsys.readouterr()
    assert captured.err.strip() == "UsageError: there is no option --temprature; did you mean --temperature?"
    assert "Traceback" not in captured.out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "server  the scripted demo server"),
        ("models", "demo-reasoning"),
        ("stop", "stopped 0 runs"),
        ("set model=other temperature=0.5", "the cells that follow have model=other, temperature=0.5\n"),
        ("set", "the cells that follow have nothing of your own; the server's defaults hold\n"),
    ],
)
def test_line_command_answers(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    shell.run_line_magic("vigthoria", line)
    assert words in capsys.readouterr().out


def test_line_command_set_holds_for_the_cells_that_follow(shell: InteractiveShell) -> None:
    shell.run_line_magic("vigthoria", "set temperature=0.25 model=other max-tokens=12")
    cell(shell, "-o run", "Hello")
    body = shell.user_ns["run"].request.to_body()
    assert (body["temperature"], body["model"], body["max_tokens"]) == (0.25, "other", 12)
    shell.run_line_magic("vigthoria", "set temperature=")
    cell(shell, "-o run", "Hello")
    assert "temperature" not in shell.user_ns["run"].request.to_body()


def test_line_command_set_that_fails_sets_nothing(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell("%vigthoria set temperature=0.5 format=html")
    shell.run_line_magic("vigthoria", "set")
    assert "nothing of your own" in capsys.readouterr().out


def test_line_command_set_without_a_value_goes_back_to_the_default(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("vigthoria", "set format=json --model=other system='Be brief'")
    shell.run_line_magic("vigthoria", "")
    assert "set     format=json, model=other, system=Be brief\n" in capsys.readouterr().out
    shell.run_line_magic("vigthoria", "set format= model=None")
    assert capsys.readouterr().out == "the cells that follow have system=Be brief\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stopp", "did you mean stop?"),
        ("--model x", "start it with %%vigthoria"),
        ("stop it", "stop stands alone; what is 'it' meant to be?"),
        ("doctor please", "doctor stands alone"),
        ("reset", "reset wants the name of one chat"),
        ("reset nobody", "there is no chat 'nobody'"),
        ("set modle=x", "did you mean model=…?"),
        ("set temperature=hot", "temperature cannot be 'hot': 'hot' is not a number"),
        ("set temperature=NaN", "temperature cannot be 'NaN': 'NaN' is not a number"),
        ("set seed=1.5", "seed cannot be '1.5': '1.5' is not a whole number"),
        ("set model", "did you mean model=…?"),
        ("set temperature=0.5 format=html", "format cannot be 'html': it is one of markdown, text, code, json"),
        ("'open", "check the quotes"),
    ],
)
def test_line_command_that_is_bad_is_refused_in_one_sentence(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    shell.run_cell(f"%vigthoria {line}")
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.out


def test_config_shows_and_sets_the_settings(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("config", "Vigthoria.model = 'other'")
    shell.run_line_magic("config", "Vigthoria")
    assert "Vigthoria.model" in capsys.readouterr().out
    cell(shell, "-o run", "Hello")
    assert shell.user_ns["run"].request.model == "other"


def test_help_is_a_page_to_learn_from(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell("%vigthoria?")
    page = capsys.readouterr().out
    for words in ("{{ topic }}", "--temperature", "poem.text", "%vigthoria stop"):
        assert words in page


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%vigthoria --te", {"--temperature"}),
        ("%%vigthoria -t 0 --max-t", {"--max-tokens"}),
        ("%%vigthoria --chat pl", {"planning"}),
        ("%%vigthoria --fork pl", {"planning"}),
        ("%%vigthoria --model demo-r", {"demo-reasoning"}),
        ("%%vigthoria --format ", {"markdown", "text", "code", "json"}),
        ("%%vigthoria --profile ", {"lab"}),
        ("%vigthoria mo", {"models"}),
        ("%vigthoria reset pl", {"planning"}),
        ("%vigthoria profile la", {"lab"}),
        ("%vigthoria replay o", {"on", "off", "only"}),
        ("%vigthoria local st", {"stop", "status"}),
        ("%vigthoria set te", {"temperature="}),
        ("%vigthoria set seed=1 te", {"temperature="}),
        ("%vigthoria set format=j", {"json"}),
        ("%vigthoria set model=demo-r", {"demo-reasoning"}),
    ],
)
def test_completion_offers_what_may_stand_there(
    shell: InteractiveShell, line: str, offered: set[str], own_environment: None
) -> None:
    profile_file().parent.mkdir(parents=True)
    profile_file().write_text("[profiles.lab]\nbase_url = 'https://lab.example/v1'\n")
    named_chat("planning")
    shell.run_line_magic("vigthoria", "models")
    shell.Completer.use_jedi = False  # what it would offer besides takes seconds
    with provisionalcompleter():
        found = {one.text for one in shell.Completer.completions(line, len(line))}
    assert offered <= {text.rpartition("=")[2] or text for text in found}


def test_completion_with_a_broken_settings_file_offers_nothing(shell: InteractiveShell) -> None:
    profile_file().parent.mkdir(parents=True)
    profile_file().write_text("[profiles.lab\n")
    offer = Completion(shell.magics_manager.registry["Vigthoria"])
    assert offer(shell, SimpleNamespace(line="%vigthoria profile ", symbol="")) == []


def test_extension_reloads_and_unloads_cleanly(shell: InteractiveShell) -> None:
    def traces() -> tuple[int, int, bool]:
        ours = [one for one in shell.configurables if type(one).__name__ == "Vigthoria"]
        transformers = [one for one in shell.input_transformers_post if one.__module__.startswith("vig_notebook")]
        return len(ours), len(transformers), "vigthoria" in shell.magics_manager.magics["cell"]

    assert traces() == (1, 1, True)
    shell.run_line_magic("reload_ext", "vig_notebook")
    assert traces() == (1, 1, True)
    shell.run_line_magic("unload_ext", "vig_notebook")
    assert traces() == (0, 0, False)
    shell.run_line_magic("load_ext", "vig_notebook")


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        ("", False),
        ("--wait", True),
        ("--format code", True),
        ("--format  code", True),
        ("--format=code", True),
        ("--format json", False),
        ("--system 'do not use --wait here'", False),
        ("--model a,b --wait", True),
        ("--model a,b --format code", False),
        ("--nonsense --wait", False),
        ("--system 'open --wait", False),
    ],
)
def test_cell_is_awaited_exactly_when_it_waits(shell: InteractiveShell, line: str, waits: bool) -> None:
    code = shell.transform_cell(f'%%vigthoria {line}\nIt\'s a "prompt" with --wait\n')
    assert code.startswith("await ") is waits


@pytest.mark.parametrize(
    ("model", "prompt", "said"),
    [
        ("demo", "Write a function that reverses a text", False),
        ("demo", "Write a haiku", True),
        ("demo-401", "Write a haiku", False),
    ],
)
def test_cell_with_code_says_when_there_is_none_for_the_next_cell(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], model: str, prompt: str, said: bool
) -> None:
    async def awaited(waiting: Any) -> None:
        await waiting

    with patch.object(shell, "set_next_input") as next_input:
        waiting = shell.run_cell_magic("vigthoria", f"--format code -m {model}", prompt)
        get_asyncio_loop().run_until_complete(awaited(waiting))
    assert ("nothing was put into the next cell" in capsys.readouterr().out) is said
    assert next_input.called is (model == "demo" and not said)


def test_system_prompt_that_is_set_may_be_a_file(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "kind.txt").write_text("Be kind.\n")
    shell.run_line_magic("vigthoria", f"set system=@{tmp_path}/kind.txt")
    cell(shell, "-o run", "Hello")
    assert shell.user_ns["run"].request.to_body()["messages"][0] == {"role": "system", "content": "Be kind."}


def test_cell_whose_format_is_set_to_code_is_awaited(shell: InteractiveShell) -> None:
    shell.run_line_magic("vigthoria", "set format=code")
    assert shell.transform_cell("%%vigthoria\nHello\n").startswith("await ")


def test_grid_that_waits_and_whose_prompt_fails_shows_its_card_alone(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run_cell("%%vigthoria --wait --model a,b\nHello {{ nobody }}\n").success
    assert "nobody" in capsys.readouterr().out


def test_extension_that_is_reloaded_keeps_what_was_set(shell: InteractiveShell) -> None:
    shell.run_line_magic("vigthoria", "set model=other temperature=0.25")
    shell.run_line_magic("reload_ext", "vig_notebook")
    cell(shell, "-o run", "Hello")
    body = shell.user_ns["run"].request.to_body()
    assert (body["model"], body["temperature"]) == ("other", 0.25)


def test_extension_that_is_reloaded_after_a_bad_config_works(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("config", "Vigthoria.temperature = 0.25")
    shell.run_line_magic("config", "Vigthoria.temperature = 'hot'")
    shell.run_line_magic("reload_ext", "vig_notebook")
    shell.run_line_magic("vigthoria", "set")
    assert capsys.readouterr().out == "the cells that follow have temperature=0.25\n"


def test_system_prompt_that_is_empty_takes_the_default_away(shell: InteractiveShell) -> None:
    shell.run_line_magic("vigthoria", "set system=Kind")
    cell(shell, "-o run --system ''", "Hello")
    assert [message["role"] for message in shell.user_ns["run"].request.to_body()["messages"]] == ["user"]


def test_cell_that_is_interrupted_says_so_in_a_few_lines(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vig_notebook.notebook.magic.show", interrupted)
    shell.run_cell("%%vigthoria\nHello\n")
    printed = capsys.readouterr().out
    assert ": the answer is stopped, what had come is kept\n" in printed
    assert "interrupted(" not in printed


def test_dry_run_masks_the_key_of_the_server_that_stands_in_the_prompt(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", 'open-"sesame"-42')
    cell(shell, "--dry-run", 'My key is open-"sesame"-42, is it good?')
    printed = capsys.readouterr().out
    assert "My key is ••••, is it good?" in printed
    assert "sesame" not in printed


def test_models_are_printed_with_nothing_that_a_terminal_obeys(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def names(_server: object) -> list[str]:
        return ["a\x1b]0;title\x07b", "x\u202ey", "n" * 1000]

    monkeypatch.setattr("vig_notebook.notebook.commands.models", names)
    shell.run_line_magic("vigthoria", "models")
    first, second, third = capsys.readouterr().out.splitlines()
    assert "\x1b" not in first
    assert "\x07" not in first
    assert second == "x⟨U+202E⟩y"
    assert len(third) == 200


@pytest.mark.parametrize(
    "prompt", ["What's up?", "A sad face :(", "select 1;", "{x} }}", '""" open', "  indented\n dedented"]
)
@pytest.mark.parametrize("line", ["--raw -o run", "--raw -o run --wait"])
def test_prompt_is_never_read_as_python(shell: InteractiveShell, line: str, prompt: str) -> None:
    with patch("IPython.core.displayhook.DisplayHook.semicolon_at_end_of_expression", side_effect=SyntaxError):
        shell.run_cell_magic("vigthoria", line, prompt + "\n")
    assert shell.user_ns["run"].request.to_body()["messages"][0]["content"] == prompt


KEY_OF_A = "key-of-server-A-123456"
A, B = "http://127.0.0.1:9001/v1", "http://127.0.0.1:9002/v1"


@pytest.mark.parametrize(
    ("line", "server", "key"),
    [
        ("", A, KEY_OF_A),
        (f"--base-url {B}", B, None),
        (f"--base-url {B} --key-env KEY_OF_B", B, "key-of-server-B-123456"),
        ("--profile lab", "https://lab.example/v1", None),
        ("--key-env KEY_OF_B", A, "key-of-server-B-123456"),  # it is given for the server of now
    ],
)
@pytest.mark.parametrize("grid", [False, True])
def test_key_that_is_set_for_one_server_goes_to_no_other(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, grid: bool, line: str, server: str, key: str | None
) -> None:
    profile_file().parent.mkdir(parents=True, exist_ok=True)
    profile_file().write_text('[profiles.lab]\nbase_url = "https://lab.example/v1"\n')
    monkeypatch.setenv("KEY_OF_A", KEY_OF_A)
    monkeypatch.setenv("KEY_OF_B", "key-of-server-B-123456")
    asked: list[Any] = []
    monkeypatch.setattr("vig_notebook.notebook.magic.show", lambda question, *_, **__: asked.append(question.server))
    monkeypatch.setattr("vig_notebook.notebook.tuning_cell.ask_or_plan", lambda grid, *_, **__: asked.append(grid))
    shell.run_line_magic("vigthoria", f"set base_url={A} key_env=KEY_OF_A")
    cell(shell, f"{line}{' --repeats 2' if grid else ''}", "Hello")
    endpoint = asked[0].endpoint
    assert endpoint.base_url == server
    assert (endpoint.api_key and endpoint.api_key.reveal()) == key
