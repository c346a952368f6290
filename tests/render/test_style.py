from __future__ import annotations

import json
import re
from importlib.metadata import version
from importlib.resources import files

from vig_notebook.render import STYLE, render_html

EXTENSION = files("vig_notebook") / "labextension"


def test_style_of_the_cell_is_that_of_the_extension() -> None:
    assert (EXTENSION / "static" / "vig.css").read_text(encoding="utf-8") == STYLE
    script = (EXTENSION / "static" / "remoteEntry.js").read_text(encoding="utf-8")
    assert "new URL('vig.css', document.currentScript.src)" in script
    assert "window._JUPYTERLAB['vig-notebook']" in script


def test_extension_is_what_jupyterlab_looks_for() -> None:
    package = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    assert package["name"] == "vig-notebook"
    assert package["version"] == version("vig-notebook")
    assert package["jupyterlab"] == {
        "extension": True,
        "_build": {"load": "static/remoteEntry.js", "extension": "./extension", "style": "./style"},
    }


def test_colours_are_the_theme_s() -> None:
    rules = re.sub(r"/\*.*?\*/", "", STYLE, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(|\burl\(|@import|!important", rules)
    assert set(re.findall(r"var\((--[a-z0-9-]+)", rules)) <= set(re.findall(r"--jp-[a-z0-9-]+", rules))


def _split(selectors: str) -> list[str]:
    """Split a selector list at its commas, not at those in brackets, however deep."""
    bare, depth = [], 0
    for char in selectors:
        depth += (char == "(") - (char == ")")
        bare.append("\0" if char == "," and not depth else char)
    return "".join(bare).split("\0")


def test_selectors_are_split_outside_of_brackets() -> None:
    assert _split(".a, .b:is(:nth-child(4), .c:not(.d, e)),f") == [".a", " .b:is(:nth-child(4), .c:not(.d, e))", "f"]


def test_every_rule_is_about_our_own_classes() -> None:
    rules = re.sub(r"/\*.*?\*/|@container[^{]*\{", "", STYLE, flags=re.DOTALL)
    for selectors in re.findall(r"([^{}]+)\{", rules):
        for selector in _split(selectors):
            assert ".vig-" in selector, selector


def test_classes_that_are_rendered_have_a_style() -> None:
    text = (
        "- [ ] a\n\n2. b\n\n| a |\n|:-:|\n| b |\n\n```py\nx\n```\n\n"
        + "$x$ $\\href{a}{b}$ [a](https://a.example) ![a](b)\n\n"
        + "[*_`" * 90
    )
    used = set(re.findall(r"vig-[a-z]+", re.sub(r">[^<]*<", "><", render_html(text))))
    unstyled = {"vig-tex"}
    assert {name for name in used if f".{name}" not in STYLE} == unstyled & used
