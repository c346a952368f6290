"""What the run log costs: CPU for each token, milliseconds for a search, bytes for each run.

    python benchmarks/store.py [--rows 100000] [--pairs 90]

The cost for a token is measured in pairs, with the log and without it in turn, over an answer that comes from a
server on a socket: in a `%%vigthoria` cell of a real kernel, which is what streaming is to a person, and through the
client alone, with nothing that shows the answer. The share is (with - without) / without in CPU time of the whole
process, and of the client's streaming thread, which is what holds up tokens. The CPU time of the log's own thread is
printed besides: it is all that the log adds but for two messages a run, and varies much less than the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from jupyter_client.manager import start_new_kernel

from vig_notebook.client import Client
from vig_notebook.run import Run
from vig_notebook.settings import Endpoint
from vig_notebook.store import Store
from vig_notebook.store.schema import transaction
from vig_notebook.store.words import index_words
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterator

    from vig_notebook.client import ChatStream
    from vig_notebook.errors import VigthoriaError

WORDS = [
    f"{a}{b}" for a in ("lan", "mor", "ter", "vis", "sol", "quen") for b in ("a", "ed", "ing", "or", "us", "ility")
]
EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"%s "}}]}\n\n'
)
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class CpuTimes(NamedTuple):
    """CPU seconds of one answer.

    Attributes:
        process_s: Of the whole process.
        log_s: Of the log's thread, which is in it.
        streaming_s: Of the thread that streams, where it does nothing else.
    """

    process_s: float
    log_s: float
    streaming_s: float | None = None


Pairs: TypeAlias = list[tuple[CpuTimes, CpuTimes]]
"""Without the log, and with it."""


class Server:
    """A driver over the real client, for one loop."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @asynccontextmanager
    async def slot(self, _endpoint: Endpoint) -> AsyncIterator[None]:
        """A place at the server; there is always one."""
        yield

    @asynccontextmanager
    async def open(self, run: Run, *, on_wait: Callable[[float, VigthoriaError], None]) -> AsyncIterator[ChatStream]:
        """Send the request."""
        async with self.client.stream(run.request, on_wait=on_wait) as stream:
            yield stream


async def stream_cpu_s(base_url: str, store: Store, *, log: bool) -> CpuTimes:
    """CPU times of one answer; this is the thread that streams.

    The log is waited for where nothing is logged, too: it is not logging that costs this.
    """
    endpoint = Endpoint(base_url=base_url, kind="custom", name="bench", default_model="m")
    async with Client(endpoint=endpoint) as client:
        request = ChatRequest([{"role": "user", "content": "Hi"}], model="m")
        gc.collect()
        log_begun = log_thread_s(store)
        begun, process_begun = time.thread_time(), time.process_time()
        run = Run(request, endpoint, sinks=(store.recorder(),) if log else ())
        run.own(asyncio.get_running_loop().create_task(run.drive(Server(client))))
        await run.ended()
        thread_s = time.thread_time() - begun
        store.flush()
        process_s = time.process_time() - process_begun
        if run.error:
            raise run.error
    return CpuTimes(process_s, log_thread_s(store) - log_begun, thread_s)


def log_thread_s(store: Store) -> float:
    """CPU seconds that the log's thread has taken until now."""
    return store._ask(lambda _connection: time.thread_time())


