"""A cassette that is recorded and replayed: answers in memory, and a file for git that has the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.run import RunState
from vig_notebook.store.log import Store
from vig_notebook.store.rows import REPLAYED

if TYPE_CHECKING:
    from concurrent.futures import Future

    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink

__all__ = ["Cassette"]


class Cassette:
    """The answers of a JSON Lines file; new ones are added to it.

    Attributes:
        store: Its answers, in memory.
        warning: Why it could not be written, in a sentence, or None.
    """

    def __init__(self, path: str | Path, *, missing_ok: bool = False) -> None:
        """Read the file.

        Raises:
            ConfigError: It is not such a file, or there is none and it may not be missing.
        """
        # Whole, because the notebook may change the folder later.
        self._path = Path(path).expanduser().absolute()
        self.store = Store.read(self._path, missing_ok=missing_ok)
        self.warning: str | None = None

    @property
    def name(self) -> str:
        """Its name in sentences."""
        return self._path.name

    def recorder(self) -> Sink:
        """Make the sink that adds a run to it."""
        return _Taping(self, self.store.recorder())

    def save(self) -> None:
        """Write the file soon. Never waits; that it could not be written is said in `warning`."""
        with suppress(ConfigError):  # closed: a run that outlives its cassette is not in it
            self.store.export_cassette_soon(self._path).add_done_callback(self._note)

    def close(self) -> None:
        """Write what waits, and let go of the answers."""
        self.store.close()

    def _note(self, saving: Future[int]) -> None:
        error = saving.exception()
        self.warning = str(error) if error is not None else None


class _Taping:
    """A sink that keeps a whole answer in the cassette."""

    def __init__(self, cassette: Cassette, recorder: Sink) -> None:
        self._cassette = cassette
        self._recorder = recorder

    def start(self, run: Run) -> None:
        self._recorder.start(run)

    def finish(self, run: Run) -> None:
        self._recorder.finish(run)
        if run.state is RunState.DONE and REPLAYED not in run.labels:
            self._cassette.save()
