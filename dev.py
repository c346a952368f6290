#!/usr/bin/env python3
"""Set up and run this project on a machine that has nothing but Python 3.11.

    python3 dev.py demo     JupyterLab, opened on the quickstart notebook
    python3 dev.py test     the tests but the slow ones; what follows goes to pytest
    python3 dev.py check    style, types, layers, tests with coverage, notebooks, browser: what must be clean
    python3 dev.py peers    the tests against servers of other projects, which are installed for it

It uses the standard library only. It makes `.venv`, installs the package into it when pyproject.toml has
changed, and finds or installs a browser for the tests.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
LOWEST_ENVIRONMENT = ROOT / ".venv-lowest"
DEMO_FOLDER = ROOT / ".demo"
FIRST_NOTEBOOK = "notebooks/01-quickstart.ipynb"

EXTRAS = "lab,tuning,test"
# The lowest supported versions that a kernel runs with; the newest are those of the other environment.
LOWEST = ("aiohttp==3.13.4", "ipykernel==6.29.5", "ipython==8.20.*", "ipywidgets==8.1.*")

BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome")
PLAYWRIGHT_BROWSER = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""
NO_BROWSER = (
    "no Chromium was found: install one (`apt-get install chromium`, or"
    " `.venv/bin/playwright install chromium`), or name one in VIG_BROWSER"
)
START_LIMIT_S = 60.0
END_LIMIT_S = 10.0
STOPPED_BY_USER = 130


class UserError(Exception):
    """Something that the person at the keyboard can put right; shown without a traceback."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends this script as Ctrl+C does."""


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code: that of what was run, 1 where a check failed, 2 for what only the caller can put right,
        130 for Ctrl+C.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _command(arguments)
    except UserError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndev: stopped", file=sys.stderr)
        return STOPPED_BY_USER


def _command(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["test"]:
        return test(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="demo|test|check|peers")
    demo_parser = commands.add_parser("demo", help="open JupyterLab on the quickstart notebook")
    demo_parser.add_argument("--no-browser", action="store_true", help="only print the address")
    demo_parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; default: any free one")
    demo_parser.add_argument("--no-model", action="store_true", help="scripted answers, no local model")
    commands.add_parser("test", help="run the tests but the slow ones; what follows goes to pytest")
    commands.add_parser("check", help="run all checks")
    commands.add_parser("peers", help="run the tests against servers of other projects")
    chosen = parser.parse_args(arguments)
    if chosen.command == "demo":
        return demo(port=chosen.port, show=not chosen.no_browser, model=not chosen.no_model)
    return check() if chosen.command == "check" else peers()


# The commands.


def demo(*, port: int, show: bool, model: bool) -> int:
    """Open JupyterLab on the quickstart notebook, and end it with Ctrl+C.

    The notebooks are copies in `.demo`, so that running them changes none of the stored ones.

    Returns:
        0 when it was ended with Ctrl+C, else the exit code of JupyterLab.
    """
    port = port_or_free(port)
    python = make_environment()
    if model:
        install_local_model(python)
    copy_notebooks()
    token = secrets.token_urlsafe(16)
    page = f"http://127.0.0.1:{port}/lab/tree/{FIRST_NOTEBOOK}?token={token}"
    settings = {"JUPYTER_TOKEN": token} | ({} if model else {"VIG_LOCAL_MODEL": "off"})
    with jupyterlab(python, port=port, show=show and has_desktop(), **settings) as server:
        wait_until_up(server, port=port, token=token)
        say(f"JupyterLab runs at\n\n    {page}\n")
        say(f"the notebooks are copies in {DEMO_FOLDER.name}/; Ctrl+C ends it")
        with suppress(KeyboardInterrupt):
            return server.wait()
    return 0


def test(pytest_arguments: Sequence[str]) -> int:
    """Run the tests; those of over five seconds only where they are asked for, as `check` does."""
    python = make_environment()
    say_what_is_not_installed(python)
    settings = test_settings(python)
    if pytest_arguments:
        return run(python, "-m", "pytest", *pytest_arguments, **settings)
    say("the tests that are marked slow are left to `python3 dev.py check`")
    return run_all_tests(python, but="peers or slow", **settings)


def check() -> int:
    """Run every check, the tests last, and fail when one of them failed."""
    python = make_environment()
    make_lowest_environment()
    install_local_model(python)
    tools = python.parent
    static = {
        "ruff check": (tools / "ruff", "check", "--quiet"),
        "ruff format": (tools / "ruff", "format", "--check", "--quiet"),
        "mypy": (tools / "mypy", "--no-error-summary"),
        "lint-imports": (tools / "lint-imports", "--no-logo", "--no-cache"),
    }
    failed = [name for name, command in static.items() if not passes(name, *command)]
    settings = test_settings(python) | {"VIG_REQUIRE_BROWSER": "1"}
    code = run_all_tests(python, "--cov", but="peers", **settings)
    if failed:
        say(f"failed before the tests: {', '.join(failed)}")
    return code or int(bool(failed))


def peers() -> int:
    """Run the tests against servers of other projects; they come from the package registry."""
    python = make_environment()
    return run(python, "-m", "pytest", "-m", "peers", "-v", **test_settings(python))


def run_all_tests(python: Path, *arguments: str, but: str, **settings: str) -> int:
    """Run the browser tests and the others at the same time: the former mostly wait for pages to load.

    What the browser tests print comes when they are through. The arguments go to the others. `but` says which
    markers are left out.
    """
    say("pytest: the browser tests meanwhile, their report comes last")
    command = (python, "-m", "pytest", "-m", f"browser and not ({but})", "-p", "no:cacheprovider")
    with (
        tempfile.TemporaryFile() as report,
        subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=report, stderr=report) as browser,
    ):
        try:
            code = run(python, "-m", "pytest", "-m", f"not (browser or {but})", *arguments, **settings)
            browser_code = browser.wait()
        except KeyboardInterrupt:
            browser.send_signal(signal.SIGINT)
            raise
        report.seek(0)
        sys.stdout.buffer.write(report.read())
        sys.stdout.flush()
    return code or browser_code


