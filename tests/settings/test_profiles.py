from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.settings import Limits, profile_file, read_profiles

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
default_profile = "work"

[profiles.work]
base_url = "https://llm.example.org/v1/"
key_env = "WORK_KEY"
model = "llama"
parameters = {temperature = 0.2, stop = ["a"], extra = {deep = [1]}}
idle_timeout_s = 120
max_retries = 0

[profiles.lab]
base_url = "http://10.0.0.7:8000/v1"
insecure_http = true
"""


def write(path: Path, text: str) -> Path:
    file = path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_profile_file_is_in_the_users_config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profile_file() == tmp_path / "vig_notebook" / "config.toml"
    profile_file().parent.mkdir()
    profile_file().write_text(WHOLE)
    assert read_profiles().default_name == "work"


def test_read_profiles_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    profiles = read_profiles(tmp_path / "none.toml")
    assert (dict(profiles.by_name), profiles.default_name) == ({}, None)


def test_read_profiles_whole_file_is_understood(tmp_path: Path) -> None:
    profiles = read_profiles(write(tmp_path, WHOLE))
    work, lab = profiles.get("work"), profiles.get("lab")
    assert (work.base_url, work.key_env, work.model) == ("https://llm.example.org/v1", "WORK_KEY", "llama")
    assert work.parameters == {"temperature": 0.2, "stop": ["a"], "extra": {"deep": [1]}}
    assert work.limits == Limits(idle_timeout_s=120, max_retries=0)
    assert (work.insecure_http, lab.insecure_http) == (False, True)
    assert (lab.key_env, lab.model, lab.limits) == (None, None, Limits())


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("default_profil = 'a'", 1, "default_profil is not a setting"),
        ("[profiles.a]\nmodel = 'm'\nidle_timout_s = 5", 3, "idle_timout_s is not a setting"),
        ("[profiles.a]\n\nbase_url = 'x.example'", 3, "base_url cannot be used: it does not start with"),
        ("[profiles.a]\nidle_timeout_s = 'x'", 2, "idle_timeout_s is no such number: it is 'x'"),
        ("[profiles.a]\nmodel = 5", 2, "model must be a text that is not empty"),
        ("[profiles.a]\nmodel = ' '", 2, "model must be a text that is not empty"),
        ("log = 7", 1, "log must be a text that is not empty"),
        ("log_prompts = 'no'", 1, "log_prompts must be true or false"),
        ("[profiles.a]\nlog_prompts = 0", 2, "log_prompts must be true or false"),
        ("[profiles.a]\ninsecure_http = 'yes'", 2, "insecure_http must be true or false"),
        ("[profiles.a]\nparameters = 5", 2, "parameters must be a table"),
        ("[profiles.a]\n[profiles.a.parameters]\nwhen = 2020-01-01", 3, "when is a date or time"),
        (
            "[profiles.a]\nparameters = {n = 2, temperature = 'hot'}",
            2,
            "temperature cannot be sent: temperature must be",
        ),
        ("[profiles.a]\n[profiles.a.parameters]\nx = {y = nan}", 3, "x cannot be sent: x.y must be a finite number"),
        ("[profiles.a]\nparameters = {messages = []}", 2, "messages cannot be sent: messages is no parameter"),
        ("[profiles.a]\nparameters = {model = 'm'}", 2, "model is no parameter"),
        ("\nprofiles.a.modle = 1", 1, "modle is not a setting"),
        ("profiles = 5", 1, "profiles must be a table"),
        ("[profiles]\na = 5", 2, "a must be a table"),
        ("[profiles.a]\n[profiles.b]\nmodel = 'm'\nmodle = 'm'\n", 4, "modle is not a setting"),
        ("[profiles]\n'a' = {model = 'm', modle = 'm'}", 2, "modle is not a setting"),
        ("[profiles.a]\nmodel = 'm'\n\n[profiles.b.c]\nd = 1", 4, "c is not a setting"),
        ("default_profile = 'wrk'\n[profiles.work]", 1, "default_profile names the profile 'wrk'"),
        ("[profiles.a]\nx.y = 1", 2, "x is not a setting"),
        ('[profiles . "a"]\nx = 1', 2, "x is not a setting"),
        ('profiles.a = {"x" = 1}', 1, "x is not a setting"),
    ],
)
def test_read_profiles_bad_key_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_profiles(file)
    assert str(caught.value).startswith(sentence)
    assert f"{file}, line {line}" in str(caught.value)


def test_read_profiles_unknown_key_proposes_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean idle_timeout_s"):
        read_profiles(write(tmp_path, "[profiles.a]\nidle_timeout = 5"))
    with pytest.raises(ConfigError, match="Known here: base_url, connect_timeout_s"):
        read_profiles(write(tmp_path, "[profiles.a]\nzzz = 5"))


@pytest.mark.parametrize(
    "line",
    [
        'api_key = "sk-Canary42"',
        'Api-Key = "sk-Canary42"',
        'token = "sk-Canary42"',
        'key_env = "sk-Canary42"',
        'key_env = "vk_live_Canary42"',
        'key_env = "Canary42 Canary42"',
        'parameters = {api_key = "sk-Canary42"}',
    ],
)
def test_read_profiles_literal_key_is_refused_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_profiles(write(tmp_path, f"[profiles.a]\n{line}"))
    assert "line 2" in str(caught.value)
    assert "never stands in this file" in str(caught.value)
    assert 'key_env = "MY_KEY"' in str(caught.value)
    assert "Canary42" not in repr(caught.value)


def test_read_profiles_no_toml_names_the_line_and_not_the_text(tmp_path: Path) -> None:
    file = write(tmp_path, 'a = 1\nkey = "sk-Canary42')
    with pytest.raises(ConfigError) as caught:
        read_profiles(file)
    assert str(caught.value).startswith(f"The profile file is not TOML: {file}: ")
    assert "line 2" in str(caught.value) or "end of document" in str(caught.value)
    assert "Canary42" not in str(caught.value)


def test_read_profiles_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = write(tmp_path, "\ufeff[profiles.a]\nmodel = 'm'")
    assert read_profiles(file).get("a").model == "m"


def test_read_profiles_no_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_profiles(file)


def test_read_profiles_folder_instead_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="The profile file cannot be read"):
        read_profiles(tmp_path)


def test_get_unknown_profile_proposes_the_nearest(tmp_path: Path) -> None:
    profiles = read_profiles(write(tmp_path, WHOLE))
    with pytest.raises(ConfigError) as caught:
        profiles.get("wrk")
    assert str(caught.value) == f"There is no profile 'wrk': {profiles.path} has lab, work. Did you mean work?"
    with pytest.raises(ConfigError, match="has none"):
        read_profiles(tmp_path / "none").get("x")
