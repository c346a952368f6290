"""Playing an answer at its pace, whole or broken off on purpose."""

from __future__ import annotations

import asyncio
import math
from itertools import islice
from typing import TYPE_CHECKING, Final

from aiohttp import web

from vig_notebook.demo.faults import BREAKS, REPORTED_ERROR
from vig_notebook.wire.sse import ServerSentEvent, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vig_notebook.demo.chunks import Reply
    from vig_notebook.demo.models import Tempo

__all__ = ["play_stream", "play_whole"]

# A write of this size costs little more than a small one; a paced stream never gets there.
_WRITE_BYTES: Final = 16 * 1024
# Where the faults break off: late enough that there is text, early enough that much is missing.
_BROKEN_SHARE: Final = 0.4


async def play_stream(request: web.Request, reply: Reply, tempo: Tempo) -> web.StreamResponse:
    """Send an answer token by token. Headers go out at once, as from a server that still thinks."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Request-Id": reply.id}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    fault = reply.body.model if reply.body.model in BREAKS else ""
    rows = islice(reply.rows(), math.ceil(reply.length * _BROKEN_SHARE)) if fault else reply.rows()
    await _write_paced(response, rows, tempo)
    if fault == "demo-error":
        await response.write(encode(ServerSentEvent(data=REPORTED_ERROR.decode())))
    elif fault:
        await _break_off(request, fault)
    else:
        await response.write(reply.ending())
    return response


async def play_whole(request: web.Request, reply: Reply, tempo: Tempo) -> web.StreamResponse:
    """Send an answer in one piece, when its last token is due."""
    await asyncio.sleep(tempo.due_s(reply.length))
    whole = reply.whole()
    if reply.body.model == "demo-error":
        return web.Response(body=REPORTED_ERROR, content_type="application/json")
    if reply.body.model not in BREAKS:
        return web.Response(body=whole, content_type="application/json", headers={"X-Request-Id": reply.id})
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
    await response.prepare(request)
    await response.write(whole[: math.ceil(len(whole) * _BROKEN_SHARE)])
    await _break_off(request, reply.body.model)
    return response


async def _write_paced(response: web.StreamResponse, rows: Iterable[bytes], tempo: Tempo) -> None:
    """Write each row when it is due; rows that are due together go out in one write."""
    clock = asyncio.get_running_loop().time
    start = clock()
    batch = bytearray()
    for token, row in enumerate(rows):
        wait_s = start + tempo.due_s(token) - clock()
        if wait_s > 0 or len(batch) >= _WRITE_BYTES:
            await response.write(bytes(batch))
            batch.clear()
            await asyncio.sleep(max(0.0, wait_s))
        batch += row
    await response.write(bytes(batch))


async def _break_off(request: web.Request, fault: str) -> None:
    """Cut the connection after what was written; or fall silent until the client hangs up."""
    if fault == "demo-stall":
        await asyncio.Event().wait()
    else:
        request.protocol.force_close()
