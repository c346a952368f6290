"""Jinja2's sandbox with an allowance, which remembers whose code it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.visitor import NodeTransformer

from vig_notebook.templates.allowance import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Template
    from jinja2.runtime import Context

__all__ = ["GLOBALS", "Sandbox"]

GLOBALS: Final = frozenset({"range", "dict", "namespace"})
"""The names that a template has beside the variables."""

# What a call counts for, of a macro or a method: it takes that much longer than a turn.
_STEPS_OF_A_CALL: Final = 10
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


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering.

    Attributes:
        at_work: The object whose own code runs; after an error, the one whose code raised it, or None.
    """

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=self._printed
        )
        self.at_work: object = None
        self._allowance = Allowance()
        self.globals = {name: value for name, value in self.globals.items() if name in GLOBALS}
        self.filters |= {"bounded": self._allowance.turns, "joined": self._joined}
        self.filters = {name: self._weighed(name, made) for name, made in self.filters.items()}

    def bounded(self, tree: nodes.Template) -> Template:
        """Compile a template whose loops and concatenations are counted."""
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "bounded", [], [], None, None, lineno=loop.lineno)
        return self.from_string(_Concatenations().visit(tree))

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401  # any object
        """What `obj.attribute` is."""
        self.at_work = obj
        found = super().getattr(obj, attribute)
        self.at_work = None
        return found

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401  # any object
        """What `obj[argument]` is."""
        self.at_work = obj
        found = super().getitem(obj, argument)
        self.at_work = None
        return found

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any object
        """What a call gives, counted before it is made."""
        self._allowance.step(_STEPS_OF_A_CALL)
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str | bytes) and name == "join" and len(args) == 1:
            args = (self._allowance.pieces(args[0], owner),)
        elif isinstance(owner, str | bytes | int):
            self._allowance.weigh_result(name, owner, [*args, *kwargs.values()])
        self.at_work = obj if owner is None else owner
        made = super().call(context, obj, *args, **kwargs)
        self.at_work = None
        if isinstance(made, str | bytes):
            self._allowance.weigh(made)
        return made

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  # any object
        """What an operator gives, counted before it is made."""
        self._allowance.weigh_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:  # noqa: ANN401  # any object
        """What is called in the place of `str.format`; None for any other callable."""
        if super().wrap_str_format(value) is None:
            return None
        text, formatter = value.__self__, _Formatter(self, self._allowance)
        if value.__name__ == "format_map":
            return lambda fields: formatter.vformat(text, (), fields)
        return lambda *args, **fields: formatter.vformat(text, args, fields)

    def _weighed(self, name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        """Give a filter that refuses what is too large; not constant, so that it is not called while compiling."""
        passed = getattr(getattr(made, "jinja_pass_arg", None), "name", "")

        @pass_context
        def weighed(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # any object
            self._allowance.step(1)
            known: dict[str, Any] = {"context": context, "eval_context": context.eval_ctx, "environment": self}
            first = [known[passed]] if passed else []
            if name == "join":
                value = self._allowance.pieces(value, *args, *kwargs.values())
            elif name not in _NO_TEXT:
                self._allowance.weigh(value, *args, *kwargs.values())
            self._allowance.weigh_result(name, value, [*args, *kwargs.values()])
            self.at_work = value
            result = made(*first, value, *args, **kwargs)
            self.at_work = None
            if isinstance(result, str):
                self._allowance.weigh(result)
            return result

        return weighed

    @pass_context
    def _printed(self, _context: Context, value: object) -> str:
        self._allowance.weigh(value)
        self.at_work = value
        text = str(value)
        self.at_work = None
        return text

    def _joined(self, values: Iterable[object]) -> str:
        """What `~` makes."""
        return "".join(map(str, self._allowance.pieces(values)))


class _Formatter(SandboxedFormatter):
    """`str.format` with a bound on the widths."""

    def __init__(self, sandbox: Sandbox, allowance: Allowance) -> None:
        super().__init__(sandbox)
        self._allowance = allowance
        self._length = 0

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401  # any object
        self._allowance.weigh(value)
        if any(len(number) > 7 for number in re.findall(r"\d+", format_spec)):
            raise SecurityError("the width of a format is too large")
        field: str = super().format_field(value, format_spec)
        self._allowance.weigh(" " * self._length, field)
        self._length += len(field)
        return field


class _Concatenations(NodeTransformer):
    """Puts a filter, which can be bounded, in the place of each `~`."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802  # Jinja2's name
        self.generic_visit(node)
        pieces = nodes.Tuple(node.nodes, "load", lineno=node.lineno)
        return nodes.Filter(pieces, "joined", [], [], None, None, lineno=node.lineno)
