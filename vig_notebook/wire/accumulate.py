"""The chunks of one answer put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from vig_notebook.errors import TooLarge
from vig_notebook.wire.chunk import ChatCompletionChunk, Choice, Delta, FunctionCall, ToolCall
from vig_notebook.wire.completion import Completion, CompletionChoice, Timings
from vig_notebook.wire.reported import Reported, server_reported_error
from vig_notebook.wire.text import PIECES_OF_A_BLOCK, GrowingText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vig_notebook.wire.chunk import Usage

__all__ = ["Completion", "CompletionBuilder", "CompletionChoice", "Timings"]

# A call without a word costs memory too, about this.
_BYTES_OF_A_CALL: Final = 64
# The members that servers add are names and counters.
_MOST_EXTRA_BYTES: Final = 64 * 1024


class CompletionBuilder:
    """Puts the chunks of one answer together.

    Args:
        max_text_bytes: The most text of all choices, reasoning and arguments included, in UTF-8.
        max_choices: The most choices.
    """

    def __init__(self, *, max_text_bytes: int = 8 * 1024 * 1024, max_choices: int = 128) -> None:
        self._max_text_bytes = max_text_bytes
        self._max_choices = max_choices
        self._choices: dict[int, _GrowingChoice] = {}
        self._delta_count = 0
        self._size_bytes = 0
        self._done = False
        self._id: str | None = None
        self._model: str | None = None
        self._usage: Usage | None = None
        self._extra: dict[str, Any] = {}
        self._extra_bytes: dict[str, int] = {}
        # The text of choice 0, when a well-formed piece can be put to it as it is.
        self._plain: GrowingText | None = None

    @property
    def text(self) -> str:
        """The text of the first choice so far: the contents of its deltas, joined."""
        return str(self._choices[min(self._choices)].text) if self._choices else ""

    @property
    def delta_count(self) -> int:
        """How many chunks brought text so far, reasoning, refusal and arguments included."""
        return self._delta_count

    @property
    def finished(self) -> bool:
        """Whether the answer is whole: `[DONE]`, or a finish reason for each choice that began."""
        choices = self._choices.values()
        return self._done or (bool(choices) and all(choice.finish_reason for choice in choices))

    def add(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        """Put a chunk to the answer, and give it back with every text in it well formed.

        Half a surrogate pair at the end of a text waits for the next delta, in `chunk` as in the
        answer: the contents of the chunks that were given back, joined, are the text.

        Raises:
            TooLarge: there is no room for it; nothing of it was put to the answer.
            ServerReportedError: its finish reason is "error"; it was put to the answer.
        """
        self._make_room(chunk)
        self._note(chunk)
        failed = False
        for choice in chunk.choices:
            growing = self._choices.get(choice.index)
            if growing is None:
                growing = self._choices[choice.index] = _GrowingChoice(choice.index)
            self._delta_count += any(_texts(choice.delta))
            growing.add(choice)
            failed = failed or choice.finish_reason == "error"
        first = self._choices.get(0)
        self._plain = first.text if first is not None and not first.text.held else None
        if self._plain is not None:
            self._plain.join()
        if failed:
            raise server_reported_error(Reported('the finish reason is "error"', code="error"))
        return chunk

    def add_usual(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        """`add` for what `wire.chat.decode_usual` gave: the path of nearly every token.

        Raises:
            TooLarge, ServerReportedError: as `add`.
        """
        plain = self._plain
        choices = chunk.choices  # one at most
        # Nearly every chunk is a piece of text for choice 0 and nothing else.
        if plain is not None and choices and chunk.usage is None:
            choice = choices[0]
            delta = choice.delta
            text = delta.content
            if (
                text
                and not choice.index
                and choice.finish_reason is None
                and delta.reasoning is None
                and delta.tool_calls is None
                and delta.refusal is None
            ):
                try:
                    size = self._size_bytes + (len(text) if text.isascii() else len(text.encode()))
                except UnicodeEncodeError:
                    return self.add(chunk)
                if size <= self._max_text_bytes:
                    self._size_bytes = size
                    self._delta_count = count = self._delta_count + 1
                    plain.append(text)
                    if not count % PIECES_OF_A_BLOCK:
                        plain.join()
                    return chunk
        return self.add(chunk)

    def mark_done(self) -> ChatCompletionChunk | None:
        """Note that `[DONE]` came. A chunk with what was still held back, if something was."""
        self._done = True
        self._plain = None
        choices = []
        for index, choice in self._choices.items():
            delta = Delta()
            if choice.end(delta):
                choices.append(Choice(index, delta))
        return ChatCompletionChunk(choices) if choices else None

    def completion(self, timings: Timings | None = None, *, request_id: str | None = None) -> Completion:
        """What has arrived so far, as a value of its own."""
        choices = tuple(self._choices[index].snapshot() for index in sorted(self._choices))
        first = choices[0] if choices else CompletionChoice()
        return Completion(
            text=first.text,
            reasoning=first.reasoning,
            refusal=first.refusal,
            finish_reason=first.finish_reason,
            tool_calls=first.tool_calls,
            choices=choices,
            usage=self._usage,
            id=self._id,
            model=self._model,
            request_id=request_id,
            extra=dict(self._extra),
            timings=timings or Timings(),
            delta_count=self._delta_count,
        )

    def _make_room(self, chunk: ChatCompletionChunk) -> None:
        indices = {choice.index for choice in chunk.choices}
        if len(self._choices.keys() | indices) > self._max_choices:
            raise _too_large("many choices", "max_choices", f"{self._max_choices:,} choices")
        size = self._size_bytes + sum(_size_bytes(choice.delta) for choice in chunk.choices)
        if size > self._max_text_bytes:
            raise _too_large("much text", "max_text_bytes", f"{self._max_text_bytes:,} bytes")
        self._size_bytes = size

    def _note(self, chunk: ChatCompletionChunk) -> None:
        """Keep what the chunk says about the whole answer."""
        self._id = self._id or chunk.id
        self._model = self._model or chunk.model
        if chunk.usage is not None and chunk.usage.to_dict():
            self._usage = chunk.usage
        own = {"system_fingerprint": chunk.system_fingerprint, "service_tier": chunk.service_tier}
        for name, value in {**own, **chunk.extra}.items():
            if value is not None and self._extra.get(name) != value:
                self._keep_extra(name, value)

    def _keep_extra(self, name: str, value: object) -> None:
        size = len(name) + len(msgspec.json.encode(value))
        others = sum(self._extra_bytes.values()) - self._extra_bytes.get(name, 0)
        if others + size <= _MOST_EXTRA_BYTES:
            self._extra[name] = value
            self._extra_bytes[name] = size


class _GrowingChoice:
    def __init__(self, index: int) -> None:
        self.index = index
        self.text = GrowingText()
        self.reasoning = GrowingText()
        self.refusal = GrowingText()
        self.finish_reason: str | None = None
        self.calls: list[_GrowingCall] = []
        self.calls_by_id: dict[str, _GrowingCall] = {}
        self.calls_by_index: dict[int, _GrowingCall] = {}
        self.calls_with_half: list[_GrowingCall] = []
        self.highest_call = -1

    def add(self, choice: Choice) -> None:
        delta = choice.delta
        if delta.content is not None:
            delta.content = self.text.add(delta.content)
        if delta.reasoning is not None:
            delta.reasoning = self.reasoning.add(delta.reasoning)
        if delta.refusal is not None:
            delta.refusal = self.refusal.add(delta.refusal)
        for piece in delta.tool_calls or ():
            call = self._call(piece)
            call.add(piece)
            if call.arguments.held:
                self.calls_with_half.append(call)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            self.end(delta)

    def end(self, delta: Delta) -> bool:
        """Put what was held back into `delta`; whether there was something."""
        text, reasoning, refusal = self.text.end(), self.reasoning.end(), self.refusal.end()
        if text:
            delta.content = (delta.content or "") + text
        if reasoning:
            delta.reasoning = (delta.reasoning or "") + reasoning
        if refusal:
            delta.refusal = (delta.refusal or "") + refusal
        rests = [(call.index, call.arguments.end()) for call in self.calls_with_half]
        self.calls_with_half.clear()
        pieces = [ToolCall(index, function=FunctionCall(arguments=rest)) for index, rest in rests if rest]
        if pieces:
            delta.tool_calls = (delta.tool_calls or []) + pieces
        return bool(text or reasoning or refusal or pieces)

    def snapshot(self) -> CompletionChoice:
        return CompletionChoice(
            index=self.index,
            text=str(self.text),
            reasoning=str(self.reasoning),
            refusal=str(self.refusal),
            finish_reason=self.finish_reason,
            tool_calls=tuple(call.snapshot() for call in sorted(self.calls, key=lambda call: call.index)),
        )

    def _call(self, piece: ToolCall) -> _GrowingCall:
        """The call that a piece belongs to: by its id, else by its index, else the last one."""
        call = self.calls_by_id.get(piece.id or "")
        if call is None:
            call = self._call_by_place(piece)
        # A second call at the place of the first is another call: some servers number all of them 0.
        if call is None or (piece.id and call.id and piece.id != call.id):
            is_free = piece.index >= 0 and piece.index not in self.calls_by_index
            call = _GrowingCall(piece.index if is_free else self.highest_call + 1)
            self.highest_call = max(self.highest_call, call.index)
            self.calls.append(call)
        if piece.id:
            self.calls_by_id[piece.id] = call
        # Both what the server calls it and what we do: the next piece may come under either.
        self.calls_by_index[call.index] = call
        if piece.index >= 0:
            self.calls_by_index[piece.index] = call
        return call

    def _call_by_place(self, piece: ToolCall) -> _GrowingCall | None:
        if piece.index >= 0:
            return self.calls_by_index.get(piece.index)
        # A name is how a call begins.
        return self.calls[-1] if self.calls and not piece.function.name else None


class _GrowingCall:
    __slots__ = ("arguments", "id", "index", "name", "type")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.type: str | None = None
        self.arguments = GrowingText()

    def add(self, piece: ToolCall) -> None:
        self.id = self.id or piece.id
        self.name = self.name or piece.function.name
        self.type = self.type or piece.type
        piece.index = self.index
        piece.function.arguments = self.arguments.add(piece.function.arguments)

    def snapshot(self) -> ToolCall:
        return ToolCall(self.index, self.id, self.type, FunctionCall(self.name, str(self.arguments)))


def _texts(delta: Delta) -> Iterator[str | None]:
    yield delta.content
    yield delta.reasoning
    yield delta.refusal
    for call in delta.tool_calls or ():
        yield call.function.arguments


def _size_bytes(delta: Delta) -> int:
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts(delta) if text)
    return size + _BYTES_OF_A_CALL * len(delta.tool_calls or ())


def _too_large(what: str, cap: str, limit: str) -> TooLarge:
    return TooLarge(
        f"The answer was stopped because it has too {what}",
        cap=cap,
        seen=f"more than {limit} ({cap})",
        advice="What had arrived is kept; ask for less, or raise the limit.",
    )
