from __future__ import annotations

import pytest

from tests.render.vocabulary import check
from vig_notebook.render import render_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# One\n\n###### Six\n\nTwo\n---\n", "<h1>One</h1>\n<h6>Six</h6>\n<h2>Two</h2>\n"),
        ("**b** *i* ~~s~~ `c`", "<p><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>\n"),
        ("one\ntwo  \nthree\\\nfour", "<p>one<br>\ntwo<br>\nthree<br>\nfour</p>\n"),
        ("> a\n> > b", "<blockquote>\n<p>a</p>\n<blockquote>\n<p>b</p>\n</blockquote>\n</blockquote>\n"),
        ("a\n\n---\n", "<p>a</p>\n<hr>\n"),
        ("- a\n- b\n", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("- a\n\n- b\n", "<ul>\n<li><p>a</p>\n</li>\n<li><p>b</p>\n</li>\n</ul>\n"),
        ("1. a\n2. b\n", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n"),
        (
            "3. a\n4. b\n",
            '<ul class="vig-ol">\n<li><span class="vig-num">3.</span> a</li>\n'
            '<li><span class="vig-num">4.</span> b</li>\n</ul>\n',
        ),
        ("0. a\n", '<ul class="vig-ol">\n<li><span class="vig-num">0.</span> a</li>\n</ul>\n'),
        (
            "- [ ] a\n- [X] b\n- [y] c\n- [x]\n",
            '<ul>\n<li class="vig-task">☐ a</li>\n<li class="vig-task">☑ b</li>\n<li>[y] c</li>\n<li>[x]</li>\n</ul>\n',
        ),
        ("    code\n", '<div class="vig-code"><div class="highlight"><pre>code\n</pre></div></div>\n'),
        ("&copy; &amp; &lt;", "<p>© &amp; &lt;</p>\n"),
        ("\\*a\\* \\\\", '<p>*a* <span class="vig-tex">\\</span></p>\n'),
        ("<b>raw</b>", "<p>&lt;b&gt;raw&lt;/b&gt;</p>\n"),
        ("a\r\n\r\nb\r\n", "<p>a</p>\n<p>b</p>\n"),
    ],
)
def test_markdown_becomes_html(text: str, html: str) -> None:
    assert render_html(text) == html


def test_table_is_aligned_by_classes() -> None:
    assert render_html("| a | b | c | d |\n|---|:--|:-:|--:|\n| 1 | *2* | 3 | 4 |\n") == (
        '<div class="vig-table"><table>\n<thead>\n<tr><th>a</th><th class="vig-left">b</th>'
        '<th class="vig-center">c</th><th class="vig-right">d</th></tr>\n</thead>\n<tbody>\n'
        '<tr><td>1</td><td class="vig-left"><em>2</em></td><td class="vig-center">3</td>'
        '<td class="vig-right">4</td></tr>\n</tbody>\n</table></div>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "|" + "a|" * 70 + "\n|" + "-|" * 70 + "\n",
        "|" + "a|" * 60 + "\n|" + "-|" * 60 + "\n" + "|\n" * 900,
    ],
)
def test_table_out_of_proportion_is_no_table(text: str) -> None:
    html = render_html(text)
    assert "<table>" not in html
    assert len(html) < 3 * len(text)


def test_table_at_the_very_end_and_row_of_marks_alone() -> None:
    assert "<table>" in render_html("a|b\n-|-")
    assert "<table>" not in render_html("a|b")
    assert "<table>" not in render_html("a\n---|---\nb")


@pytest.mark.parametrize("mark", ["> ", "- ", "1. "])
def test_nesting_without_end_falls_back_to_plain_text_for_that_block(mark: str) -> None:
    html = render_html(f"before\n\n{mark * 100}deep\n\n# after\n")
    assert f'<pre class="vig-plain">{mark.replace(">", "&gt;") * 100}deep' in html
    assert html.startswith("<p>before</p>\n")
    assert html.endswith("<h1>after</h1>\n")


def test_nesting_that_people_use_is_kept() -> None:
    html = render_html("".join("  " * depth + f"- level {depth}\n" for depth in range(8)))
    assert html.count("<ul>") == 8
    assert "vig-plain" not in html


@pytest.mark.parametrize("text", ["[*_`" * 100, "*a_ " * 200 + "*", "&<" * 300])
def test_dense_paragraph_falls_back_to_plain_text_alone(text: str) -> None:
    html = render_html(f"before\n\n{text}\n\n- {text}\n\n# {text}\n\n| a |\n|---|\n| {text} |\n\nafter *all*\n")
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    assert html.count(f'<pre class="vig-plain">{escaped}</pre>') == 4
    assert html.endswith("<p>after <em>all</em></p>\n")
    check(html)


@pytest.mark.parametrize(
    "text", ["[a word " * 20, "*some words " * 400, "[word](place " * 30, "some **bold _words_ of *prose* " * 120]
)
def test_marks_without_partners_are_text_and_the_rest_is_kept(text: str) -> None:
    html = render_html(text + "`code`")
    assert html.startswith("<p>")
    assert html.endswith("<code>code</code></p>\n")
    assert not {"em", "strong", "a"} & {tag.strip("<>") for tag in html.split() if tag.startswith("<")}


def test_thousands_of_tiny_blocks_are_plain_text() -> None:
    assert render_html("a\n\n" * 400).startswith('<pre class="vig-plain">a\n\na')
    assert render_html("[a]: b\n" * 300).startswith('<pre class="vig-plain">[a]: b')
    assert "vig-plain" not in render_html("```\n" + "}\n" * 600 + "```\n~~~\n```\n~~~\nSome words of prose.\n")


def test_html_out_of_proportion_becomes_plain_text() -> None:
    text = f"[a]: https://a.example/{'x' * 1_900}\n\n" + "[a] and words\n\n" * 250
    html = render_html(text)
    assert '<pre class="vig-plain">[a] and words' in html
    assert len(html) < 45 * len(text)


def test_lowest_level_of_text_is_never_lost() -> None:
    text = "Plain words, **bold** ones, `code`, [a link](https://a.example), ☐ and $x$."
    shown = "".join(check(render_html(text)).text)
    assert shown == "Plain words, bold ones, code, a link (a.example), ☐ and $x$.\n"
