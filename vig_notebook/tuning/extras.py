"""Packages of the extra `tuning`, imported when they are used and asked for in words when they are absent."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["need"]


def need(module: str, *, for_what: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: Its dotted name.
        for_what: What it is needed for, as words that fit after "for".

    Raises:
        ConfigError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ConfigError(
            f"{package} is needed for {for_what}",
            seen="it is not installed",
            advice="Install it with: pip install 'vig-notebook[tuning]'",
        ) from error
