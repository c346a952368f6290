"""Which server answers, decided in this one place.

explicit base URL or profile > `VIGTHORIA_BASE_URL` > Vigthoria when `VIGTHORIA_API_KEY` is set > the local
model when it is installed > the scripted demo server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from vig_notebook.demo import DEMO, DemoServer
from vig_notebook.engine import engine
from vig_notebook.local import CONTEXT_SIZE, LocalServer, chosen, installed, local_endpoint, model_name
from vig_notebook.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vig_notebook.settings import Endpoint, Secret

__all__ = ["DEMO", "LocalModel", "Server", "choose", "local_model", "models"]

DEMO_RUNS = "the demo server's endpoint"
"""The name under which the engine keeps what is known of the demo server once it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that was chosen.

    Attributes:
        endpoint: What is known of it now.
        connect: Starts it on the streaming thread, says meanwhile what it does, and gives its final endpoint;
            None when it needs no start.
    """

    endpoint: Endpoint
    connect: Callable[[Callable[[str], None]], Awaitable[Endpoint]] | None = None


@dataclass(slots=True, kw_only=True)
class LocalModel:
    """The local model of this kernel: its server, and what it is started with.

    Attributes:
        server: Its process, started when first asked.
        gguf: The file of another model than the one that is installed.
        context_size: The most tokens of prompt and answer together.
    """

    server: LocalServer = field(default_factory=LocalServer)
    gguf: str | None = None
    context_size: int = CONTEXT_SIZE

    @property
    def endpoint(self) -> Endpoint:
        """What is known of it now.

        Raises:
            ConfigError: It is switched off.
        """
        known = local_endpoint(model_name(chosen(self.gguf)))
        running = self.server.endpoint
        return running if running is not None and running.name == known.name else known

    async def start(self, say: Callable[[str], None]) -> Endpoint:
        """Start it, or take it as it runs; cancelling the last who waits for it ends it.

        Raises:
            ConfigError: As `LocalServer.start`.
        """
        return await self.server.start(self.gguf, context_size=self.context_size, on_status=say)

    async def stop(self) -> None:
        """End its process; the next run starts it anew."""
        await self.server.stop()


def local_model() -> LocalModel:
    """The local model of this kernel. Starts nothing."""
    return cast("LocalModel", engine().kept.setdefault("the local model", LocalModel()))


def choose(
    *,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    key_env: str | None = None,
    profile: str | None = None,
) -> Server:
    """Choose the server for a request. Starts nothing.

    Raises:
        ConfigError: As `vig_notebook.settings.resolve`.
    """
    endpoint = resolve(base_url=base_url, api_key=api_key, key_env=key_env, profile=profile)
    if endpoint is not None:
        return Server(endpoint=endpoint)
    local = local_model()
    if local.gguf is not None or installed():
        return Server(endpoint=local.endpoint, connect=local.start)
    return Server(endpoint=cast("Endpoint", engine().kept.get(DEMO_RUNS, DEMO)), connect=_start_demo)


async def models(server: Server) -> list[str]:
    """The names of a server's models. On the streaming thread.

    Raises:
        VigthoriaError: As `Client.models`.
    """
    endpoint = server.endpoint if server.connect is None else await server.connect(lambda _status: None)
    return await engine().client(endpoint).models()


async def _start_demo(_say: Callable[[str], None]) -> Endpoint:
    server = await engine().shared("the demo server", _demo)
    return server.endpoint


async def _demo() -> DemoServer:
    server = DemoServer()
    await server.start()
    engine().kept[DEMO_RUNS] = server.endpoint
    return server
