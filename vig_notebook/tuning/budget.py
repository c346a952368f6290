"""How many tokens a round may take, and whether one more call may be asked."""

from __future__ import annotations

__all__ = ["Budget"]


class Budget:
    """The tokens of one round, in and out together. Used on the streaming thread; other threads only read.

    Attributes:
        limit: The most; None is no limit.
        spent: By the calls that have ended.
        calls: How many have.
        note: Why the rest is not asked; empty while there is room.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.spent = 0
        self.calls = 0
        self.note = ""

    def spend(self, tokens: int) -> None:
        """Note what a call has taken."""
        self.spent += tokens
        self.calls += 1

    def has_room(self, in_flight: int, *, tokens: int | None = None) -> bool:
        """Whether one more call may be asked.

        Args:
            in_flight: How many are under way, each of which will take what the others took.
            tokens: What the call will take, where that is known; else what the others took.
        """
        if self.limit is None:
            return True
        if not self.calls and tokens is None:
            return not in_flight  # one answer tells what the others will take
        mean = self.spent / self.calls if self.calls else 0.0
        return self.spent + mean * in_flight + (mean if tokens is None else tokens) <= self.limit

    def close(self) -> None:
        """Note that the limit is reached."""
        self.note = f"The rest was not asked: the budget of {self.limit:,} tokens is used up."
