"""The local model as the rest of the package sees it: started when first needed, ended with this process."""

from __future__ import annotations

import asyncio
import atexit
import threading
from typing import TYPE_CHECKING, Final

from vig_notebook.errors import ConfigError
from vig_notebook.local.model import chosen
from vig_notebook.local.process import ModelProcess, Wish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vig_notebook.settings import Endpoint

__all__ = ["CONTEXT_SIZE", "IDLE_TIMEOUT_S", "LOADING", "LocalServer"]

LOADING: Final = "loading the local model…"
CONTEXT_SIZE: Final = 4096
"""Tokens of a prompt with its answer: a chat of some turns; four of them take 380 MB with the 135M model."""

IDLE_TIMEOUT_S: Final = 600.0
"""Long enough for reading an answer, short enough not to hold half a gigabyte over lunch."""


class LocalServer:
    """A model on this machine, in a process of its own, behind the wire of llama.cpp's server.

    It may be used from any thread and from any loop. One process serves all who ask; asking for another model or
    another size ends it and starts another.

    Args:
        idle_timeout_s: The process ends when nothing was asked of it for so long; the next `start` starts it anew.
    """

    def __init__(self, *, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
        self.idle_timeout_s = idle_timeout_s
        self._lock = threading.Lock()
        self._child: ModelProcess | None = None

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint when the model is loaded and its process runs, else None."""
        child = self._child
        return child.endpoint if child is not None and child.runs else None

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        child = self._child
        return child.pid if child is not None and child.runs else None

    async def start(
        self,
        gguf: str | Path | None = None,
        *,
        context_size: int = CONTEXT_SIZE,
        threads: int | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> Endpoint:
        """Have the model loaded, and give its endpoint; at once when it is loaded already.

        Cancelling this while the model is loaded ends the process, unless somebody else waits for it too.

        Args:
            gguf: A model file; None takes `VIG_LOCAL_MODEL`, or else the model that is installed.
            context_size: Tokens of a prompt with its answer.
            threads: At most one less than there are cores, which is also what None means.
            on_status: Told `LOADING` when there is something to wait for.

        Raises:
            ConfigError: Nothing is installed, or the model cannot be loaded here.
        """
        wish = Wish(model=chosen(gguf), context_size=context_size, threads=threads)
        for _ in range(2):  # it may end, being idle, at the moment when it is asked for again
            child = self._take(wish)
            try:
                if on_status is not None and not child.ready.done():
                    on_status(LOADING)
                answer = await asyncio.wrap_future(child.ready)
            finally:
                self._leave(child)
            if isinstance(answer, ConfigError):
                raise answer
            if await asyncio.to_thread(child.touch):
                return answer
        raise ConfigError("The local model does not stay", seen="its process ended right after it was loaded")

    async def stop(self) -> None:
        """End the process, whatever it is doing; nothing when there is none."""
        if (child := self._end()) is not None:
            await asyncio.to_thread(child.wait)

    def close(self) -> None:
        """As `stop`, for where there is no loop, such as the end of the process."""
        if (child := self._end()) is not None:
            child.wait()

    def _end(self) -> ModelProcess | None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.kill()
        atexit.unregister(self.close)
        return child

    def _take(self, wish: Wish) -> ModelProcess:
        """Give the child for a wish, counted as waited for: the one there is, or a new one."""
        with self._lock:
            if self._child is None or self._child.wish != wish or self._child.over:
                if self._child is not None:
                    self._child.kill()
                self._child = ModelProcess(wish, idle_timeout_s=self.idle_timeout_s)
                self._child.begin()
                atexit.register(self.close)
            self._child.waiting += 1
            return self._child

    def _leave(self, child: ModelProcess) -> None:
        """Nobody waits for a model that is still being loaded: end it."""
        with self._lock:
            child.waiting -= 1
            if child.waiting == 0 and not child.ready.done():
                child.kill()  # and `start` takes another
