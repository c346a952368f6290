"""`Run`: one generation, for whoever asked and for the engine that drives it."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vig_notebook.answers import parse_json
from vig_notebook.ending import Ending
from vig_notebook.run.outlets import Outlets
from vig_notebook.run.plan import Plan
from vig_notebook.run.progress import Progress
from vig_notebook.run.state import RunState
from vig_notebook.run.verdict import verdict
from vig_notebook.run.waiting import refuse_endless_wait
from vig_notebook.wire.accumulate import Completion
from vig_notebook.wire.chat import Delta

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractAsyncContextManager

    from vig_notebook.errors import VigthoriaError
    from vig_notebook.settings import Endpoint
    from vig_notebook.sinks import Driver, Sink, Stream
    from vig_notebook.wire.chat import ChatCompletionChunk, ChatRequest

__all__ = ["Run"]

TURN_CHARS = 16_384
"""After this much text without a pause the others on the streaming thread, and Stop, have their turn: to render it
takes some 30 ms, and a server that sends faster would keep them waiting for as long as it sends."""


class Run:
    """One generation: request, state, text so far, timings, and how it ended.

    Made by `vig_notebook.start`, a `%%vigthoria` cell or the panel, never directly. Values wait: `text`,
    `str(run)` and `result()` block until the end, while the streaming and the painting go on in their own
    thread; `await run` awaits. `text_so_far` and `repr(run)` never wait. An interrupt (or the cancellation
    of an `await`) while waiting stops the run, as it does for an awaited `asyncio.Task`.

    Attributes:
        id: 32 hexadecimal digits, unique.
        request: What is sent. In a chat it is final once the turn before has ended.
        endpoint: The server that answers.
        state: Where the run is.
        status: A few words more on the state, such as "waiting 3 s: rate limited"; may be empty.
        error: Why the run failed, or None.
        created_at: When it was started, in UTC.
        chat: Name of the chat this is a turn of, or None.
        labels: Free words of whoever started it, such as the experiment and the prompt's version.
    """

    def __init__(
        self,
        request: ChatRequest,
        endpoint: Endpoint,
        *,
        sinks: tuple[Sink, ...] = (),
        plan: Plan | None = None,
        chat: str | None = None,
        labels: dict[str, str] | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.request = request
        self.endpoint = endpoint
        self.state = RunState.QUEUED
        self.status = ""
        self.error: VigthoriaError | None = None
        self.created_at = datetime.now(UTC)
        self.chat = chat
        self.labels = labels or {}
        self._outlets = Outlets(sinks, self.id[:8])
        self._plan = plan or Plan()
        self._progress = Progress()
        self._completion = Completion()
        self._stop_asked = False
        self._pid = os.getpid()
        self._task: asyncio.Task[None] | None = None
        self._end = Ending()

    # What a user reads.

    @property
    def text(self) -> str:
        """The whole text of the answer. Waits for the end.

        Returns:
            The text; of a stopped run, the text up to the stop.

        Raises:
            VigthoriaError: The run failed. What had come is in `text_so_far`.
            KeyboardInterrupt: The kernel was interrupted while waiting; the run is stopped.
        """
        return self.result().text

    @property
    def text_so_far(self) -> str:
        """The text that has come until now. Never waits and never raises."""
        return self._progress.text

    @property
    def reasoning_so_far(self) -> str:
        """The reasoning that has come until now. Never waits and never raises."""
        return self._progress.reasoning

    @property
    def delta_count(self) -> int:
        """How many deltas with text or reasoning have come."""
        return self._progress.delta_count

    @property
    def completion(self) -> Completion:
        """What the run has left behind until now; final once the run has ended. Never waits."""
        if self.state.ended:
            return self._completion
        return self._progress.snapshot()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, or from start to end."""
        return self._progress.elapsed_s

    @property
    def streaming_s(self) -> float:
        """Seconds since the first text or reasoning, or from it to the end; 0 before it."""
        return self._progress.streaming_s

    @property
    def silent_s(self) -> float:
        """Seconds since the latest text or reasoning, or from it to the end; 0 before the first."""
        return self._progress.silent_s

    @property
    def first_token_s(self) -> float | None:
        """Seconds from the sending of the request to the first text or reasoning, or None before it."""
        return self._progress.first_token_s

    def result(self, timeout_s: float | None = None) -> Completion:
        """Wait for the end and return what the run left behind.

        Args:
            timeout_s: Seconds to wait; None waits for as long as it takes. The run goes on after a timeout.

        Returns:
            The completion, also of a stopped run.

        Raises:
            VigthoriaError: The run failed; `.completion` of the error holds what had come.
            TimeoutError: The run had not ended after `timeout_s`.
            KeyboardInterrupt: The kernel was interrupted while waiting; the run is stopped.
            RuntimeError: As `wait`.
        """
        if not self.wait(timeout_s):
            raise TimeoutError(
                f"the run had not ended after {timeout_s} s and goes on: wait again with run.result(), or run.stop()"
            )
        if self.error is not None:
            raise self.error.with_traceback(None)  # that of each caller, not of all who asked before
        return self._completion

    def json(self) -> object:
        """Wait for the end and parse the text as JSON; a code fence around it is taken off.

        Raises:
            VigthoriaError: The run failed, or the text is not JSON.
            KeyboardInterrupt: The kernel was interrupted while waiting; the run is stopped.
        """
        return parse_json(self.text)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end without looking at how it ended.

        When it returns True the socket is closed and every sink has finished.

        Args:
            timeout_s: Seconds to wait; None waits for as long as it takes.

        Returns:
            Whether the run has ended.

        Raises:
            KeyboardInterrupt: The kernel was interrupted while waiting; the run is stopped.
            RuntimeError: Called on the streaming thread, which would wait for itself, or in a forked child.
        """
        if self._end.reached:
            return True
        refuse_endless_wait(self._pid, self._task)
        try:
            return self._end.wait(timeout_s)
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the run: cancel its task and close its socket. The text that came is kept.

        Returns at once; `wait()` tells when the socket is closed. May be called from any thread, at any
        time, any number of times; after the end it does nothing.
        """
        self._stop_asked = True
        task = self._task
        if task is not None and not self._end.reached and not task.get_loop().is_closed():
            task.get_loop().call_soon_threadsafe(task.cancel)

    def __await__(self) -> Generator[object, None, Completion]:
        """Await the end; the same value and errors as `result()`. Cancelling the await stops the run."""
        return self._wait_in_loop().__await__()

    def __str__(self) -> str:
        """The whole text; waits for the end, as `text` does."""
        return self.text

    def __repr__(self) -> str:
        """A line about the run; never waits."""
        return f"<Run {self.id[:8]} {self.state} {self.request.model} {len(self.text_so_far)} characters>"

    # What the engine calls, on the streaming thread.

    def own(self, task: asyncio.Task[None]) -> None:
        """Take the task that drives this run; its end, also before its first step, is the run's end."""
        self._task = task
        task.add_done_callback(self._finish)
        if self._stop_asked:
            task.cancel()

    async def drive(self, engine: Driver) -> None:
        """Go from QUEUED to the end of the stream.

        Raises:
            VigthoriaError: The run failed.
            asyncio.CancelledError: It was stopped.
        """
        self._outlets.start(self)
        if self._plan.after is not None:
            self.status = "waiting for the turn before"
            await self._plan.after.ended()
        if self._plan.prepare is not None:
            self.request = self._plan.prepare(self.request)
        recorded = self._plan.source(self) if self._plan.source is not None else None
        if recorded is not None:
            await self._generate(recorded)
            return
        if self._plan.connect is not None:
            self.state = RunState.CONNECTING
            self.endpoint = await self._plan.connect(self._say)
        self.state, self.status = RunState.QUEUED, "waiting for a free slot"
        async with engine.slot(self.endpoint):
            self.state, self.status = RunState.CONNECTING, ""
            await self._generate(engine.open(self, on_wait=self._waiting))

    def follow(self, sink: Sink) -> None:
        """Tell one more sink of a run that has not ended: what has come at once, the rest as it comes."""
        so_far = None
        if self.delta_count:
            so_far = Delta(self.text_so_far, self.reasoning_so_far, self._progress.snapshot().refusal)
        self._outlets.follow(sink, self, so_far)

    async def ended(self) -> None:
        """Return when the run has ended, however it ended. Cancelling this stops nothing."""
        await self._end.waited()

    async def _generate(self, opening: AbstractAsyncContextManager[Stream]) -> None:
        self._progress.begin()
        async with opening as stream:
            self._progress.stream = stream
            turn_ends = TURN_CHARS
            async for chunk in stream:
                self._take(chunk)
                if self._progress.char_count >= turn_ends:
                    turn_ends = self._progress.char_count + TURN_CHARS
                    await asyncio.sleep(0)

    def _say(self, status: str) -> None:
        self.status = status

    def _waiting(self, wait_s: float, error: VigthoriaError) -> None:
        self.status = f"waiting {wait_s:.0f} s: {error.kind.replace('_', ' ')}" if wait_s else ""

    def _take(self, chunk: ChatCompletionChunk) -> None:
        for choice in chunk.choices:
            delta = choice.delta
            if choice.index == 0 and (delta.content or delta.reasoning or delta.refusal):
                if self.state is not RunState.STREAMING:
                    self.state, self.status = RunState.STREAMING, ""
                self._progress.take(delta)
                self._outlets.write(delta)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._progress.end()
        self._completion = self._progress.snapshot()
        self.state, self.error = verdict(task, stop_asked=self._stop_asked, name=self.id[:8])
        if self.error is not None:
            self.error.completion = self._completion
        self.status = ""
        self._outlets.finish(self)
        # The answer is kept and nothing that it came by: a notebook holds its runs for as long as it is open.
        self._progress.let_go()
        self._plan, self._task = Plan(), None
        self._end.reach()

    async def _wait_in_loop(self) -> Completion:
        try:
            await self._end.waited()
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.stop()
            raise
        return self.result(0)
