"""Cells that compare, in a real shell and a real kernel: options, versions, commands."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import close_streaming_thread
from tests.render.vocabulary import check
from vig_notebook.run import Run
from vig_notebook.tuning import Experiment, Prompt

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from tests.notebook.conftest import Kernel

ROWS = [{"text": f"the app crashed {i}", "label": "bug" if i % 3 else "praise"} for i in range(1, 17)]
SHORT = "--data rows --score exact:label --name short --repeats 2 --max-tokens 8 --out grid"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo server answers as fast as it can."""
    monkeypatch.setenv("VIG_DEMO_PACE", "0")


def cell(shell: InteractiveShell, line: str, body: str) -> Any:
    """Run a cell as a person does, and give what `--out grid` became."""
    shell.run_cell(f"%%vigthoria {line}\n{body}\n").raise_error()
    return shell.user_ns.get("grid")


def refused(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, body: str = "Hello") -> str:
    """What a cell says that is refused; it must be one clean sentence and no traceback."""
    shell.run_cell(f"%%vigthoria {line}\n{body}\n")
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    return said


def test_values_with_commas_make_a_column_for_each_combination(shell: InteractiveShell) -> None:
    grid = cell(shell, "--model a,b --temperature 0,0.9 --top-p 0.5 --seed 3 --repeats 3 --out grid", "Write a haiku")
    assert isinstance(grid, Experiment)
    labels = [variant.label for variant in grid.variants]
    assert labels == ["a · temperature=0", "a · temperature=0.9", "b · temperature=0", "b · temperature=0.9"]
    assert dict(grid.variants[0].params) == {"temperature": 0, "top_p": 0.5, "seed": 3}
    assert len(grid.df) == 12
    assert sorted(set(grid.df.seed)) == [3, 4, 5]


def test_plain_cell_stays_what_it_is(shell: InteractiveShell) -> None:
    run = cell(shell, "--model a --temperature 0.9 --seed 3 --out grid", "One\n---\nTwo {x}")
    assert isinstance(run, Run)
    body = run.request.to_body()
    assert body["messages"] == [{"role": "user", "content": "One\n---\nTwo {x}"}]
    assert (body["model"], body["temperature"], body["seed"]) == ("a", 0.9, 3)


def test_line_of_dashes_stands_between_two_prompts(shell: InteractiveShell) -> None:
    shell.user_ns["topic"] = "rain"
    grid = cell(shell, "--repeats 1 --out grid", "A haiku about {{ topic }}\n---\nA poem about {{ topic }}")
    assert [variant.prompt.text for variant in grid.variants] == [
        "A haiku about {{ topic }}",
        "A poem about {{ topic }}",
    ]
    assert grid.cells[0].messages == [{"role": "user", "content": "A haiku about rain"}]


def test_prompt_takes_columns_before_variables_of_the_notebook(shell: InteractiveShell) -> None:
    shell.user_ns |= {"rows": ROWS, "text": "never", "tone": "calm"}
    grid = cell(shell, "--data rows --limit 2 --repeats 1 --out grid", "Be {{ tone }}: {{ text }}")
    assert grid.cells[1].messages[0]["content"] == "Be calm: the app crashed 2"


