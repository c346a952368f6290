"""The one place that reads the environment."""

from __future__ import annotations

import os


def read_environment(name: str) -> str | None:
    """Give the value of an environment variable as it is now, or None when it is unset or blank.

    Blanks at both ends are dropped: a key pasted with its line break would break the request's
    header.
    """
    return os.environ.get(name, "").strip() or None
