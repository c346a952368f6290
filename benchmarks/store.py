"""What the run log costs: CPU for each token, milliseconds for a search, bytes for each run.

    python benchmarks/store.py [--rows 100000] [--pairs 30]

The cost for a token is measured in pairs, with the log and without it in turn, over an answer that comes through
the real client from a server on a socket: the share is (with - without) / without, in CPU time of the streaming
thread, which is what holds up tokens, and of the whole process, in which the log's own thread counts as well.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vig_notebook.client import Client
from vig_notebook.run import Run
from vig_notebook.settings import Endpoint
from vig_notebook.store import Store
from vig_notebook.store.schema import transaction
from vig_notebook.store.words import index_words
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable

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


async def stream_cpu_s(base_url: str, store: Store, *, log: bool) -> tuple[float, float]:
    """CPU seconds for one answer: of this thread, which streams, and of the process with the thread of the log.

    The log is waited for where nothing is logged, too: it is not logging that costs this.
    """
    endpoint = Endpoint(base_url=base_url, kind="custom", name="bench", default_model="m")
    async with Client(endpoint=endpoint) as client:
        request = ChatRequest([{"role": "user", "content": "Hi"}], model="m")
        gc.collect()
        begun, process_begun = time.thread_time(), time.process_time()
        run = Run(request, endpoint, sinks=(store.recorder(),) if log else ())
        run.own(asyncio.get_running_loop().create_task(run.drive(Server(client))))
        await run.ended()
        thread_s = time.thread_time() - begun
        store.flush()
        process_s = time.process_time() - process_begun
        if run.error:
            raise run.error
    return thread_s, process_s


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


async def cost_of_a_token(folder: Path, *, tokens: int, pairs: int, pause_s: float) -> None:
    """Print the share of the CPU time that the log takes."""
    parts = [part.hex() for part in (HEAD, EVENT, END)]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, *parts, str(tokens), str(pause_s), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    base_url = f"http://127.0.0.1:{int(await server.stdout.readline())}/v1"
    store = Store(folder / "tokens.sqlite")
    await stream_cpu_s(base_url, store, log=True)  # opens the file, fills the caches
    pairs_s = []
    for number in range(pairs):
        order = (False, True) if number % 2 else (True, False)
        cpu_s = {log: await stream_cpu_s(base_url, store, log=log) for log in order}
        pairs_s.append((cpu_s[False], cpu_s[True]))
    store.close()
    server.kill()
    await server.wait()
    print(f"{tokens} tokens at {f'{1 / pause_s:.0f}/s' if pause_s else 'full speed'}, median of {pairs} pairs:")
    for place, name in enumerate(("streaming thread", "whole process")):
        print_pairs(name, [(without[place], with_log[place]) for without, with_log in pairs_s], tokens)


def print_pairs(name: str, pairs_s: list[tuple[float, float]], tokens: int) -> None:
    """Print what the log adds to a time."""
    plain, logged = (1e6 * statistics.median(times) / tokens for times in zip(*pairs_s, strict=True))
    shares = [with_log / without - 1 for without, with_log in pairs_s]
    low, _, high = statistics.quantiles(shares, n=4)
    print(
        f"  {name:17} {plain:7.2f} -> {logged:7.2f} us a token, {statistics.median(shares):+.1%} "
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
        ("a key", lambda: store.find(f"{5:032x}")),
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
    parser.add_argument("--pairs", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for tokens in (300, 2000, 20_000):
            asyncio.run(cost_of_a_token(Path(folder), tokens=tokens, pairs=given.pairs, pause_s=0))
        for tokens in (100, 300):
            asyncio.run(cost_of_a_token(Path(folder), tokens=tokens, pairs=6, pause_s=0.01))
        time_of_a_search(Path(folder), given.rows)


if __name__ == "__main__":
    main()
