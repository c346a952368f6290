"""Answers from the log instead of from a server: the notebook runs again with no key and no network."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from vig_notebook.errors import ConfigError
from vig_notebook.settings import mask
from vig_notebook.store.log import Store
from vig_notebook.store.rows import REPLAYED
from vig_notebook.wire.accumulate import CompletionBuilder, Timings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.store.records import Record
    from vig_notebook.wire.accumulate import Completion
    from vig_notebook.wire.chat import ChatCompletionChunk, ChatRequest

__all__ = ["Mode", "Pace", "Replay", "Replayed", "replayed_chunks"]

Mode: TypeAlias = Literal["off", "on", "only"]
Pace: TypeAlias = Literal["recorded", "instant"]

_STAND_INS: Final = frozenset({"demo", "local"})
"""Servers that answer where no other was chosen: then the answer of any server is what was meant."""


class Replay:
    """A `Source` of runs: gives the recorded answer of a request that the log knows.

    A request is the same when its identity key is, with the repeat index: the third time that a notebook asks
    the same thing it gets the third answer. Where no server is chosen (the demo server or the local model stands
    in), and in the mode "only", the answer may be another server's. A run answered so has the label `replayed`.

    Attributes:
        mode: "off" answers nothing; "on" what the log has; "only" refuses the rest.
        pace: "recorded" takes the time that the answer took; "instant" none.
    """

    def __init__(
        self, mode: Mode, source: Store | str | Path, *, pace: Pace = "instant", name: str | None = None
    ) -> None:
        """Learn which answers there are. Waits for the log: not for the streaming thread.

        Args:
            mode: "off", "on" or "only".
            source: The log, or an exported file (a cassette).
            pace: "recorded" or "instant".
            name: What `source` is called in sentences.

        Raises:
            ConfigError: The log or the file cannot be read, or a word is none of these.
        """
        _check("mode", mode, ("off", "on", "only"))
        _check("pace", pace, ("recorded", "instant"))
        self.mode: Mode = mode
        self.pace: Pace = pace
        self._name = name or ("the run log" if isinstance(source, Store) else Path(source).name)
        self._own = mode != "off" and not isinstance(source, Store)
        if mode == "off":
            return
        self._store = source if isinstance(source, Store) else Store.read(source)
        self._keys, self._any_server_keys = self._store.keys()

    def close(self) -> None:
        """Let go of a cassette; a log that was given stays open."""
        if self._own:
            self._store.close()

    def __call__(self, run: Run) -> AbstractAsyncContextManager[Replayed] | None:
        """Open the recorded answer to a run, or return None to let the server answer. Never waits.

        Raises:
            ConfigError: The mode is "only" and there is no such answer.
        """
        if self.mode == "off":
            return None
        identity = self._store.repeats.identity(run)
        if identity.key in self._keys:
            return self._open(run, identity.key, any_server=False)
        if self._takes_any_server(run.endpoint) and identity.any_server_key in self._any_server_keys:
            return self._open(run, identity.any_server_key, any_server=True)
        if self.mode == "only":
            self._store.repeats.give_back(run)
            raise self._missing(run.request, run.endpoint)
        return None

    def _takes_any_server(self, endpoint: Endpoint) -> bool:
        return self.mode == "only" or endpoint.kind in _STAND_INS

    @asynccontextmanager
    async def _open(self, run: Run, key: str, *, any_server: bool) -> AsyncIterator[Replayed]:
        found = await asyncio.wrap_future(self._store.find_soon([key], any_server=any_server))
        if key not in found:
            raise self._missing(run.request, run.endpoint)
        _take_origin(run, found[key])
        try:
            yield Replayed(found[key], pace=self.pace)
        except BaseException:
            self._store.repeats.give_back(run)
            raise

    def _missing(self, request: ChatRequest, endpoint: Endpoint) -> ConfigError:
        last = request.to_body()["messages"][-1].get("content")
        words = mask(last if isinstance(last, str) else "a message with parts")
        shown = words if len(words) <= 60 else words[:59] + "…"
        model = request.model or endpoint.default_model
        return ConfigError(
            "There is no recorded answer",
            seen=f"{shown!r} to {model} is not in {self._name} as often as it is asked",
            advice="Ask the server for it once, with replay on instead of only (%vigthoria replay, VIG_REPLAY).",
        )


class Replayed:
    """A recorded answer as a stream. Iterate once."""

    def __init__(self, record: Record, *, pace: Pace) -> None:
        self.record = record
        self._pace = pace
        self._builder = CompletionBuilder()

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        """Iterate over the chunks, at the pace that was chosen."""
        async for chunk in replayed_chunks(self.record, pace=self._pace):
            self._builder.add(chunk)
            yield chunk

    def completion(self) -> Completion:
        """What has been replayed so far."""
        return replace(self._builder.completion(Timings()), request_id=self.record.request_id)


async def replayed_chunks(record: Record, *, pace: Pace) -> AsyncIterator[ChatCompletionChunk]:
    """Give a recorded answer piece by piece, in as many pieces as it came.

    Args:
        record: A run of the log.
        pace: "recorded" waits as long before the first piece, and as long for all, as it took then; where the
            log has no times (a cassette has none), and with "instant", there is no waiting.
    """
    if pace == "instant":
        for chunk in record.chunks():
            yield chunk
        return
    chunks = record.chunks(record.delta_count or 1)
    first_s = record.first_token_s or 0.0
    rest_s = (record.total_s or 0.0) - (record.queue_s or 0.0) - first_s
    each_s = max(rest_s, 0.0) / len(chunks)
    for number, chunk in enumerate(chunks):
        await asyncio.sleep(each_s if number else first_s)
        yield chunk


def _take_origin(run: Run, record: Record) -> None:
    """Let the run say who answered then, and with which model; no key is needed for it."""
    run.labels[REPLAYED] = record.id
    run.request = msgspec.structs.replace(run.request, model=record.model or run.request.model)
    run.endpoint = record.endpoint()


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"The replay {name} is not known", seen=repr(value), advice=f"Take {' or '.join(known)}.")