SERVE = """
import asyncio, sys
head, event, end = (bytes.fromhex(part) for part in sys.argv[1:4])
tokens, pause_s = int(sys.argv[4]), float(sys.argv[5])
async def answer(reader, writer):
    await reader.readuntil(b"}]")
    writer.write(head)
    together = 1 if pause_s else 10
    for number in range(0, tokens, together):
        writer.write(b"".join(event % b"word%d" % n for n in range(number, number + together)))
        await writer.drain()
        await asyncio.sleep(pause_s)
    writer.write(end)
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def serving(tokens: int, pause_s: float) -> Iterator[str]:
    """A server with this answer, in a process of its own; its base URL."""
    parts = [part.hex() for part in (HEAD, EVENT, END)]
    command = [sys.executable, "-c", SERVE, *parts, str(tokens), str(pause_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()


async def client_pairs(base_url: str, folder: Path, pairs: int) -> Pairs:
    """Answers through the client alone, without the log and with it."""
    store = Store(folder / "tokens.sqlite")
    await stream_cpu_s(base_url, store, log=True)  # opens the file, fills the caches
    times = []
    for number in range(pairs):
        order = (False, True) if number % 2 else (True, False)
        cpu_s = {log: await stream_cpu_s(base_url, store, log=log) for log in order}
        times.append((cpu_s[False], cpu_s[True]))
    store.close()
    return times


class Kernel:
    """A real kernel in which cells are run, without a browser."""

    def __init__(self, log: str | Path) -> None:
        self._manager, self._client = start_new_kernel(env={**os.environ, "VIG_LOG": str(log)})
        self.run("%load_ext vig_notebook")
        self.run(
            "import time\n"
            "from vig_notebook.store.current import default_store\n"
            "store = default_store()\n"
            "log_thread_s = lambda: store._ask(lambda _connection: time.thread_time())"
        )

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code: str) -> str:
        """Run a cell; what it printed."""
        printed: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "error":
                raise RuntimeError(f"{content['ename']}: {content['evalue']}")
            if message["msg_type"] == "stream":
                printed.append(content["text"])

        self._client.execute_interactive(code, output_hook=take, timeout=300)
        return "".join(printed)

    def cell_cpu_s(self, base_url: str) -> CpuTimes:
        """CPU times of one answer in a cell."""
        self.run("log_begun, begun = log_thread_s(), time.process_time()")
        self.run(f"%%vigthoria -m m --base-url {base_url} -o run\nHi")
        times = self.run(
            "_ = run.wait(), store.flush()\ntook = time.process_time() - begun\nprint(took, log_thread_s() - log_begun)"
        )
        return CpuTimes(*map(float, times.split()))


def cell_pairs(base_url: str, folder: Path, pairs: int) -> Pairs:
    """Answers in cells of two kernels, one without the log and one with it."""
    kernels = (Kernel("off"), Kernel(folder / "cells.sqlite"))
    try:
        for kernel in kernels:
            kernel.cell_cpu_s(base_url)  # imports the rest, opens the file
        times = []
        for number in range(pairs):
            order = kernels if number % 2 else kernels[::-1]
            cpu_s = {kernel: kernel.cell_cpu_s(base_url) for kernel in order}
            times.append((cpu_s[kernels[0]], cpu_s[kernels[1]]))
    finally:
        for kernel in kernels:
            kernel.close()
    return times


def costs_of_a_token(folder: Path, pairs: int) -> None:
    """Print the share of the CPU time that the log takes: at a usual pace, and as fast as it goes."""
    for tokens, pause_s in ((300, 0.01), (300, 0), (2000, 0), (20_000, 0)):
        count = max(pairs // 9, 3) if pause_s else pairs  # one takes six seconds
        print(f"{tokens} tokens at {f'{1 / pause_s:.0f}/s' if pause_s else 'full speed'}, median of {count} pairs:")
        with serving(tokens, pause_s) as base_url:
            print_pairs("in a cell", cell_pairs(base_url, folder, count), tokens)
            print_pairs("client alone", asyncio.run(client_pairs(base_url, folder, count)), tokens)


def print_pairs(place: str, pairs: Pairs, tokens: int) -> None:
    """Print what the log adds to the times."""
    log_us = [1e6 * with_log.log_s / tokens for _, with_log in pairs]
    share = statistics.median(with_log.log_s / without.process_s for without, with_log in pairs)
    print_times(f"{place}, process", [(without.process_s, with_log.process_s) for without, with_log in pairs], tokens)
    print(f"  {'its log thread':25} {statistics.median(log_us):7.2f} us a token, {share:.1%} of the process without")
    if pairs[0][0].streaming_s is not None:
        times = [(without.streaming_s or 0, with_log.streaming_s or 0) for without, with_log in pairs]
        print_times("its streaming thread", times, tokens)


def print_times(name: str, pairs_s: list[tuple[float, float]], tokens: int) -> None:
    """Print what the log adds to one of them."""
    plain, logged = (1e6 * statistics.median(times) / tokens for times in zip(*pairs_s, strict=True))
    shares = [with_log / without - 1 for without, with_log in pairs_s]
    low, _, high = statistics.quantiles(shares, n=4)
    print(
        f"  {name:25} {plain:7.2f} -> {logged:7.2f} us a token, {statistics.median(shares):+.1%} "
        f"(half of the pairs {low:+.1%} to {high:+.1%})"
    )


def fill(connection: sqlite3.Connection, rows: int) -> None:
    """Put in runs of some 60 words of prompt and 150 of answer."""
    chance = random.Random(0)  # noqa: S311  words, not secrets
    statement = (
        "INSERT INTO runs (id, created_at, ended_at, state, base_url, server, model, prompt, messages, parameters,"
        " text, usage, labels, key, any_server_key, host, pid, process_start) VALUES (?, ?, ?, ?, 'https://x/v1',"
        " 'x', ?, ?, ?, '{}', ?, '{}', '{}', ?, ?, 'host', 1, 'x')"
    )
    with transaction(connection):
        for number in range(rows):
            prompt, text = (" ".join(chance.choices(WORDS, k=k)) + f" {number}" for k in (60, 150))
            moment = f"2026-{1 + number * 12 // rows:02}-01T00:{number // 60 % 60:02}:{number % 60:02}.000+00:00"
            state = "failed" if number % 5000 == 7 else "done"
            messages = f'[{{"content":"{prompt}","role":"user"}}]'
            row = (f"{number:08x}{0:024x}", moment, moment, state, f"m{number % 3}", prompt, messages, text)
            connection.execute(statement, (*row, f"{number:032x}", f"{number:032x}"))
    index_words(connection)


def time_of_a_search(folder: Path, rows: int) -> None:
    """Print how long searches take among many rows, and how large they are."""
    path = folder / "rows.sqlite"
    store = Store(path)
    begun = time.perf_counter()
    store._ask(lambda connection: fill(connection, rows))
    print(f"{rows} rows: written in {time.perf_counter() - begun:.1f} s")
    store.close()
    print(f"file {path.stat().st_size / 1e6:.0f} MB, {path.stat().st_size / rows:.0f} bytes a run")
    store = Store(path)
    begun = time.perf_counter()
    store.flush()
    print(f"opening {1000 * (time.perf_counter() - begun):.1f} ms")
    searches: list[tuple[str, Callable[[], object]]] = [
        ("newest 20", lambda: store.search()),
        ("a word in every run", lambda: store.search("lana")),
        ("two such words", lambda: store.search("lana vised")),
        ("a phrase", lambda: store.search('"lana moring terus"')),
        ("the beginning of a word", lambda: store.search("que")),
        ("a word in one run", lambda: store.search("54321")),
        ("no such word", lambda: store.search("nowhere")),
        ("signs that no index has", lambda: store.search("->")),
        ("a word and such signs", lambda: store.search("54321 ->")),
        ("a word and a rare state", lambda: store.search("lana", state="failed")),
        ("state", lambda: store.search(state="failed")),
        ("a state that none has", lambda: store.search(state="interrupted")),
        ("model", lambda: store.search(model="m1")),
        ("a model that none has", lambda: store.search(model="none")),
        ("since", lambda: store.search(since="2026-06-01")),
        ("an id", lambda: store.get(f"{5:08x}{0:024x}")),
        ("a beginning of an id", lambda: store.get(f"{99:08x}")),
        ("a key", lambda: store.find_all([f"{5:032x}"])),
        ("all keys, for replay", lambda: store.keys()),
    ]
    for name, search in searches:
        times: list[float] = []
        found: object = None
        for _ in range(5):
            begun = time.perf_counter()
            found = search()
            times.append(1000 * (time.perf_counter() - begun))
        count = len(found) if isinstance(found, list) else ""
        print(f"{name:26} {statistics.median(times):8.1f} ms  (first {times[0]:.1f})  {count}")
    begun = time.perf_counter()
    store.forget(f"{9:08x}")
    print(f"forgetting a run {time.perf_counter() - begun:.1f} s")
    store.close()


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=90)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs_of_a_token(Path(folder), given.pairs)
        time_of_a_search(Path(folder), given.rows)


if __name__ == "__main__":
    main()
