from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from vig_notebook.errors import ConfigError, Truncated
from vig_notebook.templates import allowance, render_template, template_names
from vig_notebook.wire.completion import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Failed:
    """A value that waits and fails when its text is asked for, as a failed run does."""

    def __init__(self, text_so_far: str = "") -> None:
        self.completion = Completion(text=text_so_far)

    def __str__(self) -> str:
        raise Truncated("The answer was cut off", completion=self.completion)

    @property
    def text(self) -> str:
        return str(self)


class Broken:
    """A value whose own code raises what it likes."""

    def __str__(self) -> str:
        raise OSError("no disk")

    def __iter__(self) -> Iterator[str]:
        raise OSError("no disk")

    def __call__(self) -> str:
        return str(self)

    def call(self) -> str:
        return str(self)

    @property
    def text(self) -> str:
        return str(self)


class Notebook:
    """The names of a notebook; notes which of them are looked up."""

    def __init__(self, **names: Any) -> None:
        self.names = names
        self.asked: list[str] = []

    def __call__(self, name: str) -> object:
        self.asked.append(name)
        return self.names[name]


def render(source: str, **names: Any) -> str:
    return render_template(source, Notebook(**names), known=names)


def refused(source: str, **names: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        render(source, **names)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain\n",
        "two\n\nlines\n\n",
        "{'a': 1} {a} } { $x ${y} % 5%d %(z)s",
        "<b>&amp;</b> \"quoted\" 'too'",
        "\\frac{1}{2}",
        "# heading\n## another",
    ],
)
def test_render_text_without_a_template_stays(text: str) -> None:
    assert render(text) == text


def test_render_variable_becomes_its_text() -> None:
    assert render("a {{ x }} b {{ y }}\n", x="<&>", y=3.5) == "a <&> b 3.5\n"


def test_render_text_of_a_variable_is_never_rendered_again() -> None:
    assert render("{{ x }}", x="{{ secret }} {% for %} {# #}", secret="s") == "{{ secret }} {% for %} {# #}"


def test_render_methods_of_the_users_objects_are_called() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    assert render("{{ df.head(1) }}|{{ df['a'].sum() }}", df=frame) == "   a\n0  1|3"


def test_render_blocks_filters_and_comments_are_jinjas() -> None:
    source = (
        "{% for x in xs %}{{ loop.index }}/{{ loop.length }}{{ x|upper }}{% endfor %}"
        "{# no #}{% if y is defined %}!{% endif %}"
    )
    assert render(source, xs=["a", "b"]) == "1/2A2/2B"


def test_render_loop_with_condition_and_else_works() -> None:
    source = "{% for x in xs if x > 1 %}{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}"
    assert render(source, xs=[1, 2, 3]) == "2,3"
    assert render(source, xs=[]) == "none"


def test_render_default_of_a_missing_variable_is_taken() -> None:
    assert render("{{ x|default('y') }}") == "y"


def test_render_only_names_of_the_template_are_looked_up_once() -> None:
    notebook = Notebook(a=1, b=2)
    assert render_template("{{ a }}{{ a }}{% set c = 3 %}{{ c }}{% if false %}{{ d }}{% endif %}", notebook) == "113"
    assert sorted(notebook.asked) == ["a", "d"]


def test_render_lookup_may_raise_name_error() -> None:
    def lookup(name: str) -> object:
        raise NameError(name)

    with pytest.raises(ConfigError, match="There is no variable 'x'"):
        render_template("{{ x }}", lookup)


def test_render_missing_variable_is_named_with_line_and_nearest() -> None:
    assert refused("one\ntwo {{ topik }}", topic=1) == (
        "There is no variable 'topik': line 2 of the prompt uses it. Did you mean topic?"
    )
    assert refused("{{ zzz }}", topic=1) == (
        "There is no variable 'zzz': line 1 of the prompt uses it. Set it in a cell before this one."
    )


@pytest.mark.parametrize(
    "source", ["{% for y in x %}{% endfor %}", "{% if x %}{% endif %}", "{{ x.y }}", "{{ x + 1 }}"]
)
def test_render_missing_variable_in_any_use_is_named(source: str) -> None:
    assert refused(source).startswith("There is no variable 'x'")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "a\n{{ x",
            "Line 2 of the prompt is no template: unexpected end of template, expected 'end of print statement'.",
        ),
        ("a\nb {% nonsense %}", "Line 2 of the prompt is no template: Encountered unknown tag 'nonsense'."),
        ("\\cmd{#1}", "Line 1 of the prompt is no template: Missing end of comment tag."),
        ("{{ x|nonsense }}", "Line 1 of the prompt is no template: No filter named 'nonsense'."),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "The prompt is no template: its braces are nested too deeply."),
        ("{% for a in b %}" * 30 + "{% endfor %}" * 30, "The prompt is no template: its braces are nested too deeply."),
    ],
)
def test_render_bad_syntax_is_named_with_its_line_and_the_way_out(source: str, sentence: str) -> None:
    assert refused(source) == f"{sentence} To send the text as it stands, without a template, use --raw."


