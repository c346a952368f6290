"""A thousand runs at once where few files may be open (figure 21)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.client.conftest import DONE, FINISH, HEAD, Close, Sleep, event
from tests.scripts import scripted

if TYPE_CHECKING:
    from tests.client.conftest import Step

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs ulimit")

LIMIT_S = 60.0
RUNS = """
import json, resource, sys
import vig_notebook as vig
from vig_notebook.engine import engine
count, files, base_url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
engine()
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
runs, refused = [], []
for _ in range(count):
    try:
        runs.append(vig.start("hi", base_url=base_url))
    except vig.ConfigError as error:
        refused.append(error)
assert all(run.wait(50) for run in runs)
print(json.dumps({
    "done": sum(run.state == "DONE" and run.text == "hello" for run in runs),
    "failed": sum(run.state == "FAILED" for run in runs) + len(refused),
    "errors": sorted({str(error) for error in refused + [run.error for run in runs] if error}),
}))
"""
ANSWER: tuple[Step, ...] = (HEAD + event("hello"), Sleep(0.001), FINISH + DONE, Close())


def run_at_once(count: int, *, files: int) -> dict[str, Any]:
    """Start runs in a process that may open so many files, and give what came of them."""
    with scripted(*ANSWER) as server:
        done = subprocess.run(
            [sys.executable, "-c", RUNS, str(count), str(files), server.base_url],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    assert (done.returncode, done.stderr) == (0, "")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_thousand_runs_end_well_with_256_files() -> None:
    assert run_at_once(1000, files=256) == {"done": 1000, "failed": 0, "errors": []}


@pytest.mark.parametrize("files", [12, 20])
def test_runs_with_too_few_files_end_and_say_so_in_a_sentence(files: int) -> None:
    seen = run_at_once(100, files=files)
    assert seen["done"] + seen["failed"] == 100
    assert seen["failed"] > 0
    for error in seen["errors"]:
        assert "oo many open files" in error
        assert "ulimit -n" in error
