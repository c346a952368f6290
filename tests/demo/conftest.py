"""A demo server that runs as fast as it goes, and a client of another make for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from vig_notebook.demo import DemoServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_S = 10.0


class Caller:
    """Asks a demo server with plain aiohttp."""

    def __init__(self, session: aiohttp.ClientSession, server: DemoServer) -> None:
        self.session = session
        self.server = server
        self.url = f"{server.base_url}/chat/completions"

    async def reply(self, prompt: str = "Explain rain", **members: Any) -> dict[str, Any]:
        """The whole reply, without streaming."""
        async with self.session.post(self.url, json=request(prompt, **members)) as response:
            assert response.status == 200, await response.text()
            reply: dict[str, Any] = await response.json()
        return reply

    async def text(self, prompt: str = "Explain rain", **members: Any) -> str:
        """The text of the whole reply."""
        reply = await self.reply(prompt, **members)
        return str(reply["choices"][0]["message"]["content"])

    async def chunks(self, prompt: str = "Explain rain", **members: Any) -> list[Any]:
        """The data of each event of a stream, decoded; [DONE] is the text "[DONE]"."""
        async with self.session.post(self.url, json=request(prompt, stream=True, **members)) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            body = await response.text()
        events = body.split("\n\n")
        assert events.pop() == ""
        assert all(event.startswith("data: ") for event in events)
        return [text if (text := event[6:]) == "[DONE]" else json.loads(text) for event in events]

    async def refused(self, body: Any = None, **members: Any) -> tuple[int, dict[str, Any]]:
        """Status and error object."""
        body = request("Explain rain", **members) if body is None else body
        async with self.session.post(self.url, json=body) as response:
            reply = await response.json()
            assert set(reply["error"]) == {"message", "type", "param", "code"}
            return response.status, reply["error"]


def request(prompt: str, **members: Any) -> dict[str, Any]:
    """A request with one user message."""
    return {"model": "demo", "messages": [{"role": "user", "content": prompt}], **members}


def content(chunks: list[Any], index: int = 0, member: str = "content") -> str:
    """The joined deltas of one choice."""
    choices = [choice for chunk in chunks if chunk != "[DONE]" for choice in chunk.get("choices", [])]
    return "".join(choice["delta"].get(member) or "" for choice in choices if choice["index"] == index)


@pytest.fixture
async def server() -> AsyncIterator[DemoServer]:
    """A started server."""
    server = DemoServer(pace=0)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def caller(server: DemoServer) -> AsyncIterator[Caller]:
    """A client that has the server's token."""
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    headers = {"Authorization": f"Bearer {server.token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield Caller(session, server)
