"""In the place of xllamacpp: the name of the model file says how it behaves."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace


class CommonParams(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(
            model=SimpleNamespace(path=""),
            cpuparams=SimpleNamespace(n_threads=0),
            sampling=SimpleNamespace(temp=0.8, penalty_repeat=1.0),
            cpuparams_batch=SimpleNamespace(n_threads=0),
        )


class Server:
    def __init__(self, params: CommonParams) -> None:
        name = Path(params.model.path).name
        if name.startswith("slow"):
            time.sleep(60)
        if name.startswith("broken"):
            sys.stderr.write("0.00.01 I all is well\n0.00.02 E the weights are odd\n0.00.03 E more\n")
            raise RuntimeError("Failed to init server, please check the input params.")
        if name.startswith("mute"):
            raise RuntimeError("no reason")
        if name.startswith("crash"):
            os._exit(3)
        self.params = params
        self.busy = name.startswith("busy")
        threads, slots = params.cpuparams.n_threads, params.n_parallel
        self.listening_address = f"http://127.0.0.1:1/threads={threads},slots={slots},n_ctx={params.n_ctx}"

    def handle_metrics(self) -> str:
        return f"# HELP llamacpp:requests_processing x\nllamacpp:requests_processing {int(self.busy)}\n"
