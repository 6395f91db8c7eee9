"""`make new`: what it writes is well-formed, typed and in the right place, and it overwrites nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def new(root: Path, kind: str, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "schema/new.py", kind, name], cwd=root, capture_output=True, text=True, timeout=60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with nothing of the project but the generator and its templates."""
    shutil.copytree(ROOT / "schema", tmp_path / "schema")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["instrumentation", "rule", "resource", "command", "view"])
def test_a_new_file_and_its_test(root: Path, kind: str) -> None:
    made = new(root, kind, "slow-thing")
    assert made.returncode == 0, made.stderr
    paths = [root / line for line in made.stdout.splitlines()]
    assert len(paths) == 2
    assert all(path.read_text().strip() for path in paths)
    python = [str(path) for path in paths if path.suffix == ".py"]
    if python:
        checked = subprocess.run([sys.executable, "-m", "ruff", "check", *python], cwd=root, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout
        formatted = subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--diff", *python], cwd=root, capture_output=True, text=True
        )
        assert formatted.returncode == 0, formatted.stdout
    paths[0].write_text("mine")
    again = new(root, kind, "slow-thing")
    assert (again.returncode, paths[0].read_text()) == (1, "mine")


@pytest.mark.parametrize(("kind", "name"), [("rules", "x"), ("rule", "../x"), ("rule", "")])
def test_what_makes_no_sense_is_refused(root: Path, kind: str, name: str) -> None:
    assert new(root, kind, name).returncode == 2
