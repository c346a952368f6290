"""The run log of this process: where its runs are kept, and whether they are answered from what was kept.

`VIG_LOG` and `VIG_REPLAY` say both, and so do the line commands `%vigthoria log` and `%vigthoria replay`, which come
before the environment. One exception: where `VIG_REPLAY` is `only`, a notebook's own `replay on` is `only` as well, so
that a check without network stays one.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.settings import read_environment, read_profiles
from vig_notebook.store.log import Store
from vig_notebook.store.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vig_notebook.run import Run
    from vig_notebook.sinks import Sink, Source
    from vig_notebook.store.records import Record
    from vig_notebook.store.replay import Mode, Pace

__all__ = ["Replaying", "RunLog", "default_store", "run_log"]

_MODES: Final = ("off", "on", "only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """What is answered from what was kept.

    Attributes:
        mode: "off" nothing; "on" what is there; "only" refuses the rest.
        file: The cassette, beside the notebook; None is the run log. With "on" new answers are added to it.
        pace: "recorded" takes the time that the answer took; "instant" none.
    """

    mode: Mode = "off"
    file: str | None = None
    pace: Pace = "instant"


class RunLog:
    """The log and the replay of this process. Opens nothing before the first use."""

    def __init__(self) -> None:
        # Who changes where runs are kept. Experiments ask on the streaming thread, cells on the kernel's: whoever asks
        # takes what there is, and waits for nobody who writes or reads a file to change it.
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._commanded: Replaying | None = None
        self._made_of: Replaying | None = None
        self._replay: Replay | None = None
        self._cassette: Store | None = None

    @property
    def store(self) -> Store:
        """The log.

        Raises:
            ConfigError: `VIG_LOG` or the settings are wrong.
        """
        if (store := self._store) is not None:
            return store
        with self._lock:
            if self._store is None:
                self._store = Store(log_prompts=read_profiles().log_prompts)
            return self._store

    @property
    def warning(self) -> str | None:
        """What a person should know about the log and the cassette, or None. Never waits, opens nothing."""
        cassette = self._cassette.warning if self._cassette is not None else None
        return cassette or (self._store.warning if self._store is not None else None)

    @property
    def replaying(self) -> Replaying:
        """What is answered from what was kept, as it is now.

        Raises:
            ConfigError: `VIG_REPLAY` is not understood.
        """
        return _with_environment(self._commanded)

    def use(self, path: str | Path) -> Store:
        """Keep the log elsewhere from now on; "off" keeps none. Runs that are under way stay where they began.

        Raises:
            ConfigError: It is no place for a log.
        """
        store = Store(path, log_prompts=read_profiles().log_prompts)
        try:
            store.check()
        except ConfigError:
            store.close()
            raise
        with self._lock:  # the one before lives on for the runs that began in it
            self._flush_cassette()
            self._store = store
            self._replay = self._cassette = self._made_of = None
        return store

    def replay(self, replaying: Replaying | None) -> None:
        """Answer from what was kept from now on; None leaves it to `VIG_REPLAY`.

        Raises:
            ConfigError: The cassette or the log cannot be read; everything stays as it was.
        """
        with self._lock:
            self._make(_with_environment(replaying))
            self._commanded = replaying

    def sinks(self, *, log: bool = True) -> Sequence[Sink]:
        """Make what records a run; give it to the run before it starts.

        Args:
            log: Keep it in the log; else, where one is recorded, only in the cassette.
        """
        self._refresh()
        stores = [self.store] if log else []
        if (cassette := self._cassette) is not None and self.replaying.mode == "on":
            stores.append(cassette)
        return tuple(store.recorder() for store in stores)

    def answers(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the newest whole answer of each identity key that was kept, for who asks only the others. Waits.

        A cassette that is recorded is given what the log has of them, so that it has them all. Where nothing but a
        cassette may answer, it answers the runs, and nothing is found here.

        Raises:
            ConfigError: The cassette or the log cannot be read.
        """
        self._refresh()
        wanted = list(keys)
        if (cassette := self._cassette) is None:
            return self.store.find_all(wanted)
        if self.replaying.mode == "only":
            return {}
        self.store.copy_answers(set(wanted) - cassette.find_all(wanted).keys(), cassette)
        return cassette.find_all(wanted)

    def source(self) -> Source:
        """Make what answers a run from what was kept.

        Raises:
            ConfigError: The cassette or the log cannot be read, or `VIG_REPLAY` is not understood.
        """
        self._refresh()
        return self._replay if self._replay is not None else self._count

    def close(self) -> None:
        """Save what waits and close the files."""
        for store in (self._cassette, self._store):
            if store is not None:
                store.close()
        self._replay = self._cassette = self._made_of = None

    async def stop(self) -> None:
        """As `close`, for the engine."""
        await asyncio.to_thread(self.close)

    def ready(self) -> None:
        """Read what has to be read before runs can be started, also on the streaming thread.

        Raises:
            ConfigError: As `source`.
        """
        _ = self.store
        self._refresh()

    def _count(self, run: Run) -> None:
        """Count the repeats of a request in the order in which runs are sent, and let the server answer."""
        self.store.repeats.identity(run)

    def _refresh(self) -> None:
        """Make the replay anew where what it was made of has changed."""
        if self.replaying == self._made_of:
            return
        with self._lock:
            if (now := self.replaying) != self._made_of:
                self._make(now)

    def _make(self, now: Replaying) -> None:
        """Make the replay anew; what there was stays until then, and the runs that are taped in it go on there."""
        self._flush_cassette()
        replay = cassette = None
        if now.mode != "off":
            cassette = Store.read(now.file, record=now.mode == "on") if now.file else None
            name = Path(now.file).name if now.file else None
            replay = Replay(now.mode, cassette or self.store, pace=now.pace, name=name)
        self._replay, self._cassette, self._made_of = replay, cassette, now

    def _flush_cassette(self) -> None:
        """Have what the cassette has in its file, to be read anew."""
        if self._cassette is not None:
            with suppress(ConfigError):  # its thread has ended
                self._cassette.flush()


def run_log() -> RunLog:
    """The log of this process, made when first asked for and closed when the program ends."""
    return cast("RunLog", engine().kept.setdefault("the run log", RunLog()))


def default_store() -> Store:
    """The store of the log of this process.

    Raises:
        ConfigError: `VIG_LOG` or the settings are wrong.
    """
    return run_log().store


def _with_environment(commanded: Replaying | None) -> Replaying:
    here = _of_environment()
    if commanded is None:
        return here
    if here.mode == "only" and commanded.mode == "on":
        return Replaying(mode="only", file=commanded.file or here.file, pace=commanded.pace)
    return commanded


def _of_environment() -> Replaying:
    mode, _, file = (read_environment("VIG_REPLAY") or "off").partition(" ")
    if mode not in _MODES:
        raise ConfigError(
            "VIG_REPLAY is not understood",
            seen=repr(mode[:40]),
            advice="It is off, on or only, and then the path of a cassette, if any.",
        )
    return Replaying(mode=cast("Mode", mode), file=file.strip() or None)