# Environments.


def make_environment() -> Path:
    """Make `.venv` with everything in it, or take the one that is there.

    Returns:
        Its Python.

    Raises:
        UserError: This Python is too old, or something could not be installed.
    """
    if sys.version_info < (3, 11):  # noqa: UP036  this script also starts in an older Python, to say so
        raise UserError(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    return install_into(ENVIRONMENT, "--editable", f"{ROOT}[{EXTRAS}]")


def make_lowest_environment() -> Path:
    """Make `.venv-lowest`, a kernel with the lowest supported versions.

    Returns:
        Its Python.
    """
    return install_into(LOWEST_ENVIRONMENT, *LOWEST, "--editable", str(ROOT))


def install_into(environment: Path, *requirements: str) -> Path:
    """Install packages into a virtual environment, when they or pyproject.toml have changed since last time.

    Returns:
        The environment's Python.
    """
    python = python_of(environment)
    if not python.exists():
        with step(f"making {environment.name}"):
            create(environment)
    stamp, wanted = environment / "vig-notebook-installed", fingerprint(*requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        with step(f"installing the package and what it needs into {environment.name}"):
            pip(python, "install", *requirements)
        stamp.write_text(wanted)
    return python


def create(environment: Path) -> None:
    """Make a virtual environment with pip in it, also where Debian has left out ensurepip."""
    if not is_installed("ensurepip") and not is_installed("pip"):
        install_debian_package("python3-venv", otherwise="This Python has neither ensurepip nor pip")
    if is_installed("ensurepip"):
        must(sys.executable, "-m", "venv", "--clear", environment)
    else:
        must(sys.executable, "-m", "venv", "--clear", "--without-pip", environment)
        must(sys.executable, "-m", "pip", "-qq", "--python", python_of(environment), "install", "pip")


def is_installed(module: str) -> bool:
    """Whether the Python that runs this script has a module."""
    return importlib.util.find_spec(module) is not None


def pip(python: Path, *arguments: str) -> None:
    """Run the pip of an environment; it speaks only of what went wrong."""
    must(python, "-m", "pip", "-qq", "--disable-pip-version-check", *arguments)


def python_of(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(*requirements: str) -> str:
    """What an installation depends on, as one word: an editable one copies the JupyterLab extension."""
    digest = hashlib.sha256(f"{sys.version} {requirements}".encode())
    extension = sorted((ROOT / "vig_notebook" / "labextension").rglob("*"))
    for path in [ROOT / "pyproject.toml", *extension]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def install_local_model(python: Path) -> None:
    """Install the small local model; without it the scripted demo server answers."""
    local = ROOT / "vig_notebook" / "local"
    if not local.is_dir() and not local.with_suffix(".py").is_file():
        return
    with step("installing the local model, if it is not there"):
        if run(python, "-m", "vig_notebook.local", "install"):
            say("the local model could not be installed: the scripted demo server answers instead")


def say_what_is_not_installed(python: Path) -> None:
    """Say which tests will be skipped for want of something large."""
    if not any(python.parents[1].glob("**/site-packages/xllamacpp")):
        say("the local model is not installed, its tests are skipped (python -m vig_notebook.local install)")


# The browser.


def test_settings(python: Path) -> dict[str, str]:
    """The environment variables that tell the tests which browser to take."""
    browser = find_browser(python) or install_browser(python)
    if browser is None:
        say(NO_BROWSER)
        return {}
    return {"VIG_BROWSER": browser}


def find_browser(python: Path | str) -> str | None:
    """Find a Chromium: `VIG_BROWSER`, Playwright's own, one on PATH.

    Raises:
        UserError: `VIG_BROWSER` names something that is not there.
    """
    named = os.environ.get("VIG_BROWSER")
    if named:
        if shutil.which(named) is None:
            raise UserError(f"VIG_BROWSER names {named}, which is no program: name a Chromium, or unset it")
        return named
    command = [python, "-c", PLAYWRIGHT_BROWSER]
    own = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if own and Path(own).exists():
        return own
    return next(filter(None, map(shutil.which, BROWSER_NAMES)), None)


def install_browser(python: Path) -> str | None:
    """Install a Chromium, with Debian's packages where that is allowed, else with Playwright."""
    with step("installing Chromium"):
        if not (may_install_packages() and install_package("chromium")):
            run(python, "-m", "playwright", "install", "chromium")
    return find_browser(python)


# Debian's packages.


def may_install_packages() -> bool:
    """Whether this is root on a Debian."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install_package(name: str) -> bool:
    """Install one of Debian's packages and say whether that went well."""
    settings = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", **settings)
    return run("apt-get", "install", "-qq", "--no-install-recommends", name, **settings) == 0


def install_debian_package(name: str, *, otherwise: str) -> None:
    """Install one of Debian's packages.

    Raises:
        UserError: That is not possible here; says what to do.
    """
    with step(f"installing {name}"):
        if not (may_install_packages() and install_package(name)):
            raise UserError(f"{otherwise}: run `sudo apt-get install {name}`, then this again")
    importlib.invalidate_caches()


# JupyterLab.


@contextmanager
def jupyterlab(python: Path, *, port: int, show: bool, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run JupyterLab with some more environment variables, and end it with its kernels."""
    options = [
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"),
        *(f"--ServerApp.root_dir={DEMO_FOLDER}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"),
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        *("--log-level=ERROR", *([] if show else ["--no-browser"])),
    ]
    # In a session of its own: Ctrl+C reaches this script, which ends the server without its question.
    server = subprocess.Popen(
        [python, "-m", "jupyterlab", *options],
        env=os.environ | settings,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            server.kill()
        say("JupyterLab has ended")


def wait_until_up(server: subprocess.Popen[bytes], *, port: int, token: str) -> None:
    """Wait until JupyterLab answers.

    Raises:
        UserError: It ended, or does not answer in time.
    """
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/status", headers={"Authorization": f"token {token}"})
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(request, timeout=END_LIMIT_S).close()  # noqa: S310  our own server
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise UserError("JupyterLab did not start; what it said is above")


def copy_notebooks() -> None:
    """Copy the notebooks, and the files beside them, that are new or newer than their copy.

    What a person has done in the others stays.
    """
    for stored in filter(Path.is_file, (ROOT / "notebooks").rglob("*")):
        copy = DEMO_FOLDER / stored.relative_to(ROOT)
        if not copy.exists() or copy.stat().st_mtime < stored.stat().st_mtime:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stored, copy)


def port_or_free(port: int) -> int:
    """The port, when it is free; for 0 any free one.

    Raises:
        UserError: The port is taken.
    """
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise UserError(f"port {port} cannot be used ({error}): give another one, or none") from None
        return int(listener.getsockname()[1])


def has_desktop() -> bool:
    """Whether there is a screen to open a browser on."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


# Programs.


def run(*command: str | Path, **settings: str) -> int:
    """Run a program with some more environment variables, and give its exit code.

    When it is interrupted the program is let end by itself: pytest takes its JupyterLab down.
    """
    sys.stdout.flush()
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | settings) as program:
        try:
            return program.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated):  # Ctrl+C reaches the program too, SIGTERM only this script
                program.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                program.wait(END_LIMIT_S)
            program.terminate()
            raise


def must(*command: str | Path) -> None:
    """Run a program.

    Raises:
        UserError: It failed; what it said is on the screen.
    """
    code = run(*command)
    if code:
        raise UserError(f"`{' '.join(map(str, command))}` failed with exit code {code}, see above")


def passes(name: str, *command: str | Path) -> bool:
    """Run a check and say how it went."""
    begun = time.monotonic()
    code = run(*command)
    say(f"{name}: {'FAILED' if code else 'ok'} ({time.monotonic() - begun:.1f} s)")
    return code == 0


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    say(f"{what} ...")
    begun = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - begun:.1f} s")


def say(what: str) -> None:
    """Tell the person at the keyboard."""
    print(f"dev: {what}", flush=True)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
