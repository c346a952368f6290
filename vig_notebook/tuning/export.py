"""Writes an experiment down: as CSV, JSONL, a promptfoo configuration or a pytest file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.frozen import pytest_file
from vig_notebook.tuning.promptfoo import to_promptfoo

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.tuning.experiment import Experiment

__all__ = ["write_results"]


def write_results(experiment: Experiment, path: str | Path, *, variant: str | None = None) -> Path:
    """Write what the name of the file asks for.

    Args:
        experiment: The experiment.
        path: .csv or .jsonl for the table, .yaml for promptfoo, .py for a pytest file.
        variant: Label of the variant to freeze in a pytest file; by default the last.

    Returns:
        The path.

    Raises:
        ConfigError: The name ends in none of these, or there is no such variant.
    """
    target = Path(path).expanduser()
    writers: dict[str, Callable[[], str]] = {
        ".csv": lambda: experiment.df.to_csv(index=False),
        ".jsonl": lambda: experiment.df.to_json(orient="records", lines=True, date_format="iso", force_ascii=False),
        ".yaml": lambda: to_promptfoo(experiment),
        ".yml": lambda: to_promptfoo(experiment),
        ".py": lambda: pytest_file(experiment, variant),
    }
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise ConfigError(
            f"{target.name} cannot be written",
            seen=f"its name ends in {target.suffix!r}",
            advice=f"Give one of {', '.join(writers)}",
        )
    text = writer()
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        seen = str(error.strerror)
        raise ConfigError(f"{target.name} cannot be written", seen=seen, advice="Name another") from error
    return target
