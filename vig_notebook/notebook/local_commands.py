"""`%vigthoria local`: start the model on this machine, end it, put it in place or take it away."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from vig_notebook.engine import engine
from vig_notebook.local import CONTEXT_SIZE
from vig_notebook.local.install import install, remove, status
from vig_notebook.servers import choose, local_model

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run_local"]

USAGE = "local wants nothing, stop, status, install, remove, --gguf FILE or --context-size N"
WAKE_S = 0.1
"""How often a waiting command wakes, so that an interrupt is seen while a model loads."""


def run_local(words: list[str], say: Callable[[str], None]) -> None:
    """Run one of the commands.

    Raises:
        UsageError: The words are none of them.
        ConfigError: The model cannot be started or put in place.
        KeyboardInterrupt: Interrupted; a model that was loading is ended.
    """
    match words:
        case ["stop"]:
            engine().run(local_model().stop()).result()
            say("the local model has ended; the next cell that asks it starts it again")
        case ["status"]:
            for line in status():
                say(line)
        case ["install"]:
            install(say)
        case ["remove"]:
            engine().run(local_model().stop()).result()
            remove(say)
        case _:
            _start(words, say)


def _start(words: list[str], say: Callable[[str], None]) -> None:
    model = local_model()
    before = model.gguf, model.context_size
    model.gguf, model.context_size = _options(words)
    loading = engine().run(model.start(say))
    try:
        while not loading.done():
            concurrent.futures.wait([loading], timeout=WAKE_S)
        endpoint = loading.result()
    except BaseException:
        model.gguf, model.context_size = before  # the cells that follow ask what they asked before
        raise
    finally:
        loading.cancel()
    say(f"{endpoint.name} is ready: {endpoint.note}")
    if (asked := choose().endpoint).kind != "local":
        say(f"cells still ask {asked.name}, which your settings name")


def _options(words: list[str]) -> tuple[str | None, int]:
    given = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or not given.keys() <= {"--gguf", "--context-size"}:
        raise UsageError(USAGE)
    size = given.get("--context-size", str(CONTEXT_SIZE))
    if not size.isdigit() or not int(size):
        raise UsageError(f"--context-size wants a number of tokens above 0, not {size!r}")
    return given.get("--gguf"), int(size)
