"""The names a user types, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import vig_notebook as vig

HEAVY = ("IPython", "ipywidgets", "traitlets", "anywidget", "pandas", "scipy", "altair", "aiohttp", "jinja2")


def test_names_are_sorted_and_are_those_of_their_rooms() -> None:
    assert vig.__all__ == sorted(vig.__all__)
    assert set(vig._ROOM_OF) | {"load_ipython_extension", "unload_ipython_extension"} == set(vig.__all__)
    for name, room in vig._ROOM_OF.items():
        module = import_module(f"vig_notebook.{room}")
        assert getattr(vig, name) is getattr(module, name)
        assert name in module.__all__


def test_dir_lists_the_names() -> None:
    assert set(dir(vig)) == set(vig.__all__)


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stream_chatt'"):
        _ = vig.stream_chatt


def run_fresh(code: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_import_starts_nothing_and_takes_nothing_heavy_along() -> None:
    code = (
        "import sys, threading, vig_notebook\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], threading.active_count())"
    )
    assert run_fresh(code) == "[] 1"


def test_python_doors_work_where_no_notebook_package_is_installed() -> None:
    code = (
        "import sys\n"
        "for name in ('IPython', 'ipywidgets', 'traitlets', 'anywidget', 'pandas'): sys.modules[name] = None\n"
        "import os; os.environ.update(VIG_DEMO_PACE='0', VIG_LOCAL_MODEL='off', VIG_LOG='off')\n"
        "import vig_notebook as vig\n"
        "print(len(vig.stream_chat('Write a haiku', echo=False)) > 20)"
    )
    assert run_fresh(code) == "True"
