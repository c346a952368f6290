"""Identity of a request: what makes two requests the same question, so that one answer serves both.

The key covers base URL, model, messages, parameters, seed and the repeat index: without the last, ten
repeats of one request would all be answered by the first answer.
"""

from __future__ import annotations

import bisect
import hashlib
import threading
import weakref
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vig_notebook.wire.text import well_formed_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.wire.chat import ChatRequest

__all__ = ["Identity", "Repeats", "identity_key", "identity_of", "question_of", "server_of", "to_json"]

_HOW_IT_IS_SENT: Final = frozenset({"model", "messages", "seed", "stream", "stream_options", "return_progress"})

_OWN_SERVERS: Final = frozenset({"demo", "local"})
"""Started by us at a new port each time: their address says nothing about the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Keys of a request and its repeat.

    Attributes:
        key: With the server; the same question to another server is another one.
        any_server_key: Without the server, and without the model where the request left it to the server:
            finds an answer where there is no key and so no server to ask.
    """

    key: str
    any_server_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """The members of a request that its answer depends on."""

    model: str
    messages: Sequence[Any]
    params: Mapping[str, Any]
    seed: int | None


def identity_key(
    base_url: str,
    model: str,
    messages: Sequence[object],
    params: Mapping[str, object],
    *,
    seed: int | None = None,
    repeat: int = 0,
) -> str:
    """Give the identity key of a request: 32 hexadecimal digits, the same in every process.

    Args:
        base_url: The server; for the demo server and the local model use `identity_of`.
        model: The model that is asked for.
        messages: The messages as they are sent, dicts or `Message`.
        params: The other members of the request, without those that are None.
        seed: The seed of the request.
        repeat: How often this same request came before.
    """
    whole = [base_url, model, messages, params, seed, repeat]
    return hashlib.sha256(to_json(whole)).hexdigest()[:32]


def identity_of(request: ChatRequest, endpoint: Endpoint, *, repeat: int = 0) -> Identity:
    """Give the keys of what would be sent to `endpoint`."""
    return _identity(question_of(request, endpoint), endpoint, repeat)


def server_of(endpoint: Endpoint) -> str:
    """Name a server for good: by its base URL, or `demo:` and `local:` for those whose address changes."""
    return f"{endpoint.kind}:" if endpoint.kind in _OWN_SERVERS else endpoint.base_url


def question_of(request: ChatRequest, endpoint: Endpoint) -> _Question:
    """Take apart what would be sent to `endpoint`."""
    body = request.to_body()
    return _Question(
        model=body.get("model") or endpoint.default_model,
        messages=body["messages"],
        params={name: value for name, value in body.items() if name not in _HOW_IT_IS_SENT},
        seed=body.get("seed"),
    )


def to_json(value: object) -> bytes:
    """Encode with sorted keys; what JSON cannot say becomes its text, so that a log row never fails for it."""
    try:
        return msgspec.json.encode(value, order="sorted", enc_hook=str)
    except UnicodeEncodeError:  # half a surrogate pair
        plain = msgspec.to_builtins(value, enc_hook=str)
        return msgspec.json.encode(well_formed_json(plain), order="sorted")


def _identity(question: _Question, endpoint: Endpoint, repeat: int) -> Identity:
    any_model = "" if question.model == endpoint.default_model else question.model
    rest = (question.messages, question.params)
    return Identity(
        key=identity_key(server_of(endpoint), question.model, *rest, seed=question.seed, repeat=repeat),
        any_server_key=identity_key("", any_model, *rest, seed=question.seed, repeat=repeat),
    )


class Repeats:
    """Counts how often each request came before in this process. Safe to use from several threads.

    A run that ends without a whole answer gives its number back: the notebook that runs again asks once what was
    asked twice because the first time failed, and finds the answer under the number that it looks for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._free: dict[str, list[int]] = {}  # numbers that were given back, smallest first
        self._given: weakref.WeakKeyDictionary[Run, tuple[str, int]] = weakref.WeakKeyDictionary()

    def identity(self, run: Run) -> Identity:
        """Give the keys of a run, with its repeat index; the same each time it is asked for this run.

        A run with a label `repeat` (an experiment counts its own repeats) has that one.
        """
        label = run.labels.get("repeat", "")
        if label.isdecimal():
            return identity_of(run.request, run.endpoint, repeat=int(label))
        question = question_of(run.request, run.endpoint)
        first = _identity(question, run.endpoint, 0)
        repeat = self._count(run, first.key)
        return _identity(question, run.endpoint, repeat) if repeat else first

    def give_back(self, run: Run) -> None:
        """Let the next run with the same request have the number of this one."""
        with self._lock:
            given = self._given.pop(run, None)
            if given is not None:
                bisect.insort(self._free.setdefault(given[0], []), given[1])

    def _count(self, run: Run, key: str) -> int:
        with self._lock:
            given = self._given.get(run)
            if given is None or given[0] != key:
                given = self._given[run] = (key, self._next(key))
            return given[1]

    def _next(self, key: str) -> int:
        if free := self._free.get(key):
            return free.pop(0)
        self._counts[key] += 1
        return self._counts[key] - 1
