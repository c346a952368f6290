"""The local model as the rest of the package sees it: started when first needed, ended with this process."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, cast

from vig_notebook.errors import ConfigError
from vig_notebook.local.memory import usable_cores
from vig_notebook.local.model import ALIAS, Model, chosen, inspect, model_path
from vig_notebook.settings import Endpoint, Limits, Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CONTEXT_SIZE", "IDLE_TIMEOUT_S", "LOADING", "LocalServer"]

LOADING: Final = "loading the local model…"
CONTEXT_SIZE: Final = 4096
"""Tokens of a prompt with its answer: a chat of some turns; four of them take 380 MB with the 135M model."""

IDLE_TIMEOUT_S: Final = 600.0
"""Long enough for reading an answer, short enough not to hold half a gigabyte over lunch."""

_FIRST_BYTE_TIMEOUT_S: Final = 600.0
"""A prompt of 4,096 tokens takes 30 s on one core with the 135M model, and 20 times that with a 3B model."""

_END_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a caller asked for; a server that was started for an equal wish is used again."""

    model: str
    context_size: int
    threads: int | None


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
        self._child: _Child | None = None

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
        wish = _Wish(model=chosen(gguf), context_size=context_size, threads=threads)
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

    def _end(self) -> _Child | None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.kill()
        atexit.unregister(self.close)
        return child

    def _take(self, wish: _Wish) -> _Child:
        """Give the child for a wish, counted as waited for: the one there is, or a new one."""
        with self._lock:
            if self._child is None or self._child.wish != wish or self._child.over:
                if self._child is not None:
                    self._child.kill()
                self._child = _Child(wish, idle_timeout_s=self.idle_timeout_s)
                self._child.begin()
                atexit.register(self.close)
            self._child.waiting += 1
            return self._child

    def _leave(self, child: _Child) -> None:
        """Nobody waits for a model that is still being loaded: end it."""
        with self._lock:
            child.waiting -= 1
            if child.waiting == 0 and not child.ready.done():
                child.kill()  # and `start` takes another


class _Child:
    """One process from its start to its end."""

    def __init__(self, wish: _Wish, *, idle_timeout_s: float) -> None:
        self.wish = wish
        self.idle_timeout_s = idle_timeout_s
        self.waiting = 0
        self.ready: concurrent.futures.Future[Endpoint | ConfigError] = concurrent.futures.Future()
        # From now on a waiter that is cancelled does not cancel it for the others.
        self.ready.set_running_or_notify_cancel()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._killed = False
        # A thread, since files are read and the process is started with calls that block, and somebody must close
        # the pipes at its end; not asyncio's processes, which want a certain kind of loop on Windows and belong to
        # the loop that started them.
        self._thread = threading.Thread(target=self._live, name="vig-local", daemon=True)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def endpoint(self) -> Endpoint | None:
        answer = self.ready.result() if self.ready.done() else None
        return answer if isinstance(answer, Endpoint) else None

    def begin(self) -> None:
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it was killed, could not start, or has ended by itself."""
        return self._killed or (self.ready.done() and not self.runs)

    def touch(self) -> bool:
        """Tell the process that it is in use; False when it is gone."""
        if self._process is None or self._process.stdin is None or not self.runs:
            return False
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it ends now: a broken pipe, or one that is closed already
            return False
        return True

    def kill(self) -> None:
        """End the process now, also one that is just being started. Returns at once."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def wait(self) -> None:
        """Wait until the process is gone and its pipes are closed."""
        self._thread.join(_END_LIMIT_S)

    def _live(self) -> None:
        try:
            endpoint = self._started()
        except ConfigError as error:
            self._fail(error)
        except OSError as error:
            self._fail(ConfigError("The local model cannot be started", seen=str(error)))
        else:
            self.ready.set_result(endpoint)
            self._bury()

    def _fail(self, error: ConfigError) -> None:
        self.kill()
        self._bury()
        self.ready.set_result(error)

    def _bury(self) -> None:
        """Wait for the end of the process, and close the pipes to it."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError), process:  # what was not yet written goes nowhere
            process.wait()

    def _started(self) -> Endpoint:
        model = inspect(model_path(self.wish.model), context_size=self.wish.context_size)
        key = Secret(secrets.token_urlsafe(32))
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
            process = self._spawn(complaints)
            answer = _ask(process, self._orders(model, key))
            if "address" not in answer:
                complaints.seek(0)
                raise self._failed(model, answer.get("error", ""), complaints.read())
        return _endpoint(model, f"{answer['address']}/v1", key)

    def _spawn(self, complaints: IO[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._killed:
                raise ConfigError("The local model was stopped while it was loaded")
            # -P: a random.py beside the notebook must not take the place of Python's own.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vig_notebook.local", "serve", "--child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                encoding="utf-8",
                # Jupyter interrupts the whole group of a kernel.
                start_new_session=True,
                creationflags=_creation_flags(),
            )
            return self._process

    def _orders(self, model: Model, key: Secret) -> dict[str, object]:
        return {
            "api_key": key.reveal(),
            "path": str(model.path),
            "name": model.name,
            "slots": model.slots,
            "context_size": model.context_size,
            "threads": _threads(self.wish.threads),
            "idle_timeout_s": self.idle_timeout_s,
            "parent_pid": os.getpid(),
        }

    def _failed(self, model: Model, said: str, complaints: str) -> ConfigError:
        if self._killed:
            return ConfigError("The local model was stopped while it was loaded")
        lines = [line for line in complaints.splitlines() if " E " in line or "Error" in line]
        seen = (lines[0].partition(" E ")[2] or lines[0]) if lines else said or "its process ended without a word"
        return ConfigError(
            f"The local model {model.path.name} could not be loaded",
            seen=seen.strip()[:300],
            advice="Try another model, or look with python -m vig_notebook.local status.",
        )


def _ask(process: subprocess.Popen[str], orders: dict[str, object]) -> dict[str, str]:
    """Send the orders and wait for the one line of answer; {} when the process ends instead."""
    to_it, from_it = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    try:
        to_it.write(json.dumps(orders) + "\n")
        to_it.flush()
        answer: dict[str, str] = json.loads(from_it.readline() or "{}")
    except (OSError, ValueError):
        return {}
    return answer


def _endpoint(model: Model, base_url: str, key: Secret) -> Endpoint:
    """What the client has to know of this server.

    It closes each connection after a streamed answer, without a word before: each that lies in a pool costs a try.
    """
    small = model.name == ALIAS
    return Endpoint(
        base_url=base_url,
        api_key=key,
        kind="local",
        name=f"local {model.name}",
        note="a very small model, expect mistakes" if small else "a model on this machine",
        default_model=model.name,
        # Without it llama.cpp reads a prompt to its end after the connection was closed.
        parameters={"return_progress": True},
        limits=Limits(
            first_byte_timeout_s=_FIRST_BYTE_TIMEOUT_S,
            max_concurrency=model.slots,
            max_retries=model.slots + 2,
        ),
    )


def _threads(wished: int | None) -> int:
    """One core stays free for the notebook."""
    most = max(1, usable_cores() - 1)
    return max(1, min(most, most if wished is None else wished))


def _creation_flags() -> int:
    """On Windows: a group of its own, against interrupts, and no window."""
    return getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
