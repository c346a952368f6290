"""A demo server on the streaming thread, and how a test asks it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vig_notebook.api import start
from vig_notebook.demo import DemoServer
from vig_notebook.engine import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vig_notebook.run import Run

LIMIT_S = 10.0
"""How long a test waits for what must come."""


class Demo:
    """A demo server that runs; each pace has one of its own."""

    def __init__(self, pace: float) -> None:
        self.server = DemoServer(pace=pace)

    def ask(self, prompt: str = "Write a poem about rain", **members: Any) -> Run:
        """Start a run."""
        return start(prompt, **where(self), **members)

    def wait_closed_early(self, count: int = 1) -> None:
        """Wait until the server has seen that many hang-ups."""
        engine().run(self.server.wait_closed_early(count)).result(LIMIT_S)


@contextmanager
def demo(pace: float = 0) -> Iterator[Demo]:
    """A demo server of this many tokens a second; 0 is as fast as it goes."""
    made = Demo(pace)
    engine().run(made.server.start()).result(LIMIT_S)
    try:
        yield made
    finally:
        engine().stop_all()
        engine().run(made.server.stop()).result(LIMIT_S)


def where(server: Demo) -> dict[str, Any]:
    """The arguments that lead to a server."""
    return {"base_url": server.server.base_url, "api_key": server.server.token}
