"""The canaries, the ways in which an asking can fail, and all the places where one could be seen."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import re
import traceback
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.ultratb import FormattedTB

from tests.client.conftest import CANARY as KEY
from tests.client.test_keys import FAULTS, PROMPT
from vig_notebook.settings import profile_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

__all__ = ["FAULTS", "KEY", "PROMPT", "lab", "leaks", "logs", "places"]

XMODES = ("Plain", "Context", "Verbose")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DEPTH = 4
"""How far into the members of a local variable a debugger's tree is followed."""


def lab(base_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a profile of quick limits for a server, its key in the environment, and give the profile's name."""
    monkeypatch.setenv("LAB_KEY", KEY)
    quick = "max_retries = 0\nidle_timeout_s = 0.1\nfirst_byte_timeout_s = 0.2\nmax_line_bytes = 100000"
    profile_file().parent.mkdir(parents=True, exist_ok=True)
    profile_file().write_text(f'[profiles.lab]\nbase_url = "{base_url}"\nkey_env = "LAB_KEY"\n{quick}\n')
    return "lab"


def leaks(*seen: tuple[str, str]) -> list[str]:
    """The places where a canary was seen, with a little of what stands around it."""
    found = []
    for place, text in seen:
        for canary in (KEY, PROMPT):
            at = text.find(canary)
            if at >= 0:
                found.append(f"{place}: …{text[max(0, at - 80) : at + 20]}…")
    return found


def places(error: BaseException, *, printed: bool = True) -> Iterator[tuple[str, str]]:
    """Every place where something of an error is seen, but for the frames of the tests themselves.

    Args:
        error: The error.
        printed: Print it too in every way, which takes half a second.
    """
    for part in _chain(error):
        name = type(part).__name__
        yield f"{name} str", str(part)
        yield f"{name} repr", repr(part)
        yield f"{name} args", repr(part.args)
        yield f"{name} vars", repr(vars(part))
        yield f"{name} copy", repr(vars(copy.copy(part)))
        yield f"{name} pickle", pickle.dumps(part).decode("latin-1")
        yield from _frames(part.__traceback__)
    if printed:
        yield from _printed(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    yield error
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from _chain(other)


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/tests/" not in code.co_filename:
            for name, value in trace.tb_frame.f_locals.items():
                yield f"{code.co_qualname} {name}", _tree(value, _DEPTH)
        trace = trace.tb_next


def _tree(value: object, depth: int) -> str:
    """A value as a debugger shows it: its repr, and that of what is in it."""
    parts = [repr(value)]
    if depth and type(value).__module__.startswith("vig_notebook.errors"):
        parts += [_tree(member, depth - 1) for member in vars(value).values()]
    if depth and isinstance(value, BaseException):
        parts += [_tree(member, depth - 1) for member in value.args]
    return "\n".join(parts)


def _printed(error: BaseException) -> Iterator[tuple[str, str]]:
    """Tracebacks as they are printed."""
    trace = _without_tests(error.__traceback__)
    whole, error.__traceback__ = error.__traceback__, trace
    try:
        for mode in XMODES:
            printer = FormattedTB(mode=mode)
            yield f"xmode {mode}", _ANSI.sub("", printer.text(type(error), error, trace))
        with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)
        yield "traceback with locals", "".join(with_locals.format())
        yield "rich traceback", _rich(error, trace)
    finally:
        error.__traceback__ = whole


def _without_tests(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of the tests, which know the canaries."""
    if trace is None:
        return None
    rest = _without_tests(trace.tb_next)
    if "/tests/" in trace.tb_frame.f_code.co_filename:
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _rich(error: BaseException, trace: TracebackType | None) -> str:
    try:
        from rich.console import Console
        from rich.traceback import Traceback
    except ImportError:
        return ""
    shown = Traceback.from_exception(type(error), error, trace, show_locals=True, locals_max_string=10_000)
    console = Console(file=io.StringIO(), width=500)
    console.print(shown)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # the file that was given


@contextmanager
def logs() -> Iterator[list[Any]]:
    """Everything that is logged by anybody, at DEBUG; each record is also shown as a handler would."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}: {self.format(record)} {record.args!r}")

    root, keep = logging.getLogger(), Keep(logging.DEBUG)
    levels = {name: logging.getLogger(name).level for name in (None, "asyncio", "aiohttp", "vig_notebook")}
    root.addHandler(keep)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(keep)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
