from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.settings import is_loopback, normal_base_url, origin

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://api.vigthoria.io/v1", "https://api.vigthoria.io/v1"),
        (" https://api.vigthoria.io/v1/ \n", "https://api.vigthoria.io/v1"),
        ("https://api.vigthoria.io/v1/chat/completions", "https://api.vigthoria.io/v1"),
        ("https://api.vigthoria.io/v1/chat/completions/", "https://api.vigthoria.io/v1"),
        ("HTTPS://API.Vigthoria.IO:443/v1", "https://api.vigthoria.io/v1"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://a_b.example-1.org/Path", "https://a_b.example-1.org/Path"),
    ],
)
def test_normal_base_url_spellings_become_one(text: str, normal: str) -> None:
    assert normal_base_url(text) == normal


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("localhost:11434/v1", "it does not start with https:// or http://"),
        ("ftp://x.example", "it does not start with https:// or http://"),
        ("", "it does not start with https:// or http://"),
        ("https://", "it names no host that can be called"),
        ("https://-/v1", "it names no host that can be called"),
        ("https://x.example:0", "it names no host that can be called"),
        ("https://x.example:99999", "its host or port cannot be read"),
        ("https://[::1", "its host or port cannot be read"),
        ("https://user:Canary42@x.example", "it holds a user name or a password"),
        ("https://api.vigthoria.io@evil.example/v1", "it holds a user name or a password"),
        ("https://api.vigthoria.io\\@evil.example", "it holds a blank, a backslash or a letter beyond ASCII"),
        ("https://x.example/a b", "it holds a blank, a backslash or a letter beyond ASCII"),
        ("https://exämple.org", "it holds a blank, a backslash or a letter beyond ASCII"),
        ("https://x.example/v1?key=Canary42", "it has a query (?…) or a fragment (#…)"),
        ("https://x.example/v1#a", "it has a query (?…) or a fragment (#…)"),
        ("https://x.example/v1?", "it has a query (?…) or a fragment (#…)"),
    ],
)
def test_normal_base_url_what_cannot_be_used_is_refused(text: str, seen: str) -> None:
    with pytest.raises(ConfigError) as caught:
        normal_base_url(text)
    assert caught.value.seen == seen
    assert str(caught.value).startswith("The base URL cannot be used: it")
    assert "Canary42" not in str(caught.value)


def test_origin_path_case_and_default_port_make_no_difference() -> None:
    same = {origin(text) for text in ("https://x.example/v1", "https://X.example:443", "https://x.example/other/")}
    assert same == {"https://x.example"}


def test_origin_scheme_host_and_port_make_a_difference() -> None:
    urls = (
        "https://x.example",
        "http://x.example",
        "https://x.example:8443",
        "https://y.example",
        "https://x.example.",
    )
    origins = {origin(text) for text in urls[:4]}
    assert len(origins) == 4
    with pytest.raises(ConfigError):
        origin(urls[4])


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://localhost:1/v1", True),
        ("http://[::1]:1", True),
        ("http://10.0.0.7", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http:", False),
    ],
)
def test_is_loopback_only_for_this_machine(url: str, *, local: bool) -> None:
    assert is_loopback(url) is local


@pytest.mark.parametrize("read", [normal_base_url, origin])
@pytest.mark.parametrize(
    "text", ["https://host.example:Canary42/v1", "https://[Canary42/v1", "https://x.example/?Canary42"]
)
def test_address_that_cannot_be_used_is_seen_nowhere(read: Callable[[str], str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    trace = error.__traceback__
    assert trace is not None
    frames = trace.tb_next  # not the test's own
    while frames is not None:
        assert "Canary42" not in repr(frames.tb_frame.f_locals)
        frames = frames.tb_next
