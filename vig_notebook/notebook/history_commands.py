"""The line commands that look at the run log and bring something back.

===========================  ====================================================================================
`history [words]`            what was asked and answered, newest first; `--model` `--since` `--state` `--chat` `--limit`
`show ID`                    an answer again, as a record
`rerun ID`                   the same request again; takes the options of a cell, such as `--model`
`resume`                     the runs that were cut off when their kernel died, and how to ask again
===========================  ====================================================================================
"""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.error import UsageError
from IPython.display import display

from vig_notebook.api import question
from vig_notebook.engine import engine
from vig_notebook.notebook.defaults import server_choice, settings_of
from vig_notebook.notebook.history_table import ID_LENGTH, cut, moment, table_bundle
from vig_notebook.notebook.options import is_grid, parse_line, parser_of, whole
from vig_notebook.notebook.place import place_of
from vig_notebook.notebook.record import record as record_of
from vig_notebook.notebook.show import show
from vig_notebook.render import escape_text, visible
from vig_notebook.servers import choose
from vig_notebook.settings import mask
from vig_notebook.store import default_store, past_of

if TYPE_CHECKING:
    from vig_notebook.notebook.commands import Defaults
    from vig_notebook.store import Record

__all__ = ["STATES", "Parser", "find_run", "run_history", "run_rerun", "run_resume", "run_show", "shown_runs"]

STATES = ("done", "stopped", "failed", "interrupted", "streaming", "connecting", "queued")
_FOLDERS = r"[/\\]"
LIMIT = 20
"""Runs of a history, unless more are asked for: a page."""


