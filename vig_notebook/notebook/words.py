"""What the page says of a run: its status line, its footer, its error card, and the sentence that is announced.

Plain text comes out as lists of facts; HTML is made here only from escaped text and our own classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vig_notebook.engine import engine
from vig_notebook.notebook.history_table import ID_LENGTH
from vig_notebook.notebook.server_words import told_model
from vig_notebook.render import escape_text, visible
from vig_notebook.run import RunState
from vig_notebook.settings import mask
from vig_notebook.store import GOES_ON, INTERRUPTED, REPLAYED, run_log

if TYPE_CHECKING:
    from vig_notebook.chats import Outcome
    from vig_notebook.errors import VigthoriaError
    from vig_notebook.run import Run
    from vig_notebook.settings import Endpoint
    from vig_notebook.wire.completion import Completion

__all__ = [
    "announcement",
    "badge",
    "error_card",
    "error_text",
    "facts",
    "footer_facts",
    "marked",
    "status_html",
    "unfinished",
]

STATE_WORDS = {
    RunState.QUEUED: "Queued",
    RunState.CONNECTING: "Connecting",
    RunState.STREAMING: "Streaming",
    RunState.DONE: "Done",
    RunState.STOPPED: "Stopped",
    RunState.FAILED: "Failed",
}


UNSAID = frozenset({"messages", "model", "stream", "stream_options", "return_progress"})
"""Members of a request that tell a reader nothing about the answer."""

SILENCE_S = 5.0
"""A server that says nothing for so long may have hung up without a word: the status says how long it has been."""

TOP_SPEED = 1e6
"""Tokens a second that no server reaches; an infinite speed, NaN and a number of 400 digits are no speeds either."""


def badge(endpoint: Endpoint) -> str:
    """The word that marks an answer which does not come from a server of the user's; empty for one that does."""
    return {"demo": "demo", "local": "local"}.get(endpoint.kind, "")


def marked(run: Outcome) -> str:
    """The word that marks an answer which no server of the user's gave just now, or nothing."""
    return "replayed" if REPLAYED in run.labels else badge(run.endpoint)


def facts(run: Run) -> list[str]:
    """State, model, elapsed time, first token, tokens and speed, as far as they are known yet."""
    words = [STATE_WORDS[run.state], _answers(run), f"{run.elapsed_s:.1f} s", *_measured(run)]
    if run.status:
        words.insert(1, run.status)
    if run.state is RunState.STREAMING and run.silent_s > SILENCE_S:
        words.insert(1, f"nothing new for {run.silent_s:.0f} s")
    return [*words, *_said_of_the_log(run)]


def _answers(run: Outcome) -> str:
    """The model; the local one by its own name, since it answers whatever model was asked for."""
    endpoint = run.endpoint
    return f"{endpoint.name}: {endpoint.note}" if endpoint.kind == "local" and endpoint.note else run.request.model


def footer_facts(run: Outcome) -> list[str]:
    """The provenance of an answer: model, server, parameters that were sent, tokens, first token, total, state."""
    model, server = told_model(run), run.endpoint.name
    if server.endswith(f" {model}"):  # the local model's server is named after it
        model = ""
    if run.endpoint.note:
        server = f"{server}: {run.endpoint.note}"
    return [
        model,
        server,
        *(f"{name} {_short(value)}" for name, value in sent_parameters(run).items()),
        *_measured(run),
        "" if REPLAYED in run.labels else f"{run.elapsed_s:.1f} s",
        _ending(run),
        *_said_of_the_log(run),
    ]


def sent_parameters(run: Outcome) -> dict[str, object]:
    """The members of the request that were sent, without the messages and what every request has."""
    body = run.request.to_body()
    return {name: value for name, value in body.items() if name not in UNSAID}


def status_html(run: Run) -> str:
    """The status line of a run that is under way."""
    mark = marked(run)
    words = " · ".join(escape_text(mask(fact)) for fact in facts(run) if fact)
    return (f'<span class="vig-badge">{mark}</span> ' if mark else "") + f"<span>{words}</span>"


