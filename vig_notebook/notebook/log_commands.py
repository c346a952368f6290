"""The line commands that manage the run log.

===========================  ====================================================================================
`forget ID`                  delete runs for good; also `--before DATE`, `--all`
`export FILE.jsonl`          write the log into a file; `--cassette` writes only what replay needs, for git
`import FILE`                take the runs of such a file into the log
`log [PATH|off]`             where the log is; keep it elsewhere, or keep none
`replay [on|off|only FILE]`  answer from the log, or from a cassette beside the notebook
===========================  ====================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from vig_notebook.notebook.history_commands import Parser, find_run
from vig_notebook.store import Replaying, default_store, run_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Say = Callable[[str], None]

__all__ = ["run_export", "run_forget", "run_import", "run_log_command", "run_replay"]

CASSETTE = "replay wants on, off or only, and then a file, if any; for example: %vigthoria replay on talk.vig.jsonl"


def run_forget(words: list[str], say: Say) -> None:
    """Delete runs for good.

    Raises:
        UsageError: Nothing was named, or too much.
        ConfigError: An id or the time is not understood, or the log cannot be written.
    """
    parser = Parser("forget ID … | --before DATE | --all")
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--before", metavar="DATE")
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args(words)
    if sum(map(bool, (given.ids, given.before, given.all))) != 1:
        parser.error("name runs, or a time, or all of them")
    ids = [find_run(run_id).id for run_id in given.ids]
    store = default_store()
    count = store.forget(*ids, before=given.before, everything=given.all)
    if not count:
        say("forgot no run: the log has none like that")
        return
    left = f"nothing of {'it' if count == 1 else 'them'} is left in the log"
    if not store.is_wiped():
        left = "another program is using the log; what is left of them there is overwritten when it has done"
    say(f"forgot {_runs(count)}: {left}; what notebooks show stays")


def run_export(words: list[str], say: Say) -> None:
    """Write the log into a file.

    Raises:
        UsageError: No file was named.
        ConfigError: The file cannot be written.
    """
    parser = Parser("export FILE.jsonl [--cassette]")
    parser.add_argument("file")
    parser.add_argument("--cassette", action="store_true")
    given = parser.parse_args(words)
    store = default_store()
    count = store.export_cassette(given.file) if given.cassette else store.export(given.file)
    say(f"wrote {_runs(count)} to {given.file}; no key is in it, but all that was asked and answered")


def run_import(words: list[str], say: Say) -> None:
    """Take the runs of a file into the log.

    Raises:
        UsageError: No file was named.
        ConfigError: The file is not such a file.
    """
    parser = Parser("import FILE.jsonl")
    parser.add_argument("file")
    file = parser.parse_args(words).file
    say(f"took {_runs(default_store().import_(file))} from {file} that the log did not have")


def run_log_command(words: list[str], say: Say) -> None:
    """Say where the log is, keep it elsewhere, or keep none.

    Raises:
        UsageError: More than a path was given.
        ConfigError: It is no place for a log.
    """
    match words:
        case []:
            say(_where())
        case [path]:
            run_log().use(path)
            say(_where())
        case _:
            raise UsageError("log wants a path, off, or nothing to say where it is; a path with blanks goes in quotes")


def run_replay(words: list[str], say: Say) -> None:
    """Say, or choose, whether requests are answered from what was kept.

    Raises:
        UsageError: The words are not understood.
        ConfigError: The cassette cannot be read.
    """
    parser = Parser("replay [on|off|only] [FILE] [--pace recorded|instant]")
    parser.add_argument("mode", nargs="?")
    parser.add_argument("file", nargs="?")
    parser.add_argument("--pace", choices=("recorded", "instant"), default="instant")
    given = parser.parse_args(words)
    if given.mode is not None:
        if given.mode not in {"on", "off", "only"} or (given.file and given.mode == "off"):
            raise UsageError(CASSETTE)
        run_log().replay(chosen := Replaying(mode=given.mode, file=given.file, pace=given.pace))
        # The same where VIG_REPLAY makes it "only": a notebook that is checked gives the outputs that it has.
        say(_replaying(chosen))
    else:
        say(_replaying(run_log().replaying))


def _replaying(now: Replaying) -> str:
    source = now.file or "the run log"
    match now.mode:
        case "off":
            return "replay is off: every request is sent to the server"
        case "on":
            if now.file:
                return f"answers are kept in {now.file}, and given again from there"
            return "replay is on: what the run log has is answered from it, the rest is sent to the server"
        case "only":
            return f"replay only: every request is answered from {source}, and nothing is sent"


def _where() -> str:
    store = default_store()
    if store.path is None:
        return "no log is kept; %vigthoria log PATH keeps one"
    store.flush()
    lines = [f"the log is {store.path}{_size(store.path)}", run_log().warning]
    return "\n".join(line for line in lines if line)


def _size(path: Path) -> str:
    """How large the log is; nothing where there is no file."""
    files = [path.with_name(path.name + end) for end in ("", "-wal")]
    size_kb = sum(file.stat().st_size for file in files if file.exists()) / 1000
    if not size_kb:
        return ""
    return f", {size_kb / 1000:.1f} MB" if size_kb >= 1000 else f", {size_kb:.0f} kB"


def _runs(count: int) -> str:
    return f"{count} {'run' if count == 1 else 'runs'}"
