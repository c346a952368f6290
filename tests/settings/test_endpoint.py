"""The rule of keys: a key belongs to an origin. Each row is one way to ask."""

from __future__ import annotations

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.settings import (
    DEFAULT_BASE_URL,
    DEFAULT_MODEL,
    Endpoint,
    Secret,
    profile_file,
    read_environment,
    resolve,
)

OWN = "vg-live-sk-own00000000"
WORK = "work-key-11111111"
OTHER = "https://other.example/v1"
PROFILES = """\
[profiles.work]
base_url = "https://llm.example.org/v1"
key_env = "WORK_KEY"
model = "llama"
parameters = {temperature = 0.2}
idle_timeout_s = 7

[profiles.lab]
base_url = "http://10.0.0.7:8000/v1"
key_env = "WORK_KEY"
insecure_http = true

[profiles.open]
base_url = "http://10.0.0.7:8000/v1"
key_env = "WORK_KEY"

[profiles.keyless]
base_url = "http://10.0.0.7:8000/v1"

[profiles.tone]
parameters = {temperature = 1.2}

[profiles.second]
key_env = "WORK_KEY"
"""


@pytest.fixture(autouse=True)
def profiles(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    file = profile_file()
    file.parent.mkdir(parents=True)
    file.write_text(PROFILES)
    monkeypatch.setenv("WORK_KEY", WORK)
    monkeypatch.delenv("OTHER_KEY", raising=False)


def given(**arguments: str) -> Endpoint:
    endpoint = resolve(**arguments)
    assert endpoint is not None
    return endpoint


def key_of(endpoint: Endpoint) -> str | None:
    return endpoint.api_key.reveal() if endpoint.api_key else None


def test_resolve_nothing_set_chooses_no_server() -> None:
    assert resolve() is None
    assert resolve(base_url="", api_key="", key_env="", profile="") is None


def test_resolve_parameters_alone_choose_no_server() -> None:
    assert resolve(profile="tone") is None


def test_resolve_key_alone_chooses_the_default_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", f" {OWN}\n")
    endpoint = given()
    assert (endpoint.base_url, endpoint.kind, endpoint.name) == (DEFAULT_BASE_URL, "vigthoria", "Vigthoria")
    assert (endpoint.default_model, endpoint.note) == (DEFAULT_MODEL, "")
    assert key_of(endpoint) == OWN


# environment's base URL, arguments, the key that goes with it, and where to
ROWS = [
    (None, {}, OWN, DEFAULT_BASE_URL),
    (None, {"base_url": DEFAULT_BASE_URL}, OWN, DEFAULT_BASE_URL),
    (None, {"base_url": "https://API.vigthoria.io:443/other"}, OWN, "https://api.vigthoria.io/other"),
    (None, {"base_url": OTHER}, None, OTHER),
    (None, {"base_url": "http://api.vigthoria.io/v1"}, None, "http://api.vigthoria.io/v1"),
    (None, {"base_url": "https://api.vigthoria.io:8443/v1"}, None, "https://api.vigthoria.io:8443/v1"),
    (None, {"base_url": "https://api.vigthoria.io.evil.example/v1"}, None, "https://api.vigthoria.io.evil.example/v1"),
    (None, {"base_url": OTHER, "key_env": "WORK_KEY"}, WORK, OTHER),
    (None, {"base_url": OTHER, "api_key": "in-hand"}, "in-hand", OTHER),
    (None, {"api_key": " in-hand\n"}, "in-hand", DEFAULT_BASE_URL),
    (None, {"api_key": Secret("in-hand"), "key_env": "WORK_KEY"}, "in-hand", DEFAULT_BASE_URL),
    (None, {"key_env": "WORK_KEY"}, WORK, DEFAULT_BASE_URL),
    (None, {"profile": "work"}, WORK, "https://llm.example.org/v1"),
    (None, {"profile": "work", "base_url": "https://llm.example.org/v2"}, WORK, "https://llm.example.org/v2"),
    (None, {"profile": "work", "base_url": OTHER}, None, OTHER),
    (None, {"profile": "work", "base_url": DEFAULT_BASE_URL}, OWN, DEFAULT_BASE_URL),
    (None, {"profile": "keyless"}, None, "http://10.0.0.7:8000/v1"),
    (None, {"profile": "tone"}, OWN, DEFAULT_BASE_URL),
    (None, {"profile": "second"}, WORK, DEFAULT_BASE_URL),
    (None, {"profile": "second", "base_url": OTHER}, None, OTHER),
    (OTHER, {"profile": "second"}, WORK, OTHER),
    (OTHER, {"profile": "second", "base_url": DEFAULT_BASE_URL}, None, DEFAULT_BASE_URL),
    (OTHER, {}, OWN, OTHER),
    (OTHER, {"base_url": "https://other.example/v2"}, OWN, "https://other.example/v2"),
    (OTHER, {"base_url": DEFAULT_BASE_URL}, None, DEFAULT_BASE_URL),
    (OTHER, {"profile": "work"}, WORK, "https://llm.example.org/v1"),
    (OTHER, {"profile": "lab"}, WORK, "http://10.0.0.7:8000/v1"),
    ("http://127.0.0.1:8000/v1", {}, OWN, "http://127.0.0.1:8000/v1"),
    ("http://localhost:8000/v1/chat/completions", {}, OWN, "http://localhost:8000/v1"),
]


@pytest.mark.parametrize(("environment", "arguments", "key", "base_url"), ROWS)
def test_resolve_key_goes_to_its_own_origin_only(
    monkeypatch: pytest.MonkeyPatch, environment: str | None, arguments: dict[str, str], key: str | None, base_url: str
) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", OWN)
    if environment:
        monkeypatch.setenv("VIGTHORIA_BASE_URL", environment)
    endpoint = given(**arguments)
    assert (key_of(endpoint), endpoint.base_url) == (key, base_url)


def test_resolve_default_server_named_while_the_key_is_anothers_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", OWN)
    assert given(base_url=OTHER).note == (
        "no key is sent: VIGTHORIA_API_KEY belongs to https://api.vigthoria.io; name this server's with key_env"
    )


def test_resolve_no_key_anywhere_is_noted() -> None:
    endpoint = given(base_url=OTHER)
    assert (endpoint.kind, endpoint.name, endpoint.note) == ("custom", "other.example", "no key is sent")


def test_resolve_profile_of_the_environment_comes_after_its_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_PROFILE", "work")
    assert given().base_url == "https://llm.example.org/v1"
    assert key_of(given()) == WORK
    monkeypatch.setenv("VIGTHORIA_BASE_URL", OTHER)
    endpoint = given()
    assert (endpoint.base_url, key_of(endpoint)) == (OTHER, None)


def test_resolve_default_profile_is_the_last_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    profile_file().write_text('default_profile = "second"\n' + PROFILES)
    assert key_of(given()) == WORK
    monkeypatch.setenv("VIGTHORIA_API_KEY", OWN)
    assert key_of(given()) == OWN
    monkeypatch.setenv("VIG_PROFILE", "work")
    assert given().kind == "profile"
    assert given(profile="lab").base_url == "http://10.0.0.7:8000/v1"


def test_resolve_profile_gives_model_parameters_and_limits() -> None:
    endpoint = given(profile="work")
    assert (endpoint.kind, endpoint.name, endpoint.default_model) == ("profile", "work (llm.example.org)", "llama")
    assert endpoint.parameters == {"temperature": 0.2}
    assert endpoint.limits.idle_timeout_s == 7


def test_resolve_unknown_profile_is_refused() -> None:
    with pytest.raises(ConfigError, match="There is no profile 'wrk'"):
        resolve(profile="wrk")


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "http://10.0.0.7:8000/v1", "api_key": "in-hand"},
        {"base_url": "http://10.0.0.7:8000/v1", "key_env": "WORK_KEY"},
        {"profile": "open"},
        {"profile": "lab", "base_url": "http://10.0.0.8:8000/v1", "key_env": "WORK_KEY"},
    ],
)
def test_resolve_key_over_http_to_another_machine_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(**arguments)
    assert str(caught.value).startswith("The key is not sent over http://: http://10.0.0.")
    assert "insecure_http = true" in str(caught.value)


