"""What a terminal is shown of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tests.notebook.test_record import ended
from vig_notebook.notebook.show import _Printer
from vig_notebook.wire.chat import Delta

if TYPE_CHECKING:
    import pytest

    from vig_notebook.run import Run


def test_printer_shows_the_same_however_the_deltas_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    printer, run = _Printer(), cast("Run", ended(key="open-sesame"))
    printer.start(run)
    for piece in ("👩", "\u200d", "💻\r", "\nsk-", "1A2b3C4d5E6f", " open-", "sesame", "\x1b"):
        printer.write(Delta(content=piece))
    printer.finish(run)
    assert capsys.readouterr().out == "👩\u200d💻\n•••• ••••⟨U+001B⟩"
