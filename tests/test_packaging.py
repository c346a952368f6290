"""What is shipped is what is meant: the wheel, its metadata, the Binder image, and nothing of a machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import metadata, requires
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTENSION = ROOT / "vig_notebook" / "labextension"
SHARED = "share/jupyter/labextensions/vig-notebook"

RUNTIME = {
    *("aiohttp", "ipython", "ipywidgets", "jinja2", "markdown-it-py", "msgspec", "platformdirs", "pygments"),
}
# Put together here, so that this file does not name them.
REGISTRIES = [f"{name}.{end}" for name, end in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:root|home/\w+|Users/\w+)/\w")
AGAIN = "the installed JupyterLab extension is not that of the sources: run `pip install -e .` again"
HEAVY = ("IPython", "ipywidgets", "pandas", "scipy", "altair", "sqlite3")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The text files that are committed."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:1024]]


def test_wheel_has_the_package_its_types_and_its_license(wheel: list[str]) -> None:
    assert "vig_notebook/py.typed" in wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert not [name for name in wheel if name.startswith(("tests", "benchmarks", "dev"))]


def test_wheel_puts_the_lab_extension_where_jupyterlab_looks(wheel: list[str]) -> None:
    files = {path.relative_to(EXTENSION).as_posix() for path in EXTENSION.rglob("*") if path.is_file()}
    placed = {name.split(f"{SHARED}/", 1)[1] for name in wheel if SHARED in name}
    assert placed == files


def test_installation_puts_the_lab_extension_where_jupyterlab_looks() -> None:
    if not EXTENSION.exists():
        pytest.skip("there is no JupyterLab extension")
    for path in filter(Path.is_file, EXTENSION.rglob("*")):
        installed = Path(sys.prefix, SHARED, path.relative_to(EXTENSION))
        assert installed.is_file(), AGAIN
        assert installed.read_bytes() == path.read_bytes(), AGAIN


def test_runtime_dependencies_are_the_eight_of_the_design() -> None:
    needed = {
        re.split(r"[^\w-]", item, maxsplit=1)[0] for item in requires("vig-notebook") or [] if "extra" not in item
    }
    assert needed == RUNTIME
    assert set(metadata("vig-notebook").get_all("Provides-Extra") or []) == {"lab", "tuning", "test"}


def test_every_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    for requirement in PROJECT["dependencies"]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement), requirement


def test_changelog_names_the_version() -> None:
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_import_starts_nothing_and_loads_nothing_heavy() -> None:
    program = f"""if True:
        import sys, threading, vig_notebook
        print([name for name in {HEAVY!r} if name in sys.modules], threading.active_count())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] 1"


def test_no_committed_file_names_a_registry_or_a_folder_of_a_machine(tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        text = path.read_text(encoding="utf-8")
        found += [f"{path.name}: {host}" for host in REGISTRIES if host in text]
        found += [f"{path.name}: {match}" for match in MACHINE_PATH.findall(text)]
    assert not found


def test_no_committed_file_records_where_packages_came_from(tracked: list[Path]) -> None:
    locks = {"uv.lock", "poetry.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
    assert not [path for path in tracked if path.name in locks]


def test_binder_builds_an_image_with_the_package_and_jupyterlab() -> None:
    if find_spec("repo2docker") is None:
        pytest.skip("jupyter-repo2docker is not installed: pip install jupyter-repo2docker")
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    dockerfile = done.stdout + done.stderr
    assert done.returncode == 0, dockerfile
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "environment.py-3.11" in dockerfile.replace("-2e", ".").replace("-2d", "-")
    assert (ROOT / "binder" / "requirements.txt").read_text().strip() == "-e .[lab]"
