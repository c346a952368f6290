from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.local.gguf_files import LLAMA, gguf, write
from vig_notebook.errors import ConfigError
from vig_notebook.local import installed, is_off
from vig_notebook.local import model as room
from vig_notebook.local.model import chosen, inspect, model_path

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER = 64 * 1024 * 1024
CACHE = 256 * 512
"""Bytes of the cache of the small model for its 512 tokens."""


@pytest.fixture
def free_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    return lambda size: monkeypatch.setattr(room, "free_memory_bytes", lambda: size)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that has the engine's package, and no weights."""
    (tmp_path / "site" / "engine_of_the_test").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(room, "ENGINE", "engine_of_the_test")
    monkeypatch.setattr(room, "WEIGHTS", "weights_of_the_test")
    return tmp_path / "site"


def add_weights(site: Path) -> Path:
    (site / "weights_of_the_test").mkdir()
    return write(site / "weights_of_the_test" / "SmolLM2-135M-Instruct.Q4_1.gguf", gguf())


def test_installed_needs_engine_and_weights(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not installed()
    add_weights(engine)
    assert installed()
    monkeypatch.setattr(room, "ENGINE", "no_such_engine")
    assert not installed()


def test_installed_with_a_model_of_ones_own(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOCAL_MODEL", "own.gguf")
    assert installed()


def test_off_is_not_installed(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_weights(engine)
    monkeypatch.setenv("VIG_LOCAL_MODEL", "OFF")
    assert is_off()
    assert not installed()


def test_choice_is_argument_then_environment_then_installed_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen() == "SmolLM2-135M"
    monkeypatch.setenv("VIG_LOCAL_MODEL", "environment.gguf")
    assert chosen() == "environment.gguf"
    assert chosen("argument.gguf") == "argument.gguf"


def test_choice_when_off_is_an_error_unless_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIG_LOCAL_MODEL", "off")
    with pytest.raises(ConfigError, match="The local model is switched off: VIG_LOCAL_MODEL is off"):
        chosen()
    assert chosen("own.gguf") == "own.gguf"


def test_path_of_the_installed_model(engine: Path) -> None:
    with pytest.raises(ConfigError, match=r"not installed: there is no SmolLM2-135M.*\. Run python -m vig_notebook"):
        model_path("SmolLM2-135M")
    weights = add_weights(engine)
    assert model_path("smollm2-135m") == weights


def test_path_of_another_model(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(engine))
    assert model_path("~/own.gguf") == engine / "own.gguf"
    assert model_path("own.gguf") == Path.cwd() / "own.gguf"


def test_path_without_engine_is_an_error(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ENGINE", "no_such_engine")
    with pytest.raises(ConfigError, match="there is no no_such_engine"):
        model_path("own.gguf")


def test_model_is_named_after_its_file(tmp_path: Path) -> None:
    model = inspect(write(tmp_path / "Tiny-Chat.Q8_0.gguf", gguf()), context_size=256)
    assert (model.name, model.context_size, model.slots) == ("Tiny-Chat.Q8_0", 256, 4)


def test_context_is_cut_to_what_the_model_was_trained_for(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", gguf())
    assert inspect(path, context_size=4096).context_size == 512


def test_context_of_a_model_that_tells_none(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", gguf({**LLAMA, "llama.context_length": 0}))
    assert inspect(path, context_size=4096).context_size == 4096


def test_model_without_template_cannot_chat(tmp_path: Path) -> None:
    path = write(tmp_path / "base.gguf", gguf({**LLAMA, "tokenizer.chat_template": ""}))
    with pytest.raises(ConfigError) as caught:
        inspect(path, context_size=512)
    assert str(caught.value) == (
        "The model base.gguf cannot chat: its file has no chat template. "
        "Take the instruct or chat version of the model."
    )


@pytest.mark.parametrize(("answers", "slots"), [(4, 4), (3, 2), (1, 1)])
def test_less_memory_gives_fewer_slots(
    tmp_path: Path, free_memory: Callable[[int | None], None], answers: int, slots: int
) -> None:
    path = write(tmp_path / "m.gguf", gguf())
    free_memory(path.stat().st_size + BUFFER + answers * CACHE)
    assert inspect(path, context_size=512).slots == slots


def test_model_larger_than_free_memory_is_refused(tmp_path: Path, free_memory: Callable[[int | None], None]) -> None:
    path = write(tmp_path / "m.gguf", gguf())
    free_memory(BUFFER)
    with pytest.raises(ConfigError) as caught:
        inspect(path, context_size=512)
    assert str(caught.value) == (
        "The model m.gguf is too large for this machine: it needs about 0.1 GB of memory and 0.1 GB are free. "
        "Close other programs, take a smaller context size, or take a smaller model."
    )


def test_all_files_of_a_split_model_count(tmp_path: Path, free_memory: Callable[[int | None], None]) -> None:
    path = write(tmp_path / "m.gguf", gguf({**LLAMA, "split.count": 9}))
    free_memory(path.stat().st_size * 9 + BUFFER + CACHE - 1)
    with pytest.raises(ConfigError, match="too large"):
        inspect(path, context_size=512)


def test_unknown_memory_refuses_nothing(tmp_path: Path, free_memory: Callable[[int | None], None]) -> None:
    free_memory(None)
    assert inspect(write(tmp_path / "m.gguf", gguf()), context_size=512).slots == 4
