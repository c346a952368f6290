"""A template and the user's variables to the text of a prompt, or to a sentence that says what is wrong."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, meta
from jinja2.exceptions import SecurityError

from vig_notebook.errors import ConfigError, VigthoriaError, excerpt
from vig_notebook.templates.allowance import MAX_CHARACTERS, too_long
from vig_notebook.templates.sandbox import GLOBALS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jinja2 import Template

__all__ = ["render_template", "template_names"]

_RAW: Final = "To send the text as it stands, without a template, use --raw."


def template_names(source: str) -> frozenset[str]:
    """Give the names of the variables that a template uses.

    Raises:
        ConfigError: the template cannot be parsed.
    """
    return _compile(Sandbox(), source)[1] - GLOBALS


def render_template(source: str, lookup: Callable[[str], object], *, known: Iterable[str] = ()) -> str:
    """Fill in a template and give the text.

    Args:
        source: The template.
        lookup: Gives the value of a name; raises KeyError or NameError where there is none. It is asked
            once for each name that the template uses.
        known: The names that exist: the nearest one is proposed where a name does not.

    Raises:
        ConfigError: the template cannot be parsed, a variable does not exist or its own code raises (the
            text of a run that failed, for one), the sandbox refuses a step, or a bound is passed. The
            sentence names the variable, or the line in the prompt.
    """
    sandbox = Sandbox()
    template, names = _compile(sandbox, source)
    variables = _look_up(names, lookup)
    try:
        return _join(template.generate(variables))
    except Exception as error:  # the user's own objects raise what they like; all of it is told
        guilty = [name for name, value in variables.items() if value is sandbox.at_work is not None]
        raise _explained(error, guilty[0] if guilty else None, known) from error


def _compile(sandbox: Sandbox, source: str) -> tuple[Template, frozenset[str]]:
    """Give the compiled template and the names that it looks up."""
    try:
        tree = sandbox.parse(source)
        names = frozenset(meta.find_undeclared_variables(tree))
        return sandbox.bounded(tree), names
    except TemplateSyntaxError as error:
        what, seen = f"Line {error.lineno} of the prompt is no template", (error.message or "").rstrip(".")
    except (RecursionError, SyntaxError):
        what, seen = "The prompt is no template", "its braces are nested too deeply"
    raise ConfigError(what, seen=seen, advice=_RAW)


def _look_up(names: Iterable[str], lookup: Callable[[str], object]) -> dict[str, object]:
    variables = {}
    for name in names:
        try:
            variables[name] = lookup(name)
        except (KeyError, NameError):
            continue  # {{ x|default("…") }} and {% if x is defined %} are no errors; any other use of it will be
    return variables


def _join(pieces: Iterator[str]) -> str:
    kept: list[str] = []
    length = 0
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if length > MAX_CHARACTERS:
            raise too_long("the prompt")
    return "".join(kept)


def _explained(error: Exception, guilty: str | None, known: Iterable[str]) -> ConfigError:
    """Turn what went wrong while rendering into a sentence that names the variable, or the line in the prompt."""
    line = _line(error)
    message = excerpt(str(error)).rstrip(".")
    if missing := isinstance(error, UndefinedError) and re.fullmatch(r"'(\w+)' is undefined", message):
        near = difflib.get_close_matches(missing[1], sorted(known), n=1)
        advice = f"Did you mean {near[0]}?" if near else "Set it in a cell before this one."
        what = f"There is no variable {missing[1]!r}"
        return ConfigError(what, seen=f"line {line} of the prompt uses it", advice=advice)
    if isinstance(error, SecurityError):
        what = f"Line {line} of the prompt is refused"
        return ConfigError(what, seen=message, advice="Prepare the value in a cell of its own.")
    if isinstance(error, VigthoriaError) and guilty:
        return _of_a_failure(error, guilty, line)
    if isinstance(error, MemoryError):
        message = "it takes more memory than there is"
    seen = message if isinstance(error, TemplateError) else f"{type(error).__name__}: {message}"
    if guilty and not isinstance(error, TemplateError):
        what, seen = f"The variable {guilty!r} cannot be filled in", f"line {line} of the prompt uses it. {seen}"
        return ConfigError(what, seen=seen, advice="Look at it in a cell of its own.")
    return ConfigError(f"Line {line} of the prompt cannot be filled in", seen=seen, advice=_RAW)


def _of_a_failure(error: VigthoriaError, name: str, line: int) -> ConfigError:
    """The variable is a run that failed, or waits for one."""
    came = error.completion is not None and error.completion.text
    instead = f", or take what had come with {{{{ {name}.text_so_far }}}}" if came else ""
    return ConfigError(
        f"The variable {name!r} has no text",
        seen=f"line {line} of the prompt uses it, and it failed. {error}",
        advice=f"Run the cell that sets {name} again{instead}.",
    )


def _line(error: Exception) -> int:
    """Find the line of the template: Jinja2 puts it into the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
