"""What a run becomes in the log: the columns of its row. No key gets in: every text is masked."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from vig_notebook.settings import mask
from vig_notebook.store.identity import question_of, server_of, to_json
from vig_notebook.wire.completion import Timings
from vig_notebook.wire.text import well_formed

if TYPE_CHECKING:
    from vig_notebook.run import Run
    from vig_notebook.settings import Secret
    from vig_notebook.store.identity import Identity
    from vig_notebook.store.processes import Process
    from vig_notebook.wire.accumulate import Completion

__all__ = [
    "REPLAYED",
    "Columns",
    "clean",
    "end_columns",
    "now",
    "request_columns",
    "secrets_of",
    "spelled",
    "start_columns",
]

_PROMPTS: Final = frozenset({"template", "system_template", "line"})

_TIMES: Final = fields(Timings)

Columns: TypeAlias = dict[str, str | float | None]

REPLAYED: Final = "replayed"
"""Label of a run that was answered from the log; its value is the id of the run that answered."""


def now() -> str:
    """This moment in UTC, in the one spelling that sorts as text."""
    return spelled(datetime.now(UTC))


def spelled(moment: datetime) -> str:
    """Spell a moment as the log does; one without a zone is local time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def clean(text: str, secrets: tuple[Secret, ...]) -> str:
    """Take keys out, and lone surrogates, which SQLite cannot hold."""
    return well_formed(mask(text, *secrets)) if text else text


def secrets_of(run: Run) -> tuple[Secret, ...]:
    """The keys that this run knows."""
    return (run.endpoint.api_key,) if run.endpoint.api_key else ()


def start_columns(run: Run, process: Process, *, log_prompts: bool) -> Columns:
    """Columns that are known when the run is created, and stay as they are."""
    labels = _labels(run, log_prompts=log_prompts)
    return {
        "id": run.id,
        "created_at": spelled(run.created_at),
        "state": run.state.lower(),
        "chat": run.chat or None,
        "labels": _spell(labels),
        "notebook": labels.get("notebook"),
        "cell": labels.get("cell"),
        "host": process.host,
        "pid": process.pid,
        "process_start": process.started,
    }


def request_columns(run: Run, *, log_prompts: bool) -> Columns:
    """Columns of the request and the server; in a chat they change until the turn before has ended."""
    question = question_of(run.request, run.endpoint)
    secrets = secrets_of(run)
    messages = _clean_json(question.messages, secrets)
    params = dict(question.params) if question.seed is None else {**question.params, "seed": question.seed}
    return {
        "base_url": server_of(run.endpoint),
        "server": run.endpoint.name,
        "model": question.model,
        "prompt": _last_words(messages) if log_prompts else None,
        "messages": _spell(messages) if log_prompts else None,
        "parameters": _spell(_clean_json(params, secrets)),
    }


def end_columns(run: Run, identity: Identity | None, *, log_prompts: bool) -> Columns:
    """Columns that are known when the run has ended; without an identity it is none to answer from."""
    secrets = secrets_of(run)
    return {
        "state": run.state.lower(),
        "ended_at": now(),
        "labels": _spell(_labels(run, log_prompts=log_prompts)),
        "key": identity.key if identity else None,
        "any_server_key": identity.any_server_key if identity else None,
        "error_kind": run.error.kind if run.error else None,
        "error": clean(str(run.error), secrets) if run.error else None,
        **_completion_columns(run.completion, secrets),
    }


def _labels(run: Run, *, log_prompts: bool) -> dict[str, str]:
    """The labels, without those that have the prompt in them where it is not logged."""
    kept = {name: value for name, value in run.labels.items() if log_prompts or name not in _PROMPTS}
    return {name: clean(value, secrets_of(run)) for name, value in kept.items()}


def _completion_columns(completion: Completion, secrets: tuple[Secret, ...]) -> Columns:
    usage = completion.usage
    return {
        "text": clean(completion.text, secrets),
        "reasoning": clean(completion.reasoning, secrets),
        "refusal": clean(completion.refusal, secrets) if completion.refusal else None,
        "finish_reason": completion.finish_reason,
        "tool_calls": _spell(_clean_json(completion.tool_calls, secrets)) if completion.tool_calls else None,
        "choices": _spell(_clean_json(completion.choices, secrets)) if len(completion.choices) > 1 else None,
        "delta_count": completion.delta_count,
        "extra": _spell(_clean_json(completion.extra, secrets)) if completion.extra else None,
        "usage": _spell(usage.to_dict()) if usage else None,
        "tokens_in": usage.prompt_tokens if usage else None,
        "tokens_out": usage.completion_tokens if usage else None,
        "answer_id": completion.id,
        "answer_model": completion.model,
        "request_id": completion.request_id,
        **{time.name: getattr(completion.timings, time.name) for time in _TIMES},
    }


def _spell(value: object) -> str:
    return to_json(value).decode()


def _clean_json(value: object, secrets: tuple[Secret, ...]) -> object:
    """Clean every text in a value; before it is encoded, because an escaped quote would hide a key."""
    return _clean_plain(msgspec.json.decode(to_json(value)), secrets)


def _clean_plain(value: object, secrets: tuple[Secret, ...]) -> object:
    if isinstance(value, str):
        return clean(value, secrets)
    if isinstance(value, list):
        return [_clean_plain(item, secrets) for item in value]
    if isinstance(value, dict):
        return {name: _clean_plain(item, secrets) for name, item in value.items()}
    return value


def _last_words(messages: object) -> str | None:
    """The text of the last message of the user: what a person remembers of a run."""
    said = [message for message in _list(messages) if message.get("role") == "user"]
    if not said:
        return None
    content = said[-1].get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in _list(content) if "text" in part)


def _list(value: object) -> list[dict[str, object]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]
