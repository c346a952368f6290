from __future__ import annotations

import pytest
from pygments.lexer import Lexer
from pygments.token import Token

from tests.render.vocabulary import check
from vig_notebook.render import code as code_module
from vig_notebook.render import render_html
from vig_notebook.render.code import _KNOWN, code_block


def test_code_is_coloured_by_classes() -> None:
    html = render_html('```python\ndef f(): return "<a>"\n```')
    assert html.startswith(
        '<div class="vig-code"><div class="vig-lang">python</div><div class="highlight"><pre><span class="k">def</span>'
    )
    assert '<span class="s2">&quot;&lt;a&gt;&quot;</span>' in html


@pytest.mark.parametrize("info", ["Python", " python title='x'", "{.python .x}", "python3 {linenos}", "py"])
def test_language_is_the_first_word(info: str) -> None:
    assert '<span class="k">def</span>' in code_block("def f(): pass", info)


@pytest.mark.parametrize("info", ["mermaid", "nosuch", "", "<script>", "brainfuck", "d"])
def test_other_languages_stay_plain(info: str) -> None:
    assert "<span" not in code_block("graph TD; a --> b", info)


def test_label_is_only_a_word() -> None:
    assert '<div class="vig-lang">mermaid</div>' in code_block("x", "mermaid <b>")
    assert "vig-lang" not in code_block("x", "<b>")
    assert "vig-lang" not in code_block("x", "python", goes_on=True)


def test_too_much_code_is_plain_and_says_why() -> None:
    assert "python · not coloured: over 20,000 characters" in code_block("x = 1\n" * 4_000, "python")
    assert "json · not coloured: a line of over 400 characters" in code_block("[" + "1," * 1_000 + "]", "json")


@pytest.mark.parametrize(
    ("language", "source", "reason"),
    [
        ("c", "/*\n" * 60, "too many open /*"),
        ("pascal", "{\n" * 60, "too many open {"),
        ("java", "public word\n" * 60, "words, not code"),
    ],
)
def test_code_on_which_lexers_are_slow_is_plain(language: str, source: str, reason: str) -> None:
    html = code_block(source, language)
    assert f"{language} · not coloured: {reason}" in html
    assert "<span" not in html


def test_java_is_coloured() -> None:
    source = 'class A {\n  /** Says it. */\n  public static void main(String[] args) { say("x"); }\n}\n'
    assert '<span class="nf">main</span>' in code_block(source * 20, "java")
    assert '<span class="kc">true</span>' in code_block("public word = true;\n" * 60, "java")


def test_dense_code_is_coloured_in_part_and_whole_in_text() -> None:
    source = "(1)+[{}]\n" * 1_000
    html = code_block(source, "python")
    assert "".join(check(html).text) == "python" + source + "\n"
    assert len(html) < 30 * len(source)


@pytest.mark.parametrize("language", sorted(_KNOWN))
def test_every_language_gives_back_its_code(language: str) -> None:
    source = "$ a = 'b' // c\n>>> x(\"y\") # z\r\n\ufeff<d e='f'>&amp;</d>\n@{%}`~^|\\\n```\n\u202e end"
    shown = "".join(check(code_block(source, language)).text)
    assert shown.endswith("end\n")
    assert "@{%}`~^|\\" in shown
    assert "⟨U+202E⟩" in shown


class Liar(Lexer):
    def get_tokens(self, text: str, unfiltered: bool = False) -> object:  # type: ignore[override]
        yield Token.Keyword, "other"


def test_lexer_that_changes_the_code_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_module, "_lexer", lambda language: Liar())
    assert "<pre>code</pre>" in code_block("code", "python")


def test_kind_of_token_that_has_no_class_takes_that_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_module._css_class(Token.Keyword.Nosuch.Other) == "k"
    assert code_module._css_class(Token.Nosuch) == ""


def test_known_languages_are_those_of_pygments() -> None:
    assert [language for language in sorted(_KNOWN) if code_module._lexer(language) is None] == []


def test_language_that_pygments_has_lost_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_module, "_KNOWN", {"nosuchlanguage"})
    assert "<pre>x = 1</pre>" in code_block("x = 1", "nosuchlanguage")
