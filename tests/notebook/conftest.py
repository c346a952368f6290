"""A real shell and real kernels for the tests of the magic."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.async_helpers import get_asyncio_loop
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from jupyter_core.utils import ensure_event_loop
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

LIMIT_S = 30.0


@pytest.fixture(scope="session")
def cell_loop() -> Iterator[None]:
    """The loop that IPython makes for the first cell that awaits and keeps: made before any test, as below."""
    loop = get_asyncio_loop()
    yield
    loop.close()


@pytest.fixture
def shell(cell_loop: None) -> Iterator[InteractiveShell]:
    """A terminal's IPython with the extension loaded."""
    # No history: its thread would outlive the test.
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    made.run_line_magic("load_ext", "vig_notebook")
    yield made
    made.run_line_magic("unload_ext", "vig_notebook")
    InteractiveShell.clear_instance()
    atexit.unregister(made.atexit_operations)  # else every shell is kept, with all that its cells have made
    made.displayhook.do_full_cache = False  # to flush its cache of results, IPython collects all garbage
    made.atexit_operations()


class Kernel:
    """A kernel, asked as a front end asks it."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def run(self, code: str, *, person: bool = False) -> list[dict[str, Any]]:
        """Run a cell and give the messages of its outputs, in order.

        Args:
            code: The cell.
            person: Whether a person is at the front end, as JupyterLab says it.
        """
        messages: list[dict[str, Any]] = []
        reply = self.client.execute_interactive(
            code, allow_stdin=person, timeout=LIMIT_S, output_hook=messages.append, stdin_hook=lambda _: None
        )
        self.reply = reply["content"]
        return messages

    def next_message(self, *kinds: str) -> dict[str, Any]:
        """The next message of these kinds on iopub."""
        while True:
            message = dict(self.client.get_iopub_msg(timeout=LIMIT_S))
            if message["msg_type"] in kinds:
                return message


@pytest.fixture(scope="session")
def kernel_loop() -> Iterator[None]:
    """The loop that jupyter_client makes at its first call and keeps: made before any test, so that none leaks it."""
    loop = ensure_event_loop()
    yield
    loop.close()


@pytest.fixture
def kernel(kernel_loop: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel of its own, with the extension loaded and a demo server that answers at once."""
    monkeypatch.setenv("VIG_DEMO_PACE", "0")
    manager, client = start_new_kernel()
    kernel = Kernel(client)
    kernel.run("%load_ext vig_notebook")
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()
    manager.context.destroy()
