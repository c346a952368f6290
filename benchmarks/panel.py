"""The panel with a long conversation: what a new turn costs, in bytes to the browser and in time.

    python benchmarks/panel.py [--turns 200] [--pace 0]

A kernel of its own shows a panel as to a person, and the demo server answers with about 2 kB each time. Counted are
the messages of the kernel to the browser, those of the record beside the panel apart: a page of the record is sent
again until it has five turns. The test fails when the last turns cost noticeably more than the first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

BLOCK = 20
LIMIT_S = 120.0
MOST_GROWTH = 1.25
"""Bytes of the last block over those of the second; the first has the making of the pages."""

SETUP = "import vig_notebook as vig\npanel = vig.Panel(model='demo-long', max_tokens=450)"
SEND = """
for _ in range({count}):
    _run = panel.send("Write a long story about a lighthouse " + "and the sea " * 10)
    _run.wait()
print(sum(len(turn.answer) for turn in panel.chat.turns[-{count}:]) // {count})
"""


def main() -> int:
    """Print one line for each block of turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--pace", type=float, default=0, help="tokens a second; 0 is as fast as it goes")
    options = parser.parse_args()
    settings = {"VIG_LOCAL_MODEL": "off", "VIG_DEMO_PACE": str(options.pace)}
    manager, client = start_new_kernel(env=os.environ | settings)
    try:
        return measure(client, options.turns)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def measure(client: BlockingKernelClient, turns: int) -> int:
    """Send the turns and count."""
    run(client, SETUP)
    run(client, "panel")
    print(f"{'turns':>9}{'answer':>9}{'panel':>12}{'record':>12}{'messages':>10}{'time':>9}   each a turn")
    costs = []
    for first in range(0, turns, BLOCK):
        began = time.monotonic()
        sizes, counts, printed = run(client, SEND.format(count=BLOCK))
        took_ms = (time.monotonic() - began) / BLOCK * 1000
        record = sizes["display_data"] + sizes["update_display_data"]
        panel = sizes["comm_open"] + sizes["comm_msg"]
        messages = sum(counts.values()) / BLOCK
        print(
            f"{first + 1:>4}-{first + BLOCK:<4}{printed.strip():>7} B{panel // BLOCK:>10,} B{record // BLOCK:>10,} B"
            f"{messages:>10.0f}{took_ms:>6.0f} ms"
        )
        costs.append((panel + record) / BLOCK)
    growth = costs[-1] / costs[min(1, len(costs) - 1)]
    print(f"the last {BLOCK} turns cost {growth:.2f} times the bytes of the second {BLOCK}")
    return 0 if growth <= MOST_GROWTH else 1


def run(client: BlockingKernelClient, code: str) -> tuple[Counter[str], Counter[str], str]:
    """Run a cell as a person does; bytes and counts of the messages by kind, and what was printed."""
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    printed: list[str] = []

    def count(message: dict[str, Any]) -> None:
        kind = message["msg_type"]
        sizes[kind] += len(json.dumps(message["content"])) + len(json.dumps(message["metadata"]))
        counts[kind] += 1
        if kind == "stream":
            printed.append(message["content"]["text"])

    # Not `execute_interactive`: it leaves out what belongs to another cell, and the record belongs to the panel's.
    asked = client.execute(code, allow_stdin=True)
    while not is_end(message := client.get_iopub_msg(timeout=LIMIT_S), asked):
        count(message)
    reply = client.get_shell_msg(timeout=LIMIT_S)
    if reply["content"]["status"] != "ok":
        raise RuntimeError("\n".join(reply["content"].get("traceback", [])))
    return sizes, counts, "".join(printed)


def is_end(message: dict[str, Any], asked: str) -> bool:
    """Whether the kernel says with this message that it is through with the cell."""
    is_idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
    return bool(is_idle and message["parent_header"].get("msg_id") == asked)


if __name__ == "__main__":
    sys.exit(main())
