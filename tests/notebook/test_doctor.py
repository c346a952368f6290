"""`%vigthoria doctor` and `%vigthoria profile`, in a real shell and against real sockets."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.client.conftest import DONE, HEAD, Close, Stall, answer, event
from tests.demos import demo
from tests.scripts import scripted, wait_asked, wait_closed
from tests.tls import self_signed
from vig_notebook.engine import engine
from vig_notebook.local import installed
from vig_notebook.notebook import doctor
from vig_notebook.notebook import findings as lines
from vig_notebook.servers import LocalModel
from vig_notebook.settings import profile_file

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

CANARY = "vg-live-canary-9f8e7d6c5b4a3210"
LIST = b'{"object":"list","data":[{"id":"small"},{"id":"large"}]}'
CLOSED_PORT = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_DEMO_PACE", "0")


def findings(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The lines by subject, each with its mark before it."""
    capsys.readouterr()
    shell.run_line_magic("vigthoria", "doctor")
    printed = capsys.readouterr().out
    assert CANARY not in printed
    lines = [(line[0], line[2:14].strip(), line[15:]) for line in printed.splitlines()]
    return {subject: f"{mark} {words}" for mark, subject, words in lines}


def test_doctor_with_nothing_set_finds_the_demo_server_well(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings(shell, capsys)
    assert found["server"].startswith("✓ the scripted demo server (http://127.0.0.1:")
    assert found["key"].startswith("– none is needed here")
    assert found["TLS"] == "– not needed: nothing leaves this machine"
    assert found["model"].startswith("✓ demo, one of ")
    assert found["first token"].startswith("✓ 0.")
    for name in ("python", "vig-notebook", "ipython", "ipykernel", "ipywidgets", "aiohttp"):
        assert found[name].startswith("✓ ")


def test_doctor_names_the_variable_of_the_key_and_never_its_value(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(answer("200 OK", LIST, "Content-Type: application/json"), Close()) as server:
        monkeypatch.setenv("LAB_KEY", CANARY)
        shell.run_line_magic("vigthoria", f"set base_url={server.base_url} key_env=LAB_KEY model=small")
        found = findings(shell, capsys)
    assert found["server"] == f"✓ {server.base_url} answers"
    assert found["key"] == "✓ set, from LAB_KEY, sent to this server alone"
    assert found["model"] == "✓ small, one of 2"
    assert {heard.header("authorization") for heard in server.requests} == {f"Bearer {CANARY}"}


def test_doctor_with_a_refused_key_shows_the_word_of_the_server(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"error":{"message":"Incorrect API key provided: %b"}}' % CANARY.encode()
    with scripted(answer("401 No", body), Close()) as server:
        monkeypatch.setenv("VIGTHORIA_BASE_URL", server.base_url)
        monkeypatch.setenv("VIGTHORIA_API_KEY", CANARY)
        found = findings(shell, capsys)
        monkeypatch.delenv("VIGTHORIA_API_KEY")
        without = findings(shell, capsys)
    assert found["server"].startswith("✓")
    assert found["key"].startswith("✗ VIGTHORIA_API_KEY is set, but ")
    assert "Incorrect API key provided: ••••" in found["key"]
    assert found["first token"] == "– not known, see above"
    assert without["key"].startswith("✗ no key is sent, and ")


def test_doctor_with_an_unknown_model_names_the_nearest(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(answer("200 OK", LIST, "Content-Type: application/json"), Close()) as server:
        shell.run_line_magic("vigthoria", f"set base_url={server.base_url} model=smal")
        found = findings(shell, capsys)
    assert found["model"].startswith("✗ smal is none of the server's 2; did you mean small? %vigthoria set model=")
    assert found["first token"].startswith("✗ ")


def test_doctor_with_a_server_that_lists_no_models_lets_the_answer_count(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(HEAD + event("OK") + DONE, Close()) as server:
        shell.run_line_magic("vigthoria", f"set base_url={server.base_url} model=any")
        found = findings(shell, capsys)
    assert found["model"] == "✓ any: it answers; the server lists none"
    assert found["first token"].startswith("✓ 0.")


def test_doctor_with_nobody_there_says_so_once(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("vigthoria", f"set base_url={CLOSED_PORT}")
    found = findings(shell, capsys)
    assert found["server"].startswith(f"✗ {CLOSED_PORT}: 127.0.0.1:9 refuses the connection")
    assert found["first token"] == "– not known, see above"
    assert found["model"].startswith("– ")


def test_doctor_with_a_silent_server_ends_at_its_limit(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.LIMIT_S + 1 < 10
    monkeypatch.setattr(doctor, "LIMIT_S", 1.0)
    with scripted(Stall()) as server:
        shell.run_line_magic("vigthoria", f"set base_url={server.base_url}")
        found = findings(shell, capsys)
    assert f"No answer from 127.0.0.1:{server.port} within 1 s" in found["server"]


def test_doctor_with_a_certificate_that_nobody_vouches_for_says_what_to_do(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with scripted(Close(), tls=self_signed(tmp_path)) as server:
        address = server.base_url.replace("http:", "https:")
        shell.run_line_magic("vigthoria", f"set base_url={address}")
        found = findings(shell, capsys)
    assert found["TLS"].startswith("✗ No secure connection to 127.0.0.1")
    assert "SSL_CERT_FILE" in found["TLS"]


def test_doctor_with_https_where_http_is_spoken_says_so(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo() as server:
        address = server.server.base_url.replace("http:", "https:")
        shell.run_line_magic("vigthoria", f"set base_url={address}")
        found = findings(shell, capsys)
    assert "The server seems to speak http://, not https://" in found["TLS"]


def test_doctor_with_bad_settings_says_what_is_wrong_and_goes_on(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("vigthoria", "set profile=nobody")
    found = findings(shell, capsys)
    assert found["settings"].startswith("✗ There is no profile 'nobody'")
    assert found["python"].startswith("✓")


def test_doctor_names_versions_that_are_too_old_or_missing(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"ipywidgets": "7.8.5", "aiohttp": None, "jupyterlab": None}
    real = lines._version
    monkeypatch.setattr(lines, "_version", lambda name: versions[name] if name in versions else real(name))
    found = findings(shell, capsys)
    assert found["ipywidgets"].startswith("✗ 7.8.5 is older than 8.1: pip install -U ipywidgets")
    assert found["aiohttp"] == "✗ missing: pip install aiohttp"
    assert found["jupyterlab"].startswith("– not in this environment")


def test_doctor_interrupted_hangs_up(shell: InteractiveShell) -> None:
    with scripted(Stall()) as server:
        shell.run_line_magic("vigthoria", f"set base_url={server.base_url}")

        def interrupt() -> None:
            wait_asked(server)
            signal.raise_signal(signal.SIGINT)

        helper = threading.Thread(target=interrupt)
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            shell.run_line_magic("vigthoria", "doctor")
        helper.join()
        wait_closed(server)


PROFILES = """
[profiles.lab]
base_url = "http://127.0.0.1:9/v1"
model = "llama-3"
key_env = "LAB_KEY"

[profiles.home]
base_url = "http://127.0.0.1:8/v1"
"""


@pytest.fixture
def profiles() -> None:
    profile_file().parent.mkdir(parents=True)
    profile_file().write_text(PROFILES)


@pytest.mark.usefixtures("profiles")
def test_profile_alone_lists_them_and_shows_no_key(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIG_PROFILE", "home")
    shell.run_line_magic("vigthoria", "profile")
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == "  lab: http://127.0.0.1:9/v1, llama-3, key from LAB_KEY (not set)"
    assert second == "* home: http://127.0.0.1:8/v1, its usual model, no key of its own"
    assert last == f"* is the one in use; the file is {profile_file()}"
    monkeypatch.setenv("LAB_KEY", CANARY)
    shell.run_line_magic("vigthoria", "profile")
    printed = capsys.readouterr().out
    assert "LAB_KEY (set)" in printed
    assert CANARY not in printed


@pytest.mark.usefixtures("profiles")
def test_profile_is_asked_by_the_cells_that_follow_until_it_is_taken_back(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", CANARY)
    shell.run_line_magic("vigthoria", "profile lab")
    words = "the profile lab is chosen; cells ask lab (127.0.0.1:9) (http://127.0.0.1:9/v1), model llama-3\n"
    assert capsys.readouterr().out == words
    shell.run_cell("%%vigthoria --dry-run\nHello").raise_error()
    assert "POST http://127.0.0.1:9/v1/chat/completions" in capsys.readouterr().out
    shell.run_line_magic("vigthoria", "profile -")
    assert "no profile is chosen; cells ask the scripted demo server, model demo" in capsys.readouterr().out


@pytest.mark.usefixtures("profiles")
def test_profile_whose_key_is_not_set_is_chosen_and_says_so(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("vigthoria", "profile lab")
    printed = capsys.readouterr().out
    assert "the profile lab is chosen, but it cannot be asked yet. The environment variable LAB_KEY holds" in printed


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(
    ("line", "words"), [("profile labb", "Did you mean lab?"), ("profile lab home", "profile wants one name")]
)
def test_profile_that_is_not_there_names_the_nearest(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    shell.run_cell(f"%vigthoria {line}")
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.out + captured.err


def test_profile_with_no_file_shows_how_one_is_written(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("vigthoria", "profile")
    printed = capsys.readouterr().out
    assert str(profile_file()) in printed
    assert "[profiles.lab]" in printed


@pytest.mark.local
def test_doctor_starts_the_local_model_and_finds_it_well(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIG_LOCAL_MODEL")
    if not installed():
        pytest.skip("needs python -m vig_notebook.local install")
    found = findings(shell, capsys)
    assert found["server"].startswith("✓ local SmolLM2-135M (http://127.0.0.1:")
    assert found["model"].startswith("✓ SmolLM2-135M")
    assert found["first token"].startswith("✓ ")


def test_doctor_with_no_local_model_installed_says_how_to_install_it(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    engine().kept["the local model"] = LocalModel(gguf="nowhere.gguf")
    found = findings(shell, capsys)
    assert found["server"].startswith("✗ local nowhere: ")
