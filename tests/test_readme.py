"""The README tells what is there."""

from __future__ import annotations

import re
from pathlib import Path

from vig_notebook.notebook.options import option_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_lists_every_option_of_a_cell_and_no_other() -> None:
    table = README.split("## The cell's options")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `-")]
    listed = re.findall(r"`(-[\w-]+)`", "\n".join(row.split("|")[1] for row in rows))
    assert sorted(listed) == sorted(option_names())


def test_readme_links_to_files_that_are_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_readme_names_the_commands_of_dev() -> None:
    assert {"demo", "test", "check"} <= set(re.findall(r"python3 dev\.py (\w+)", README))
