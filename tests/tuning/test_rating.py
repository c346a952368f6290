from __future__ import annotations

import pytest

from tests.tuning.grids import answered, cells, variants
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.rating import Rating
from vig_notebook.tuning.responses import Response, Status, never_asked


class Votes(dict[int, str]):
    def __call__(self, response: Response, rating: str) -> None:
        self[response.cell.index] = rating


def rating(votes: Votes, examples: int = 6, seed: int | None = 3) -> Rating:
    responses = [answered(cell) for cell in cells(variants(["a{{ text }}", "b{{ text }}"]), examples, repeats=2)]
    ours = [r for r in responses if r.cell.variant.index == 1]
    return Rating(ours, [r for r in responses if r.cell.variant.index == 0], votes, seed=seed)


def side(pairs: Rating, ours: bool) -> str:
    current = pairs.current
    assert current is not None
    return "1" if (current.left.cell.variant.index == 1) is ours else "2"


def test_pairs_are_in_random_order_and_place() -> None:
    pairs = rating(Votes(), examples=20).pairs
    assert {pair.example.id for pair in pairs} == {str(i) for i in range(1, 21)}
    assert [pair.example.id for pair in pairs] != [str(i) for i in range(1, 21)]
    left = [pair.left.cell.variant.index for pair in pairs]
    assert 4 <= sum(left) <= 16
    assert all(pair.left.cell.repeat == 0 for pair in pairs)


def test_votes_count_for_the_variant_wherever_it_stands() -> None:
    votes = Votes()
    pairs = rating(votes)
    for ours in (True, True, False):
        assert pairs.press(side(pairs, ours))
    assert pairs.press("0")
    assert pairs.press("s")
    found = pairs.result()
    assert (found.wins, found.losses, found.ties, found.open) == (2, 1, 1, 2)
    assert str(found) == "p2@v1 2 : 1 p1@v1, 1 tie, 2 still open (p = 1.000 by the exact sign test without the ties)."
    assert sorted(votes.values()) == ["", "", "loss", "loss", "loss", "tie", "tie", "win", "win", "win"]
    assert pairs.voted == 4


def test_undo_takes_back_the_last_key() -> None:
    votes = Votes()
    pairs = rating(votes)
    assert not pairs.press("u")
    pairs.press("1")
    pairs.move(-1)
    pairs.press("2")
    assert pairs.press("u")
    assert (pairs.position, pairs.voted) == (0, 1)
    pairs.press("u")
    assert pairs.voted == 0
    assert set(votes.values()) == {""}


def test_arrows_stay_within_the_pairs() -> None:
    pairs = rating(Votes(), examples=2)
    pairs.move(-1)
    assert pairs.position == 0
    pairs.move(1)
    pairs.move(1)
    assert pairs.position == 2
    pairs.move(1)
    assert pairs.current is None
    assert not pairs.press("1")
    assert "1 tie" not in str(pairs.result())


@pytest.mark.parametrize("key", ["x", "", "12", "Enter"])
def test_other_keys_mean_nothing(key: str) -> None:
    pairs = rating(Votes())
    assert not pairs.press(key)
    assert pairs.position == 0


def test_nothing_to_rate_is_said() -> None:
    found = [never_asked(cell) for cell in cells(variants(["a", "b"]))]
    with pytest.raises(ConfigError, match="There is nothing to rate"):
        Rating(found[:1], found[1:], Votes())
    assert found[0].status is Status.STOPPED


def test_winner_is_known_once_voted() -> None:
    votes = rating(Votes())
    first, second, third = votes.pairs[:3]
    votes.press("1")
    votes.press("0")
    assert votes.winner(first) is first.left
    assert votes.winner(second) is False
    assert votes.winner(third) is None
