"""One JupyterLab and one page of Chromium for all browser tests; a notebook and a kernel for each.

A test takes the fixture `notebook`. Marked with `@pytest.mark.all_kernels` it runs with every kernel there
is: the one of this environment (the newest ipykernel), and those of `VIG_TEST_KERNELS`
("name=python,name=python"), or the lowest supported one of `.venv-lowest`, made by `python3 dev.py check`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import ViewportSize, sync_playwright

import dev
from tests.browser.lab import Lab, Notebook

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "test-results"
REQUIRED = bool(os.environ.get("CI") or os.environ.get("VIG_REQUIRE_BROWSER"))
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
VIEWPORT: ViewportSize = {"width": 1280, "height": 900}
FAILED = pytest.StashKey[bool]()


def other_kernels() -> dict[str, str]:
    """The Pythons of the other kernels, by the name of the kernel."""
    named = os.environ.get("VIG_TEST_KERNELS")
    if named is not None:
        return dict(item.split("=", 1) for item in named.split(",") if item)
    lowest = dev.python_of(dev.LOWEST_ENVIRONMENT)
    return {"lowest": str(lowest)} if lowest.exists() else {}


KERNELS = other_kernels()


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker that only browser tests have."""
    config.addinivalue_line("markers", "all_kernels: runs with every kernel there is")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is a browser test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked so with every kernel."""
    if metafunc.definition.get_closest_marker("all_kernels"):
        metafunc.parametrize("kernel", ["python3", *KERNELS])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remember whether the test failed, for the fixture that keeps the trace."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser; without one the tests fail where they must run, and are skipped elsewhere."""
    try:
        found = dev.find_browser(sys.executable)
    except dev.UserError as error:
        pytest.fail(str(error))
    if found is None:
        (pytest.fail if REQUIRED else pytest.skip)(dev.NO_BROWSER)
    return found


@pytest.fixture(scope="session")
def lab(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The JupyterLab of this session."""
    with Lab(tmp_path_factory.mktemp("lab"), KERNELS) as lab:
        yield lab


@pytest.fixture(scope="session")
def page(browser_path: str) -> Iterator[Page]:
    """The browser's window, in which one test after the other opens its notebook: JupyterLab is loaded once."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=browser_path, args=FLAGS) as browser,
        browser.new_context(viewport=VIEWPORT) as context,
    ):
        context.tracing.start(snapshots=True)
        yield context.new_page()


@pytest.fixture
def kernel() -> str:
    """The kernel's name; another one in a test that is marked `all_kernels`."""
    return "python3"


@pytest.fixture
def notebook(lab: Lab, page: Page, kernel: str, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A notebook of its own; `open` it with some cells. Keeps a picture and a trace of a test that fails."""
    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    page.context.tracing.start_chunk()
    notebook = Notebook(lab, page, f"{name}.ipynb", kernel)
    yield notebook
    failed = request.node.stash.get(FAILED, False) or bool(notebook.page_errors)
    if failed:
        page.screenshot(path=RESULTS / f"{name}.png")
    page.context.tracing.stop_chunk(**({"path": RESULTS / f"{name}.zip"} if failed else {}))
    page.set_viewport_size(VIEWPORT)
    notebook.close(whole_page=failed)
    lab.end_kernels()
    assert not notebook.page_errors, f"the page threw {notebook.page_errors}"
