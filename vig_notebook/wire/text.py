r"""Text that can always be written: no half of a surrogate pair is left in it.

JSON may hold halves (`"\ud83d"`), and servers cut a pair over two deltas; `str.encode` fails on them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PIECES_OF_A_BLOCK", "GrowingText", "well_formed", "well_formed_json"]

# What servers nest is under ten deep; json.dumps and whoever reads it later go on for about 1,000.
_DEEPEST: Final = 64

PIECES_OF_A_BLOCK: Final = 4096
"""A piece costs 50 bytes beside its letters: so many are joined to one."""


def well_formed(text: str) -> str:
    """`text` with surrogate pairs joined, and each half that has no other as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def well_formed_json(value: object, *, depth: int = 0) -> object:
    """A copy of `value`, as JSON decodes it, with every text in it well formed.

    Raises:
        RecursionError: it is nested more than 64 deep.
    """
    if isinstance(value, str):
        return well_formed(value)
    if not isinstance(value, list | dict):
        return value
    if depth == _DEEPEST:
        raise RecursionError(f"it is nested more than {_DEEPEST} deep")
    if isinstance(value, list):
        return [well_formed_json(item, depth=depth + 1) for item in value]
    return {well_formed(name): well_formed_json(item, depth=depth + 1) for name, item in value.items()}


class GrowingText:
    """A text that comes in pieces, of which some may end in the first half of a surrogate pair.

    One thread adds to it; its text may be asked for in any thread, at any time.

    Attributes:
        held: The first half of a pair whose second half has not come yet, or "".
        append: Puts a piece to the end that is known to be well formed, while nothing is held: the path of nearly
            every token. Whoever calls it calls `join` now and then.
    """

    __slots__ = ("_pieces", "_whole_blocks", "append", "held")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._whole_blocks = 0
        self.held = ""
        self.append = self._pieces.append

    def __str__(self) -> str:
        # Changes nothing: whoever adds may be at it in another thread.
        return "".join(self._pieces)

    def add(self, piece: str) -> str:
        """Put `piece` at the end; what came to the text by it, a first half at its end held back."""
        if not piece:
            return ""
        piece = self.held + piece
        self.held = piece[-1] if "\ud800" <= piece[-1] <= "\udbff" else ""
        piece = well_formed(piece[:-1] if self.held else piece)
        if piece:
            self.append(piece)
            self.join()
        return piece

    def join(self) -> None:
        """Join the pieces, once they are many."""
        pieces = self._pieces
        if len(pieces) - self._whole_blocks >= PIECES_OF_A_BLOCK:
            # One assignment: a reader sees either or.
            pieces[self._whole_blocks :] = ["".join(pieces[self._whole_blocks :])]
            self._whole_blocks += 1

    def end(self) -> str:
        """Nothing comes any more: what is held is U+FFFD now. What came to the text by that."""
        if not self.held:
            return ""
        self.held = ""
        return self.add("\ufffd")
