"""What a run becomes in the log: the columns of its row. No key gets in: every text is masked."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from vig_notebook.settings import masked
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


def clean(text: str, key: Secret | None) -> str:
    """Take keys out, that of the run itself whatever it looks like, and lone surrogates, which SQLite cannot hold."""
    return well_formed(masked(text, key)) if text else text


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
    key = run.endpoint.api_key
    messages = _clean_json(question.messages, key)
    params = dict(question.params) if question.seed is None else {**question.params, "seed": question.seed}
    return {
        "base_url": server_of(run.endpoint),
        "server": run.endpoint.name,
        "model": question.model,
        "prompt": _last_words(messages) if log_prompts else None,
        "messages": _spell(messages) if log_prompts else None,
        "parameters": _spell(_clean_json(params, key)),
    }


def end_columns(run: Run, identity: Identity | None, *, log_prompts: bool) -> Columns:
    """Columns that are known when the run has ended; without an identity it is none to answer from."""
    key = run.endpoint.api_key
    return {
        "state": run.state.lower(),
        "ended_at": now(),
        "labels": _spell(_labels(run, log_prompts=log_prompts)),
        "key": identity.key if identity else None,
        "any_server_key": identity.any_server_key if identity else None,
        "error_kind": run.error.kind if run.error else None,
        "error": clean(str(run.error), key) if run.error else None,
        **_completion_columns(run.completion, key),
    }


def _labels(run: Run, *, log_prompts: bool) -> dict[str, str]:
    """The labels, without those that have the prompt in them where it is not logged."""
    labels = dict(run.labels)  # at once: whoever reads the answer from a record adds one
    kept = {name: value for name, value in labels.items() if log_prompts or name not in _PROMPTS}
    return {name: clean(value, run.endpoint.api_key) for name, value in kept.items()}


def _completion_columns(completion: Completion, key: Secret | None) -> Columns:
    usage = completion.usage
    texts = {
        "text": completion.text,
        "reasoning": completion.reasoning,
        "refusal": completion.refusal or None,
        "finish_reason": completion.finish_reason,
        "answer_id": completion.id,
        "answer_model": completion.model,
        "request_id": completion.request_id,
    }
    values = {
        "tool_calls": completion.tool_calls,
        "choices": completion.choices if len(completion.choices) > 1 else None,
        "extra": completion.extra,
        "usage": usage.to_dict() if usage else None,
    }
    return {
        **{name: text if text is None else clean(text, key) for name, text in texts.items()},
        **{name: _spell(_clean_json(value, key)) if value else None for name, value in values.items()},
        "delta_count": completion.delta_count,
        "tokens_in": usage.prompt_tokens if usage else None,
        "tokens_out": usage.completion_tokens if usage else None,
        **{time.name: getattr(completion.timings, time.name) for time in _TIMES},
    }


def _spell(value: object) -> str:
    return to_json(value).decode()


def _clean_json(value: object, key: Secret | None) -> object:
    """Clean every text in a value; before it is encoded, because an escaped quote would hide a key."""
    return _clean_plain(msgspec.json.decode(to_json(value)), key)


def _clean_plain(value: object, key: Secret | None) -> object:
    if isinstance(value, str):
        return clean(value, key)
    if isinstance(value, list):
        return [_clean_plain(item, key) for item in value]
    if isinstance(value, dict):
        return {clean(name, key): _clean_plain(item, key) for name, item in value.items()}
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
