"""The sinks of a run: one that fails is dropped, and takes neither the answer nor the others with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from vig_notebook.sinks import TextSink

if TYPE_CHECKING:
    from vig_notebook.run.run import Run
    from vig_notebook.sinks import Sink
    from vig_notebook.wire.chat import Delta

__all__ = ["Outlets"]

_log = logging.getLogger(__name__)


class Outlets:
    """Where a run's text goes. On the streaming thread only."""

    def __init__(self, sinks: tuple[Sink, ...], name: str) -> None:
        self._name = name
        self._sinks = list(sinks)
        self._writing = [sink for sink in sinks if isinstance(sink, TextSink)]
        self._is_begun = False

    def start(self, run: Run) -> None:
        """Tell all of the start."""
        self._is_begun = True
        self._tell("start", run, *self._sinks)

    def write(self, delta: Delta) -> None:
        """Give all the next piece."""
        self._write(delta, *self._writing)

    def finish(self, run: Run) -> None:
        """Tell all of the end, and let them go."""
        self._tell("finish", run, *self._sinks)
        self._sinks, self._writing = [], []

    def follow(self, sink: Sink, run: Run, so_far: Delta | None) -> None:
        """Tell one more: of the start, where that was told, and of what has come."""
        self._sinks.append(sink)
        if self._is_begun:
            self._tell("start", run, sink)
        if isinstance(sink, TextSink) and sink in self._sinks:
            self._writing.append(sink)
            if so_far is not None:
                self._write(so_far, sink)

    def _tell(self, verb: Literal["start", "finish"], run: Run, *sinks: Sink) -> None:
        for sink in sinks:
            try:
                getattr(sink, verb)(run)
            except (Exception, SystemExit):  # noqa: BLE001  a broken display or log must not take the answer with it
                self._drop(sink)

    def _write(self, delta: Delta, *sinks: TextSink) -> None:
        for sink in sinks:
            try:
                sink.write(delta)
            except (Exception, SystemExit):  # noqa: BLE001  as above
                self._drop(sink)

    def _drop(self, sink: Sink) -> None:
        self._sinks.remove(sink)
        self._writing = [other for other in self._writing if other is not sink]
        _log.exception("a sink of run %s failed and was dropped; the run goes on", self._name)
