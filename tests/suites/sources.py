"""Source distributions: fetched by name, unpacked, and what their tests need, as their metadata say."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import tomllib

GROUPS = ("tests", "test", "testing", "dev")
FILES = (
    "requirements/test.txt", "requirements/tests.txt", "requirements-test.txt", "requirements-dev.txt", "dev_requirements.txt",
    "test-requirements.txt",
)  # fmt: skip
TOOLS = (
    "black", "build", "bump-my-version", "codecov", "codespell", "coverage", "coverage-conditional-plugin",
    "coverage-enable-subprocess", "flake8", "flit", "hatch", "invoke", "mypy", "pre-commit", "prek", "pyright", "pytest-codspeed",
    "pytest-randomly", "pytest_codspeed", "python-on-whales", "ruff", "sphinx", "tox", "tox-uv", "twine", "ty", "ufmt",
    "usort", "wheel",
)  # fmt: skip
"""Of what is named for developers: what no test needs. With `pytest-randomly` two runs would not be in the same order."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class NotThere(Exception):
    """Says why there is no suite to run, in one line."""


def release(name: str) -> str:
    """The version that the SDK is tested with."""
    return importlib.metadata.version(name)


def fetch(name: str, folder: Path) -> Path:
    """The unpacked source distribution of the installed version, in `folder`. Raises `NotThere`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name, "--dest", str(folder)]
    got = subprocess.run([*pip, f"{name}=={release(name)}"], capture_output=True, text=True, check=False, timeout=600)
    archives = list(folder.glob("*.tar.gz"))
    if got.returncode or not archives:
        raise NotThere(f"no source distribution: {(got.stderr.strip().splitlines() or ['pip says nothing'])[-1][:150]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def unshadow(source: Path, name: str) -> None:
    """Take the package itself out of the sources, so that its tests import the installed one, compiled parts and all."""
    files = importlib.metadata.files(name) or []
    for top in {file.parts[0] for file in files if len(file.parts) > 1 and file.suffix == ".py"}:
        if (source / top / "__init__.py").exists():
            shutil.rmtree(source / top)
    for file in files:
        if len(file.parts) == 1 and file.suffix == ".py" and (source / file).exists():
            (source / file).unlink()


def requirements(source: Path) -> list[str]:
    """What the tests need: of the first group or file for them that there is."""
    file = source / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(file.read_text()) if file.exists() else {}
    groups: dict[str, list[Any]] = project.get("dependency-groups", {})
    extras: dict[str, list[str]] = project.get("project", {}).get("optional-dependencies", {})
    for found in (groups, extras):
        for group in GROUPS:
            if group in found:
                return [one for one in _resolved(found, group) if _wanted(one)]
    for path in FILES:
        if (source / path).exists():
            return [one for one in _lines(source / path) if _wanted(one)]
    return []


def _resolved(groups: dict[str, list[Any]], group: str) -> list[str]:
    found: list[str] = []
    for one in groups.get(group, []):
        found += [one] if isinstance(one, str) else _resolved(groups, one["include-group"])
    return found


def _lines(path: Path) -> list[str]:
    found: list[str] = []
    for line in path.read_text().splitlines():
        text = line.partition(" #")[0].strip()
        if text.startswith(("-r", "--requirement")):
            deeper = path.parent / text.split(maxsplit=1)[1]
            found += _lines(deeper) if deeper.exists() else []
        elif text and not text.startswith(("-", "#")) and "://" not in text:
            found.append(text)
    return found


def named(requirement: str, names: tuple[str, ...]) -> bool:
    """Whether a requirement is one of these distributions."""
    found = NAME.match(requirement)
    return found is not None and found[0].lower() in names


def _wanted(requirement: str) -> bool:
    return not named(requirement, TOOLS) and not requirement.startswith("types-")