def test_resolve_key_over_http_where_its_profile_says_so_is_sent() -> None:
    endpoint = given(profile="lab")
    assert (key_of(endpoint), endpoint.insecure_http) == (WORK, True)


def test_resolve_no_key_over_http_needs_no_leave() -> None:
    assert given(base_url="http://10.0.0.7:8000/v1").api_key is None


@pytest.mark.parametrize("key", ["a b-Canary42", "a\nb-Canary42", "schlüssel-Canary42", "a\x00-Canary42"])
def test_resolve_key_that_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(api_key=key)
    assert str(caught.value).startswith("The key in api_key cannot be sent")
    assert "Canary42" not in str(caught.value)


def test_resolve_key_with_a_line_break_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", "one\ntwo")
    with pytest.raises(ConfigError, match="The key in VIGTHORIA_API_KEY cannot be sent"):
        resolve()


def test_resolve_variable_without_a_key_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="The environment variable OTHER_KEY holds no key"):
        resolve(key_env="OTHER_KEY")
    with pytest.raises(ConfigError, match="The environment variable that key_env names holds no key"):
        resolve(key_env="sk-pasted-by-mistake-1")


def test_resolve_reads_the_environment_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGTHORIA_API_KEY", OWN)
    assert key_of(given()) == OWN
    monkeypatch.setenv("VIGTHORIA_API_KEY", "another-one")
    assert key_of(given()) == "another-one"


def test_read_environment_blank_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOG", "  ")
    assert read_environment("VIG_LOG") is None
    assert read_environment("VIG_REPLAY") is None
    monkeypatch.setenv("VIG_LOG", " x ")
    assert read_environment("VIG_LOG") == "x"


def test_resolve_model_and_parameters_of_a_profile_go_to_its_own_origin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    own = PROFILES.replace("temperature = 0.2", 'user = "employee-4711"')
    profile_file().write_text('default_profile = "work"\n' + own)
    assert (given().default_model, given().parameters) == ("llama", {"user": "employee-4711"})
    elsewhere = given(base_url=OTHER)
    assert (elsewhere.default_model, elsewhere.parameters) == (DEFAULT_MODEL, {})
    monkeypatch.setenv("VIGTHORIA_BASE_URL", OTHER)
    assert given().parameters == {}
    assert given(base_url="https://llm.example.org/v2").parameters == {"user": "employee-4711"}
