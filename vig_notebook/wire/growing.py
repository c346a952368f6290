"""One choice of an answer while it grows: its text, its reasoning and its tool calls, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vig_notebook.wire.chunk import FunctionCall, ToolCall
from vig_notebook.wire.completion import CompletionChoice
from vig_notebook.wire.text import GrowingText

if TYPE_CHECKING:
    from vig_notebook.wire.chunk import Choice, Delta

__all__ = ["GrowingChoice"]


class GrowingChoice:
    """One choice of an answer while its deltas come.

    Attributes:
        index: Its place.
        text: Its text so far; so are `reasoning` and `refusal`.
        finish_reason: Why it ended, or None while it goes on.
    """

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
        """Put a piece of it to the rest, and make every text in the piece well formed."""
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
        """What has come so far, as a value of its own."""
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