@pytest.mark.parametrize(
    "source",
    [
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        "{{ x|attr('__class__') }}",
        "{{ f.__globals__ }}",
        "{{ f.__code__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ xs.append(1) }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ d.update(a=1) }}",
        "{{ df._mgr }}",
    ],
)
def test_render_attribute_tricks_are_refused(source: str) -> None:
    names: dict[str, Any] = {"x": "text", "f": render, "xs": [], "d": {}, "df": pd.DataFrame()}
    assert refused(source, **names).startswith("Line 1 of the prompt is refused: ")
    assert names["xs"] == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "more than 100,000 steps"),
        (
            "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
            "100,000 steps",
        ),
        ("{% for i in range(9) recursive %}{{ loop([1]) }}{% endfor %}", "RecursionError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ 'a' * 10000000 }}", "a product is longer than 8,000,000 characters"),
        ("{{ 10000000 * [1] }}", "a product is longer than 8,000,000 characters"),
        ("{{ 10 ** (10 ** 8) }}", "a power is too large"),
        ("{{ range(10 ** 9) }}", "OverflowError"),
        ("{% for i in range(9) %}{{ x }}{% endfor %}", "the prompt is longer than 8,000,000 characters"),
    ],
)
def test_render_what_would_hang_ends_in_time(source: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_MAX_STEPS", 100_000)  # a tenth of what is allowed, and of the time
    start = time.process_time()
    assert reason in refused(source, x="y" * 1_000_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ '%900000000d' % 1 }}",
        "{{ '%*d' % (900000000, 1) }}",
        "{{ '%.900000000f' % 1 }}",
        "{{ '%900000000d'|format(1) }}",
        "{{ 'a'|center(900000000) }}",
        "{{ 'a'|center(width=900000000) }}",
        "{{ 'a'.center(900000000) }}{{ 'a'.ljust(900000000) }}",
        "{{ 'a'.rjust(900000000) }}",
        "{{ 'a'.zfill(900000000) }}",
        "{{ '\\t'.expandtabs(900000000) }}",
        "{{ '\\t'.encode().expandtabs(900000000) }}",
        "{{ x.encode().replace('y'.encode(), x.encode()) }}",
        "{{ (1).to_bytes(900000000, 'big') }}",
        "{{ '{:>900000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=900000000) }}",
        "{{ '{a:9000000}{a:9000000}'.format_map({'a': 1}) }}",
        "{{ 'a\nb'|indent(900000000) }}",
        "{{ ['a']|map('center', 900000000)|join }}",
        "{{ x|replace('y', x) }}",
        "{{ x.replace('y', x) }}",
        "{{ x.translate({121: x}) }}",
        "{{ x|wordwrap(1, wrapstring=x) }}",
        "{{ ([x] * 1000)|join }}",
        "{{ ''.join([x] * 1000) }}",
        "{{ x.join('y' * 1000) }}",
        "{{ [x] * 1000 }}",
        "{{ ([x] * 1000)|string|length }}",
        "{{ '%(x)s%(x)s%(x)s%(x)s%(x)s%(x)s%(x)s%(x)s%(x)s' % {'x': x} }}",
        "{{ [1]|batch(900000000, 0)|list }}",
        "{{ 1|round(900000000, 'ceil') }}",
        "{% set n = namespace(t='a') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
        "{% set n = namespace(t='a') %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
        "{% set n = namespace(t=9) %}{% for i in range(99) %}{% set n.t = n.t * n.t %}{% endfor %}{{ n.t }}",
        "{% set n = namespace(t='a') %}{% for i in range(99) %}{% set n.t %}{{ n.t }}{{ n.t }}{% endset %}{% endfor %}",
        "{% for i in range(9999) %}{% set t = 'a'|center(8000000) %}{% endfor %}",
    ],
)
def test_render_what_would_be_too_large_is_refused_at_once(source: str) -> None:
    start = time.process_time()
    assert refused(source, x="y" * 1_000_000).startswith(f"Line {source.count(chr(10)) + 1} of the prompt is refused: ")
    assert time.process_time() - start < 3


def test_render_without_memory_is_named() -> None:
    class Greedy:
        def __str__(self) -> str:
            raise MemoryError

    assert refused("{{ x }}", x=Greedy()).startswith(
        "The variable 'x' cannot be filled in: line 1 of the prompt uses it. MemoryError: it takes more memory"
    )


def test_render_ordinary_texts_are_not_refused() -> None:
    source = (
        "{{ '%5.1f|%s' % (2.25, 'b') }} {{ '%(a)s %%' % {'a': 1} }} {{ 'a'|center(5) }}|{{ 'a' ~ 1 ~ none }}"
        " {{ '{:>4}{a!r}{b[0]}'.format(1, a='x', b=[2]) }} {{ '{:,}'.format(10 ** 9) }}"
        " {{ '{x}'.format_map({'x': 1}) }}"
        " {{ [1, 2]|join(', ') }} {{ ['a', 'b']|map('upper')|join }} {{ ', '.join(['a']) }} {{ z|default(10 ** 10) }}"
        " {{ 'a b'|replace(' ', '_') }} {{ 7 % 4 }} {{ [1] + [2] }} {{ 'a\nb'|indent }} {{ {'a': 1}|tojson }}"
    )
    assert render(source) == (
        "  2.2|b 1 %   a  |a1None    1'x'2 1,000,000,000 1 1, 2 AB a 10000000000 a_b 3 [1, 2] a\n    b {\"a\": 1}"
    )


