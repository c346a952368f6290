"""`ChatStream`: the answer to one request, chunk by chunk, until it is whole or an error says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from vig_notebook.client.foreign import cut_off
from vig_notebook.client.replies import DONE, AnswerBody
from vig_notebook.errors import ProtocolError, TimedOut, Truncated, VigthoriaError
from vig_notebook.wire.accumulate import CompletionBuilder, Timings
from vig_notebook.wire.chat import ChatCompletionChunk, decode_chunk, is_done
from vig_notebook.wire.lenient_json import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from vig_notebook.client.exchange import Exchange
    from vig_notebook.settings import Limits
    from vig_notebook.wire.accumulate import Completion
    from vig_notebook.wire.sse import ServerSentEvent

__all__ = ["ChatStream"]

_OWN_EVENTS: Final = frozenset({"message", "error"})
# In an event of another name; without them it is the server's own, such as a status for people.
_TELLING: Final = ('"choices"', '"error"')


class ChatStream:
    """An answer as it comes: iterate over its chunks; `async with` opens and closes it.

    ```
    async with client.stream(request) as chunks:
        async for chunk in chunks: ...
    ```

    The iteration ends when the answer is whole: a finish reason or `[DONE]` has come. Whatever else
    ends it is an error, whose `completion` is what had arrived. A stream is read by one task.

    Args:
        begin: Makes the exchange, in the running loop.
        limits: The caps and the times.
        choices: How many answers were asked for.

    Attributes:
        status: The HTTP status; None before the answer.
        request_id: The server's name for the request, for its support.
    """

    def __init__(self, begin: Callable[[], Exchange], limits: Limits, *, choices: int = 1) -> None:
        self._begin = begin
        self._limits = limits
        self._exchange: Exchange | None = None
        self._body: AnswerBody | None = None
        self._builder = CompletionBuilder(max_text_bytes=limits.max_text_bytes, max_choices=limits.max_choices)
        self._choices = choices
        # Made one by one while they are read, so that what is completed is what was given out.
        self._chunks: Iterator[ChatCompletionChunk] = iter(())
        self._end: TimedOut | Truncated | None = None  # no more bytes come; the error, if that was too early
        self._has_begun = False
        self._first_token_s: float | None = None
        self._total_s: float | None = None
        self.status: int | None = None
        self.request_id: str | None = None

    async def __aenter__(self) -> Self:
        exchange = self._exchange = self._begin()
        opened = False
        try:
            await exchange.open()
            exchange.watchdog.begin("idle", self._limits.idle_timeout_s)
            self._body = AnswerBody(self._limits, place=exchange.place, content_type=exchange.content_type)
            opened = True
        except VigthoriaError as error:
            self._note(error)
            raise
        finally:
            self.status, self.request_id = exchange.status, exchange.request_id
            if not opened:
                self._close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        try:
            for chunk in self._chunks:
                return chunk
            while self._total_s is None:
                await self._read()
                for chunk in self._chunks:
                    return chunk
        except VigthoriaError as error:
            self._note(error)
            # The frames below hold what the server sent, and with it whatever it echoes.
            error.__context__ = None
            raise error.with_traceback(None) from None
        raise StopAsyncIteration

    def completion(self) -> Completion:
        """What has arrived up to now. Call it at any time, also after an error and after the end."""
        exchange = self._exchange
        if exchange is None:
            return self._builder.completion()
        timings = Timings(
            queue_s=exchange.queue_s,
            retry_wait_s=exchange.retry_wait_s,
            connect_s=exchange.connect_s,
            first_token_s=self._first_token_s,
            total_s=self._total_s,
        )
        return self._builder.completion(timings, request_id=exchange.request_id)

    async def _read(self) -> None:
        """Get the events that the next bytes complete; after the last ones, decide how it ended."""
        exchange, body = self._exchange, self._body
        if exchange is None or body is None:
            raise RuntimeError("open the stream first: async with client.stream(request) as chunks")
        if self._end is not None:
            self._finish(body, self._end)
            return
        try:
            data = await exchange.read()
        except TimedOut as error:
            if exchange.watchdog.phase == "grace":
                self._close(whole=True)
                return
            events = body.whole_reply()
            if not events:
                raise
            self._end, self._chunks = error, self._chunks_of(events)
            return
        except Truncated as error:
            self._end = error
            data = b""
        if data:
            self._take(body, data)
        else:
            if self._end is None and exchange.is_framed:
                self._choices = 1  # many servers do not know n; this one has said all that it will
            self._end = self._end or cut_off(exchange.place, "" if self._has_begun else "nothing came")
            self._chunks = self._last_chunks_of(body.flush())

    def _take(self, body: AnswerBody, data: bytes) -> None:
        self._has_begun = True
        texts = body.feed_usual(data) if self._first_token_s is not None else None
        if texts is not None:
            if data[-2:] != b"\n\n" and body.ends_in_done:
                texts.append(DONE.data)
            self._chunks = self._usual_chunks_of(texts)
            return
        events = body.feed(data)
        if data[-2:] != b"\n\n" and body.ends_in_done:
            events.append(DONE)  # the server may hold the connection: no line end comes
        self._chunks = self._chunks_of(events)

    def _finish(self, body: AnswerBody, cut: TimedOut | Truncated) -> None:
        """Decide whether the answer is whole, when no more bytes come.

        Raises:
            Truncated: neither a finish reason for each choice nor `[DONE]` came.
            TimedOut: the limit ran out after JSON that is no answer.
            ProtocolError: it was something other than an answer.
        """
        if not (self._builder.finished and self._has_all_choices()):
            raise (body.misfit() if self._first_token_s is None else None) or cut
        self._close(whole=True)

    def _usual_chunks_of(self, texts: list[str]) -> Iterator[ChatCompletionChunk]:
        """The chunks of one read of a stream that is under way: the path of nearly every token."""
        builder, left = self._builder, iter(texts)
        before = builder.delta_count
        odd, chunk = yield from builder.add_usual(left)
        while odd is not None:
            if is_done(odd):
                yield from self._done()
                return
            yield builder.add(chunk := decode_chunk(odd))
            odd, last = yield from builder.add_usual(left)
            chunk = last or chunk
        if builder.delta_count > before:
            self._progress()
        if chunk is not None:
            self._look_for_finish(chunk)

    def _chunks_of(self, events: list[ServerSentEvent]) -> Iterator[ChatCompletionChunk]:
        """The chunks of the events of one read, whatever they are."""
        decode, add = decode_chunk, self._builder.add
        chunk = None
        has_moved = False
        for event in events:
            data = event.data
            if data[-1:] == "}" and event.event == "message":
                chunk = add(decode(data))
            elif is_done(data) and event.event != "error":
                yield from self._done()
                return
            elif event.event in _OWN_EVENTS or any(member in data for member in _TELLING):
                chunk = add(decode(data, event=event.event))
            else:
                continue
            if not has_moved and _has_content(chunk):
                has_moved = _has_text(chunk)
                self._progress(text=has_moved)
            yield chunk
        if chunk is not None:
            self._look_for_finish(chunk)

    def _last_chunks_of(self, events: list[ServerSentEvent]) -> Iterator[ChatCompletionChunk]:
        """The chunks of what the end of the stream completed: the last event may be cut."""
        try:
            yield from self._chunks_of(events)
        except ProtocolError:
            if _is_json(events[-1].data):
                raise

    def _done(self) -> Iterator[ChatCompletionChunk]:
        """`[DONE]` is acted on at once."""
        rest = self._builder.mark_done()
        self._close(whole=True)
        if rest is not None:
            yield rest

    def _progress(self, *, text: bool = True) -> None:
        exchange = self._exchange
        if exchange is not None:
            if text or exchange.watchdog.phase != "grace":  # whoever says again that it is over has nothing new
                exchange.watchdog.progress()
            if self._first_token_s is None:
                self._first_token_s = exchange.elapsed_s

    def _look_for_finish(self, last: ChatCompletionChunk) -> None:
        """After the last finish reason only usage and `[DONE]` come, if anything."""
        if last.choices and not last.choices[0].finish_reason and last.choices[0].delta.content:
            return  # nearly always: the text goes on
        exchange = self._exchange
        if exchange is None or exchange.watchdog.phase == "grace":
            return
        if self._builder.finished and self._has_all_choices():
            exchange.watchdog.begin("grace", self._limits.finish_grace_s)

    def _has_all_choices(self) -> bool:
        return self._choices == 1 or len(self._builder.completion().choices) >= self._choices

    def _note(self, error: VigthoriaError) -> None:
        """Put what is known of the answer into an error, and take keys out of its words."""
        self._close()
        error.completion = self.completion()
        exchange = self._exchange
        assert exchange is not None  # noqa: S101 - it is what failed
        error.status = error.status or exchange.status
        error.request_id = error.request_id or exchange.request_id
        words = exchange.place.words
        error.what, error.seen = words(error.what), words(error.seen)
        error.server_message = error.server_message and words(error.server_message)
        error.code = error.code and words(error.code)

    def _close(self, *, whole: bool = False) -> None:
        """End the exchange, and the iteration with it; a second call does nothing."""
        if self._exchange is not None and self._total_s is None:
            self._total_s = self._exchange.elapsed_s
            self._chunks = iter(())
            self._exchange.close(whole=whole)


def _has_content(chunk: ChatCompletionChunk) -> bool:
    """Whether it brings what the reader waits for: not only a role, usage or a sign of life."""
    return _has_text(chunk) or any(choice.finish_reason for choice in chunk.choices)


def _has_text(chunk: ChatCompletionChunk) -> bool:
    for choice in chunk.choices:
        delta = choice.delta
        if delta.content or delta.reasoning or delta.tool_calls or delta.refusal:
            return True
    return False


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except (ValueError, RecursionError):
        return False
    return True
