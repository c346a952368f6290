from __future__ import annotations

import base64

import pytest

from tests.render.vocabulary import check
from vig_notebook.render import render_html

A = 'target="_blank" rel="noopener noreferrer nofollow"'
HOST = ' <span class="vig-host">({})</span>'


def inline(text: str, **options: str) -> str:
    html = render_html(text, **options)  # type: ignore[arg-type]
    assert html.startswith("<p>")
    return html.removeprefix("<p>").removesuffix("</p>\n")


@pytest.mark.parametrize(
    ("text", "href", "words", "host"),
    [
        ("[a](https://a.example/x)", "https://a.example/x", "a", "a.example"),
        ("[at a.example](https://a.example/x)", "https://a.example/x", "at a.example", ""),
        ("[www.a.example](https://a.example)", "https://a.example", "www.a.example", ""),
        ("[bank.example](https://evil.example)", "https://evil.example", "bank.example", "evil.example"),
        (
            "[bank.example, not evil.example](https://evil.example)",
            "https://evil.example",
            "bank.example, not evil.example",
            "evil.example",
        ),
        ("[notevil.example](https://evil.example)", "https://evil.example", "notevil.example", "evil.example"),
        (
            "[bank.example](https://bank.example@evil.example)",
            "https://bank.example@evil.example",
            "bank.example",
            "evil.example",
        ),
        (
            "[пример.example](https://пример.example)",
            "https://xn--e1afmkfd.example",
            "пример.example",
            "xn--e1afmkfd.example",
        ),
        ("[a](http://127.0.0.1:8888/api)", "http://127.0.0.1:8888/api", "a", "127.0.0.1:8888"),
        ("[a](http://[::1]/)", "http://[::1]/", "a", "[::1]"),
        ("[](https://a.example)", "https://a.example", "a.example", "a.example"),
        ("[*a*](https://a.example 'title')", "https://a.example", "<em>a</em>", "a.example"),
        ("<https://a.example/?q=1&r=2>", "https://a.example/?q=1&amp;r=2", "https://a.example/?q=1&amp;r=2", ""),
        ("<a@b.example>", "mailto:a@b.example", "a@b.example", ""),
        ("[write](mailto:a@b.example?bcc=c@d.example)", "mailto:a@b.example", "write", "a@b.example"),
        ("[" + "word " * 61 + "](https://a.example)", "https://a.example", "word " * 60 + "word ", "a.example"),
    ],
)
def test_link_says_where_it_leads(text: str, href: str, words: str, host: str) -> None:
    assert inline(text) == f'<a href="{href}" {A}>{words}</a>' + (HOST.format(host) if host else "")


@pytest.mark.parametrize(
    "place",
    [
        "/logout",
        "../x",
        "#top",
        "//evil.example",
        "file:///etc/passwd",
        "cell:1",
        "attachment:a.png",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a.example",
        "https://",
        "https:a.example",
        "mailto:nobody",
        "https://a_b:c@",
    ],
)
def test_link_elsewhere_is_text(place: str) -> None:
    assert inline(f"[word]({place})") == "word" + HOST.format(place)
    assert inline(f"![word]({place})").startswith('<span class="vig-image">[image not loaded: word (')


def test_link_that_is_long_is_text_in_short() -> None:
    html = inline("[a](https://a.example/" + "x" * 3_000 + ")")
    assert not check(html).links
    assert len(html) < 300


def test_link_without_a_place_is_its_words() -> None:
    assert inline("[a]() [/b](/b)") == "a /b"


@pytest.mark.parametrize(
    ("text", "url", "rest"),
    [
        ("https://a.example/x_y.", "https://a.example/x_y", "."),
        ("https://a.example/w/(x)).", "https://a.example/w/(x)", ")."),
        ("https://a.example!?", "https://a.example", "!?"),
    ],
)
def test_bare_address_becomes_a_link(text: str, url: str, rest: str) -> None:
    assert inline(text) == f'<a href="{url}" {A}>{url}</a>{rest}'


@pytest.mark.parametrize(
    "text", ["https://\u043f\u0440.example", "https://a\u043f\u0440", "http://", "https://a.example/" + "x" * 2_000]
)
def test_bare_address_that_we_cannot_vouch_for_is_text(text: str) -> None:
    assert inline(text) == text


def test_bare_address_with_a_user_name_shows_its_host() -> None:
    assert inline("http://bank.example@evil.example").endswith("</a>" + HOST.format("evil.example"))


def test_bare_address_in_a_link_is_no_second_link() -> None:
    html = inline("[https://a.example](https://b.example)")
    assert check(html).links == ["https://b.example"]
    assert html.endswith(HOST.format("b.example"))


def test_image_is_text_with_a_link() -> None:
    link = (
        '<a href="https://a.example/i.png" '
        + A
        + '><span class="vig-image">[image not loaded: alt (a.example)]</span></a>'
    )
    assert inline("![alt](https://a.example/i.png)") == link
    assert inline("![](data:image/png;base64,AAAA)") == (
        '<span class="vig-image">[image not loaded:  (data:image/png;base64)]</span>'
    )
    assert inline("![x]()") == '<span class="vig-image">[image not loaded: x]</span>'


def test_image_in_a_link_is_no_second_link() -> None:
    html = inline("[![alt](https://a.example/i.png)](https://b.example)")
    assert check(html).links == ["https://b.example"]
    assert "[image not loaded: alt (a.example)]" in html


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()
SHOWN = {
    "png": PNG,
    "jpeg": base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(100)).decode(),
    "gif": base64.b64encode(b"GIF89a" + bytes(100)).decode(),
    "webp": base64.b64encode(b"RIFF\x01\x02\x03\x04WEBP" + bytes(100)).decode(),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_image_in_the_text_is_shown_on_demand(kind: str) -> None:
    text = f'![a "b"](data:image/{kind};base64,{SHOWN[kind]})'
    html = inline(text, images="data")
    assert html == f'<img class="vig-image" src="data:image/{kind};base64,{SHOWN[kind]}" alt="a &quot;b&quot;">'
    assert "<img" not in render_html(text)


@pytest.mark.parametrize(
    "source",
    [
        f"image/gif;base64,{PNG}",
        f"image/svg+xml;base64,{PNG}",
        f"image/png;base64,{PNG[:-2]}A",
        f"image/png,{PNG}",
        f"text/html;base64,{PNG}",
        "image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(1_000_000)).decode(),
        "image/png;base64," + base64.b64encode(bytes(2_000_000)).decode(),
    ],
)
def test_image_that_is_not_what_it_says_is_not_shown(source: str) -> None:
    assert "<img" not in render_html(f"![a](data:{source})", images="data")


def test_large_image_is_shown_whole() -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(900_000)).decode()
    assert f"base64,{data}" in inline(f"![a](data:image/png;base64,{data})", images="data")


def test_image_is_shown_once_and_code_keeps_its_source() -> None:
    image = f"![a](data:image/png;base64,{PNG})"
    html = render_html(f"```\n{image}\n```\n\n`{image}` ![b](vig-image:2) {image} ![c](vig-image:2)", images="data")
    assert html.count("<img") == 1
    assert f"<pre>![a](data:image/png;base64,{PNG})" in html
    check(html, images=True)
