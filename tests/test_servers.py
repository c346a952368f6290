"""Which server answers."""

from __future__ import annotations

import pytest

from tests.demos import LIMIT_S
from vig_notebook import servers
from vig_notebook.engine import engine
from vig_notebook.servers import choose, local_model, models


def test_server_with_nothing_set_is_the_demo() -> None:
    server = choose()
    assert (server.endpoint.kind, server.endpoint.default_model) == ("demo", "demo")
    assert "demo-reasoning" in engine().run(models(server)).result(LIMIT_S)


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
    assert server.endpoint.parameters == {"return_progress": True}
    assert server.connect is not None


def test_local_model_of_a_file_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOCAL_MODEL", "models/tiny-chat.gguf")
    assert local_model().endpoint.name == "local tiny-chat"
    engine().run(local_model().stop()).result(LIMIT_S)
