"""The record: what the cell holds once a run has ended, readable without a kernel, in nbconvert and on a code host."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from vig_notebook.answers import as_fence, first_code_block
from vig_notebook.notebook.json_form import LARGEST_CHARS, indented, read_json
from vig_notebook.notebook.keys import masked
from vig_notebook.notebook.server_words import json_safe, told_model, told_reason, told_usage
from vig_notebook.notebook.words import error_card, footer_facts, marked, sent_parameters
from vig_notebook.render import escape_text, render_html, visible
from vig_notebook.run import RunState
from vig_notebook.settings import mask
from vig_notebook.store import REPLAYED

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.chats import Outcome
    from vig_notebook.errors import VigthoriaError
    from vig_notebook.notebook.json_form import Reading
    from vig_notebook.render import StreamRenderer

    Format = Literal["markdown", "text", "code", "json"]

__all__ = ["Parts", "ending_html", "ending_plain", "masked", "record", "record_parts"]

_Part = TypeVar("_Part")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A record in parts: HTML of the reasoning, of the answer and of what stands below it; all as plain text.

    Attributes:
        metadata: `{"vig_notebook": provenance}`, for the output.
    """

    reasoning: str
    answer: str
    ending: str
    plain: str
    metadata: dict[str, object]

    @property
    def bundle(self) -> dict[str, str]:
        """What is displayed: `{"text/html": …, "text/plain": …}` of our closed vocabulary."""
        return {"text/html": f"{self.reasoning}{self.answer}{self.ending}", "text/plain": self.plain}


def record(run: Outcome, *, form: Format = "markdown") -> tuple[dict[str, str], dict[str, object]]:
    """The display bundle and the output metadata of a run that has ended, as `record_parts`."""
    parts = record_parts(run, form=form)
    return parts.bundle, parts.metadata


def record_parts(run: Outcome, *, form: Format = "markdown", rendered: StreamRenderer | None = None) -> Parts:
    """The record of a run that has ended. A part that cannot be made is left out: text and state are always there.

    Args:
        run: The run.
        form: How the text is shown.
        rendered: What was shown while it came; as Markdown of the same text it is not made again.
    """
    text = masked(run.text_so_far, run)
    reading = read_json(run.text_so_far) if form == "json" else None
    plain = [visible(text), _ending_plain(run, form, reading)]
    least: dict[str, object] = {"run": run.id, "state": run.state.value}
    return Parts(
        reasoning=_or("", _reasoning, run),
        answer=_answer(text, form, run, reading, rendered),
        ending=_ending_html(run, form, reading),
        plain="\n\n".join(filter(None, plain)),
        metadata={"vig_notebook": _or(least, lambda: provenance(run))},
    )


def _or(otherwise: _Part, make: Callable[..., _Part], *arguments: object) -> _Part:
    """A part of the record; where it cannot be made, what stands there instead: the answer is never lost."""
    try:
        return make(*arguments)
    except Exception as error:  # noqa: BLE001  whatever the server said
        # Not the error's own words, which may quote the server.
        _log.warning("A part of the record cannot be made: %s", type(error).__name__)
        return otherwise


def _state_words(run: Outcome) -> str:
    return str(run.state.value).lower()


def ending_plain(run: Outcome, *, form: Format = "markdown") -> str:
    """`ending_html` as plain text."""
    return _ending_plain(run, form)


def _ending_plain(run: Outcome, form: Format, reading: Reading | None = None) -> str:
    failure = _failure(run, form, reading)
    words = [mask(visible(str(failure)))] if failure is not None else []
    return "\n".join([*words, f"[{_or(_state_words(run), _footer_plain, run)}]"])


def ending_html(run: Outcome, *, form: Format = "markdown") -> str:
    """What stands below the text of a run that has ended: the error, if any, and the provenance."""
    return _ending_html(run, form)


