"""axe-core, the checker of accessibility, from npm: fetched once into a folder that git ignores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parents[2] / ".venv-axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
FETCH = ("npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "axe-core@4")
FETCH_LIMIT_S = 60
REMEDY = "axe-core is not there, and npm cannot fetch it: install Node.js (`apt-get install npm`) and try again"
GRAVE = ("serious", "critical")


def axe_script() -> str:
    """The script; without npm the tests fail where they must run, and are skipped elsewhere."""
    if not SCRIPT.exists() and shutil.which("npm") is not None:
        FOLDER.mkdir(exist_ok=True)
        subprocess.run([*FETCH, "--prefix", str(FOLDER)], capture_output=True, timeout=FETCH_LIMIT_S, check=False)
    if not SCRIPT.exists():
        (pytest.fail if os.environ.get("CI") or os.environ.get("VIG_REQUIRE_BROWSER") else pytest.skip)(REMEDY)
    return SCRIPT.read_text(encoding="utf-8")


def violations(page: Page, selector: str) -> list[str]:
    """What axe finds serious or critical inside the element, one line each."""
    page.evaluate(axe_script())
    found: list[dict[str, Any]] = page.evaluate(
        "async selector => (await axe.run(document.querySelector(selector))).violations", selector
    )
    return [
        f"{one['id']} ({one['impact']}): {json.dumps(node['target'])} {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
