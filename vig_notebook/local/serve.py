"""The process that holds the model: llama.cpp's own server, and a watch that ends it.

It is told what to do by one line of JSON on its standard input, so that the key is in no argument and no
environment, and says by one line of JSON on its standard output that it is ready, or what is wrong. Every later
line of input says that it is in use. It ends when its input ends (its parent is gone, also after `kill -9`), when
it has another parent than at its start, and when it was idle for too long.

llama.cpp loads the model without letting go of Python's lock (1.2 s for the 135M model, longer for others), so
that no watch in Python can run meanwhile. On Linux the system is asked to end the process if the thread that
started it dies; that is taken back once the model is loaded, because a thread may end long before its process.

The wire, as measured with xllamacpp 2026.10.11549 on one core of two:

- Every path but ``/health`` wants the key: 401 `{"error": {"message", "type": "authentication_error", "code"}}`.
- The headers come at once, also while the request waits for a slot; nothing says that it waits, and there is no
  error when all slots are busy. Then ``delta: {"role": "assistant", "content": null}``, one event for each token,
  an event with an empty delta and the finish reason, one with ``choices: []`` and usage (when it was asked for),
  and ``[DONE]``. ``timings`` (``predicted_per_second``, ``prompt_ms``, ...) is in the event of the usage, or in
  the one of the finish reason without it. A comment (``:``) comes after 30 s without an event.
- With ``return_progress: true`` an event with ``prompt_progress`` ``{total, cache, processed, time_ms}`` and the
  delta of the role comes after each batch of the prompt: the delta of the role then comes many times.
- Closing the connection frees the slot within 35 ms while tokens are generated. While the prompt is read it is
  noticed only when an event is written: with ``return_progress`` after one or two batches (0.1 s each), without it
  at the end of the prompt (10 s for 1,500 tokens). A request that waits for a slot stays in the queue.
- A prompt that is too long: 400 `{"error": {"code": 400, "message": "request (12031 tokens) exceeds the available
  context size (4096 tokens), try increasing it", "type": "exceed_context_size_error", "n_prompt_tokens", "n_ctx"}}`.
  An answer that fills the context ends with finish reason ``length``.
- ``Keep-Alive: timeout=5`` notwithstanding, the connection is closed after each streamed answer.
- ``model`` is not looked at; an unknown role is taken; ``messages: []`` is answered; ``n`` > 1 interleaves.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from xllamacpp import Server

__all__ = ["serve"]

_TICK_S: Final = 0.5
"""How often the watch looks: a dead parent is noticed well within 2 s."""

_MAX_TOKENS: Final = 1024
"""The longest answer where a request names none: a very small model may say one thing for ever."""

_BATCH_TOKENS: Final = 16
"""How much of a prompt is read before a closed connection is noticed: 0.1 s on one core. Reading is 15 % slower
than with the usual 2,048, which take 12 s."""

_HTTP_THREADS: Final = 32
"""Each open answer holds a thread, one that waits for its turn too."""

_ERRORS_ONLY: Final = 1
_PARENT_DEATH_SIGNAL: Final = 1


def serve(source: TextIO, answers: TextIO) -> None:
    """Load the model and serve it until the watch ends the process. Does not return.

    Args:
        source: Where the orders come from; its end is the end of this process.
        answers: Where the one line of answer goes.
    """
    orders = json.loads(source.readline())
    _end_with_parent(orders["parent_pid"], armed=True)
    try:
        server = _load(orders)
    except (RuntimeError, ImportError, AttributeError) as error:
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    _end_with_parent(orders["parent_pid"], armed=False)
    watch = _Watch(server, parent_pid=orders["parent_pid"], idle_timeout_s=orders["idle_timeout_s"])
    threading.Thread(target=watch.read, args=(source,), name="vig-local-input", daemon=True).start()
    _say(answers, {"address": server.listening_address})
    watch.run()


def _load(orders: Mapping[str, object]) -> Server:
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = orders["path"]
    params.model_alias = {orders["name"]}  # else each answer would name the file with its folders
    params.n_parallel = orders["slots"]
    params.n_ctx = orders["context_size"] * orders["slots"]  # type: ignore[operator]  # llama.cpp divides it
    params.n_predict = _MAX_TOKENS
    for name, value in cast("Mapping[str, float]", orders["sampling"]).items():
        setattr(params.sampling, name, value)
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = orders["threads"]
    params.n_threads_http = _HTTP_THREADS
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [orders["api_key"]]
    params.cors_origins = ""  # no page of another origin may read an answer
    params.ui = False
    params.endpoint_metrics = True
    params.use_jinja = True
    params.fit_params = False  # loads the model twice, to spread it over graphics cards
    params.cache_ram_mib = 0  # else up to 8 GB of old prompts are kept
    params.verbosity = _ERRORS_ONLY
    return Server(params)


class _Watch:
    """Ends the process when nobody needs it any more."""

    def __init__(self, server: Server, *, parent_pid: int, idle_timeout_s: float) -> None:
        self.server = server
        self.parent_pid = parent_pid
        self.idle_timeout_s = idle_timeout_s
        self.used_at = time.monotonic()
        self.counters = ""

    def read(self, source: TextIO) -> None:
        """Take every line as a sign of use, and the end of the input as the end."""
        for _ in source:
            self.used_at = time.monotonic()
        os._exit(0)

    def run(self) -> None:
        """Look at the parent and at the server's counters until it is time to end."""
        while time.monotonic() - self.used_at < self.idle_timeout_s:
            time.sleep(_TICK_S)
            if _orphaned(self.parent_pid):
                break
            self.look()
        # Not sys.exit: llama.cpp would first finish what it is at, and nothing here needs to be tidied up.
        os._exit(0)

    def look(self) -> None:
        """A server is in use while a request is open, and when its counters have moved."""
        counters = self.server.handle_metrics()
        busy = any(
            line.startswith(("llamacpp:requests_processing", "llamacpp:requests_deferred")) and not line.endswith(" 0")
            for line in counters.splitlines()
        )
        if busy or counters != self.counters:
            self.counters = counters
            self.used_at = time.monotonic()


def _orphaned(parent_pid: int) -> bool:
    return sys.platform != "win32" and os.getppid() != parent_pid


def _end_with_parent(parent_pid: int, *, armed: bool) -> None:
    """Ask Linux to kill this process when the thread that started it dies, or take that back."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL if armed else 0)
    if _orphaned(parent_pid):
        os._exit(0)


def _say(answers: TextIO, answer: Mapping[str, str]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