class Parser(argparse.ArgumentParser):
    """A parser of a line command; what is wrong is a `UsageError` with the form that is right."""

    def __init__(self, usage: str) -> None:
        super().__init__(prog=f"%vigthoria {usage.split()[0]}", usage=f"%vigthoria {usage}", add_help=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the line."""
        raise UsageError(f"{message}; the form is: {self.usage}")


def run_history(_magic: Defaults, words: list[str]) -> None:
    """Show what was asked and answered.

    Raises:
        UsageError: An option is not known, or its value is wrong.
        ConfigError: The time is not understood, or the log cannot be read.
    """
    parser = Parser("history [WORDS] [--model M] [--since 2d] [--state S] [--chat NAME] [--limit N]")
    parser.add_argument("words", nargs="*")
    for option in ("--model", "--since", "--chat"):
        parser.add_argument(option)
    parser.add_argument("--state", choices=STATES)
    parser.add_argument("--limit", type=whole, default=LIMIT)
    given = parser.parse_intermixed_args(words)
    if given.limit < 1:
        parser.error(f"--limit wants a number above 0, not {given.limit}")
    wanted = " ".join(f'"{word}"' if " " in word else word for word in given.words)
    narrowed = {"model": given.model, "since": given.since, "state": given.state, "chat": given.chat}
    records = default_store().search(wanted or None, **narrowed, limit=given.limit + 1)
    _display(records[: given.limit], _history_note(records, given.limit, narrow=bool(words)))


def run_show(_magic: Defaults, words: list[str]) -> None:
    """Show an answer of the log again.

    Raises:
        UsageError: There is no such run, or no id was given.
        ConfigError: Several ids begin so, or the log cannot be read.
    """
    parser = Parser("show ID [--format markdown|text|code|json]")
    parser.add_argument("id")
    parser.add_argument("--format", choices=("markdown", "text", "code", "json"), default="markdown")
    given = parser.parse_args(words)
    found = find_run(given.id)
    bundle, metadata = record_of(past_of(found), form=given.format)
    asked = cut(found.prompt) if found.prompt is not None else "(the prompt was not logged)"
    note = f"Run {found.id[:ID_LENGTH]}, {moment(found.created_at)}{_place(found)}: {asked}"
    html = f'<div class="vig-note">{escape_text(note)}</div>{bundle["text/html"]}'
    display(
        {"text/html": html, "text/plain": f"{visible(note)}\n\n{bundle['text/plain']}"}, raw=True, metadata=metadata
    )


def run_rerun(magic: Defaults, words: list[str]) -> None:
    """Ask a request of the log again, with other options where they are given.

    Raises:
        UsageError: There is no such run, or an option is not known.
        ConfigError: Its prompt was not logged, or the settings are wrong.
    """
    vigthoria: Any = magic
    run_id, *rest = [*words, ""]
    if not run_id or run_id.startswith("-"):
        raise UsageError("rerun wants the id of a run first; the form is: %vigthoria rerun ID [--model M] …")
    options = parse_line(parser_of(type(vigthoria).vigthoria), shlex.join(word for word in rest if word))
    if options.chat or options.new or options.fork or options.dry_run or options.system or is_grid(options):
        raise UsageError("rerun asks one request once more; conversations, system prompts and grids belong to a cell")
    found = find_run(run_id)
    request = found.request()
    server = server_choice(vars(options), settings_of(magic))
    asked = question(
        list(request.messages),
        model=options.model or _model(found, server),
        parameters={**(found.parameters or {}), **_given(options)},
        **server,
    )
    labels = place_of(vigthoria.shell) | {"rerun": found.id}
    run = show(asked, vigthoria.shell, form=options.format or vigthoria.format, labels=labels)
    if options.out:
        vigthoria.shell.user_ns[options.out] = run


def run_resume(_magic: Defaults, words: list[str]) -> None:
    """List the runs that were cut off when their kernel died; asks nothing.

    Raises:
        UsageError: Something was given.
        ConfigError: The log cannot be read.
    """
    if words:
        raise UsageError("resume wants nothing: it lists what was interrupted; %vigthoria rerun ID asks again")
    records = default_store().search(state="interrupted", limit=LIMIT)
    note = "Nothing was interrupted."
    if records:
        first, one = records[0].id[:ID_LENGTH], len(records) == 1
        note = (
            f"Interrupted when {'its' if one else 'their'} kernel ended; the text up to then is kept (%vigthoria show "
            f"{first if one else 'ID'}). Nothing is asked again by itself: %vigthoria rerun {first} asks "
            f"{'it' if one else 'the first'} again."
        )
        if any("experiment" in (record.labels or {}) for record in records):
            note += " An experiment that is run again asks only what it lacks."
    _display(records, note)


def find_run(run_id: str) -> Record:
    """Give the run of the log with this id or its beginning.

    Raises:
        UsageError: There is none.
        ConfigError: Several ids begin so, or the log cannot be read.
    """
    found = default_store().get(run_id.lower()) if run_id else None
    if found is None:
        raise UsageError(f"there is no run {run_id[:40]!r} in the log; see %vigthoria history")
    return found


def shown_runs() -> list[str]:
    """Beginnings of the ids that a history has shown, for completion."""
    kept: Any = engine().kept.get("shown runs", [])
    return list(kept)


def _display(records: list[Record], note: str) -> None:
    engine().kept["shown runs"] = [record.id[:ID_LENGTH] for record in records]
    warning = default_store().warning
    display(table_bundle(records, f"{note} {warning}." if warning else note), raw=True)


def _history_note(records: list[Record], limit: int, *, narrow: bool) -> str:
    store = default_store()
    if not records:
        off = "No log is kept (%vigthoria log PATH, VIG_LOG)."
        none = "No run is like that; %vigthoria history alone shows the newest." if narrow else "No run yet."
        return off if store.path is None else none
    first = records[0].id[:ID_LENGTH]
    more = f"The newest {limit}; --limit {limit * 5} shows more. " if len(records) > limit else ""
    return f"{more}%vigthoria show {first} brings an answer back, %vigthoria rerun {first} asks again."


def _place(found: Record) -> str:
    # The name alone: this is saved in a notebook, and folders say who a person is.
    return f", in {mask(re.split(_FOLDERS, found.notebook)[-1])}" if found.notebook else ""


def _model(found: Record, server: dict[str, Any]) -> str | None:
    """The model that was asked, where the same server is asked; another has its own."""
    endpoint = choose(**server).endpoint
    before = found.endpoint()
    same = endpoint.kind == before.kind if not before.base_url else endpoint.base_url == before.base_url
    return found.model if same else None


def _given(options: argparse.Namespace) -> dict[str, object]:
    """The members of the request that the line names."""
    named = {name: getattr(options, name) for name in ("temperature", "max_tokens", "top_p", "seed")}
    named["stop"] = options.stop_sequence
    return {name: value for name, value in named.items() if value is not None} | dict(options.param or ())
