"""`%vigthoria doctor`: what works between this notebook and its server, one line each, and what to do about the rest.

```
✓ server       Vigthoria (https://api.vigthoria.io/v1) answers
✗ key          VIGTHORIA_API_KEY is not accepted: Incorrect API key provided. Set it to a valid key…
– model        not known: see the key
✓ TLS          the certificate is valid
```

✓ is right, ✗ is to be put right and says how, – was not found out or is not needed. Nothing secret is shown, and
the list of models and one question of a word are all that is sent.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vig_notebook.client import Client
from vig_notebook.engine import engine
from vig_notebook.errors import (
    AuthError,
    ConfigError,
    ConnectFailed,
    PermissionDenied,
    TimedOut,
    VigthoriaError,
)
from vig_notebook.notebook.findings import Finding, versions
from vig_notebook.notebook.options import nearest
from vig_notebook.servers import choose
from vig_notebook.settings import Limits, Secret, is_loopback, read_environment, read_profiles
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vig_notebook.notebook.commands import Defaults
    from vig_notebook.servers import Server
    from vig_notebook.settings import Endpoint

__all__ = ["run_doctor"]

LIMIT_S = 8.0
"""How long the server has, the start of a local one included: a person is looking at the cell."""

CONNECT_LIMIT_S = 4.0
"""Half of it: what does not answer to a connection is no server."""

WAKE_S = 0.1
"""How often the waiting command wakes, so that an interrupt is seen while the server is silent."""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the server did.

    Attributes:
        endpoint: What was asked.
        model: The model that was asked.
        models: Its models, or why there is no list of them.
        first_token_s: Seconds to the first token, or why there was none; None when an answer without text came.
        connect_s: How much of it the connection took.
    """

    endpoint: Endpoint
    model: str
    models: list[str] | VigthoriaError = field(default_factory=list)
    first_token_s: float | VigthoriaError | None = None
    connect_s: float = 0.0

    @property
    def errors(self) -> list[VigthoriaError]:
        return [one for one in (self.first_token_s, self.models) if isinstance(one, VigthoriaError)]

    @property
    def unreached(self) -> VigthoriaError | None:
        """Why nothing at all came, or None when something did."""
        lost = [error for error in self.errors if isinstance(error, ConnectFailed | TimedOut | ConfigError)]
        return lost[0] if len(lost) == 2 else None

    @property
    def refused(self) -> VigthoriaError | None:
        """The server's word against the key."""
        return next((error for error in self.errors if isinstance(error, AuthError | PermissionDenied)), None)


def run_doctor(magic: Defaults, say: Callable[[str], None]) -> None:
    """Look at everything and say what was found, within about `LIMIT_S` seconds.

    Raises:
        KeyboardInterrupt: Interrupted; what was under way is ended.
    """
    try:
        server = choose(base_url=magic.base_url, key_env=magic.key_env, profile=magic.profile)
    except ConfigError as error:
        say(str(Finding(mark="✗", subject="settings", words=str(error))))
    else:
        variable = _key_variable(server.endpoint, magic)
        for finding in _findings(_wait(_examined(server, magic.model)), variable):
            say(str(finding))
    for finding in versions():
        say(str(finding))


def _wait(seeing: concurrent.futures.Future[_Seen]) -> _Seen:
    try:
        while not seeing.done():
            concurrent.futures.wait([seeing], timeout=WAKE_S)
        return seeing.result()
    finally:
        seeing.cancel()


def _examined(server: Server, model: str | None) -> concurrent.futures.Future[_Seen]:
    return engine().run(_examine(server, model))


async def _examine(server: Server, model: str | None) -> _Seen:
    """Ask the server, on the streaming thread."""
    seen = _Seen(endpoint=server.endpoint, model=model or server.endpoint.default_model)
    begun = time.monotonic()
    try:
        if server.connect is not None:
            async with asyncio.timeout(LIMIT_S):
                seen.endpoint = await server.connect(lambda _status: None)
    except TimeoutError:
        late = TimedOut(f"It has not started within {LIMIT_S:g} s", advice="Ask again in a moment.")
        seen.models = seen.first_token_s = late
        return seen
    except ConfigError as error:
        seen.models = seen.first_token_s = error
        return seen
    left_s = max(1.0, LIMIT_S - (time.monotonic() - begun))
    async with Client(endpoint=seen.endpoint, limits=_limits(left_s)) as client:
        await asyncio.gather(_list_models(client, seen), _ask_a_word(client, seen))
    return seen


def _limits(left_s: float) -> Limits:
    return Limits(
        connect_timeout_s=min(CONNECT_LIMIT_S, left_s),
        first_byte_timeout_s=left_s,
        idle_timeout_s=left_s,
        total_timeout_s=left_s + 1,  # the others run out first, and their sentences say more
        max_retries=0,
    )


async def _list_models(client: Client, seen: _Seen) -> None:
    try:
        seen.models = await client.models()
    except VigthoriaError as error:
        seen.models = error


