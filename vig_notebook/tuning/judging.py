"""A judge at work on pairs of answers, and how far it agrees: with itself, and with a person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vig_notebook.engine import engine
from vig_notebook.tuning import statistics
from vig_notebook.tuning.scoring import WAITING_THREADS, Threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from vig_notebook.tuning.calls import Calls
    from vig_notebook.tuning.judge import PairJudge
    from vig_notebook.tuning.rating import Pair

    Judged = Future[tuple[int, bool | None]]

__all__ = ["Agreement", "PairJudging", "PairVerdicts", "agreement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdicts:
    """What a judge says of many pairs. `str()` says it in a sentence.

    Attributes:
        wins: Pairs in which the first was better in both orders.
        losses: Pairs in which the second was.
        ties: All others: the same, said to be neither better, or not in agreement with itself.
        self_agreement: The share of the pairs it was asked that it judged the same in both orders; NaN without any.
        failed: Pairs that could not be judged, or not yet.
        p_value: Of the exact sign test; ties are left out.
        why: Why a pair could not be judged; empty when all could.
    """

    wins: int
    losses: int
    ties: int
    self_agreement: float
    failed: int
    p_value: float
    why: str = ""

    @classmethod
    def of(cls, judged: Iterable[tuple[int, bool | None] | None], *, why: str = "") -> PairVerdicts:
        """Count verdicts: the better side and whether both orders agree; None where there is none."""
        all_of_them = list(judged)
        found = [one for one in all_of_them if one is not None]
        asked = [agrees for _, agrees in found if agrees is not None]
        wins, losses = sum(side > 0 for side, _ in found), sum(side < 0 for side, _ in found)
        return cls(
            wins=wins,
            losses=losses,
            ties=len(found) - wins - losses,
            self_agreement=sum(asked) / len(asked) if asked else math.nan,
            failed=len(all_of_them) - len(found),
            p_value=statistics.sign_test(wins, losses),
            why=why,
        )

    def __str__(self) -> str:
        counts = f"{_count(self.wins, 'win')}, {_count(self.losses, 'loss', 'losses')}, {_count(self.ties, 'tie')}"
        failed = f", {self.failed} not judged{_because(self.why)}" if self.failed else ""
        test = f"p = {self.p_value:.3f} by the exact sign test without the ties"
        itself = "" if math.isnan(self.self_agreement) else f" The judge {_with_itself(self.self_agreement)}."
        return f"{counts}{failed} ({test}).{itself}"


class PairJudging:
    """The pairs of a rating, judged in both orders on threads of its own."""

    def __init__(self, judge: PairJudge, pairs: Sequence[Pair], calls: Calls) -> None:
        """Begin at once.

        Args:
            judge: The judge.
            pairs: What it judges.
            calls: What it asks through.
        """
        self._calls = calls
        threads = Threads(WAITING_THREADS, name="vig-judge", calls=calls)
        self._judged: dict[Pair, Judged] = {
            one: threads.submit(partial(judge.judge, one.left.output, one.right.output, one.example.variables))
            for one in pairs
        }
        threads.close()
        engine().askers.add(self.stop)
        for future in self._judged.values():
            future.add_done_callback(self._forget_when_done)

    def _forget_when_done(self, _future: Judged) -> None:
        if all(future.done() for future in self._judged.values()):
            engine().askers.discard(self.stop)

    def stop(self) -> None:
        """Stop its calls; what was judged stays. Whoever stops all runs does so, too."""
        engine().loop.call_soon_threadsafe(self._calls.stop)

    def wait(self) -> None:
        """Wait until every pair is judged.

        Raises:
            KeyboardInterrupt: Interrupted; the judge is stopped.
        """
        try:
            for future in self._judged.values():
                future.exception()
        except KeyboardInterrupt:
            self.stop()
            raise

    def verdict(self, pair: Pair) -> tuple[int, bool | None] | None:
        """The better side (1 left, -1 right, 0 neither), and whether both orders agree; None when not judged."""
        future = self._judged[pair]
        return future.result() if future.done() and future.exception() is None else None

    def first_error(self) -> str:
        """Why pairs could not be judged; empty when all of those done could."""
        errors = (one.exception() for one in self._judged.values() if one.done())
        return next((f"{type(error).__name__}: {error}"[:200] for error in errors if error is not None), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a judge agrees with a person. `str()` says it in a sentence.

    Attributes:
        name: Of the judge.
        same: Pairs of which both say the same.
        pairs: Pairs that both have judged.
        self_agreement: With itself in both orders; NaN where it was not asked twice.
        why: Why a pair could not be judged; empty when all could.
    """

    name: str
    same: int
    pairs: int
    self_agreement: float
    why: str = ""

    def __str__(self) -> str:
        if not self.pairs:
            return f"{self.name} has judged none of them{_because(self.why)}."
        itself = "" if math.isnan(self.self_agreement) else f", and {_with_itself(self.self_agreement)}"
        share = f"{100 * self.same / self.pairs:.0f} %"
        return f"{self.name} says the same as you on {self.same} of {_count(self.pairs, 'pair')} ({share}){itself}."


def agreement(
    name: str, sides: Iterable[tuple[int, int | None]], *, self_agreement: float = math.nan, why: str = ""
) -> Agreement:
    """Compare sides: what the person says, and what the judge says or None; 1, -1, or 0 for a tie."""
    both = [(person, judge) for person, judge in sides if judge is not None]
    same = sum(person == judge for person, judge in both)
    return Agreement(name=name, same=same, pairs=len(both), self_agreement=self_agreement, why=why)


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _with_itself(share: float) -> str:
    return f"agrees with itself in {100 * share:.0f} % of pairs, asked in both orders"


def _count(number: int, word: str, many: str = "") -> str:
    return f"{number:,} {word if number == 1 else many or word + 's'}"
