"""The numbers of the client: how long it waits and how much it takes, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vig_notebook.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every limit of the client. Times are in seconds, sizes in bytes.

    Raises:
        ConfigError: a number is not above zero (``max_retries`` may be zero, ``total_timeout_s``
        may be None).
    """

    connect_timeout_s: float = 10.0
    """Name look-up, TCP and TLS: a server that needs more is down or behind a firewall that
    drops."""

    first_byte_timeout_s: float = 120.0
    """From the request to the first byte of the answer: a long prompt is read, or a cold model
    loaded, in that time."""

    idle_timeout_s: float = 60.0
    """Between two events with content: models that pause to think stay under it, proxies cut at 60
    s themselves."""

    finish_grace_s: float = 2.0
    """After the finish reason, for usage and `[DONE]`: servers send both at once or never, and some
    then hold the connection."""

    total_timeout_s: float | None = None
    """The whole answer. None is no limit: a long answer that still grows is no failure, and a
    person has Stop."""

    max_retries: int = 2
    """Two more tries outlast a short storm; more would only add to it."""

    max_retry_wait_s: float = 120.0
    """A server that asks for a longer wait is given up at once: nobody watches a cell for more than
    two minutes."""

    max_line_bytes: int = 4 * 1024 * 1024
    """A 1 MB picture as a data URL in one delta is 1.4 MB; with room for its JSON, and no 600 MB
    line."""

    max_event_bytes: int = 4 * 1024 * 1024
    """An event is one line of data from every server seen; more lines do not make it more."""

    max_text_bytes: int = 8 * 1024 * 1024
    """About two million tokens, 15 times the longest answer that any model gives today; four copies
    fit in 64 MiB."""

    max_error_body_bytes: int = 64 * 1024
    """An error body is a sentence or a proxy's HTML page; only its first 500 characters are ever
    shown."""

    max_choices: int = 128
    """The highest ``n`` that OpenAI's API takes."""

    max_concurrency: int = 24
    """Open streams at once; clear of the 32 connections of the demo server, and of a limit of 256 open files."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name), whole=field.type == "int")


def _check(name: str, value: object, *, whole: bool) -> None:
    """Refuse what is no number of the right sort: a TOML file may have given it."""
    if value is None and name == "total_timeout_s":
        return
    wanted = "a whole number" if whole else "a number"
    lowest = "of 0 or more" if name == "max_retries" else "above 0"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ConfigError(f"{name} must be {wanted}", seen=f"it is {value!r}", advice=f"Give {wanted} {lowest}.")
    if not (value > 0 or (value == 0 and name == "max_retries")):
        raise ConfigError(f"{name} must be {lowest}", seen=f"it is {value!r}", advice=f"Give {wanted} {lowest}.")
