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

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.visitor import NodeTransformer

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
# Characters that a step reads or makes: all that a template handles is a few hundred megabytes at most.
_CHARACTERS_OF_A_STEP: Final = 100
# An integer of 100,000 bits has 30,000 digits and is made in no time; 10 ** 10 ** 9 would never end.
_MAX_INTEGER_BITS: Final = 100_000
_GLOBALS: Final = frozenset({"range", "dict", "namespace"})
# Filters that make no text of the value they are given: its size is not looked at.
# fmt: off
_NO_TEXT: Final = frozenset(
    {
        "abs", "attr", "batch", "bounded", "count", "d", "default", "dictsort", "first", "float", "groupby",
        "int", "items", "join", "joined", "last", "length", "list", "map", "max", "min", "random", "reject",
        "rejectattr", "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "unique",
    }
)
# fmt: on
# Filters and methods whose result is as long as a number among their arguments.
_WIDTHS: Final = frozenset(
    {"batch", "center", "expandtabs", "ljust", "rjust", "slice", "to_bytes", "tojson", "truncate", "zfill"}
)
_SERIES: Final = (str, bytes, list, tuple)
_PERCENT: Final = re.compile(r"%(?:\([^()]*\))?[#0 +-]*(\*|\d*)(?:\.(\*|\d*))?")
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
        MemoryError,
    ) as error:
        raise _explained(error, known) from error


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering: it counts the steps, and the characters."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=self._printed
        )
        self.globals = {name: value for name, value in self.globals.items() if name in _GLOBALS}
        self.filters |= {"bounded": self._bounded, "joined": self._joined}
        self.filters = {name: self._weighed(name, made) for name, made in self.filters.items()}
        self._steps = 0

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any object
        self._step(_STEPS_OF_A_CALL)
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str | bytes) and name == "join" and len(args) == 1:
            args = (self._pieces(args[0], owner),)
        elif isinstance(owner, str | bytes | int):
            self._weigh_result(name, owner, [*args, *kwargs.values()])
        made = super().call(context, obj, *args, **kwargs)
        if isinstance(made, str | bytes):
            self._weigh(made)
        return made

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  # any object
        if operator == "%" and isinstance(left, str | bytes):
            self._weigh_percent(left, right)
        self._step(_refuse_large(operator, left, right) // _CHARACTERS_OF_A_STEP)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:  # noqa: ANN401  # any object
        if super().wrap_str_format(value) is None:
            return None
        text, formatter = value.__self__, _Formatter(self, self._weigh)
        if value.__name__ == "format_map":
            return lambda fields: formatter.vformat(text, (), fields)
        return lambda *args, **fields: formatter.vformat(text, args, fields)

    def _weighed(self, name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        """Give a filter that refuses what is too large; not constant, so that it is not called while compiling."""
        passed = getattr(getattr(made, "jinja_pass_arg", None), "name", "")

        @pass_context
        def weighed(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any object
            self._step(1)
            known: dict[str, Any] = {"context": context, "eval_context": context.eval_ctx, "environment": self}
            first = [known[passed]] if passed else []
            if name == "join":
                value = self._pieces(value, *args, *kwargs.values())
            elif name not in _NO_TEXT:
                self._weigh(value, *args, *kwargs.values())
            self._weigh_result(name, value, [*args, *kwargs.values()])
            result = made(*first, value, *args, **kwargs)
            if isinstance(result, str):
                self._weigh(result)
            return result

        return weighed

    def _weigh_result(self, name: str, value: Any, args: list[Any]) -> None:  # noqa: ANN401  # any object
        """Refuse a filter or method whose arguments ask for a text that is too long."""
        number = max((arg for arg in args if isinstance(arg, int)), default=0)
        longest = max((len(arg) for arg in args if isinstance(arg, str | bytes)), default=0)
        if name in _WIDTHS:
            times = value.count("\t") if name == "expandtabs" else 1
            self._charge(number * times)
        elif name == "round":
            _refuse_large("**", 10, number)
        elif name == "format" and isinstance(value, str):
            self._weigh_percent(value, args)
        elif name in ("indent", "wordwrap") and isinstance(value, str):
            pieces = value.count("\n") + 1 if name == "indent" else len(value)
            self._charge(pieces * max(longest, number if name == "indent" else 0))
        elif name in ("replace", "translate") and isinstance(value, str | bytes):
            self._charge(value.count(args[0]) * longest if name == "replace" and args else len(value) * _size(*args))

    def _weigh_percent(self, text: str | bytes, values: Any) -> None:  # noqa: ANN401  # any object
        numbers = [number for number in values if isinstance(number, int)] if isinstance(values, tuple | list) else []
        found = _PERCENT.findall(text if isinstance(text, str) else text.decode("latin-1"))
        for width in (width for pair in found for width in pair if width):
            # Nine digits are too many for any width, and int() refuses thousands of them.
            self._charge(max(numbers, default=0) if width == "*" else int(width[:9]))
        self._charge(_size(values) * (len(found) if isinstance(values, dict) else 1))

    @staticmethod
    def _too_long() -> SecurityError:
        return SecurityError(f"a text is longer than {_MAX_CHARACTERS:,} characters")

    def _weigh(self, *values: object) -> None:
        self._charge(_size(*values))

    def _charge(self, characters: int) -> None:
        if characters > _MAX_CHARACTERS:
            raise self._too_long()
        self._step(max(characters, 0) // _CHARACTERS_OF_A_STEP)

    @pass_context
    def _printed(self, _context: Context, value: object) -> object:
        self._weigh(value)
        return value

    def _joined(self, values: Iterable[object]) -> str:
        """What `~` makes."""
        return "".join(map(str, self._pieces(values)))

    def _pieces(self, values: Iterable[object], *between: object) -> Iterator[object]:
        length = 0
        for value in values:
            length += _size(value, *between)
            if length > _MAX_CHARACTERS:
                raise self._too_long()
            self._step(length // _MAX_CHARACTERS)
            yield value
        self._charge(length)

    def _bounded(self, values: Iterable[object]) -> Iterator[object]:
        for value in values:
            self._step(1)
            yield value

    def _step(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise SecurityError(f"its loops and calls take more than {_MAX_STEPS:,} steps")


class _Formatter(SandboxedFormatter):
    """`str.format` with a bound on the widths."""

    def __init__(self, sandbox: _Sandbox, weigh: Callable[..., None]) -> None:
        super().__init__(sandbox)
        self._weigh = weigh
        self._length = 0

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401  # any object
        self._weigh(value)
        if any(len(number) > 7 for number in re.findall(r"\d+", format_spec)):
            raise SecurityError("the width of a format is too large")
        field: str = super().format_field(value, format_spec)
        self._weigh(" " * self._length, field)
        self._length += len(field)
        return field


class _Concatenations(NodeTransformer):
    """Puts a filter, which can be bounded, in the place of each `~`."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802  # Jinja2's name
        self.generic_visit(node)
        pieces = nodes.Tuple(node.nodes, "load", lineno=node.lineno)
        return nodes.Filter(pieces, "joined", [], [], None, None, lineno=node.lineno)


def _size(*values: object) -> int:
    """About how many characters the values have as text; counted no further than the bound."""
    size, left = 0, list(values)
    while left and size <= _MAX_CHARACTERS:
        value = left.pop()
        if isinstance(value, str | bytes):
            size += len(value)
        elif isinstance(value, dict):
            size += len(value)
            left += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            size += len(value)
            left += value
    return size


def _refuse_large(operator: str, left: object, right: object) -> int:
    """Refuse a sum, product or power whose size alone would hang the notebook. Gives the characters it has."""
    if isinstance(left, int) and isinstance(right, int):
        bits = {"**": left.bit_length() * right, "*": left.bit_length() + right.bit_length()}.get(operator, 0)
        if bits > _MAX_INTEGER_BITS:
            raise SecurityError("a power is too large" if operator == "**" else "a product is too large")
        return 0
    length, what = 0, "product"
    if operator == "+" and isinstance(left, _SERIES) and isinstance(right, _SERIES):
        length, what = len(left) + len(right), "sum"
    elif operator == "*" and isinstance(left, _SERIES) and isinstance(right, int):
        length = len(left) * right
    elif operator == "*" and isinstance(left, int) and isinstance(right, _SERIES):
        length = left * len(right)
    if length > _MAX_CHARACTERS:
        raise SecurityError(f"a {what} is longer than {_MAX_CHARACTERS:,} characters")
    return max(length, 0)


def _compile(source: str) -> tuple[Template, frozenset[str]]:
    """Give the compiled template and the names that it looks up."""
    sandbox = _Sandbox()
    try:
        tree = sandbox.parse(source)
        names = frozenset(meta.find_undeclared_variables(tree))
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "bounded", [], [], None, None, lineno=loop.lineno)
        return sandbox.from_string(_Concatenations().visit(tree)), names
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
    if isinstance(error, MemoryError):
        message = "it takes more memory than there is"
    seen = message if isinstance(error, TemplateError | MemoryError) else f"{type(error).__name__}: {message}"
    return ConfigError(f"Line {line} of the prompt cannot be filled in", seen=seen, advice=_RAW)


def _line(error: Exception) -> int:
    """Find the line of the template: Jinja2 puts it into the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
