from __future__ import annotations

from dataclasses import fields

import pytest

from vig_notebook.errors import ConfigError
from vig_notebook.settings import Limits


def test_limits_defaults_are_all_valid_numbers() -> None:
    limits = Limits()
    assert limits.max_retries == 2
    assert limits.max_retry_wait_s == 120
    assert limits.total_timeout_s is None
    assert all(getattr(limits, field.name) for field in fields(limits) if field.name != "total_timeout_s")


def test_limits_no_retries_and_whole_seconds_are_valid() -> None:
    limits = Limits(max_retries=0, idle_timeout_s=5, total_timeout_s=30)
    assert (limits.max_retries, limits.idle_timeout_s, limits.total_timeout_s) == (0, 5, 30)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("idle_timeout_s", 0, "idle_timeout_s must be above 0: it is 0. Give a number above 0."),
        ("idle_timeout_s", -1.5, "idle_timeout_s must be above 0: it is -1.5. Give a number above 0."),
        ("idle_timeout_s", float("nan"), "idle_timeout_s must be above 0: it is nan. Give a number above 0."),
        ("idle_timeout_s", "5", "idle_timeout_s must be a number: it is '5'. Give a number above 0."),
        ("idle_timeout_s", None, "idle_timeout_s must be a number: it is None. Give a number above 0."),
        ("idle_timeout_s", True, "idle_timeout_s must be a number: it is True. Give a number above 0."),
        ("total_timeout_s", 0, "total_timeout_s must be above 0: it is 0. Give a number above 0."),
        ("max_retries", -1, "max_retries must be of 0 or more: it is -1. Give a whole number of 0 or more."),
        ("max_retries", 1.5, "max_retries must be a whole number: it is 1.5. Give a whole number of 0 or more."),
        ("max_choices", 0, "max_choices must be above 0: it is 0. Give a whole number above 0."),
    ],
)
def test_limits_wrong_number_is_refused_with_its_name(name: str, value: object, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Limits(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == sentence