def test_data_is_a_file_and_the_system_prompt_too(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("id,text\na,rain\nb,snow\n")
    (tmp_path / "calm.txt").write_text("Be calm.\n")
    grid = cell(shell, "--data rows.csv --system @calm.txt --out grid", "{{ text }}")
    assert [example.id for example in grid.data] == ["a", "b"]
    assert grid.cells[0].messages[0] == {"role": "system", "content": "Be calm."}
    assert len(grid.df) == 6


def test_scorer_is_a_function_of_the_notebook(shell: InteractiveShell) -> None:
    shell.user_ns["loud"] = lambda response, example: response.isupper()
    grid = cell(shell, "--score loud --out grid", "Say hello")
    assert grid.df["score.loud"].tolist() == [0.0] if "score.loud" in grid.df else "score.lambda" in grid.df


def test_cell_that_is_run_again_asks_nothing_anew(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    cell(shell, "--repeats 3 --out grid", "Write a haiku")
    capsys.readouterr()
    grid = cell(shell, "--repeats 4 --out grid", "Write a haiku")
    assert grid.df.status.tolist() == ["cached"] * 3 + ["ok"]
    assert "3 cached" in capsys.readouterr().out


def test_edited_cell_is_held_against_its_parent(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["rows"] = ROWS
    cell(shell, SHORT, "Is it bug or praise? {{ text }}")
    capsys.readouterr()
    grid = cell(shell, SHORT, "Classify as bug or praise: {{ text }}")
    said = capsys.readouterr().out
    assert said.startswith("--- short@v1\n+++ short@v2\n")
    assert "Verdict. short@v2 is better than short@v1 on exact" in said
    assert "flipped; read these first" in said
    assert ": fixed on exact in short@v2, passed 0 % of the repeats before" in said
    assert "16 examples × 2 variants, 64 answers · 32 cached" in said  # those of the version before are shown, too
    assert [variant.label for variant in grid.variants] == ["short@v1", "short@v2"]
    assert grid.baseline == "short@v1"
    third = cell(shell, SHORT + " --baseline v1", "Classify as praise or bug: {{ text }}")
    assert [variant.label for variant in third.variants] == ["short@v1", "short@v2", "short@v3"]
    assert third.baseline == "v1"


def test_commands_on_versions(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shell.user_ns["rows"] = ROWS
    cell(shell, SHORT, "Is it bug or praise? {{ text }}")
    cell(shell, SHORT, "Classify as bug or praise: {{ text }}")

    def said(line: str) -> str:
        capsys.readouterr()
        shell.run_cell(f"%vigthoria {line}")
        return "".join(capsys.readouterr())

    versions = said("versions short")
    assert "short@v1  the first      exact 0.00" in versions
    assert "short@v2  from short@v1" in versions
    assert "scores  ▁" in versions
    assert "-Is it bug or praise? {{ text }}" in said("diff short")
    assert said("diff v1 short") == said("diff short@v1 short@v2")
    assert "short@v2 is better" in said("compare short --baseline v1")
    assert "Nothing is left to ask (32 cached)" in said("plan short")
    assert "16 pairs to rate, by a person" in said("rate short v1 --blind")
    assert said(f"export short {tmp_path / 'results.csv'}").startswith("written")
    assert (tmp_path / "results.csv").read_text().startswith("experiment,")
    assert "short@v1 is in the next cell" in said("use short@v1")
    assert "the form is: %vigthoria versions NAME" in said("versions")
    assert "There is no experiment 'nobody'" in said("compare nobody")
    assert "is the first version" in said("diff short@v1")
    assert "There is no prompt short@v9" in said("use short@v9")


def restart() -> None:
    """A new kernel, as far as this package knows: what is left is in the log."""
    close_streaming_thread()


def said_by(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str) -> str:
    """What a line command says."""
    capsys.readouterr()
    shell.run_cell(f"%vigthoria {line}")
    return "".join(capsys.readouterr())


def test_versions_outlive_the_kernel(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["rows"] = ROWS
    cell(shell, SHORT, "Is it bug or praise? {{ text }}")
    cell(shell, SHORT + " --system 'Be brief'", "Classify as bug or praise: {{ text }}")
    restart()
    versions = said_by(shell, capsys, "versions short")
    assert "short@v1  the first      exact 0.00" in versions
    assert "short@v2  from short@v1  exact 0.69" in versions
    assert "-Is it bug or praise? {{ text }}" in said_by(shell, capsys, "diff short")
    restart()
    assert "short@v2 is better than short@v1 on exact" in said_by(shell, capsys, "compare short --baseline v1")
    restart()
    assert "Nothing is left to ask (32 cached)" in said_by(shell, capsys, "plan short")
    restart()
    assert "16 pairs to rate" in said_by(shell, capsys, "rate short@v2 v1")
    restart()
    assert "Be brief" in said_by(shell, capsys, "show short")
    restart()
    assert "short@v1 is in the next cell" in said_by(shell, capsys, "use short@v1")
    assert shell.rl_next_input == f"%%vigthoria {SHORT}\nIs it bug or praise? {{{{ text }}}}"
    third = cell(shell, SHORT, "Bug or praise? {{ text }}")
    assert [variant.label for variant in third.variants] == ["short@v1", "short@v3"]


def test_edited_cell_goes_on_from_the_log(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["rows"] = ROWS
    cell(shell, SHORT, "Is it bug or praise? {{ text }}")
    restart()
    capsys.readouterr()
    grid = cell(shell, SHORT, "Classify as bug or praise: {{ text }}")
    said = capsys.readouterr().out
    assert said.startswith("short goes on from the log, which has short@v1. Another --name begins anew.\n--- short@v1")
    assert "Verdict. short@v2 is better than short@v1 on exact" in said
    assert grid.progress.total == 32
    cell(shell, SHORT, "Bug or praise? {{ text }}")
    assert "goes on from the log" not in capsys.readouterr().out


def test_what_cannot_be_laid_out_again_says_why(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["rows"] = ROWS
    cell(shell, SHORT, "Is it bug or praise? {{ text }}")
    prompt = Prompt(name="python", text="Say hello")
    Experiment(prompt, name="python", store=shell.user_ns["grid"]._log).run().wait()
    restart()
    del shell.user_ns["rows"]
    assert "there is no such variable" in said_by(shell, capsys, "compare short")
    assert "short@v1  the first  not scored" in said_by(shell, capsys, "versions short")
    assert "it came from no cell of a notebook" in said_by(shell, capsys, "plan python")
    assert "There is no prompt 'nobody': there are: short, python" in said_by(shell, capsys, "versions nobody")


def test_log_that_cannot_be_read_holds_up_no_grid(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE notes (text)")
    monkeypatch.setenv("VIG_LOG", str(path))
    assert len(cell(shell, "--repeats 2 --name s --out grid", "Say hello").df) == 2
    assert "is a database of another program" in said_by(shell, capsys, "versions s")


def test_holdout_is_asked_on_purpose_and_counted(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["rows"] = ROWS
    line = SHORT + " --holdout 0.25"
    grid = cell(shell, line, "Is it bug or praise? {{ text }}")
    aside = {example.id for example in grid.held_out}
    assert (len(grid.data), len(aside)) == (12, 4)
    assert not aside & set(grid.df.example_id)
    assert "24 answers · 4 examples set aside" in capsys.readouterr().out
    assert "1 variant x 2 repeats; 4 examples set aside." in said_by(shell, capsys, "plan short")
    cell(shell, line, "Classify as bug or praise: {{ text }}")
    first = said_by(shell, capsys, "holdout short")
    assert "short@v2 against short@v1 on exact" in first
    assert "over 4 examples" in first
    assert "This is the first look at the holdout: it counts." in first
    again = "This holdout was looked at before, with short@v2: only a first look counts."
    assert again in said_by(shell, capsys, "holdout short")
    cell(shell, line.replace("exact", "contains"), "Classify as bug or praise: {{ text }}")
    assert again in said_by(shell, capsys, "holdout short")
    restart()
    cell(shell, line, "Classify as bug or praise: {{ text }}")
    assert again in said_by(shell, capsys, "holdout short")
    restart()
    cell(shell, line, "Bug or praise? {{ text }}")
    second = said_by(shell, capsys, "holdout short")
    assert "This is look 2 at this holdout, after short@v2: who looks often finds luck here as well." in second
    assert "look 2" in said_by(shell, capsys, "compare 'short holdout'")
    assert "There is no variant 'short@v9'" in said_by(shell, capsys, "holdout short --variant short@v9")


def test_holdout_needs_something_set_aside(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["rows"] = ROWS
    assert "sets examples of --data aside" in refused(shell, capsys, "--holdout 0.3 --name s")
    assert "sets examples of --data aside" in refused(shell, capsys, "--holdout 0.3 --data rows")
    assert "1.5 is not between 0 and 1" in refused(shell, capsys, "--holdout 1.5 --data rows --name s")
    cell(shell, "--data rows --repeats 1 --name s", "Say {{ text }}")
    assert "run its cell with --holdout 0.3" in said_by(shell, capsys, "holdout s")


def test_wrong_scorer_is_refused_before_it_costs_a_call(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns |= {"rows": ROWS, "short": lambda response: True}
    body = "Bug or praise? {{ text }}"
    said = refused(shell, capsys, "--data rows --score exact:lable --out grid", body)
    assert "There is no column 'lable' for the scorer exact: the examples have text, label. Did you mean label?" in said
    assert "there is no data. Give data" in refused(shell, capsys, "--repeats 2 --score exact:label --out grid")
    said = refused(shell, capsys, "--data rows --score short --out grid", body)
    assert "cannot be called with a response and its example" in said
    assert "the form f(response, example)" in said
    assert "grid" not in shell.user_ns


def test_judge_of_pairs_is_named_on_the_line(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    cell(shell, "--repeats 1 --name s", "Say hello")
    cell(shell, "--repeats 1 --name s", "Write a haiku")
    assert "0 wins, 0 losses, 0 ties, 1 not judged (ValueError: the judge" in said_by(
        shell, capsys, "rate s --judge 'which is shorter'"
    )


def test_more_than_200_calls_are_planned_and_not_asked(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = cell(shell, "--repeats 201 --out grid", "Hello")
    said = capsys.readouterr().out
    assert "Add --yes to the line to ask them. Nothing was asked." in said
    assert "201 calls: 1 example x 1 variant x 201 repeats" in said
    assert not grid.responses
    assert len(cell(shell, "--repeats 201 --max-tokens 1 --yes --out grid", "Hello").df) == 201


def test_budget_ends_the_asking(shell: InteractiveShell) -> None:
    grid = cell(shell, "--repeats 50 --budget-tokens 100 --max-concurrency 2 --out grid", "Write a haiku")
    assert 0 < len(grid.df) < 50
    assert "budget" in grid.progress.note


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--model a,", "a name is missing beside a comma"),
        ("--temperature 0,x", "'x' is not a number"),
        ("--seed 1,2.5", "'2.5' is not a whole number"),
        ("--repeats 0", "0 is not at least 1"),
        ("--data rowss", "there is no such variable; did you mean rows?"),
        ("--data number", "it is a int, not a table or a list of dicts"),
        ("--limit 3", "--limit takes the first examples of --data"),
        ("--score nonsense", "There is no scorer 'nonsense'"),
        ("--chat plan --repeats 2", "--chat does not go with a grid"),
        ("--format json --repeats 2", "--score json tells which answers are JSON"),
        ("--system @nowhere --repeats 2", "the file cannot be read (FileNotFoundError)"),
        ("--name a@b", "'a@b' is not a name"),
        ("--name s --baseline v7", "There is no baseline 'v7'"),
    ],
)
def test_bad_values_are_one_sentence(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    shell.user_ns |= {"rows": ROWS, "number": 7}
    assert words in refused(shell, capsys, line)


def test_name_is_of_one_prompt(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--name is the name of one prompt" in refused(shell, capsys, "--name two", "One\n---\nTwo")
    assert "nobody" in refused(shell, capsys, "--repeats 2", "Hello {{ nobody }}")
    assert "There is no prompt" in refused(shell, capsys, "--repeats 2", "One\n---\n\n")


def outputs(kernel: Kernel, code: str, *, person: bool = False) -> list[dict[str, Any]]:
    """What a cell shows."""
    shown = {"display_data", "stream", "error"}
    return [message for message in kernel.run(code, person=person) if message["msg_type"] in shown]


def test_headless_cell_waits_and_writes_one_display(kernel: Kernel) -> None:
    (message,) = outputs(kernel, "%%vigthoria --model a,b --repeats 2 --out grid\nWrite a haiku about tea")
    assert message["msg_type"] == "display_data"
    data = message["content"]["data"]
    assert set(data) == {"text/html", "text/plain"}
    check(data["text/html"])
    assert message["content"]["metadata"]["vig_notebook"]["state"] == "DONE"
    (message,) = outputs(kernel, "print(len(grid.df), grid.running)")
    assert message["content"]["text"] == "4 False\n"


def test_waiting_cell_ends_with_its_grid(kernel: Kernel) -> None:
    outputs(kernel, "%%vigthoria --repeats 3 --wait --out grid\nWrite a haiku", person=True)
    (message,) = outputs(kernel, "print(len(grid.df), grid.running)")
    assert message["content"]["text"] == "3 False\n"
