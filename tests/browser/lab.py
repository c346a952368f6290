"""A JupyterLab of our own, and a person in front of it: what the browser tests are written in."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from playwright.sync_api import Error, Locator, Page

START_LIMIT_S = 60.0
END_LIMIT_S = 10.0
STEP_LIMIT_S = 20.0
"""How long a step of a test may take: a kernel starts in 2 s on a quiet machine, in 10 s on a busy one."""

NOTEBOOK = "jupyterapp.shell.currentWidget"
NO_SPLASH = "!document.getElementById('jupyterlab-splash')"
"""JupyterLab's splash screen is taken away by a timer, 200 ms after the page or a theme has been loaded. A theme that
is changed sooner shows it again, the first timer takes it away, and the second throws."""
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.extension_manager=readonly",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)


class Lab:
    """A private JupyterLab in a folder of its own; used as a context manager.

    Attributes:
        root: Its folder; the log is `lab.log` in it.
        notebooks: The folder that it shows.
    """

    def __init__(self, root: Path, kernels: Mapping[str, str]) -> None:
        self.root = root
        self.notebooks = root / "notebooks"
        self._token = secrets.token_hex(16)
        self._port = free_port()
        self._kernels = kernels
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.notebooks.mkdir()
        self._write_settings()
        self._write_kernels()
        command = [
            *(sys.executable, "-m", "jupyterlab", *OPTIONS, f"--port={self._port}"),
            *(f"--IdentityProvider.token={self._token}", f"--ServerApp.root_dir={self.notebooks}"),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self.end_kernels()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def url(self, path: str) -> str:
        """The address of a page, which lets the browser in."""
        return f"http://127.0.0.1:{self._port}/{path}?token={self._token}"

    def write(self, name: str, cells: Sequence[str], kernel: str) -> None:
        """Write a notebook of code cells."""
        notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        nbformat.write(notebook, self.notebooks / name)

    def end_kernels(self) -> None:
        """End every kernel, and with it what a test has left running."""
        for session in self._ask("api/sessions"):
            self._ask(f"api/sessions/{session['id']}", method="DELETE")

    @property
    def _log(self) -> Path:
        return self.root / "lab.log"

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIG", "JUPYTER"))}
        homes = {f"XDG_{kind}_HOME": self.root / kind.lower() for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
        own = homes | {
            "IPYTHONDIR": self.root / "ipython",
            "JUPYTERLAB_SETTINGS_DIR": self.root / "settings",
            "JUPYTERLAB_WORKSPACES_DIR": self.root / "workspaces",
            "JUPYTER_CONFIG_DIR": self.root / "jupyter",
            "JUPYTER_DATA_DIR": self.root / "share",
            "JUPYTER_RUNTIME_DIR": self.root / "runtime",
        }
        return kept | {name: str(path) for name, path in own.items()} | {"VIG_LOCAL_MODEL": "off"}

    def _write_settings(self) -> None:
        for plugin, values in SETTINGS.items():
            path = self.root / "settings" / f"{plugin}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def _write_kernels(self) -> None:
        for name, python in self._kernels.items():
            folder = self.root / "share" / "kernels" / name
            folder.mkdir(parents=True)
            command = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            spec = {"argv": command, "display_name": name, "language": "python"}
            (folder / "kernel.json").write_text(json.dumps(spec))

    def _wait_until_up(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError):
                self._ask("api/status")
                return
            time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not start:\n{self._log.read_text()[-4000:]}")

    def _ask(self, path: str, *, method: str = "GET") -> Any:
        headers = {"Authorization": f"token {self._token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/{path}", headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=END_LIMIT_S) as response:
            body = response.read()
        return json.loads(body) if body else None


class Notebook:
    """A notebook in the browser, and what a person does with it. Cells are counted from 0.

    Opens in the JupyterLab that the page shows already, else loads it. `close` it before the next.

    Attributes:
        page: Playwright's page.
        page_errors: What the page's scripts threw; empty at the end of every test.
        traffic: Messages and bytes over the kernel's websocket.
    """

    def __init__(self, lab: Lab, page: Page, name: str, kernel: str) -> None:
        self.lab = lab
        self.name = name
        self.kernel = kernel
        self.page_errors: list[str] = []
        self.traffic = Traffic()
        self.page = page
        self.page.set_default_timeout(STEP_LIMIT_S * 1000)
        self.page.on("pageerror", self._note_error)
        self.traffic.watch(self.page)

    def open(self, cells: Sequence[str]) -> Page:
        """Write a notebook of these code cells, open it, and wait until its kernel is idle."""
        self.lab.write(self.name, cells, self.kernel)
        if self.page.evaluate("() => 'jupyterapp' in window"):
            self.page.evaluate("path => jupyterapp.commands.execute('docmanager:open', { path })", self.name)
            self._wait_until_shown()
        else:
            self._load()
        return self.page

    def close(self, *, whole_page: bool) -> None:
        """Close the notebook without saving it, or leave the whole page, and listen to it no more."""
        if self.page.evaluate("() => document.body.dataset.jpThemeLight === 'false'"):
            self.set_theme("light")
        if whole_page:
            self.page.goto("about:blank")
        else:
            self.page.evaluate("() => { for (const one of [...jupyterapp.shell.widgets('main')]) one.dispose(); }")
        self.page.remove_listener("pageerror", self._note_error)
        self.traffic.unwatch(self.page)

    def _note_error(self, error: Error) -> None:
        self.page_errors.append(error.stack or str(error))

    def reload(self) -> None:
        """Load the page again, as F5 does; what was not saved is lost."""
        self.page.goto("about:blank")
        self._load()

    def cell(self, i: int) -> Locator:
        """The cell's element, with prompt, source and output."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(i)

    def output(self, i: int) -> Locator:
        """The element of the cell's output."""
        return self.cell(i).locator(".jp-Cell-outputWrapper")

    def run_cell(self, i: int, *, wait: bool = True) -> None:
        """Run a cell; with `wait`, until the kernel is through with it."""
        count = self._evaluate("i => cell(i).model.executionCount", i)
        self._evaluate(
            "i => { const n = notebook.content; n.activeCellIndex = i; n.deselectAll();"
            " jupyterapp.commands.execute('notebook:run-cell'); }",
            i,
        )
        if wait:
            self._wait_for(
                "([i, count]) => cell(i).model.executionState === 'idle'"
                " && cell(i).model.executionCount !== null && cell(i).model.executionCount !== count",
                [i, count],
            )

    def output_text(self, i: int) -> str:
        """The text that the cell's output shows."""
        return str(self._evaluate("i => cell(i).outputArea.node.textContent", i))

    def output_html(self, i: int) -> str:
        """The HTML of the cell's output."""
        return str(self._evaluate("i => cell(i).outputArea.node.innerHTML", i))

    def wait_for_output_text(self, i: int, text: str, *, limit_s: float = STEP_LIMIT_S) -> None:
        """Wait until the output of the cell contains the text."""
        self._wait_for("([i, text]) => cell(i).outputArea.node.textContent.includes(text)", [i, text], limit_s)

    def wait_for_output_without(self, i: int, text: str, *, limit_s: float = STEP_LIMIT_S) -> None:
        """Wait until the output of the cell no longer contains the text."""
        self._wait_for("([i, text]) => !cell(i).outputArea.node.textContent.includes(text)", [i, text], limit_s)

    def stop_button(self, i: int) -> Locator:
        """The Stop button in the cell's output."""
        return self.output(i).get_by_role("button", name="Stop")

    def click_stop(self, i: int) -> None:
        """Click the Stop button in the cell's output."""
        self.stop_button(i).click()

    def press(self, key: str) -> None:
        """Press a key where the focus is, such as "Enter" or "Control+Enter"."""
        self.page.keyboard.press(key)

    def interrupt_kernel(self) -> None:
        """Click ■ in the toolbar."""
        self.page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:interrupt-kernel']").first.click()

    def restart_kernel(self) -> None:
        """Restart the kernel and wait until it is idle; the outputs stay."""
        self._evaluate("async () => { await notebook.sessionContext.session.kernel.restart(); }")
        self._wait_until_idle()

    def save(self) -> None:
        """Save the notebook and wait until it is written."""
        self._evaluate("async () => { await notebook.context.save(); }")

    def saved(self) -> dict[str, Any]:
        """The notebook as it was last saved, in the notebook format 4."""
        return dict(json.loads((self.lab.notebooks / self.name).read_text()))

    def set_theme(self, kind: str) -> None:
        """Change the theme: "light" or "dark"."""
        name = f"JupyterLab {kind.capitalize()}"
        self._evaluate("async theme => { await jupyterapp.commands.execute('apputils:change-theme', {theme}); }", name)
        self._wait_for(f"theme => document.body.dataset.jpThemeName === theme && {NO_SPLASH}", name)

    def set_width(self, width_px: int) -> None:
        """Make the window narrower or wider."""
        self.page.set_viewport_size({"width": width_px, "height": 900})

    def _load(self) -> None:
        self.page.goto(self.lab.url(f"lab/tree/{self.name}") + "&reset")
        self._wait_until_shown()

    def _wait_until_shown(self) -> None:
        ready = (
            f"window.jupyterapp?.shell.currentWidget?.context?.path === path"
            f" && {NOTEBOOK}.content?.widgets?.length > 0 && {NO_SPLASH}"
        )
        self.page.wait_for_function(f"path => {ready}", arg=self.name, timeout=START_LIMIT_S * 1000)
        self._wait_until_idle()

    def _wait_until_idle(self) -> None:
        self._wait_for(
            "() => { const kernel = notebook.sessionContext.session?.kernel;"
            " return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }"
        )

    def _evaluate(self, function: str, argument: object = None) -> Any:
        return self.page.evaluate(_in_notebook(function), argument)

    def _wait_for(self, function: str, argument: object = None, limit_s: float = STEP_LIMIT_S) -> None:
        self.page.wait_for_function(_in_notebook(function), arg=argument, timeout=limit_s * 1000)


def _in_notebook(function: str) -> str:
    """A JavaScript function that knows `notebook` (the panel) and `cell(i)`."""
    return (
        f"argument => {{ const notebook = {NOTEBOOK}; const cell = i => notebook.content.widgets[i];"
        f" return ({function})(argument); }}"
    )


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
