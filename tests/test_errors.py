"""The tree, the kinds and the sentences."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from vig_notebook import errors
from vig_notebook.errors import (
    AuthError,
    BadRequest,
    ConfigError,
    Conflict,
    ConnectFailed,
    NotFound,
    Overloaded,
    PaymentRequired,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    ServerError,
    ServerReportedError,
    StatusError,
    TimedOut,
    TooLarge,
    Truncated,
    VigthoriaError,
    excerpt,
    status_error,
)
from vig_notebook.wire.accumulate import Completion, Timings
from vig_notebook.wire.chat import Usage

KINDS: dict[type[VigthoriaError], str] = {
    VigthoriaError: "error",
    ConfigError: "config",
    ConnectFailed: "connection",
    TimedOut: "timeout",
    Truncated: "truncated",
    ProtocolError: "protocol",
    TooLarge: "too_large",
    ServerReportedError: "api_error",
    StatusError: "status",
    BadRequest: "bad_request",
    AuthError: "auth",
    PaymentRequired: "payment",
    PermissionDenied: "permission",
    NotFound: "not_found",
    Conflict: "conflict",
    RateLimited: "rate_limit",
    Overloaded: "overloaded",
    ServerError: "server",
}


def roundtrip(error: VigthoriaError) -> VigthoriaError:
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    assert isinstance(twin, VigthoriaError)
    return twin


def test_every_error_has_its_kind_and_a_line_in_the_tree() -> None:
    classes = {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, VigthoriaError)}
    assert {c: c.kind for c in classes} == KINDS
    for c in classes:
        assert f"`{c.__name__}` [{c.kind}]" in (errors.__doc__ or "")


@pytest.mark.parametrize("error_class", KINDS)
def test_every_error_is_below_the_one_root(error_class: type[VigthoriaError]) -> None:
    is_status = error_class.kind in {
        *("status", "bad_request", "auth", "payment", "permission"),
        *("not_found", "conflict", "rate_limit", "overloaded", "server"),
    }
    assert issubclass(error_class, StatusError) == is_status
    assert issubclass(error_class, VigthoriaError)


def test_all_is_sorted_and_complete() -> None:
    assert list(errors.__all__) == sorted(errors.__all__)
    assert {c.__name__ for c in KINDS} <= set(errors.__all__)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (VigthoriaError("It failed"), "It failed."),
        (VigthoriaError("It failed."), "It failed."),
        (VigthoriaError("It failed", seen="a cat"), "It failed: a cat."),
        (VigthoriaError("It failed.", seen="a cat!"), "It failed: a cat!"),
        (VigthoriaError("It failed", advice="Feed it"), "It failed. Feed it."),
        (VigthoriaError("It failed", seen="a cat…", advice="Why?"), "It failed: a cat… Why?"),
        (TooLarge("It is long", cap="max_line_bytes", seen="4 MB", advice="Stop"), "It is long: 4 MB. Stop."),
    ],
)
def test_str_is_one_sentence_or_two(error: VigthoriaError, sentence: str) -> None:
    assert str(error) == sentence
    assert repr(error) == f"{type(error).__name__}({sentence!r})"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (100, StatusError),
        (204, StatusError),
        (307, StatusError),
        (400, BadRequest),
        (401, AuthError),
        (402, PaymentRequired),
        (403, PermissionDenied),
        (404, NotFound),
        (408, BadRequest),
        (409, Conflict),
        (413, BadRequest),
        (418, BadRequest),
        (422, BadRequest),
        (429, RateLimited),
        (500, ServerError),
        (502, ServerError),
        (503, Overloaded),
        (529, Overloaded),
        (599, ServerError),
    ],
)
def test_status_error_is_the_class_of_the_status(status: int, expected: type[StatusError]) -> None:
    assert status_error(status) is expected


@pytest.mark.parametrize("error_class", KINDS)
def test_pickle_and_copy_keep_class_and_attributes(error_class: type[VigthoriaError]) -> None:
    usage = Usage.from_dict({"completion_tokens": 3, "x": 1})
    completion = Completion(text="half", usage=usage, timings=Timings(total_s=1.0))
    error = error_class("What", seen="seen", advice="Do", status=429, request_id="r", completion=completion)
    error.retry_after_s = 2.5
    error.code = "c"
    if isinstance(error, TooLarge):
        error.cap = "max_text_bytes"
    for twin in (roundtrip(error), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is error_class
        assert str(twin) == "What: seen. Do."
        assert vars(twin) == vars(error)
        assert twin.completion == completion


def test_attributes_are_what_was_given() -> None:
    error = RateLimited("W", status=429, retry_after_s=3.0, request_id="r", server_message="m", code="c")
    assert (error.status, error.retry_after_s, error.request_id) == (429, 3.0, "r")
    assert (error.server_message, error.code, error.completion) == ("m", "c", None)
    assert error.args == ("W",)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("  two\n\tlines \r\n", "two lines"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("a\x00b\x07c\u202ed\ud800e", "abcde"),
        ("a\u2028b", "a b"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 499 + "…"),
        ("x" * 10_000_000, "x" * 499 + "…"),
    ],
)
def test_excerpt_is_one_safe_line(text: str, safe: str) -> None:
    assert excerpt(text) == safe
