"""The chunks of one answer put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from vig_notebook.errors import TooLarge
from vig_notebook.wire.chat import decode_usual
from vig_notebook.wire.chunk import ChatCompletionChunk, Choice, Delta
from vig_notebook.wire.completion import Completion, CompletionChoice, Timings
from vig_notebook.wire.growing import GrowingChoice
from vig_notebook.wire.reported import Reported, server_reported_error
from vig_notebook.wire.text import PIECES_OF_A_BLOCK, GrowingText

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from vig_notebook.wire.chunk import Usage

    _Left = tuple[str | None, ChatCompletionChunk | None]

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
        self._choices: dict[int, GrowingChoice] = {}
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
                growing = self._choices[choice.index] = GrowingChoice(choice.index)
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

    def add_usual(self, texts: Iterator[str]) -> Generator[ChatCompletionChunk, None, _Left]:
        """`add` the data of events for as long as it is of the usual shape: the path of nearly every token.

        Each chunk is put to the answer as it is given out, and none before.

        Args:
            texts: The data of one event each; what follows the first of another shape is left in it.

        Returns:
            The data that is of another shape, or None when all was usual; and the last chunk, if any.

        Raises:
            TooLarge, ServerReportedError: as `add`.
        """
        plain, chunk = self._plain, None
        for text in texts:
            try:
                chunk = decode_usual(text)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return text, chunk
            # Nearly every chunk is a piece of text for choice 0, one at most, and nothing else.
            if (
                plain is not None
                and chunk.usage is None
                and (choices := chunk.choices)
                and not (choice := choices[0]).index
                and choice.finish_reason is None
                and (piece := (delta := choice.delta).content)
                and delta.reasoning is None
                and delta.tool_calls is None
                and delta.refusal is None
            ):
                size = self._size_bytes + (len(piece) if piece.isascii() else len(piece.encode()))
                if size <= self._max_text_bytes:
                    self._size_bytes = size
                    self._delta_count = count = self._delta_count + 1
                    plain.append(piece)
                    if not count % PIECES_OF_A_BLOCK:
                        plain.join()
                    yield chunk
                    continue
            yield self.add(chunk)
            plain = self._plain
        return None, chunk

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
