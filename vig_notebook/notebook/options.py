"""The options of a `%%vigthoria` line, and how a bad line is refused: one sentence, with the nearest option."""

from __future__ import annotations

import argparse
import difflib
import json
import keyword
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "LISTS",
    "cell_options",
    "is_grid",
    "member",
    "nearest",
    "option_names",
    "parse_line",
    "parser_of",
    "text_or_file",
]

P = ParamSpec("P")
R = TypeVar("R")


def number(text: str) -> float:
    """A finite number, as argparse's `type`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(value) if value.is_integer() and "." not in text and "e" not in text.lower() else value


def whole(text: str) -> int:
    """A whole number, as argparse's `type`."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def numbers(text: str) -> float | tuple[float, ...]:
    """A finite number, or several with commas between them, as argparse's `type`."""
    return tuple(number(one.strip()) for one in text.split(",")) if "," in text else number(text)


def wholes(text: str) -> int | tuple[int, ...]:
    """A whole number, or several with commas between them, as argparse's `type`."""
    return tuple(whole(one.strip()) for one in text.split(",")) if "," in text else whole(text)


def count(text: str) -> int:
    """A whole number that is at least 1, as argparse's `type`."""
    value = whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def share(text: str) -> float:
    """A number between 0 and 1, as argparse's `type`."""
    value = number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def name(text: str) -> str:
    """A name of a Python variable, as argparse's `type`."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name that a variable can have")
    return text


def label(text: str) -> str:
    """A name of a prompt, as argparse's `type`."""
    if not text.replace("-", "_").isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not a name: give one of letters, digits, - and _")
    return text


