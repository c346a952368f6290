"""What a terminal is shown of an answer, and what the status says of it."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, cast

from tests.demos import LIMIT_S
from tests.notebook.test_record import ended
from vig_notebook.notebook import words
from vig_notebook.notebook.show import _Printer
from vig_notebook.notebook.words import facts
from vig_notebook.wire.chat import Delta

if TYPE_CHECKING:
    import pytest

    from tests.demos import Demo
    from vig_notebook.run import Run


def test_printer_shows_the_same_however_the_deltas_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    printer, run = _Printer(), cast("Run", ended(key="open-sesame"))
    printer.start(run)
    for piece in ("👩", "\u200d", "💻\r", "\nsk-", "1A2b3C4d5E6f", " open-", "sesame", "\x1b"):
        printer.write(Delta(content=piece))
    printer.finish(run)
    assert capsys.readouterr().out == "👩\u200d💻\n•••• ••••⟨U+001B⟩"


def test_status_says_how_long_nothing_has_come(fast: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    class Begun(Event):
        """A sink that is set by the first piece."""

        def start(self, run: Run) -> None:
            pass

        def write(self, delta: Delta) -> None:
            self.set()

        def finish(self, run: Run) -> None:
            pass

    begun = Begun()
    run = fast.ask(model="demo-stall", sinks=(begun,))
    assert begun.wait(LIMIT_S)
    assert "nothing new" not in "".join(facts(run))
    monkeypatch.setattr(words, "SILENCE_S", 0.0)
    assert facts(run)[1] == "nothing new for 0 s"
    run.stop()
    assert run.wait(LIMIT_S)
    assert "nothing new" not in "".join(facts(run))
