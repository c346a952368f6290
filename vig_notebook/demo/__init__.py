"""Embedded demo server: the whole protocol, scripted answers, faults by name; no key and no network needed."""

from __future__ import annotations

from vig_notebook.demo.server import DEMO, DemoServer

__all__ = ["DEMO", "DemoServer"]
