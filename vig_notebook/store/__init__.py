"""The run log: nothing is lost. Every run is written to a local SQLite file while it streams.

    store = Store()                          # VIG_LOG, or the user's data folder; opens nothing yet
    run = ask(question, sinks=[store.recorder()])
    store.search("lighthouse", since="2d")   # list of Record, newest first
    Replay("only", "notebook.jsonl")         # a Source that answers runs from an exported file

`vig_notebook.store.schema` documents the file for whoever opens it with another tool.
"""

from __future__ import annotations

from vig_notebook.store.conversations import GOES_ON, continue_chat, forget_chat, fork_chat
from vig_notebook.store.current import Replaying, RunLog, default_store, run_log
from vig_notebook.store.identity import Identity, identity_key, identity_of
from vig_notebook.store.log import Store
from vig_notebook.store.outcomes import INTERRUPTED, past_of
from vig_notebook.store.recorder import Recorder
from vig_notebook.store.records import Record
from vig_notebook.store.replay import Replay, Replayed, replayed_chunks
from vig_notebook.store.rows import REPLAYED
from vig_notebook.store.search import parse_moment
from vig_notebook.store.table import history, to_table

__all__ = [
    "GOES_ON",
    "INTERRUPTED",
    "REPLAYED",
    "Identity",
    "Record",
    "Recorder",
    "Replay",
    "Replayed",
    "Replaying",
    "RunLog",
    "Store",
    "continue_chat",
    "default_store",
    "forget_chat",
    "fork_chat",
    "history",
    "identity_key",
    "identity_of",
    "parse_moment",
    "past_of",
    "replayed_chunks",
    "run_log",
    "to_table",
]
