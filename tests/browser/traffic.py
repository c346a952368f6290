"""What goes over the kernel's websocket: messages and bytes, by kind."""

from __future__ import annotations

import json
import struct
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocket


@dataclass
class Count:
    """One direction. A kind reads `channel/message type`, of widget messages `iopub/comm_msg:method`."""

    messages: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)

    def add(self, payload: str | bytes) -> None:
        kind = kind_of(payload)
        self.messages[kind] += 1
        self.size_bytes[kind] += len(payload)

    def clear(self) -> None:
        self.messages.clear()
        self.size_bytes.clear()


@dataclass
class Traffic:
    """Both directions: what the browser received from the kernel, and what it sent to it."""

    received: Count = field(default_factory=Count)
    sent: Count = field(default_factory=Count)

    def watch(self, page: Page) -> None:
        """Count what goes over the kernel websockets that the page opens from now on."""
        page.on("websocket", self._watch_socket)

    def unwatch(self, page: Page) -> None:
        """Count no more of the sockets that the page opens."""
        page.remove_listener("websocket", self._watch_socket)

    def clear(self) -> None:
        """Count from zero again."""
        self.received.clear()
        self.sent.clear()

    def _watch_socket(self, socket: WebSocket) -> None:
        if "/channels" in socket.url:
            socket.on("framereceived", self.received.add)
            socket.on("framesent", self.sent.add)


def kind_of(payload: str | bytes) -> str:
    """The kind of a message in Jupyter's binary websocket protocol (v1.kernel.websocket.jupyter.org)."""
    if isinstance(payload, str):
        return "text"
    (count,) = struct.unpack_from("<Q", payload)
    offsets = struct.unpack_from(f"<{count}Q", payload, 8)
    parts = [payload[begin:end] for begin, end in pairwise(offsets)]
    channel, header, _, _, content = parts[:5]
    kind = f"{channel.decode()}/{json.loads(header)['msg_type']}"
    if kind.endswith("/comm_msg"):
        data = json.loads(content).get("data", {})
        kind += f":{data.get('method', '?')}"
    return kind
