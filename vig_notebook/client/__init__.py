"""The client: one POST, and its answer as an async iterator of chunks. The only room that knows aiohttp's errors.

```
Client ──> ChatStream ──> Exchange ──> Connections (aiohttp)
               │              ├──> Guard + Watchdog: every wait has a limit, every error is ours
               │              ├──> retries: only before the first byte
               │              └──> refusals: a status becomes an error
               └──> AnswerBody ──> wire: bytes to events to chunks
```
"""

from __future__ import annotations

from vig_notebook.client.session import Client
from vig_notebook.client.stream import ChatStream

__all__ = ["ChatStream", "Client"]
