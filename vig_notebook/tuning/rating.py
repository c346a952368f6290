"""A person's choice between two variants, blind: in random order, on random sides, by keys.

`1` or `2`: that one is better; `0`: a tie; `s`: skip; `u`: undo. The text of the pair is all that may be shown
before the last vote: which side is which is in `result`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vig_notebook.errors import ConfigError
from vig_notebook.tuning import statistics
from vig_notebook.tuning.judging import PairVerdicts, agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vig_notebook.tuning.dataset import Example
    from vig_notebook.tuning.judging import Agreement, PairJudging
    from vig_notebook.tuning.responses import Response

__all__ = ["Pair", "Rating", "RatingResult"]

KEYS = frozenset("120s")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two answers to one example, side by side."""

    example: Example
    left: Response
    right: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingResult:
    """What the votes say so far. `str(result)` says it in a sentence.

    Attributes:
        variant: Label of the one variant.
        other: Label of the other.
        wins: Votes for the variant.
        losses: Votes for the other.
        ties: Votes for neither.
        open: Pairs without a vote.
        p_value: Of the exact sign test; ties are left out.
        agreements: How far the judges agree, where there are any.
    """

    variant: str
    other: str
    wins: int
    losses: int
    ties: int
    open: int
    p_value: float
    agreements: Sequence[Agreement] = ()

    def __str__(self) -> str:
        ties = f"{self.ties} tie{'' if self.ties == 1 else 's'}"
        still = f", {self.open} still open" if self.open else ""
        test = f"p = {self.p_value:.3f} by the exact sign test without the ties"
        result = f"{self.variant} {self.wins} : {self.losses} {self.other}, {ties}{still} ({test})."
        return " ".join([result, *map(str, self.agreements)])


