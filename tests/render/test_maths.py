from __future__ import annotations

import pytest

from tests.render.vocabulary import check
from vig_notebook.render import render_html
from vig_notebook.render.maths import is_harmless


@pytest.mark.parametrize(
    "formula",
    [
        "$x$",
        "$x_1*y*z_2$",
        "\\(a_b*c*\\)",
        "\\[a\\]",
        "$$a$$",
        "$a < b & c$",
        "$\\$5$",
        "$x$,",
        "$x\ny$",
        "$\\text{if all is well}$",
        "$n$-th",
    ],
)
def test_formula_in_a_paragraph_is_kept_as_it_is(formula: str) -> None:
    end = formula[formula.rindex(formula[0] if formula[0] == "$" else formula[-1]) + 1 :]
    source = formula.removesuffix(end) if end else formula
    escaped = source.replace("&", "&amp;").replace("<", "&lt;")
    assert render_html(f"a {formula} b") == f'<p>a <span class="vig-math">{escaped}</span>{end} b</p>\n'


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $6",
        "US$5-$10",
        "$ x $",
        "$x",
        "x$",
        "$$",
        "$$ $$",
        "\\(x",
        "$x $",
        "$5 is more than the price of 3$",
        "a $",
        "$x\\$",
    ],
)
def test_dollar_of_no_formula_is_kept_from_the_typesetter(text: str) -> None:
    html = render_html(f"a {text} b")
    assert "vig-math" not in html
    shown = check(html)
    assert "$" not in html.replace('<span class="vig-tex">$</span>', "").replace('<span class="vig-tex">$$</span>', "")
    assert "".join(shown.text) == f"a {text} b\n".replace("\\(", "(").replace("\\$", "$")


@pytest.mark.parametrize(
    "block",
    [
        "$$\na\n- b\n= c\n$$",
        "$$ a $$",
        "\\[\na\n\\]",
        "\\[ a \\]",
        "\\begin{align}\na &= b \\\\[4pt]\nc\n\\end{align}",
        "\\begin{cases} a \\\\ b \\end{cases}",
        "$$\na $$.",
    ],
)
def test_display_formula_is_a_block(block: str) -> None:
    source = block.rstrip(".").replace("&", "&amp;")
    html = render_html(f"before\n{block}\nafter\n")
    assert html.startswith(f'<p>before</p>\n<div class="vig-math">{source}</div>\n')
    assert html.endswith("<p>after</p>\n")


def test_display_formula_in_a_list_is_its_item_s() -> None:
    html = render_html("1. so\n   $$\n   a\n   $$\n2. next\n")
    assert '<div class="vig-math">$$\na\n$$</div>\n</li>' in html
    assert '<div class="vig-math">$$\na\n$$</div>' in render_html("> $$\n> a\n> $$\n")


@pytest.mark.parametrize("block", ["$$\na *b*", "\\[\na *b*", "\\begin{align}\na *b*"])
def test_formula_that_has_not_ended_is_plain_text(block: str) -> None:
    for text in (block, f"{block}\n\nmore\n"):
        html = render_html(text)
        assert "vig-math" not in html
        assert "*b*" in html
    assert "vig-math" not in render_html("- " + block.replace("\n", "\n  ") + "\nnext\n")


def test_formula_grows_typeset_in_whole_or_not_at_all() -> None:
    text = "Let $x^2$ be\n\n$$\n\\frac{a}{b}\n$$\n\nand \\(y\\)."
    for end in range(len(text)):
        for part in render_html(text[:end]).split('class="vig-math">')[1:]:
            assert part.split("</", 1)[0] in ("$x^2$", "$$\n\\frac{a}{b}\n$$", "\\(y\\)")


def test_words_after_a_display_formula_are_a_paragraph() -> None:
    assert render_html("$$\na\n$$ where *b*\n") == '<div class="vig-math">$$\na\n$$</div>\n<p>where <em>b</em></p>\n'
    assert render_html("$$a$$ where *b*\n") == '<p><span class="vig-math">$$a$$</span> where <em>b</em></p>\n'
    assert '<div class="vig-math">$$\na\n$$</div>\nb</li>' in render_html("- $$\n  a\n  $$ b\n- c")


