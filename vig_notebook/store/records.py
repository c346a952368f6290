"""A run as the log has it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vig_notebook.errors import ConfigError
from vig_notebook.settings import Endpoint
from vig_notebook.store.identity import to_json
from vig_notebook.wire.accumulate import Completion, CompletionBuilder, Timings
from vig_notebook.wire.chat import ChatRequest, decode_chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vig_notebook.settings.endpoint import Kind
    from vig_notebook.wire.chat import ChatCompletionChunk

__all__ = ["COLUMNS", "JSON_COLUMNS", "Record"]

JSON_COLUMNS: Final = frozenset({"messages", "parameters", "tool_calls", "choices", "extra", "usage", "labels"})
_TIMES: Final = frozenset({"created_at", "ended_at"})
_NAMED: Final = ("temperature", "top_p", "max_tokens", "seed", "stop", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run as the log has it: the columns of its row, which `vig_notebook.store.schema` explains.

    `messages` and `prompt` are None where prompts are not logged; `ended_at` is None while the run goes on.
    """

    id: str
    created_at: datetime
    ended_at: datetime | None
    state: str
    base_url: str | None
    server: str | None
    model: str | None
    prompt: str | None
    messages: list[dict[str, object]] | None
    parameters: dict[str, object] | None
    text: str
    reasoning: str
    refusal: str | None
    finish_reason: str | None
    tool_calls: list[dict[str, object]] | None
    choices: list[dict[str, object]] | None
    extra: dict[str, object] | None
    delta_count: int | None
    error_kind: str | None
    error: str | None
    queue_s: float | None
    retry_wait_s: float | None
    connect_s: float | None
    first_token_s: float | None
    total_s: float | None
    usage: dict[str, object] | None
    tokens_in: int | None
    tokens_out: int | None
    answer_id: str | None
    answer_model: str | None
    request_id: str | None
    chat: str | None
    labels: dict[str, str] | None
    notebook: str | None
    cell: str | None
    key: str | None
    any_server_key: str | None

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Record:
        """Make a record of the values of `COLUMNS`."""
        names = (field.name for field in fields(cls))
        return cls(**{name: _value(name, value) for name, value in zip(names, row, strict=True)})

    def with_text(self, text: str, reasoning: str) -> Record:
        """The same run with another text: that of a run which goes on is not in its row."""
        return replace(self, text=text, reasoning=reasoning)

    def request(self) -> ChatRequest:
        """The request, to be asked again.

        Raises:
            ConfigError: Prompts were not logged.
        """
        if self.messages is None:
            raise ConfigError("The run cannot be asked again", seen="its prompt was not logged (log_prompts = false)")
        extra = dict(self.parameters or {})
        named: dict[str, Any] = {name: extra.pop(name) for name in _NAMED if name in extra}
        return ChatRequest(messages=list(self.messages), model=self.model or "", extra=extra, **named)

    def endpoint(self) -> Endpoint:
        """Who answered, without its key."""
        kinds: dict[str, Kind] = {"demo:": "demo", "local:": "local"}
        address = self.base_url or ""
        kind = kinds.get(address, "custom")
        return Endpoint(base_url="" if address in kinds else address, kind=kind, name=self.server or address)

    def completion(self) -> Completion:
        """What the run left behind, with the timings it had."""
        builder = CompletionBuilder()
        for chunk in self.chunks():
            builder.add(chunk)
        completion = builder.completion(self.timings())
        count = completion.delta_count if self.delta_count is None else self.delta_count
        return replace(completion, request_id=self.request_id, delta_count=count)

    def timings(self) -> Timings:
        """Where the time went."""
        return Timings(
            queue_s=self.queue_s,
            retry_wait_s=self.retry_wait_s,
            connect_s=self.connect_s,
            first_token_s=self.first_token_s,
            total_s=self.total_s,
        )

    def chunks(self, pieces: int = 1) -> list[ChatCompletionChunk]:
        """The answer as chunks of a stream: reasoning, then text, in about so many pieces, then the end."""
        total = len(self.reasoning) + len(self.text)
        size = max(-(-total // max(pieces, 1)), 1)
        deltas: list[dict[str, object]] = [{"reasoning_content": part} for part in _cut(self.reasoning, size)]
        deltas += [{"content": part} for part in _cut(self.text, size)]
        chunks = [self._chunk([{"index": 0, "delta": delta}]) for delta in deltas]
        return [*chunks, self._chunk(self._last_choices(), usage=self.usage, extra=self.extra)]

    def _last_choices(self) -> list[dict[str, object]]:
        delta = {"refusal": self.refusal, "tool_calls": self.tool_calls}
        last: dict[str, object] = {"index": 0, "delta": delta, "finish_reason": self.finish_reason}
        return [last, *(_whole_choice(choice) for choice in self.choices or [] if choice.get("index"))]

    def _chunk(
        self,
        choices: list[dict[str, object]],
        *,
        usage: dict[str, object] | None = None,
        extra: dict[str, object] | None = None,
    ) -> ChatCompletionChunk:
        members = {"id": self.answer_id, "model": self.answer_model, "choices": choices, "usage": usage}
        named = {**(extra or {}), **members}
        return decode_chunk(to_json({name: value for name, value in named.items() if value is not None}))


COLUMNS: Final = ", ".join(f"runs.{field.name}" for field in fields(Record))


def _value(name: str, value: Any) -> Any:  # noqa: ANN401  what SQLite gives
    if value is None:
        return None
    if name in JSON_COLUMNS:
        return msgspec.json.decode(value)
    return datetime.fromisoformat(value) if name in _TIMES else value


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _whole_choice(choice: dict[str, object]) -> dict[str, object]:
    """A choice of a completion as the choice of a chunk."""
    delta = {"content": choice.get("text"), "reasoning_content": choice.get("reasoning")}
    delta |= {"refusal": choice.get("refusal"), "tool_calls": choice.get("tool_calls")}
    return {"index": choice["index"], "delta": delta, "finish_reason": choice.get("finish_reason")}
