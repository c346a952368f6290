"""Prompt templates: sandboxed Jinja2.

- ``{{ name }}`` is replaced by the text of a variable; that text is never rendered again, whatever it holds.
- ``{% if %}``, ``{% for %}``, ``{# comment #}`` and filters are Jinja2's. All else is text: single
  braces, ``$``, ``%``, ``<``; nothing is escaped.
- A variable that does not exist is an error, never an empty place in the prompt.
- Only the names that the template uses are looked up.

What the sandbox is for: the variables are the user's own, and ``{{ df.head() }}`` calls their methods as
a cell would. What is refused is what a prompt copied from elsewhere could use to reach beyond them:
attributes that start with an underscore (``__class__``, ``__globals__``), the inside of functions and
frames, methods that change a list, dict or set in place, and templates of other files. Loops, calls and
sizes have a bound, so that a template cannot hang a notebook; the methods of the user's own objects take
the time that they take.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jinja2 import Template
    from jinja2.runtime import Context

__all__ = ["render_template", "template_names"]

# The largest context windows take about two million tokens: a longer prompt is a mistake.
_MAX_CHARACTERS: Final = 8_000_000
# Turns of all loops: less than a second of work, and more rows than any prompt has.
_MAX_STEPS: Final = 1_000_000
# What a call counts for, of a macro or a method: it takes that much longer than a turn.
_STEPS_OF_A_CALL: Final = 10
# An integer of 100,000 bits has 30,000 digits and is made in no time; 10 ** 10 ** 9 would never end.
_MAX_INTEGER_BITS: Final = 100_000
_GLOBALS: Final = frozenset({"range", "dict", "namespace"})
_RAW: Final = "To send the text as it stands, without a template, use --raw."


def template_names(source: str) -> frozenset[str]:
    """Give the names of the variables that a template uses.

    Raises:
        ConfigError: the template cannot be parsed.
    """
    return _compile(source)[1] - _GLOBALS


def render_template(source: str, lookup: Callable[[str], object], *, known: Iterable[str] = ()) -> str:
    """Fill in a template and give the text.

    Args:
        source: The template.
        lookup: Gives the value of a name; raises KeyError or NameError where there is none. It is asked
            once for each name that the template uses. What a value's own methods raise, a failed run's
            error for one, passes through unless it is an ordinary mistake (TypeError, ValueError...).
        known: The names that exist: the nearest one is proposed where a name does not.

    Raises:
        ConfigError: the template cannot be parsed, a variable does not exist, the sandbox refuses a step,
            or a bound is passed. The sentence names the line in the prompt.
    """
    template, names = _compile(source)
    variables = _look_up(names, lookup)
    try:
        return _join(template.generate(variables))
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise _explained(error, known) from error


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering: it counts the steps."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        self.globals = {name: value for name, value in self.globals.items() if name in _GLOBALS}
        self.filters["bounded"] = self._bounded
        self._steps = 0

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any object
        self._step(_STEPS_OF_A_CALL)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  # any object
        _refuse_large(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def _bounded(self, values: Iterable[object]) -> Iterator[object]:
        for value in values:
            self._step(1)
            yield value

    def _step(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise SecurityError(f"its loops and calls take more than {_MAX_STEPS:,} steps")


def _refuse_large(operator: str, left: object, right: object) -> None:
    """Refuse a product or power whose size alone would hang the notebook."""
    if operator == "**":
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > _MAX_INTEGER_BITS:
            raise SecurityError("a power is too large")
        return
    for series, times in ((left, right), (right, left)):
        if (
            isinstance(series, str | bytes | list | tuple)
            and isinstance(times, int)
            and len(series) * times > _MAX_CHARACTERS
        ):
            raise SecurityError(f"a product is longer than {_MAX_CHARACTERS:,} characters")


def _compile(source: str) -> tuple[Template, frozenset[str]]:
    """Give the compiled template and the names that it looks up."""
    sandbox = _Sandbox()
    try:
        tree = sandbox.parse(source)
        names = frozenset(meta.find_undeclared_variables(tree))
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "bounded", [], [], None, None, lineno=loop.lineno)
        return sandbox.from_string(tree), names
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
        if length > _MAX_CHARACTERS:
            raise SecurityError(f"the prompt is longer than {_MAX_CHARACTERS:,} characters")
    return "".join(kept)


def _explained(error: Exception, known: Iterable[str]) -> ConfigError:
    """Turn what went wrong while rendering into a sentence that names the line in the prompt."""
    line = _line(error)
    message = str(error).rstrip(".")
    missing = re.fullmatch(r"'(\w+)' is undefined", message) if isinstance(error, UndefinedError) else None
    if missing:
        near = difflib.get_close_matches(missing[1], sorted(known), n=1)
        advice = f"Did you mean {near[0]}?" if near else "Set it in a cell before this one."
        return ConfigError(
            f"There is no variable {missing[1]!r}", seen=f"line {line} of the prompt uses it", advice=advice
        )
    if isinstance(error, SecurityError):
        return ConfigError(
            f"Line {line} of the prompt is refused",
            seen=message,
            advice="Prepare the value in a cell of its own.",
        )
    seen = message if isinstance(error, TemplateError) else f"{type(error).__name__}: {message}"
    return ConfigError(f"Line {line} of the prompt cannot be filled in", seen=seen, advice=_RAW)


def _line(error: Exception) -> int:
    """Find the line of the template: Jinja2 puts it into the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