def test_long_formula_is_no_formula() -> None:
    assert "vig-math" in render_html("$$\n" + "x + y\n" * 300 + "$$\n")
    assert "vig-math" not in render_html("$$\n" + "x + y\n" * 400 + "$$\n")
    assert "vig-math" not in render_html("$" + "x+y" * 700 + "$")
    assert not is_harmless("x" * 2_001)


def test_indented_and_unknown_blocks_are_no_formulas() -> None:
    assert "<pre>$$" in render_html("    $$\n    a\n    $$\n")
    lazy = '<span class="vig-tex">$$</span>'
    assert render_html("> a\n    $$\n") == f"<blockquote>\n<p>a<br>\n{lazy}</p>\n</blockquote>\n"
    assert "vig-math" not in render_html("\\begin{document}\na\n\\end{document}\n")


HARMFUL = [
    r"\href{x}{y}",
    r"\def\a{}",
    r"\newcommand{\a}{}",
    r"\renewcommand{\a}{}",
    r"\let\a\b",
    r"\gdef\a{}",
    r"\require{html}",
    r"\style{x}{y}",
    r"\class{x}{y}",
    r"\cssId{x}{y}",
    r"\htmlId{x}{y}",
    r"\unicode{x41}",
    r"\input{x}",
    r"\includegraphics{x}",
    r"\bbox[x]{y}",
    r"\mmlToken{mi}[x]{y}",
    r"\enclose{circle}[x]{y}",
    r"\label{x}",
    r"\ref{x}",
    r"\color{white} x",
    r"\rule{1em}{1em}",
    r"\hspace{-9em}",
    r"\kern-9em",
    r"\raise9em x",
    r"\rlap{x}",
    r"\begin{alignat}{9}x\end{alignat}",
    r"\begin{array}{*{9}{c}}x\end{array}",
    r"\begin{array}x\end{array}",
    r"\begin x",
    r"\end{html}",
    r"x \\[999em]",
    r"x \\*[ -9em]",
    "a % b",
    "a # b",
    "{",
    "}",
    "}{",
    "{" * 31 + "}" * 31,
    r"\!" * 21,
    "\\",
    r"\é",
    "",
    " \n",
    r"\verb|x|",
    r"\toggle{x}{y}\endtoggle",
    r"\texttip{x}{y}",
    r"\DeclareMathOperator{\a}{b}",
]


@pytest.mark.parametrize("tex", HARMFUL)
def test_formula_with_power_over_the_page_is_shown_as_code(tex: str) -> None:
    assert not is_harmless(tex)
    assert "vig-math" not in render_html(f"$${tex}$$ and \\({tex}\\)")


@pytest.mark.parametrize(
    "tex",
    [
        r"\frac{a}{b}",
        r"\sum_{i=1}^n x_i \le \infty",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
        r"\left\{ x \mid x > 0 \right\}",
        r"\begin{array}{l|c r} a & b & c \end{array}",
        r"\begin{aligned} a \\[2pt] b \end{aligned}",
        r"\mathbb{R}^n \to \mathcal{F}",
        r"100\%",
        r"\ce{H2O -> H+ + OH-}",
        r"\operatorname*{arg\,max}_\theta",
        r"\text{for all } x",
        r"\underbrace{a}_{b} \xrightarrow{f} c",
        r"\hat{y} \cdot \vec v",
    ],
)
def test_usual_formulas_are_harmless(tex: str) -> None:
    assert is_harmless(tex)


def test_masses_of_formulas_are_shown_as_code() -> None:
    html = render_html("some words $x$ \n" * 400)
    assert html.count("vig-math") < 400
    assert html.count("vig-math") + html.count("vig-source") == 400


def test_bad_formula_shows_its_source() -> None:
    assert render_html("$\\href{a}{<b>}$") == '<p><code class="vig-source">$\\href{a}{&lt;b&gt;}$</code></p>\n'


def test_formula_in_a_link_is_kept() -> None:
    html = render_html("[so $a_b$ is](https://a.example) and [$x$")
    assert '>so <span class="vig-math">$a_b$</span> is</a>' in html
