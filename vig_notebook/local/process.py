"""One process that holds a model, from its start to its end."""

from __future__ import annotations

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
from typing import IO, Final, cast

from vig_notebook.errors import ConfigError
from vig_notebook.local.endpoint import local_endpoint
from vig_notebook.local.memory import usable_cores
from vig_notebook.local.model import ALIAS, SAMPLING, Model, inspect, model_path
from vig_notebook.settings import Endpoint, Secret

__all__ = ["ModelProcess", "Wish"]

_END_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller asked for; a server that was started for an equal wish is used again."""

    model: str
    context_size: int
    threads: int | None


class ModelProcess:
    """One process from its start to its end.

    Attributes:
        wish: What it serves.
        waiting: How many wait until it is loaded; `LocalServer` counts them.
        ready: Its endpoint once the model is loaded, or why there is none.
    """

    def __init__(self, wish: Wish, *, idle_timeout_s: float) -> None:
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
        """Its number, also after its end; None before its start."""
        return None if self._process is None else self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def endpoint(self) -> Endpoint | None:
        """What `ready` has, if it is an endpoint. Never waits."""
        answer = self.ready.result() if self.ready.done() else None
        return answer if isinstance(answer, Endpoint) else None

    def begin(self) -> None:
        """Start it. Returns at once; `ready` has the end of it."""
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
        except Exception as error:  # noqa: BLE001  not swallowed: it is told to whoever waits for the model
            self._fail(ConfigError("The local model cannot be started", seen=repr(error)))
        else:
            self.ready.set_result(endpoint)
            self._bury()

    def _fail(self, error: ConfigError) -> None:
        try:
            self.kill()
            self._bury()
        finally:
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
        return local_endpoint(model.name, base_url=f"{answer['address']}/v1", key=key, slots=model.slots)

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
            "sampling": SAMPLING if model.name == ALIAS else {},
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


def _threads(wished: int | None) -> int:
    """One core stays free for the notebook."""
    most = max(1, usable_cores() - 1)
    return max(1, min(most, most if wished is None else wished))


def _creation_flags() -> int:
    """On Windows: a group of its own, against interrupts, and no window."""
    return getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