def announcement(run: Outcome) -> str:
    """The sentence that a screen reader says about the state of the run."""
    match run.state:
        case RunState.QUEUED | RunState.CONNECTING:
            return f"Asking {run.request.model}."
        case RunState.STREAMING:
            return "The answer has begun."
        case RunState.DONE:
            return f"The answer is complete: {run.completion.output_tokens} tokens."
        case RunState.STOPPED:
            return "Stopped. The text so far is kept."
        case RunState.FAILED:
            return f"Failed: {run.error}"


def unfinished(run: Outcome) -> str:
    """What stands for an answer in a notebook that was saved before its end."""
    so_far = "This answer was still coming when its notebook was saved or its kernel ended."
    if run_log().store.path is None:
        return f"{so_far} No run log is kept."
    return f"{so_far} %vigthoria show {run.id[:ID_LENGTH]} brings back what the run log has of it."


def error_card(error: VigthoriaError) -> str:
    """An error as a card: what failed, what was seen, what to do. Escaped, the key masked."""
    title, *lines = (escape_text(mask(_sentence(line))) for line in (error.what, error.seen, error.advice) if line)
    rest = "".join(f'<div class="vig-card-line">{line}</div>' for line in lines)
    return f'<div class="vig-card"><div class="vig-card-title">{title}</div>{rest}</div>'


def error_text(error: VigthoriaError) -> str:
    """An error as plain text, the key masked and nothing in it that a terminal obeys."""
    return visible(mask(str(error)))


def _measured(run: Outcome) -> list[str]:
    """First token, tokens and speed; of a replayed answer the tokens alone, since the times are the replay's."""
    count, exact, speed = _tokens(run)
    tokens = [f"{'' if exact else '≈'}{count:,} tokens"] if count else []
    if REPLAYED in run.labels:
        return tokens
    first = [] if run.first_token_s is None else [f"first token {run.first_token_s:.2f} s"]
    return [*first, *tokens, *([f"{speed:.0f} tokens/s"] if speed else [])]


def _tokens(run: Outcome) -> tuple[int, bool, float | None]:
    """Tokens of the answer, whether the server counted them, and tokens a second after the first."""
    if run.state.ended:
        completion = run.completion
        speed = own_speed(completion) or completion.tokens_per_s
        return completion.output_tokens, completion.output_tokens_are_exact, speed
    return run.delta_count, False, run.delta_count / run.streaming_s if run.streaming_s > 1 else None


def own_speed(completion: Completion) -> float | None:
    """Tokens a second in the server's own words, as llama.cpp sends them; None for what is no speed."""
    timings = completion.extra.get("timings")
    speed = timings.get("predicted_per_second") if isinstance(timings, dict) else None
    if not isinstance(speed, int | float) or isinstance(speed, bool):
        return None
    return float(speed) if 0 < speed < TOP_SPEED else None


def _said_of_the_log(run: Outcome) -> list[str]:
    """That the conversation comes from the log; and, once for each warning, that the log has one."""
    words = []
    if turns := run.labels.get(GOES_ON):
        words.append(f"goes on after {turns} {'turn' if turns == '1' else 'turns'} from the log")
    warning, kept = run_log().warning, engine().kept
    # The run that is the first to say it says it as long as it is shown.
    if warning is not None and kept.setdefault(f"said: {warning}", run.id) == run.id:
        words.append("the run log has a problem: see %vigthoria log")
    return words


def _ending(run: Outcome) -> str:
    if INTERRUPTED in run.labels:
        return INTERRUPTED
    if run.state is RunState.DONE:
        reasons = {"length": "done: cut at max_tokens", "content_filter": "done: cut by the content filter"}
        reason = run.completion.finish_reason or ""
        return reasons.get(reason, "done" if run.text_so_far else "done: an answer without text")
    if run.state is RunState.FAILED and run.error is not None:
        return f"failed: {run.error.kind.replace('_', ' ')}"
    return str(run.state).lower()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _sentence(text: str) -> str:
    """With a capital, where it begins with a word; the name of a setting or an address stays as it is."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text
