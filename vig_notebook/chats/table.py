"""A conversation as a table, one turn a row."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from vig_notebook.chats.tree import Chat, Turn

__all__ = ["table"]

NO_PARAMETERS = ("messages", "model", "stream", "stream_options")
COLUMNS = (
    "prompt",
    "answer",
    "state",
    "model",
    "server",
    "parameters",
    "finish_reason",
    "prompt_tokens",
    "output_tokens",
    "first_token_s",
    "total_s",
    "tokens_per_s",
    "error",
    "created_at",
    "branches",
)


def table(chat: Chat) -> pd.DataFrame:
    """The current path of a conversation as a table.

    Raises:
        ConfigError: pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise ConfigError(
            "pandas is needed for a table of the conversation",
            seen="it is not installed",
            advice="Install it with: pip install 'vig-notebook[tuning]'",
        ) from None
    rows = [_row(turn, len(chat.siblings(turn))) for turn in chat.turns]
    return pandas.DataFrame(rows, columns=list(COLUMNS))  # type: ignore[no-any-return]  # imported when it is used


def _row(turn: Turn, branches: int) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt": turn.prompt, "answer": turn.answer, "branches": branches}
    outcome = turn.outcome
    if outcome is None:
        return row
    completion = outcome.completion
    body = outcome.request.to_body()
    return row | {
        "state": outcome.state.value,
        "model": completion.model or outcome.request.model,
        "server": outcome.endpoint.name,
        "parameters": {name: value for name, value in body.items() if name not in NO_PARAMETERS},
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.usage.prompt_tokens if completion.usage is not None else None,
        "output_tokens": completion.output_tokens,
        "first_token_s": completion.timings.first_token_s,
        "total_s": completion.timings.total_s,
        "tokens_per_s": completion.tokens_per_s,
        "error": None if outcome.error is None else str(outcome.error),
        "created_at": outcome.created_at,
    }
