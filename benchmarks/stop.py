"""How long after `Run.stop()` the server sees the close: 100 stops in mid-answer, each on its own connection.

python benchmarks/stop.py
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from vig_notebook.api import start
from vig_notebook.engine import engine

STOPS = 100
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Closes:
    """A server that streams for ever and notes when each client has gone."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.seen = threading.Semaphore(0)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result()

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        streaming = asyncio.ensure_future(self._stream(writer))
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.at.append(time.perf_counter())
        self.seen.release()
        streaming.cancel()
        writer.close()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(CHUNK)
            await asyncio.sleep(0.01)


def main() -> None:
    """Print the times."""
    server = Closes()
    delays_ms: list[float] = []
    missed = kept = 0
    for _ in range(STOPS):
        run = start("Go on", base_url=f"http://127.0.0.1:{server.port}/v1")
        while len(run.text_so_far) < 10:
            time.sleep(0.002)
        asked = time.perf_counter()
        run.stop()
        if not server.seen.acquire(timeout=2):
            missed += 1
            continue
        delays_ms.append((server.at[-1] - asked) * 1000)
        run.wait()
        kept += run.text == run.text_so_far and run.state.name == "STOPPED"
    delays_ms.sort()
    print(f"{STOPS} stops: {missed} missed, {kept} kept their text")
    print(f"server sees the close: median {statistics.median(delays_ms):.1f} ms, p95 {delays_ms[94]:.1f} ms")
    engine().close()


if __name__ == "__main__":
    main()
