"""From a cell to its request, its identity key and its run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from vig_notebook import api
from vig_notebook.servers import Server
from vig_notebook.store.identity import identity_of
from vig_notebook.tuning.versions import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint, Secret
    from vig_notebook.sinks import Sink
    from vig_notebook.tuning.grid import Cell
    from vig_notebook.wire.chat import ChatRequest

__all__ = ["Address", "Asking", "endpoint_of", "without_retries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Which server is asked, as for `vig_notebook.start`; None lets the settings choose."""

    base_url: str | None = None
    api_key: Secret | None = None
    key_env: str | None = None
    profile: str | None = None


class Asking:
    """The requests of an experiment's cells, made when it is run: then the settings are read.

    Attributes:
        endpoint: The server, as far as it is known before the first request.
        keys: Identity keys by the cells' index.

    Raises:
        ConfigError: A parameter cannot be sent, or the settings are wrong.
    """

    def __init__(self, cells: Sequence[Cell], address: Address, *, labels: Mapping[str, str]) -> None:
        self._shared = labels
        self._questions = self._make_questions(cells, address)
        self.endpoint = next(iter(self._questions.values())).server.endpoint
        self._repeats = self._count_repeats(cells)
        self.keys = {cell.index: self._key(cell, self._repeats[cell.index]) for cell in cells}

    def ask(self, cell: Cell, sinks: Sequence[Sink]) -> Run:
        """Start the run of a cell."""
        asked = api.Question(request=self._request(cell), server=self._question(cell).server)
        return api.ask(asked, sinks=sinks, labels=self._labels(cell), log=False)

    @staticmethod
    def _make_questions(cells: Sequence[Cell], address: Address) -> dict[int, api.Question]:
        questions: dict[int, api.Question] = {}
        servers: dict[str, Server] = {}
        for cell in cells:
            if cell.variant.index in questions:
                continue
            asked = api.question(
                cell.messages,
                model=cell.variant.model,
                base_url=address.base_url,
                api_key=address.api_key,
                key_env=address.key_env,
                profile=address.profile,
                parameters=cell.variant.params,
            )
            server = servers.setdefault(asked.server.endpoint.base_url, without_retries(asked.server))
            questions[cell.variant.index] = replace(asked, server=server)
        return questions

    def _question(self, cell: Cell) -> api.Question:
        return self._questions[cell.variant.index]

    def _request(self, cell: Cell) -> ChatRequest:
        request = self._question(cell).request
        return msgspec.structs.replace(request, messages=list(cell.messages), seed=cell.seed)

    def _key(self, cell: Cell, repeat: int) -> str:
        return identity_of(self._request(cell), self._question(cell).server.endpoint, repeat=repeat).key

    def _count_repeats(self, cells: Sequence[Cell]) -> dict[int, int]:
        """The repeat index of each cell: how often this very request came before in the experiment.

        Two variants that send the same (a prompt tried against itself) are asked twice, not answered once.
        """
        counts: Counter[str] = Counter()
        repeats = {}
        for cell in cells:
            key = self._key(cell, 0)
            repeats[cell.index] = counts[key]
            counts[key] += 1
        return repeats

    def _labels(self, cell: Cell) -> dict[str, str]:
        # The run log counts a run's repeats by the label `repeat`.
        own = {"example": cell.example.id, "repeat": str(self._repeats[cell.index])}
        return {**self._shared, **labels_of(cell.variant.prompt), **own}


def without_retries(server: Server) -> Server:
    """The same server, asked once: what is refused goes back to the schedule, whose limiter then slows all."""
    connect = server.connect
    if connect is None:
        return Server(endpoint=_once(server.endpoint))

    async def connect_once(say: Callable[[str], None]) -> Endpoint:
        return _once(await connect(say))

    return Server(endpoint=_once(server.endpoint), connect=connect_once)


def _once(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, limits=replace(endpoint.limits, max_retries=0))


def endpoint_of(address: Address) -> Endpoint:
    """The server of an address, before any request.

    Raises:
        ConfigError: The settings are wrong.
    """
    asked = api.question(
        "?",
        base_url=address.base_url,
        api_key=address.api_key,
        key_env=address.key_env,
        profile=address.profile,
    )
    return asked.server.endpoint
