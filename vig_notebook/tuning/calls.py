"""A judge's calls: through the limiter of their server, counted in the budget, stopped with everything else.

```
scorer on a thread ──ask──> the log ──not there──> Schedule of this one call ──> answer
     ^                       │ there                   │ limiter, 429, stop, budget
     └──────── text ─────────┴────────────────────────┘
```

What a judge has answered is kept like any answer: scoring again, or after a crash, asks only what is missing.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vig_notebook import api
from vig_notebook.engine import engine
from vig_notebook.run import RunState
from vig_notebook.store.identity import identity_of
from vig_notebook.tuning.asking import Address, without_retries
from vig_notebook.tuning.budget import Budget
from vig_notebook.tuning.limiter import limiter_of
from vig_notebook.tuning.log import as_log
from vig_notebook.tuning.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.run import Run
    from vig_notebook.tuning.log import AnswerLog
    from vig_notebook.tuning.responses import Waits
    from vig_notebook.tuning.schedule import Finish

__all__ = ["CALLS", "Calls", "ModelAsk", "Unasked"]

REPLY_TOKENS = 64
"""A judge replies with a sentence and a number; what its prompt takes is guessed from its length."""

CHARACTERS_PER_TOKEN = 4


class Unasked(Exception):  # noqa: N818  it says what happened, as the errors of this package do
    """A judge was stopped, or not asked: what it should have said is missing, and is asked by the next round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsk:
    """Asks a judging model, at temperature 0.

    Attributes:
        model: Its name; None is the server's default.
        address: Its server; None is that of the experiment, else the one of the settings.
    """

    model: str | None = None
    address: Address | None = None

    def __call__(self, prompt: str) -> str:
        """Ask, and wait for the answer; not on the streaming thread.

        Raises:
            Unasked: It was stopped, or the budget is used up.
            VigthoriaError: The call failed.
        """
        return (CALLS.get() or Calls(Address(), as_log(None))).ask(self, prompt)


class Calls:
    """The calls of the judges of one round.

    Attributes:
        tokens: What they took, in and out.
        in_flight: How many are under way.
    """

    def __init__(
        self,
        address: Address,
        log: AnswerLog,
        *,
        max_concurrency: int = 8,
        budget: Budget | None = None,
        beside: Callable[[], int] = lambda: 0,
        recalls_only: bool = False,
    ) -> None:
        """Ask nothing yet.

        Args:
            address: The server of a judge that names none.
            log: Where answers are found and kept.
            max_concurrency: Most calls at once.
            budget: What the calls are counted in.
            beside: Tells how many other calls are under way that are counted in it.
            recalls_only: Answer from the log only.
        """
        self.tokens = 0
        self._address = address
        self._log = log
        self._budget = budget or Budget()
        self._beside = beside
        self._stopped = recalls_only
        self._places = asyncio.Semaphore(max_concurrency)
        self._schedules: set[Schedule[_Call]] = set()

    @property
    def in_flight(self) -> int:
        """How many are under way."""
        return len(self._schedules)

    def ask(self, model: ModelAsk, prompt: str) -> str:
        """Answer from the log, else ask and wait; not on the streaming thread.

        Raises:
            Unasked: It was stopped, or the budget is used up.
            VigthoriaError: The call failed.
        """
        asked = _question(model, model.address or self._address, prompt)
        key = identity_of(asked.request, asked.server.endpoint).key
        known = self._log.find([key]).get(key)
        if known is not None:
            return known.completion.text
        call = _Call(self, asked, key, tokens=len(prompt) // CHARACTERS_PER_TOKEN + REPLY_TOKENS)
        return engine().run(self._ask_in_turn(call)).result()

    def stop(self) -> None:
        """Stop all of them, and those to come. On the streaming thread."""
        self._stopped = True
        for schedule in tuple(self._schedules):
            schedule.stop()

    async def _ask_in_turn(self, call: _Call) -> str:
        async with self._places:
            if self._stopped:
                raise Unasked("The judge was stopped")
            return await self._ask(call)

    async def _ask(self, call: _Call) -> str:
        endpoint = call.asked.server.endpoint
        limiter, most_s = limiter_of(engine(), endpoint), endpoint.limits.max_retry_wait_s
        schedule = Schedule([call], call, limiter, max_concurrency=1, max_wait_s=most_s)
        self._schedules.add(schedule)
        try:
            await schedule.work()
        finally:
            self._schedules.discard(schedule)
        return call.text(self._budget.note)

    def may_ask(self, call: _Call) -> bool:
        """Whether the budget has room for a call."""
        if self._budget.has_room(self.in_flight - 1 + self._beside(), tokens=call.tokens):
            return True
        self._budget.close()
        return False

    def start(self, call: _Call, finish: Finish) -> Run:
        """Start the run of a call."""
        labels = {"judge": "yes", "repeat": "0"}  # asking the same again is no repeat: it is answered from the log
        return api.ask(call.asked, sinks=(*self._log.sinks(call.key), finish), labels=labels, log=False)

    def ended(self, run: Run) -> None:
        """Count what a call took."""
        usage = run.completion.usage
        tokens = (usage.prompt_tokens or 0 if usage else 0) + (run.completion.output_tokens or 0)
        self.tokens += tokens
        self._budget.spend(tokens)


class _Call:
    """One call, and what its schedule works for."""

    index = 0

    def __init__(self, calls: Calls, asked: api.Question, key: str, *, tokens: int) -> None:
        self.asked = asked
        self.key = key
        self.tokens = tokens
        self._calls = calls
        self._run: Run | None = None

    def ask(self, _call: _Call, finish: Finish) -> Run:
        return self._calls.start(self, finish)

    def ended(self, _call: _Call, run: Run, _waits: Waits) -> None:
        self._run = run
        self._calls.ended(run)

    def skipped(self, _call: _Call) -> None:
        """Nothing to do: a call is never stopped by its name."""

    def may_ask(self, _in_flight: int) -> bool:
        return self._calls.may_ask(self)

    def text(self, note: str) -> str:
        run = self._run
        if run is None or run.state is RunState.STOPPED:
            raise Unasked(note or "The judge was stopped")
        if run.error is not None:
            raise run.error
        return run.completion.text


def _question(model: ModelAsk, address: Address, prompt: str) -> api.Question:
    asked = api.question(
        prompt,
        model=model.model,
        base_url=address.base_url,
        api_key=address.api_key,
        key_env=address.key_env,
        profile=address.profile,
        parameters={"temperature": 0},
    )
    return replace(asked, server=without_retries(asked.server))


CALLS: ContextVar[Calls | None] = ContextVar("calls of the judges", default=None)
"""The calls of the round whose scorers run on this thread."""
