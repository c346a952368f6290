"""The grid in a real JupyterLab: 64 answers that stream at once, and 500 that come as fast as they can.

    python benchmarks/grid.py          # all of it
    python benchmarks/grid.py calls    # only the 500 calls, without a browser

Counts the messages a second from kernel to browser, the share of the browser's main thread, how long a key press in
another cell takes to be painted meanwhile, and the kernel's CPU time for a call.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import sync_playwright

import dev
from tests.browser.conftest import FLAGS
from tests.browser.lab import Lab, Notebook

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

KEYS = 40
KEY_PAUSE_MS = 90.0
OPEN_MS = 4_000.0
LOOK_MS = 5_000.0

LOAD = "%env VIG_DEMO_PACE={}\n%load_ext vig_notebook\nrows = [{{'text': f'number {{i}}'}} for i in range({})]"
MORE = """
from vig_notebook.demo import guard, server
from vig_notebook.settings import Limits
guard.MAX_CONNECTIONS, server._STREAMS = 128, 64  # usually 24 stream at once; the grid is held to 64
Limits.__init__.__kwdefaults__["max_concurrency"] = 64
from vig_notebook import servers
object.__setattr__(servers.DEMO.limits, "max_concurrency", 64)
"""
LIVE = (
    "%%vigthoria --data rows --repeats 1 --model a,b,c,d --max-concurrency 64 --name live\n"
    "Write a long story about {{ text }}"
)
MANY = "%%vigthoria --data rows --repeats 1 --max-concurrency 32 --max-tokens 30 --name many --yes\nDescribe {{ text }}"
HEADLESS = """
import time, vig_notebook as vig
example = [{'text': f'thing {i}'} for i in range(500)]
grid = vig.Experiment("Describe {{ text }}", data=example, repeats=1, params={"max_tokens": 31}, max_concurrency=32)
began, wall = time.process_time(), time.monotonic()
grid.run().wait()
print("headless", (time.process_time() - began) / 500 * 1000, time.monotonic() - wall)
"""
CPU = "import time; print('cpu', time.process_time())"

WATCH = """() => {
    const keys = window.__keys = [];
    window.addEventListener('keydown', event => {
        const pressed = event.timeStamp;
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => keys.push(performance.now() - pressed);
            channel.port2.postMessage(0);
        });
    }, true);
}"""


def main() -> None:
    """Print the figures."""
    if "calls" in sys.argv[1:]:
        calls_alone()
        return
    path = dev.find_browser(sys.executable)
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder), {}) as lab,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=FLAGS) as browser,
        browser.new_context(viewport={"width": 1280, "height": 900}) as context,
    ):
        live(Notebook(lab, context.new_page(), "live.ipynb", "python3"))
        many(Notebook(lab, context.new_page(), "many.ipynb", "python3"))


def live(notebook: Notebook) -> None:
    """64 live cells: messages a second, main thread, typing."""
    page = notebook.open([LOAD.format(8, 16) + MORE, LIVE, ""])
    notebook.run_cell(0)
    page.evaluate(WATCH)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    notebook.traffic.clear()
    began = time.monotonic()
    notebook.run_cell(1)
    notebook.wait_for_output_text(1, "64 streaming")
    opened_s = time.monotonic() - began
    page.wait_for_timeout(OPEN_MS)
    first = notebook.traffic.received.messages.total()
    busy, since = main_thread_s(session), time.monotonic()
    page.wait_for_timeout(LOOK_MS)
    took_s = time.monotonic() - since
    messages = notebook.traffic.received.messages.total() - first
    share = (main_thread_s(session) - busy) / took_s
    print(f"64 live: streaming after {opened_s:.1f} s, {first} messages until all places were open")
    print(f"64 live: then {messages / took_s:.0f} messages a second, main thread {100 * share:.0f} %")
    notebook.cell(2).locator(".cm-content").click()
    for _ in range(KEYS):
        page.keyboard.press("a")
        page.wait_for_timeout(KEY_PAUSE_MS)
    keys = sorted(page.evaluate("window.__keys"))
    slow = keys[int(0.95 * len(keys))]
    print(f"64 live: key press to paint: median {statistics.median(keys):.0f} ms, p95 {slow:.0f} ms")
    notebook.output(1).get_by_role("button", name="Stop all").click()
    notebook.wait_for_output_text(1, "the scripted demo server")
    page.close()
    notebook.lab.end_kernels()


def many(notebook: Notebook) -> None:
    """500 calls at pace 0: messages, time and CPU, with and without the view."""
    notebook.open([LOAD.format(0, 500), CPU, MANY, CPU, HEADLESS])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.traffic.clear()
    began = time.monotonic()
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "the scripted demo server", limit_s=120)
    took_s = time.monotonic() - began
    messages = notebook.traffic.received.messages.total()
    notebook.run_cell(3)
    before, after = (float(notebook.output_text(i).split()[-1]) for i in (1, 3))
    print(f"500 calls with the view: {took_s:.1f} s, {messages} messages, {(after - before) * 2:.2f} ms CPU a call")
    notebook.run_cell(4)
    notebook.wait_for_output_text(4, "headless", limit_s=120)
    _, cpu_ms, wall_s = notebook.output_text(4).split()
    print(
        f"500 calls without: {float(wall_s):.1f} s, {float(cpu_ms):.2f} ms CPU a call "
        "(client, server and log in one process)"
    )


def calls_alone() -> None:
    """500 calls in a process of their own, with the log, the demo server and no kernel; best and worst of three."""
    figures = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            own = {"VIG_DEMO_PACE": "0", "VIG_LOCAL_MODEL": "off", "VIG_LOG": str(Path(folder) / "runs.sqlite")}
            words = subprocess.run(
                [sys.executable, "-c", HEADLESS], env={**os.environ, **own}, check=True, capture_output=True, text=True
            ).stdout.split()
            figures.append((float(words[1]), float(words[2])))
    best, worst = min(figures), max(figures)
    print(f"500 calls: {best[0]:.2f} to {worst[0]:.2f} ms CPU a call (client, server and log), {best[1]:.1f} s")


def main_thread_s(session: CDPSession) -> float:
    """Seconds that the page's main thread has worked."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


if __name__ == "__main__":
    main()
