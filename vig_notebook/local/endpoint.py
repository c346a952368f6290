"""What a client has to know of the local model's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vig_notebook.local.model import ALIAS
from vig_notebook.settings import Endpoint, Limits

if TYPE_CHECKING:
    from vig_notebook.settings import Secret

__all__ = ["local_endpoint"]

_FIRST_BYTE_TIMEOUT_S: Final = 600.0
"""A prompt of 4,096 tokens takes 30 s on one core with the 135M model, and 20 times that with a 3B model."""


def local_endpoint(name: str, *, base_url: str = "", key: Secret | None = None, slots: int = 1) -> Endpoint:
    """The endpoint of a model, before its process has started too: then without address and key.

    Args:
        name: What requests and answers call the model.
        base_url: Where it listens.
        key: What it asks for.
        slots: How many answers it generates at once.
    """
    return Endpoint(
        base_url=base_url,
        api_key=key,
        kind="local",
        name=f"local {name}",
        note="a very small model, expect mistakes" if name == ALIAS else "a model on this machine",
        default_model=name,
        # Without it llama.cpp reads a prompt to its end after the connection was closed.
        parameters={"return_progress": True},
        limits=Limits(
            first_byte_timeout_s=_FIRST_BYTE_TIMEOUT_S,
            max_concurrency=slots,
            # The server closes each connection after a streamed answer, without a word before: each that lies in a
            # pool costs a try.
            max_retries=slots + 2,
        ),
    )
