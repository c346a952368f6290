r"""Text that can always be written: no half of a surrogate pair is left in it.

JSON may hold halves (`"\ud83d"`), and servers cut a pair over two deltas; `str.encode` fails on them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["GrowingText", "well_formed", "well_formed_json"]

# What servers nest is under ten deep; json.dumps and whoever reads it later go on for about 1,000.
_DEEPEST: Final = 64


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

    Attributes:
        pieces: What has come. Whoever knows that a piece is well formed and that nothing is held
            may append to it.
        held: The first half of a pair whose second half has not come yet, or "".
    """

    __slots__ = ("held", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.held = ""

    def __str__(self) -> str:
        if len(self.pieces) > 1:
            self.pieces[:] = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def add(self, piece: str) -> str:
        """Put `piece` at the end; what came to the text by it, a first half at its end held back."""
        if not piece:
            return ""
        piece = self.held + piece
        self.held = piece[-1] if "\ud800" <= piece[-1] <= "\udbff" else ""
        piece = well_formed(piece[:-1] if self.held else piece)
        if piece:
            self.pieces.append(piece)
        return piece

    def end(self) -> str:
        """Nothing comes any more: what is held is U+FFFD now. What came to the text by that."""
        if not self.held:
            return ""
        self.held = ""
        return self.add("\ufffd")
