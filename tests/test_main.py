"""``python -m vig_notebook``, in processes of its own: what a shell gives it and takes from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from vig_notebook.__main__ import _print, main
from vig_notebook.api.printing import Echo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.demos import Demo

LIMIT_S = 20.0
COMMAND = [sys.executable, "-m", "vig_notebook"]


def environment(server: Demo | None = None, **more: str) -> dict[str, str]:
    """The environment of a process that asks this server; with none, the scripted demo server of its own."""
    where = {} if server is None else {"VIGTHORIA_BASE_URL": server.server.base_url}
    key = {} if server is None else {"VIGTHORIA_API_KEY": server.server.token}
    return {**os.environ, "VIG_DEMO_PACE": "0", **where, **key, **more}


def ask(*words: str, piped: bytes = b"", server: Demo | None = None, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words], input=piped, capture_output=True, timeout=LIMIT_S, env=environment(server, **more)
    )


def haiku(server: Demo) -> str:
    """What the demo server answers to "haiku about tea", as a shell sees it."""
    return server.ask("haiku about tea").text + "\n"


@contextmanager
def asking(*words: str, server: Demo) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose answer has begun to come."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what `read` buffers would be missing in `communicate`
        env=environment(server),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_prompt_in_words_is_answered_on_standard_output_alone(fast: Demo) -> None:
    done = ask("haiku", "about", "tea", server=fast)
    assert (done.stdout.decode(), done.stderr, done.returncode) == (haiku(fast), b"", 0)


def test_prompt_from_a_pipe_is_answered(fast: Demo) -> None:
    done = ask(piped=b"haiku about tea\n", server=fast)
    assert (done.stdout.decode(), done.returncode) == (haiku(fast), 0)


def test_piped_text_stands_below_the_words(fast: Demo) -> None:
    done = ask("haiku about", piped="\ufefftea\n".encode(), server=fast)
    assert done.stdout.decode() == fast.ask("haiku about\n\ntea").text + "\n"


def test_with_no_key_the_demo_server_answers_and_says_so() -> None:
    done = ask("haiku about tea")
    assert done.stdout.count(b"\n") == 3
    assert done.stderr == b"[the scripted demo server: set VIGTHORIA_API_KEY to ask Vigthoria]\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "vig_notebook: There is no prompt: the text is empty. Write what you want to ask.\n"),
        (["--model", "demo-401", "hi"], 1, "answered 401 Unauthorized: Incorrect API key provided."),
        (["--model", "demo-html", "hi"], 1, "vig_notebook: "),
        (["--base-url", "http://127.0.0.1:9/v1", "hi"], 1, "127.0.0.1:9 refuses the connection"),
        (["--base-url", "nope", "hi"], 2, "The base URL cannot be used"),
        (["--profile", "nope", "hi"], 2, "There is no profile 'nope'"),
        (["--key-env", "NOT_SET", "hi"], 2, "The environment variable NOT_SET holds no key"),
        (["--temperature", "hot", "hi"], 2, "invalid float value: 'hot'"),
        (["--temprature", "1", "hi"], 2, "unrecognized arguments: --temprature"),
    ],
)
def test_call_that_fails_prints_one_sentence_and_nothing_else(
    words: list[str], code: int, sentence: str, fast: Demo
) -> None:
    done = ask(*words, server=fast)
    assert (done.returncode, done.stdout) == (code, b"")
    assert sentence in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_answer_that_is_cut_keeps_what_came_and_fails(fast: Demo) -> None:
    done = ask("--model", "demo-cut", "hi", server=fast)
    assert done.returncode == 1
    assert done.stdout.endswith(b"\n")
    assert len(done.stdout) > 20
    assert done.stderr.decode().startswith("vig_notebook: The answer of 127.0.0.1:")


def test_help_says_what_there_is() -> None:
    done = ask("--help")
    assert done.returncode == 0
    for option in ("--model", "--system", "--base-url", "--key-env", "--profile"):
        assert option in done.stdout.decode()


def test_interrupt_keeps_what_came_and_closes_the_socket(slow: Demo) -> None:
    with asking("Write a poem", server=slow) as process:
        assert process.stdout is not None
        began = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=LIMIT_S)
        slow.wait_closed_early()
    assert process.returncode == 130
    assert complaints == b""
    assert (began + rest).endswith(b"\n")


class InterruptedOutput(TextIOWrapper):
    """Ctrl+C comes as soon as the first piece is out."""

    interrupted = False

    def flush(self) -> None:
        super().flush()
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt


def test_interrupt_right_after_a_piece_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", InterruptedOutput(shown := BytesIO()))
    with pytest.raises(KeyboardInterrupt):
        _print(["a", "b"], Echo(None))
    assert shown.getvalue() == b"a\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_is_shown_no_key_that_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_TEST_KEY", "open-sesame")
    monkeypatch.setattr("vig_notebook.api.stream", lambda *_, **__: (piece for piece in ("it is open", "-sesame")))
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stdout", page := Terminal())
    assert main(["Hello", "--base-url", "http://127.0.0.1:9/v1", "--key-env", "VIG_TEST_KEY"]) == 0
    assert page.getvalue() == "it is ••••\n"


def test_interrupt_while_the_server_is_silent_ends_at_once(fast: Demo) -> None:
    with asking("--model", "demo-stall", "hi", server=fast) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=LIMIT_S)
        fast.wait_closed_early()
    assert (process.returncode, complaints) == (130, b"")


def test_pipe_that_is_closed_ends_it_quietly_and_closes_the_socket(slow: Demo) -> None:
    with asking("Write a poem", server=slow) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(LIMIT_S) == 0
        slow.wait_closed_early()
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict"])
def test_output_that_lacks_a_letter_loses_the_letter_alone(encoding: str, fast: Demo) -> None:
    done = ask("A list of caf\u00e9s \u2014 three", server=fast, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


def test_piped_bytes_that_are_no_text_are_no_crash(fast: Demo) -> None:
    done = ask(piped=b"caf\xe9", server=fast, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (0, b"")


def test_piped_utf_8_is_read_in_any_locale(fast: Demo) -> None:
    done = ask(piped="haiku about th\u00e9".encode(), server=fast, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_that_is_full_is_said_in_a_sentence(fast: Demo) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "hi"],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            env=environment(fast),
        )
    assert done.returncode == 1
    assert done.stderr == b"vig_notebook: standard input or output failed: No space left on device.\n"


def test_streams_that_are_closed_are_no_crash(fast: Demo) -> None:
    command = f"{sys.executable} -m vig_notebook hi"
    no_input = subprocess.run(["sh", "-c", f"{command} <&-"], capture_output=True, env=environment(fast))
    assert (no_input.returncode, no_input.stderr) == (0, b"")
    no_output = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, env=environment(fast))
    assert no_output.returncode == 1
    assert no_output.stderr == b"vig_notebook: standard input or output failed: there is no standard output.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # pexpect forks, and execs at once
def test_terminal_gets_the_answer_and_ctrl_c_ends_it(slow: Demo) -> None:
    child = pexpect.spawn(
        sys.executable, ["-m", "vig_notebook", "Write a poem"], env=environment(slow), timeout=LIMIT_S, encoding="utf-8"
    )
    try:
        child.expect(r"\w+ \w+")
        child.sendintr()
        child.expect(pexpect.EOF)
        slow.wait_closed_early()
    finally:
        child.close()
    assert child.exitstatus == 130
    assert "Traceback" not in str(child.before)
