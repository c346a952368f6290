"""fakellm, stubllm and aimock, each with its own idea of a stream, and the real model on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.peers.conftest import ROOT, serving
from vig_notebook.api import start
from vig_notebook.client import Client
from vig_notebook.errors import NotFound, RateLimited
from vig_notebook.local import installed
from vig_notebook.settings import Endpoint, Limits
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = (
    'Caf\u00e9 \u2014 na\u00efve \U0001f469\u200d\U0001f52c \u65e5\u672c\u8a9e, "quoted", a\\b\n\n'
    "```python\nprint('hi')\n```\n"
) * 5
"""What is easily broken on its way: letters of several bytes, joined emoji, quotes, line ends."""

AIMOCK = "@copilotkit/aimock"


@pytest.fixture(scope="module")
def fakellm(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("fakellm")
    rules = [
        {"name": "text", "when": {"messages_contain": "hello"}, "respond": {"content": TEXT}},
    ]
    (folder / "fakellm.yaml").write_text(json.dumps({"version": 1, "rules": rules}))  # JSON is YAML
    with serving(programs / "fakellm", "serve", "--port", "{port}", folder=folder) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def stubllm(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stubllm")
    match = {"provider": "openai", "endpoint": "/v1/chat/completions"}
    fixture = {"name": "text", "match": match, "response": {"content": TEXT}}
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": [fixture]}))
    options = ["--port", "{port}", "--fixture-file", "fixtures.json"]
    with serving(programs / "stubllm", "serve", *options, folder=folder) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    packages = ROOT / ".venv-peers" / "npm"
    program = packages / "node_modules" / ".bin" / "llmock"
    if not program.exists():
        quietly = ["--silent", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run([npm, "install", *quietly, "--prefix", packages, AIMOCK], check=True)
    folder = tmp_path_factory.mktemp("aimock")
    call = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    fixtures = [
        {"match": {"userMessage": "hello"}, "response": {"content": TEXT}},
        {"match": {"userMessage": "weather"}, "response": {"toolCalls": [call]}},
        {"match": {"userMessage": "limit"}, "response": {"error": {"message": "too many"}, "status": 429}},
    ]
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    with serving(program, "-p", "{port}", "-f", "fixtures.json", "-c", "7", "-l", "1", folder=folder) as address:
        yield f"{address}/v1"


def client(base_url: str) -> Client:
    return Client(endpoint=Endpoint(base_url=base_url), limits=Limits(max_retries=0))


def request(prompt: str) -> ChatRequest:
    return ChatRequest(messages=[{"role": "user", "content": prompt}], model="gpt-4o")


@pytest.mark.parametrize("server", ["fakellm", "stubllm", "aimock"])
async def test_answer_comes_letter_for_letter(server: str, request: pytest.FixtureRequest) -> None:
    async with client(request.getfixturevalue(server)) as asked:
        completion = await asked.complete(ChatRequest(messages=[{"role": "user", "content": "hello"}], model="gpt-4o"))
    assert completion.text.split() == TEXT.split()  # some of them write white space anew
    assert completion.finish_reason == "stop"
    assert completion.delta_count > 5


async def test_rate_limit_of_aimock_is_told(aimock: str) -> None:
    async with client(aimock) as asked:
        with pytest.raises(RateLimited) as caught:
            await asked.complete(request("limit"))
    assert caught.value.server_message == "too many"


async def test_tool_call_of_aimock_is_kept(aimock: str) -> None:
    async with client(aimock) as asked:
        completion = await asked.complete(request("weather"))
    assert completion.finish_reason == "tool_calls"
    assert completion.tool_calls[0].function.arguments == '{"city":"Paris"}'


@pytest.mark.parametrize("server", ["stubllm", "aimock"])
async def test_models_are_listed(server: str, request: pytest.FixtureRequest) -> None:
    async with client(request.getfixturevalue(server)) as asked:
        assert len(await asked.models()) > 1


async def test_models_of_fakellm_that_are_not_listed_are_an_error(fakellm: str) -> None:
    async with client(fakellm) as asked:
        with pytest.raises(NotFound):
            await asked.models()


def test_real_model_answers_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIG_LOCAL_MODEL")
    if not installed():
        pytest.skip("needs python -m vig_notebook.local install")
    answer = start("Name three colours.", max_tokens=40, temperature=0).result(60)
    assert len(answer.text.split()) > 3
    assert answer.finish_reason in {"stop", "length"}
    assert answer.output_tokens_are_exact
    run = start("Write a very long story.", max_tokens=2000)
    while not run.text_so_far:
        run.wait(0.05)
    run.stop()
    assert run.wait(5)
    assert run.text_so_far
