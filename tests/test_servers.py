"""Which server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.demos import LIMIT_S
from tests.local.gguf_files import gguf, write
from tests.local.test_process import FAKE_ENGINE
from vig_notebook import servers
from vig_notebook.engine import engine
from vig_notebook.servers import choose, local_model, models

if TYPE_CHECKING:
    from pathlib import Path


def test_server_with_nothing_set_is_the_demo() -> None:
    server = choose()
    assert (server.endpoint.kind, server.endpoint.default_model) == ("demo", "demo")
    assert "demo-reasoning" in engine().run(models(server)).result(LIMIT_S)


def test_demo_that_runs_is_known_with_its_address() -> None:
    assert choose().endpoint.base_url == ""
    engine().run(models(choose())).result(LIMIT_S)
    known = choose().endpoint
    assert known.base_url.startswith("http://127.0.0.1:")
    assert known.api_key is not None


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("VIGTHORIA_API_KEY", "vg-live-sk-0123456789", "vigthoria"),
        ("VIGTHORIA_BASE_URL", "http://127.0.0.1:9/v1", "custom"),
    ],
)
def test_server_of_the_environment_comes_before_the_local_model(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: str
) -> None:
    monkeypatch.setattr(servers, "installed", lambda: True)
    monkeypatch.setenv(name, value)
    server = choose()
    assert server.endpoint.kind == kind
    assert server.connect is None


def test_local_model_comes_before_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "installed", lambda: True)
    monkeypatch.delenv("VIG_LOCAL_MODEL")
    server = choose()
    assert (server.endpoint.kind, server.endpoint.name) == ("local", "local SmolLM2-135M")
    assert server.endpoint.note == "a very small model, expect mistakes"
    assert server.endpoint.parameters == {"return_progress": True}
    assert server.connect is not None


def test_local_model_of_a_file_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOCAL_MODEL", "models/tiny-chat.gguf")
    assert local_model().endpoint.name == "local tiny-chat"
    assert local_model().endpoint.note == "a model on this machine"


def test_local_model_that_runs_is_known_with_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE_ENGINE))
    monkeypatch.syspath_prepend(str(FAKE_ENGINE))
    model = local_model()
    model.gguf = str(write(tmp_path / "tiny.gguf", gguf()))
    assert (choose().endpoint.name, choose().endpoint.base_url) == ("local tiny", "")
    running = engine().run(model.start(lambda _status: None)).result(LIMIT_S)
    assert choose().endpoint is running
    model.gguf = str(tmp_path / "other.gguf")
    assert (choose().endpoint.name, choose().endpoint.base_url) == ("local other", "")
