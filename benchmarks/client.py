"""CPU time for each chunk of an answer, and the delay of its first: the client beside bare loops.

    python benchmarks/client.py [--chunks 50000] [--rounds 5]

The server runs in a process of its own, on loopback. CPU time is that of this process. Every round runs all
readers one after the other, so that a busy machine slows them alike; the best round of each counts.

- bare: aiohttp and msgspec, and nothing but splitting and decoding chunks;
- text_only: the same, but only the text of a chunk is decoded;
- document: the loop that the user's document shows (`async for line`, `json.loads`);
- client: `Client.stream`, with all that it looks after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from vig_notebook.client import Client
from vig_notebook.wire.chat import ChatCompletionChunk, ChatRequest, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REQUEST = ChatRequest(messages=[{"role": "user", "content": "benchmark"}], model="any")
CHUNK = (
    b'data: {"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1700000000,"model":"some-model",'
    b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}\n\n'
)
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
FIGURE_RATIO = 1.6
FIGURE_FIRST_TOKEN_S = 0.003


class _SmallDelta(msgspec.Struct):
    content: str | None = None


class _SmallChoice(msgspec.Struct):
    delta: _SmallDelta


class _SmallChunk(msgspec.Struct):
    choices: list[_SmallChoice]


_DECODE_ALL = msgspec.json.Decoder(ChatCompletionChunk, dec_hook=lambda _, members: Usage.from_dict(members)).decode
_DECODE_TEXT = msgspec.json.Decoder(_SmallChunk).decode


async def serve(chunks: int) -> None:
    """Answer on a free port until stdin ends; the path says how many chunks go into one write."""
    server = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, chunks), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunks: int) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    per_write = int(head.split(b"/", 2)[1])
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    if not per_write:  # one token, and when it was sent
        await asyncio.sleep(0.02)
        sent = b'data: {"choices":[{"delta":{"content":"%r"}}]}\n\n' % time.monotonic()
        writer.write(b"%x\r\n%b\r\n" % (len(sent), sent))
        await asyncio.sleep(0.02)
    piece = CHUNK * per_write
    for _ in range(chunks // per_write if per_write else 0):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END))
    await writer.drain()
    writer.close()


async def _split_and_decode(base_url: str, decode: Callable[[bytes], Any]) -> int:
    count, buffer = 0, b""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=REQUEST.to_body()) as response,
    ):
        async for data in response.content.iter_any():
            *lines, buffer = (buffer + data).split(b"\n\n")
            for line in lines:
                if line != b"data: [DONE]":
                    count += len(decode(line[6:]).choices)
    return count


async def bare(base_url: str) -> int:
    """Split and decode, and nothing else: every member of a chunk."""
    return await _split_and_decode(base_url, _DECODE_ALL)


async def text_only(base_url: str) -> int:
    """Split and decode nothing but the text: less than any client can do."""
    return await _split_and_decode(base_url, _DECODE_TEXT)


async def document(base_url: str) -> int:
    """The loop of the user's document."""
    count = 0
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=REQUEST.to_body()) as response,
    ):
        full_text = ""
        async for raw in response.content:
            line = raw.decode("utf-8").strip()
            if line.startswith("data: ") and line != "data: [DONE]":
                data = json.loads(line[6:])
                full_text += data["choices"][0].get("delta", {}).get("content", "")
                count += 1
    return count


async def client(base_url: str) -> int:
    """The client of this package."""
    count = 0
    async with Client(base_url) as ours, ours.stream(REQUEST) as chunks:
        async for _ in chunks:
            count += 1
    return count


async def _first_token_raw(base_url: str) -> float:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=REQUEST.to_body()) as response,
    ):
        data = await response.content.readany()
        return time.monotonic() - float(data.split(b'"')[7])


async def _first_token_ours(base_url: str) -> float:
    async with Client(base_url) as ours, ours.stream(REQUEST) as chunks:
        async for chunk in chunks:
            return time.monotonic() - float(chunk.choices[0].delta.content or 0)
    raise AssertionError("no token came")


def _cpu_s(reader: Callable[[str], Awaitable[int]], base_url: str, chunks: int) -> float:
    async def run() -> float:
        begun = time.process_time()
        assert await reader(base_url) >= chunks
        return time.process_time() - begun

    return asyncio.run(run())


def _measure(origin: str, per_write: int, chunks: int, rounds: int) -> None:
    readers = (bare, text_only, document, client)
    times: dict[str, list[float]] = {reader.__name__: [] for reader in readers}
    for _ in range(rounds):
        for reader in readers:
            times[reader.__name__].append(_cpu_s(reader, f"{origin}/{per_write}", chunks))
    base = min(times["bare"])
    for name, taken in times.items():
        print(
            f"{per_write:>3} chunks a write  {name:<10}{min(taken) / chunks * 1e6:8.2f} µs a chunk"
            f"{min(taken) / base:8.2f} x bare"
        )
    print(f"    figure: client at most {FIGURE_RATIO} x bare")


async def _first_tokens(origin: str, rounds: int) -> None:
    raw, ours = [], []
    for _ in range(rounds):
        raw.append(await _first_token_raw(f"{origin}/0"))
        ours.append(await _first_token_ours(f"{origin}/0"))
    later_s = statistics.median(ours) - statistics.median(raw)
    print(
        f"first token: raw read {statistics.median(raw) * 1e3:.2f} ms, client {statistics.median(ours) * 1e3:.2f} ms "
        f"after it was sent; {later_s * 1e3:.2f} ms later (figure: {FIGURE_FIRST_TOKEN_S * 1e3:g} ms)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.chunks))
        return
    command = [sys.executable, __file__, "--serve", "--chunks", str(given.chunks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        origin = f"http://127.0.0.1:{int(server.stdout.readline())}"
        for per_write in (1, 50):
            _measure(origin, per_write, given.chunks, given.rounds)
        asyncio.run(_first_tokens(origin, 10 * given.rounds))
        server.terminate()


if __name__ == "__main__":
    main()