async def _ask_a_word(client: Client, seen: _Seen) -> None:
    """Ask for one word and leave at the first token, which closes the socket."""
    parameters = {name: value for name, value in seen.endpoint.parameters.items() if name != "max_tokens"}
    messages = [{"role": "user", "content": "Say OK."}]
    request = ChatRequest(messages=messages, model=seen.model, max_tokens=16, extra=parameters)
    begun = time.monotonic()
    try:
        async with client.stream(request) as stream:
            async for chunk in stream:
                if any(choice.delta.content or choice.delta.reasoning for choice in chunk.choices):
                    seen.first_token_s = time.monotonic() - begun
                    seen.connect_s = stream.completion().timings.connect_s or 0.0
                    return
    except VigthoriaError as error:
        seen.first_token_s = error


def _findings(seen: _Seen, variable: str | None) -> Iterator[Finding]:
    yield _server(seen)
    yield _key(seen, variable)
    yield _tls(seen)
    yield _model(seen)
    yield _first_token(seen)


def _server(seen: _Seen) -> Finding:
    endpoint = seen.endpoint
    which = endpoint.base_url if endpoint.kind == "custom" else endpoint.name
    if endpoint.base_url and endpoint.kind != "custom":
        which += f" ({endpoint.base_url})"
    if seen.unreached is not None:
        return Finding(mark="✗", subject="server", words=f"{which}: {seen.unreached}")
    kinds = {"demo": "runs in this process", "local": "is installed and runs on this machine"}
    return Finding(mark="✓", subject="server", words=f"{which} {kinds.get(endpoint.kind, 'answers')}")


def _key(seen: _Seen, variable: str | None) -> Finding:
    endpoint, refused = seen.endpoint, seen.refused
    if endpoint.kind in {"demo", "local"}:
        words = "none is needed here; set VIGTHORIA_API_KEY before Jupyter starts to ask Vigthoria"
        return Finding(mark="–", subject="key", words=words)
    if endpoint.api_key is None:
        words = endpoint.note or "no key is sent"
        if refused is None:
            return Finding(mark="–", subject="key", words=words)
        return Finding(mark="✗", subject="key", words=f"{words}, and {refused}")
    if refused is not None:
        return Finding(mark="✗", subject="key", words=f"{variable or 'it'} is set, but {refused}")
    known = "" if seen.unreached is None else "; whether it is valid is not known"
    return Finding(
        mark="✓", subject="key", words=f"set, from {variable or 'an argument'}, sent to this server alone{known}"
    )


def _tls(seen: _Seen) -> Finding:
    endpoint, lost = seen.endpoint, seen.unreached
    if not endpoint.base_url or (is_loopback(endpoint.base_url) and endpoint.base_url.startswith("http:")):
        return Finding(mark="–", subject="TLS", words="not needed: nothing leaves this machine")
    if endpoint.base_url.startswith("http:"):
        words = "http:// is open to all on the way, prompts and answers too; use https:// if the server has it"
        return Finding(mark="–" if endpoint.insecure_http else "✗", subject="TLS", words=words)
    if lost is None:
        return Finding(mark="✓", subject="TLS", words="the certificate is valid")
    if lost.what.startswith("No secure connection"):
        return Finding(mark="✗", subject="TLS", words=str(lost))
    return Finding(mark="–", subject="TLS", words="not known: the server does not answer")


def _model(seen: _Seen) -> Finding:
    if seen.unreached is not None:
        return Finding(mark="–", subject="model", words=f"{seen.model}; not known, the server does not answer")
    answers = not isinstance(seen.first_token_s, VigthoriaError)
    if isinstance(seen.models, VigthoriaError):
        words = "it answers" if answers else "whether there is one is not known"
        mark: Literal["✓", "–"] = "✓" if answers else "–"
        return Finding(mark=mark, subject="model", words=f"{seen.model}: {words}; the server lists none")
    if seen.model in seen.models:
        return Finding(mark="✓", subject="model", words=f"{seen.model}, one of {len(seen.models)}")
    if answers:
        return Finding(mark="✓", subject="model", words=f"{seen.model}: it answers, though the server does not list it")
    near = nearest(seen.model, seen.models)
    hint = f"did you mean {near}?" if near else "see %vigthoria models."
    words = f"{seen.model} is none of the server's {len(seen.models)}; {hint} %vigthoria set model=NAME sets another."
    return Finding(mark="✗", subject="model", words=words)


def _first_token(seen: _Seen) -> Finding:
    subject, first = "first token", seen.first_token_s
    if isinstance(first, VigthoriaError):
        if seen.unreached is not None or first is seen.refused:
            return Finding(mark="–", subject=subject, words="not known, see above")
        return Finding(mark="✗", subject=subject, words=str(first))
    if first is None:
        return Finding(mark="–", subject=subject, words="an answer came, without text")
    words = f"{first:.2f} s, of which {seen.connect_s:.2f} s for the connection"
    return Finding(mark="✓", subject=subject, words=words)


def _key_variable(endpoint: Endpoint, magic: Defaults) -> str | None:
    """The environment variable that the key came from, or None."""
    profiles = read_profiles()
    name = magic.profile or read_environment("VIG_PROFILE") or profiles.default_name
    profile = profiles.by_name.get(name) if name else None
    for variable in (magic.key_env, profile.key_env if profile is not None else None, "VIGTHORIA_API_KEY"):
        value = read_environment(variable) if variable else None
        if value is not None and endpoint.api_key == Secret(value):
            return str(variable)
    return None
