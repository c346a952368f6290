"""What an experiment will take, said before a token is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from vig_notebook.tuning import power

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vig_notebook.tuning.grid import Cell
    from vig_notebook.tuning.responses import Response

    Prices = Mapping[str, tuple[float, float]]

__all__ = ["Forecast", "Plan", "cost_of", "make_plan"]

CHARACTERS_PER_TOKEN = 4.0
"""Of English text with the tokenizers in use; other languages need up to three times the tokens."""

TOKENS_OF_ANSWER = 200
"""Where neither max_tokens nor an answer says more: a paragraph."""

FIRST_TOKEN_S = 0.5
TOKENS_PER_S = 50.0
"""Where no answer says more: a hosted model of middle size."""

PRICED_TOKENS = 1_000_000
"""Prices are given for so many tokens, as every price list has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What running an experiment now would take. `str(plan)` says it in words.

    Attributes:
        calls: How many cells are asked.
        cached: How many are answered already.
        examples: Examples, all of them paired over the variants.
        variants: Variants.
        repeats: Repeats.
        tokens_in: Tokens of the requests, about.
        tokens_out: Tokens of the answers, about.
        time_s: Seconds, about, at the limit.
        max_concurrency: The limit.
        smallest_difference: The smallest true difference of a right-or-wrong score, between 0 and 1, that would be
            seen four times out of five; None without a scorer or with a single variant.
        measured: Tokens and time come from answers, and are not guessed.
        cost: In the currency of the prices; None without prices for every model.
        set_aside: Examples beside these, which are not asked.
    """

    calls: int
    cached: int
    examples: int
    variants: int
    repeats: int
    tokens_in: int
    tokens_out: int
    time_s: float
    max_concurrency: int
    smallest_difference: float | None
    measured: bool
    cost: float | None
    set_aside: int = 0

    def __str__(self) -> str:
        counts = ((self.examples, "example"), (self.variants, "variant"), (self.repeats, "repeat"))
        size = " x ".join(_count(number, word) for number, word in counts)
        size += f"; {_count(self.set_aside, 'example')} set aside" if self.set_aside else ""
        if self.calls:
            cached = f" ({self.cached:,} more cached)" if self.cached else ""
            parts = [f"{_count(self.calls, 'call')}{cached}: {size}.", *self._effort()]
        else:
            parts = [f"Nothing is left to ask ({self.cached:,} cached): {size}."]
        if self.smallest_difference is not None:
            parts.append(_difference(self.smallest_difference, self.examples))
        return " ".join(parts)

    def _effort(self) -> list[str]:
        source = "as in the answers so far" if self.measured else "guessed: there is no answer yet"
        tokens = f"{self.tokens_in:,} tokens in and {self.tokens_out:,} out"
        cost = [] if self.cost is None else [f"Cost: about {self.cost:,.2f}."]
        return [f"About {tokens}, {_time(self.time_s)} at {self.max_concurrency} at once ({source}).", *cost]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _difference(difference: float, examples: int) -> str:
    if difference >= 1:
        return f"No difference could be seen with {_count(examples, 'example')}: give more."
    points = max(1, round(100 * difference))
    return f"Smallest difference that would be seen (4 times out of 5): {_count(points, 'point')}."


def _count(number: int, word: str) -> str:
    return f"{number:,} {word if number == 1 else word + 's'}"


def make_plan(
    todo: Sequence[Cell],
    cells: Sequence[Cell],
    answered: Sequence[Response],
    *,
    max_concurrency: int,
    compared: bool,
    noise: float | None,
    prices: Prices,
    set_aside: int = 0,
) -> Plan:
    """Plan the cells that are still to be asked.

    Args:
        todo: They.
        cells: All cells.
        answered: Responses so far, which tell of tokens and time.
        max_concurrency: Calls at once.
        compared: Whether there is a scorer and something to compare, and so a difference to see.
        noise: Variance of the score from repeat to repeat, where it is known.
        prices: Of a million tokens in and out, by model.
        set_aside: How many examples are set aside.
    """
    variants = len({cell.variant.index for cell in cells})
    examples = len({cell.example.id for cell in cells})
    repeats = len(cells) // (variants * examples)
    tokens = Forecast(answered)
    by_model = tokens.by_model(todo)
    noise = power.USUAL_NOISE if noise is None else noise
    seen = power.smallest_difference(examples, repeats=repeats, noise=noise) if compared else None
    return Plan(
        calls=len(todo),
        cached=len(cells) - len(todo),
        examples=examples,
        variants=variants,
        repeats=repeats,
        tokens_in=sum(tokens_in for tokens_in, _ in by_model.values()),
        tokens_out=sum(tokens_out for _, tokens_out in by_model.values()),
        time_s=sum(map(tokens.seconds, todo)) / max_concurrency,
        max_concurrency=max_concurrency,
        smallest_difference=seen,
        measured=tokens.latency_s is not None,
        cost=cost_of(by_model, prices),
        set_aside=set_aside,
    )


class Forecast:
    """What a call is likely to take: as the answers of its variant so far, else guessed.

    Attributes:
        latency_s: Mean time of the answers so far; None before the first.
    """

    def __init__(self, answered: Iterable[Response]) -> None:
        whole = [response for response in answered if response.status.whole]
        times = [response.latency_s for response in whole if response.latency_s is not None]
        self.latency_s = fmean(times) if times else None
        self._tokens: dict[int, list[tuple[int, int]]] = {}
        for one in whole:
            counted = (one.tokens_in or _guess(one.cell), one.tokens_out or 0)
            self._tokens.setdefault(one.cell.variant.index, []).append(counted)

    def tokens(self, cell: Cell) -> tuple[int, int]:
        """Tokens in and out of one call."""
        known = self._tokens.get(cell.variant.index)
        if known:
            return round(fmean(i for i, _ in known)), round(fmean(o for _, o in known))
        most = cell.variant.params.get("max_tokens")
        return _guess(cell), most if isinstance(most, int) else TOKENS_OF_ANSWER

    def seconds(self, cell: Cell) -> float:
        """Time of one call."""
        return FIRST_TOKEN_S + self.tokens(cell)[1] / TOKENS_PER_S if self.latency_s is None else self.latency_s

    def by_model(self, cells: Iterable[Cell]) -> dict[str, tuple[int, int]]:
        """Tokens in and out of calls, by model."""
        totals: dict[str, tuple[int, int]] = {}
        for cell in cells:
            total_in, total_out = totals.get(cell.variant.model, (0, 0))
            tokens_in, tokens_out = self.tokens(cell)
            totals[cell.variant.model] = (total_in + tokens_in, total_out + tokens_out)
        return totals


def _guess(cell: Cell) -> int:
    """About so many tokens in; a message is never less than one."""
    return sum(max(1, math.ceil(len(message["content"]) / CHARACTERS_PER_TOKEN)) for message in cell.messages)


def cost_of(tokens: Mapping[str, tuple[int, int]], prices: Prices) -> float | None:
    """The cost of tokens in and out by model; None when a model has no price."""
    if not prices or tokens.keys() - prices.keys():
        return None
    return sum(
        (tokens_in * prices[model][0] + tokens_out * prices[model][1]) / PRICED_TOKENS
        for model, (tokens_in, tokens_out) in tokens.items()
    )