def _ending_html(run: Outcome, form: Format, reading: Reading | None = None) -> str:
    failure = _failure(run, form, reading)
    bare = f'<div class="vig-footer">{_state_words(run)}</div>'
    return (_or("", error_card, failure) if failure is not None else "") + _or(bare, _footer, run)


def _failure(run: Outcome, form: Format, reading: Reading | None) -> VigthoriaError | None:
    """Why the run failed, or why a whole answer is not of the form that was asked for; or None."""
    if run.error is not None or form != "json" or run.state is not RunState.DONE:
        return run.error
    return (reading or read_json(run.text_so_far)).error


def _answer(text: str, form: Format, run: Outcome, reading: Reading | None, rendered: StreamRenderer | None) -> str:
    if not text:
        return ""
    inner = _or("", lambda: _inner_html(text, form, run, reading, rendered)) or _plain_html(text)
    return f'<div class="vig-answer">{inner}</div>'


def _inner_html(text: str, form: Format, run: Outcome, reading: Reading | None, rendered: StreamRenderer | None) -> str:
    match form:
        case "markdown" if rendered is not None and rendered.text == text:
            return rendered.whole_html()
        case "markdown":
            return render_html(text)
        case "text":
            return f"<pre>{escape_text(text)}</pre>"
        case "code" if len(text) > LARGEST_CHARS:
            return _plain_html(text)
        case "code":
            return render_html(text if first_code_block(text) is not None else as_fence(text))
        case "json":
            return _json_html(text, run, reading or read_json(text))


def _json_html(text: str, run: Outcome, reading: Reading) -> str:
    if len(text) > LARGEST_CHARS:
        return _plain_html(text)
    if reading.error is not None:
        return render_html(as_fence(text, "json"))
    pretty = indented(reading.value, source_chars=len(text))
    # Once more: what was escaped in the source is not escaped any more.
    return _plain_html(text) if pretty is None else render_html(as_fence(masked(pretty, run), "json"))


def _plain_html(text: str) -> str:
    return f'<pre class="vig-plain">{escape_text(text)}</pre>'


def provenance(run: Outcome) -> dict[str, object]:
    """Where an answer comes from, for the metadata of its output. Nothing secret, no prompt."""
    known: dict[str, object] = {
        "run": run.id,
        "state": run.state.value,
        "model": told_model(run),
        "server": run.endpoint.name,
        "base_url": run.endpoint.base_url if run.endpoint.kind not in {"demo", "local"} else run.endpoint.kind,
        "parameters": json.loads(json.dumps(sent_parameters(run), default=str)),
        "finish_reason": told_reason(run),
        "usage": told_usage(run),
        "first_token_s": _round(run.first_token_s),
        "total_s": _round(run.elapsed_s),
        "created_at": run.created_at.isoformat(timespec="seconds"),
        **({"chat": run.chat} if run.chat else {}),
        **({"replayed": run.labels[REPLAYED]} if REPLAYED in run.labels else {}),
    }
    return {name: json_safe(_masked_in(value, run)) for name, value in known.items()}


def _masked_in(value: object, run: Outcome) -> object:
    """The same for every text in a value of JSON."""
    match value:
        case str():
            return masked(value, run)
        case dict():
            return {masked(str(name), run): _masked_in(member, run) for name, member in value.items()}
        case list():
            return [_masked_in(member, run) for member in value]
        case _:
            return value


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _reasoning(run: Outcome) -> str:
    reasoning = masked(run.reasoning_so_far, run)
    if not reasoning:
        return ""
    return f'<div class="vig-reasoning"><div class="vig-note">Reasoning</div><pre>{escape_text(reasoning)}</pre></div>'


def _footer_plain(run: Outcome) -> str:
    return " · ".join(masked(visible(fact), run) for fact in (marked(run), *footer_facts(run)) if fact)


def _footer(run: Outcome) -> str:
    mark = marked(run)
    words = " · ".join(escape_text(masked(fact, run)) for fact in footer_facts(run) if fact)
    return '<div class="vig-footer">' + (f'<span class="vig-badge">{mark}</span> ' if mark else "") + words + "</div>"