def test_render_ordinary_sums_are_not_refused() -> None:
    assert render("{{ 3 * 4 }} {{ 2 ** 10 }} {{ 2.0 ** 3 }} {{ 'ab' * 2 }} {{ 2 * 'ab' }} {{ 1.5 * 2 }}") == (
        "12 1024 8.0 abab abab 3.0"
    )


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("a\n{{ 1 + 'a' }}", "Line 2 of the prompt cannot be filled in: TypeError: unsupported operand"),
        ("{{ 1 / 0 }}", "Line 1 of the prompt cannot be filled in: ZeroDivisionError: division by zero"),
        ("{{ x.nothing }}", "Line 1 of the prompt cannot be filled in: 'str object' has no attribute 'nothing'"),
        ("{{ f(int) }}", "There is no variable 'int'"),
        (
            "{{ f('x') }}",
            "The variable 'f' cannot be filled in: line 1 of the prompt uses it. ValueError: invalid literal",
        ),
        ("{% include 'x' %}", "Line 1 of the prompt cannot be filled in: TypeError: no loader"),
    ],
)
def test_render_ordinary_mistakes_are_named_with_their_line(source: str, seen: str) -> None:
    assert refused(source, x="text", f=int).startswith(seen)


def test_render_the_cause_of_a_mistake_is_kept() -> None:
    with pytest.raises(ConfigError) as caught:
        render("{{ f('x') }}", f=int)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("source", ["a\n{{ run }}", "a\n{{ run|upper }}", "a\n{{ run.text }}", "a\n{{ run['text'] }}"])
def test_render_variable_whose_run_failed_is_named_with_what_to_do(source: str) -> None:
    assert refused(source, run=Failed(), other="fine") == (
        "The variable 'run' has no text: line 2 of the prompt uses it, and it failed. "
        "The answer was cut off. Run the cell that sets run again."
    )


def test_render_variable_whose_run_failed_after_some_text_says_how_to_take_that() -> None:
    assert refused("{{ run }}", run=Failed("Once upon")).endswith(
        "Run the cell that sets run again, or take what had come with {{ run.text_so_far }}."
    )


@pytest.mark.parametrize(
    "source", ["{{ other }} {{ thing }}", "{{ thing.text }}", "{{ thing.call() }}", "{{ thing() }}"]
)
def test_render_variable_whose_own_code_raises_is_named_with_the_error(source: str) -> None:
    assert refused(source, thing=Broken(), other="fine") == (
        "The variable 'thing' cannot be filled in: line 1 of the prompt uses it. OSError: no disk. "
        "Look at it in a cell of its own."
    )


def test_render_value_without_a_name_that_raises_is_named_by_its_line() -> None:
    assert refused("a\n{{ things[0] }}", things=[Broken()]) == (
        "Line 2 of the prompt cannot be filled in: OSError: no disk. "
        "To send the text as it stands, without a template, use --raw."
    )
    assert refused("{% for run in runs %}{{ run }}{% endfor %}", runs=[Failed()]).startswith(
        "Line 1 of the prompt cannot be filled in: Truncated: The answer was cut off."
    )


def test_render_error_of_a_variable_is_one_short_line_of_plain_text() -> None:
    class Loud:
        def __str__(self) -> str:
            raise OSError("\x1b[31mred\nnext line " + "long " * 1000)

    sentence = refused("{{ thing }}", thing=Loud())
    assert "OSError: red next line long" in sentence
    assert len(sentence) < 700


def test_render_error_after_a_variable_was_filled_in_is_not_laid_at_its_door() -> None:
    assert refused("{{ x }}{% for a in thing %}{% endfor %}", x="text", thing=Broken()).startswith(
        "Line 1 of the prompt cannot be filled in: OSError: no disk."
    )


def test_render_interrupt_while_waiting_passes_through() -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render("{{ f() }}", f=interrupted)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", set()),
        ("{{ a }} {{ a.b }} {{ c['d'] }}", {"a", "c"}),
        ("{% for x in xs %}{{ x }}{{ loop.index }}{% endfor %}", {"xs"}),
        ("{% set y = 1 %}{{ y }}", set()),
        ("{{ range(3) }} {{ dict(a=1) }} {{ namespace() }}", set()),
        ("{{ lipsum }}", {"lipsum"}),
    ],
)
def test_template_names_are_the_variables(source: str, names: set[str]) -> None:
    assert template_names(source) == names


@pytest.mark.parametrize("act", [template_names, render])
def test_bad_syntax_is_refused_by_both(act: Callable[[str], object]) -> None:
    with pytest.raises(ConfigError, match="use --raw"):
        act("{{")
