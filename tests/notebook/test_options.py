"""The line of a cell: what is taken, and how what is not is refused."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError

from vig_notebook.notebook.magic import Vigthoria
from vig_notebook.notebook.options import option_names, parse_line, parser_of


def parse(line: str) -> Any:
    return parse_line(parser_of(Vigthoria.vigthoria), line)


def test_line_with_every_option_is_parsed_to_typed_values() -> None:
    options = parse(
        "-m some/model -s 'You are kind' -t 0.7 --max-tokens 300 --top-p 0.9 --seed 7 --stop-sequence END"
        " --stop-sequence '\"quoted\"' --param presence_penalty=0.5 --param 'logit_bias={\"50\": -100}'"
        " --param user=ann -o poem --chat plan --new --format json --raw --wait --dry-run"
        " --base-url http://127.0.0.1:1/v1 --key-env MY_KEY --profile work"
    )
    assert (options.model, options.system, options.temperature) == ("some/model", "You are kind", 0.7)
    assert (options.max_tokens, options.top_p, options.seed) == (300, 0.9, 7)
    assert options.stop_sequence == ["END", '"quoted"']
    assert dict(options.param) == {"presence_penalty": 0.5, "logit_bias": {"50": -100}, "user": "ann"}
    assert (options.out, options.chat, options.format, options.profile) == ("poem", "plan", "json", "work")
    assert options.new
    assert options.raw
    assert options.wait
    assert options.dry_run


def test_line_that_is_empty_leaves_everything_to_the_defaults() -> None:
    options = parse("")
    assert not any(vars(options).values())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--temprature 0.5", "did you mean --temperature?"),
        ("--modle x", "did you mean --model?"),
        ("--temp 1", "did you mean --temperature?"),
        ("--stop END", "did you mean --stop-sequence?"),
        ("--xyzzy", "see %vigthoria\\?"),
        ("--temperature hot", "'hot' is not a number"),
        ("--temperature nan", "'nan' is not a number"),
        ("--max-tokens 1.5", "'1.5' is not a whole number"),
        ("--out 2poems", "not a name that a variable can have"),
        ("--out class", "not a name that a variable can have"),
        ("--param novalue", "not NAME=VALUE"),
        ("--param x=NaN", "JSON has no such number"),
        ("--format html", "invalid choice"),
        ("--model", "expected one argument"),
        ("--system 'open", "check the quotes"),
        ("Write a poem", "the prompt goes into the lines below"),
        ("--api-key sk-secret", "a key is not taken on the line"),
        ("--api-key=sk-secret", "a key is not taken on the line"),
    ],
)
def test_line_that_is_bad_is_refused_in_one_sentence(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse(line)
    assert "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_options_are_all_in_the_help_page() -> None:
    page = Vigthoria.vigthoria.__doc__
    assert page is not None
    assert "  %%vigthoria [--model NAME]" in page
    assert all(name in page for name in option_names() if name.startswith("--"))