def member(text: str) -> tuple[str, object]:
    """`NAME=VALUE` with VALUE as JSON, or as text where it is not JSON; as argparse's `type`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return key.strip(), json.loads(value, parse_constant=_refuse_constant)
    except ValueError:
        return key.strip(), value


def _refuse_constant(word: str) -> None:
    raise argparse.ArgumentTypeError(f"{word} cannot be sent: JSON has no such number")


OPTIONS = (
    argument("--model", "-m", metavar="NAME", help="the model; by default the one of the server; NAME,NAME compares"),
    argument("--system", "-s", metavar="TEXT", help="the system prompt; @FILE reads it from a file"),
    argument(
        "--temperature",
        "-t",
        type=numbers,
        metavar="T",
        help="how free the choice of words is; 0 least; T,T compares",
    ),
    argument("--max-tokens", type=whole, metavar="N", help="the longest answer, in tokens"),
    argument("--top-p", type=numbers, metavar="P", help="choose among the likeliest words of this share"),
    argument("--seed", type=wholes, metavar="N", help="asks for the same answer again; servers do their best"),
    argument(
        "--stop-sequence", action="append", metavar="TEXT", help="end the answer before this text; may be repeated"
    ),
    argument(
        "--param",
        action="append",
        type=member,
        metavar="NAME=VALUE",
        help="any other member of the request, its value as JSON; may be repeated",
    ),
    argument("--out", "-o", type=name, metavar="NAME", help="the variable that becomes the run"),
    argument("--chat", metavar="NAME", help="go on with the conversation of this name"),
    argument("--new", action="store_true", help="begin that conversation anew"),
    argument("--fork", metavar="NAME", help="begin that conversation anew as a copy of this one"),
    argument(
        "--format",
        choices=("markdown", "text", "code", "json"),
        help="how the answer is shown; code also puts the first code block into the next cell, json parses it",
    ),
    argument("--raw", action="store_true", help="send the cell as it stands: {{ }} is not filled in"),
    argument("--wait", action="store_true", help="the cell ends when the answer does"),
    argument("--dry-run", action="store_true", help="show the exact request, key masked, and send nothing"),
    argument("--base-url", metavar="URL", help="another server; it gets no key unless --key-env names one"),
    argument("--key-env", metavar="NAME", help="the environment variable that holds the key"),
    argument("--profile", metavar="NAME", help="a profile of the settings file"),
    argument("--repeats", type=count, metavar="N", help="grid: ask each so often; by default 3 with --data"),
    argument("--data", metavar="NAME", help="grid: examples, from a variable or a .csv, .tsv, .jsonl or .parquet file"),
    argument("--limit", type=count, metavar="N", help="grid: only the first N examples, --holdout's among them"),
    argument(
        "--score", action="append", metavar="SCORER", help="grid: exact:COLUMN, json, a function…; may be repeated"
    ),
    argument(
        "--name", type=label, metavar="NAME", help="grid: the prompt's name; each edited cell is its next version"
    ),
    argument(
        "--holdout",
        type=share,
        metavar="SHARE",
        help="grid: set this share of the examples aside, such as 0.3, for %%vigthoria holdout NAME at the end",
    ),
    argument("--baseline", metavar="VERSION", help="grid: what is compared with, such as v1; by default the parent"),
    argument("--max-concurrency", type=count, metavar="N", help="grid: most calls at once; by default 8"),
    argument("--budget-tokens", type=count, metavar="N", help="grid: most tokens, in and out together"),
    argument("--yes", action="store_true", help="grid: ask also where it takes more than 200 calls"),
)


LISTS = ("temperature", "top_p", "seed")
"""Options whose values may be several, beside the model."""

GRID_ONLY = (
    "repeats",
    "data",
    "limit",
    "score",
    "name",
    "holdout",
    "baseline",
    "max_concurrency",
    "budget_tokens",
    "yes",
)


def is_grid(options: argparse.Namespace) -> bool:
    """Whether the options of a cell compare something; any other cell is one question."""
    lists = any(isinstance(getattr(options, name), tuple) for name in LISTS)
    return lists or "," in (options.model or "") or any(getattr(options, name) for name in GRID_ONLY)


def text_or_file(text: str | None) -> str | None:
    """A text; `@FILE` is what the file holds.

    Raises:
        UsageError: The file cannot be read.
    """
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).expanduser().read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--system {text}: the file cannot be read ({type(error).__name__})") from None


def cell_options(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a magic with the options, so that its help page lists them."""
    for option in reversed(OPTIONS):
        option(function)
    magic_arguments()(function)
    # IPython writes the form of a line magic, and options belong to a cell.
    function.__doc__ = (function.__doc__ or "").replace("  %vigthoria [", "  %%vigthoria [", 1)
    parser_of(function).allow_abbrev = False  # half an option is a mistake, and may be another one tomorrow
    return function


def parser_of(function: Any) -> argparse.ArgumentParser:
    """The parser that `cell_options` gave a magic."""
    return cast("argparse.ArgumentParser", function.parser)


def option_names() -> list[str]:
    """Every option as it is typed, long forms first."""
    return sorted(
        (text for option in OPTIONS for text in option.args), key=lambda text: (not text.startswith("--"), text)
    )


def parse_line(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Parse the line of a cell.

    Raises:
        UsageError: An option is not known, a value is not of its kind, or a quote is not closed.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line of %%vigthoria cannot be read: {str(error).lower()}; check the quotes") from None
    if any(word == "--api-key" or word.startswith("--api-key=") for word in words):
        raise UsageError(
            "a key is not taken on the line: it would be saved with the notebook and in the history. Set the "
            "environment variable VIGTHORIA_API_KEY before Jupyter starts, or name another with --key-env"
        )
    options, rest = parser.parse_known_args(words)
    if rest:
        raise UsageError(_unknown(rest[0]))
    return options


def _unknown(word: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is not an option: the prompt goes into the lines below, and a value with blanks into quotes"
    near = nearest(word.partition("=")[0], option_names())
    return f"there is no option {word}{f'; did you mean {near}?' if near else '; see %vigthoria?'}"


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that `word` begins, or else the one most like it; None when none is."""
    words = list(words)
    begun = [one for one in words if len(word.strip("-")) > 1 and one.startswith(word)]
    found = begun or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return found[0] if found else None
