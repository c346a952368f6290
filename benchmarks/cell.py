"""A long answer in a real JupyterLab: 20,000 tokens (112 kB of Markdown) at 1,000 a second.

    python benchmarks/cell.py

Counts what goes from the kernel to the browser, how late the last token is painted, and how long a key press in
another cell takes to be painted meanwhile.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import sync_playwright

import dev
from tests.browser.conftest import FLAGS
from tests.browser.lab import Lab, Notebook

KEYS = 150
KEY_PAUSE_MS = 90.0

LOAD = "%load_ext vig_notebook"
ASK = "%%vigthoria -m demo-long -o long\nWrite at length"
ENDED = 'print("last", (long.created_at.timestamp() + long.elapsed_s) * 1000)'

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
    window.__painted = null;
    const output = jupyterapp.shell.currentWidget.content.widgets[1].outputArea.node;
    new MutationObserver(() => {
        if (!window.__painted && output.querySelector('.vig-footer')) window.__painted = Date.now();
    }).observe(output, {childList: true, subtree: true, characterData: true});
    window.__tasks = [];
    new PerformanceObserver(list => list.getEntries().forEach(entry => window.__tasks.push(entry.duration)))
        .observe({type: 'longtask'});
}"""


def main() -> None:
    """Print the figures."""
    path = dev.find_browser(sys.executable)
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder), {}) as lab,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=FLAGS) as browser,
        browser.new_context(viewport={"width": 1280, "height": 900}) as context,
    ):
        measure(Notebook(lab, context.new_page(), "long.ipynb", "python3"))


def measure(notebook: Notebook) -> None:
    """Stream, type meanwhile, and print."""
    page = notebook.open([LOAD, ASK, ENDED, ""])
    notebook.run_cell(0)
    page.evaluate(WATCH)
    notebook.traffic.clear()
    began = time.monotonic()
    notebook.run_cell(1)
    notebook.cell(3).locator(".cm-content").click()
    for _ in range(KEYS):
        page.keyboard.press("a")
        page.wait_for_timeout(KEY_PAUSE_MS)
    keys = sorted(page.evaluate("window.__keys"))
    page.wait_for_function("() => window.__painted", timeout=90_000)
    took_s = time.monotonic() - began
    notebook.run_cell(2)
    notebook.wait_for_output_text(2, "last")
    received = notebook.traffic.received
    messages, size_bytes = received.messages.total(), received.size_bytes.total()
    last_ms = float(notebook.output_text(2).split()[1])
    tasks = page.evaluate("window.__tasks")
    print(f"kernel to browser: {size_bytes / 1e6:.2f} MB, {messages} messages, {messages / took_s:.1f} a second")
    for kind, count in received.messages.most_common():
        print(f"    {kind}: {count} messages, {received.size_bytes[kind] / 1e3:.0f} kB")
    print(f"record painted after the end of the stream: {page.evaluate('window.__painted') - last_ms:.0f} ms")
    print(f"key press to paint: median {statistics.median(keys):.0f} ms, p95 {keys[int(0.95 * len(keys))]:.0f} ms")
    print(f"long tasks: {len(tasks)}, {sum(tasks) / 1000:.1f} s of {took_s:.1f} s")


if __name__ == "__main__":
    main()