class Rating:
    """The pairs of two variants and the votes on them.

    Attributes:
        pairs: In the order of showing.
        position: Index of the pair that is shown.
    """

    def __init__(
        self,
        ours: Sequence[Response],
        others: Sequence[Response],
        record: Callable[[Response, str], object],
        *,
        seed: int | None = None,
        judges: Sequence[str] = (),
    ) -> None:
        """Pair the first whole answer to each example on either side.

        Args:
            ours: Responses of the one variant.
            others: Responses of the other.
            record: Takes a response and its rating: win, loss, tie, or empty.
            seed: For the order and the sides; None takes another each time.
            judges: Names of the scores that a judge gave.

        Raises:
            ConfigError: No example has an answer on both sides.
        """
        one, two = _first_whole(ours), _first_whole(others)
        chance = random.Random(seed)  # noqa: S311  no secret hangs on it
        pairs = [Pair(response.cell.example, response, two[key]) for key, response in one.items() if key in two]
        if not pairs:
            raise ConfigError(
                "There is nothing to rate", seen="no example has an answer of both", advice="Run the experiment first"
            )
        chance.shuffle(pairs)
        self.pairs = [p if chance.random() < 0.5 else Pair(p.example, p.right, p.left) for p in pairs]
        self.position = 0
        self._variant = ours[0].cell.variant
        self._other = others[0].cell.variant
        self._record = record
        self._judges = judges
        self._judging: PairJudging | None = None
        self._votes: dict[int, str] = {}
        self._past: list[tuple[int, str | None]] = []

    def judged_by(self, judging: PairJudging) -> None:
        """Have a judge's verdicts on the pairs told in the result, beside the votes."""
        self._judging = judging

    @property
    def current(self) -> Pair | None:
        """The pair that is shown; None after the last."""
        return self.pairs[self.position] if self.position < len(self.pairs) else None

    @property
    def voted(self) -> int:
        """How many pairs have a vote."""
        return len(self._votes)

    def press(self, key: str) -> bool:
        """Take a key, and show the next pair.

        Returns:
            Whether the key means anything now.
        """
        if key == "u":
            return self._undo()
        if self.current is None or key not in KEYS:
            return False
        self._past.append((self.position, self._votes.get(self.position)))
        self._set(self.position, None if key == "s" else key)
        self.position += 1
        return True

    def move(self, step: int) -> None:
        """Show a pair before (-1) or after (1) this one, without a vote."""
        self.position = min(max(0, self.position + step), len(self.pairs))

    def winner(self, pair: Pair) -> Response | Literal[False] | None:
        """The answer that was voted better; False for a tie, None without a vote. To be shown after the end only."""
        key = self._votes.get(self.pairs.index(pair))
        return None if key is None else {"1": pair.left, "2": pair.right}.get(key, False)

    def result(self) -> RatingResult:
        """What the votes say so far."""
        counts = {"win": 0, "loss": 0, "tie": 0}
        for index, key in self._votes.items():
            counts[self._ratings(self.pairs[index], key)[0]] += 1
        wins, losses = counts["win"], counts["loss"]
        return RatingResult(
            variant=self._variant.label,
            other=self._other.label,
            wins=wins,
            losses=losses,
            ties=counts["tie"],
            open=len(self.pairs) - self.voted,
            p_value=statistics.sign_test(wins, losses),
            agreements=self._agreements(),
        )

    def verdicts(self) -> PairVerdicts:
        """What the judge says of the pairs so far, for the variant against the other."""
        why = self._judging.first_error() if self._judging is not None else ""
        return PairVerdicts.of(map(self._turned, self.pairs), why=why)

    def _turned(self, pair: Pair) -> tuple[int, bool | None] | None:
        verdict = self._judging.verdict(pair) if self._judging is not None else None
        if verdict is None:
            return None
        return (verdict[0] if pair.left.cell.variant is self._variant else -verdict[0]), verdict[1]

    def _agreements(self) -> list[Agreement]:
        votes = [(self.pairs[index], {"1": 1, "2": -1}.get(key, 0)) for index, key in self._votes.items()]
        found = [
            agreement(name, [(side, _preferred(pair, name)) for pair, side in votes]) for name in self._judges if votes
        ]
        if self._judging is not None:
            sides = [(side, (self._judging.verdict(pair) or (None,))[0]) for pair, side in votes]
            all_of_them = self.verdicts()
            own = all_of_them.self_agreement
            found.append(agreement("The judge", sides, self_agreement=own, why=all_of_them.why))
        return found

    def _undo(self) -> bool:
        if not self._past:
            return False
        self.position, before = self._past.pop()
        self._set(self.position, before)
        return True

    def _set(self, index: int, key: str | None) -> None:
        pair = self.pairs[index]
        if key is None:
            self._votes.pop(index, None)
            ours, other = "", ""
        else:
            self._votes[index] = key
            ours, other = self._ratings(pair, key)
        left_is_ours = pair.left.cell.variant is self._variant
        self._record(pair.left, ours if left_is_ours else other)
        self._record(pair.right, other if left_is_ours else ours)

    def _ratings(self, pair: Pair, key: str) -> tuple[str, str]:
        """The ratings of our variant's answer and of the other's."""
        if key == "0":
            return "tie", "tie"
        winner = pair.left if key == "1" else pair.right
        return ("win", "loss") if winner.cell.variant is self._variant else ("loss", "win")


def _preferred(pair: Pair, score: str) -> int | None:
    """The side with the higher score: 1 the left, -1 the right, 0 neither; None where one has no score."""
    left, right = (one.scores.get(score) for one in (pair.left, pair.right))
    if left is None or right is None or left.value is None or right.value is None:
        return None
    return (left.value > right.value) - (left.value < right.value)


def _first_whole(responses: Sequence[Response]) -> dict[str, Response]:
    found: dict[str, Response] = {}
    for response in sorted(responses, key=lambda one: one.cell.index):
        if response.status.whole:
            found.setdefault(response.cell.example.id, response)
    return found
