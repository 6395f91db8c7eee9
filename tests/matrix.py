"""Runs the SDK's tests on every Python that is found: `python tests/matrix.py [3.10 3.12]`, or `make matrix`.

Each version gets an environment under .cache/matrix/, made once and again when the list of libraries changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
NEEDLESS = ("checks", "building the wheels")
"""Sections of requirements-dev.txt that the SDK's tests do without."""


def interpreters() -> dict[str, Path]:
    """The newest interpreter of each version, on the path or under pyenv."""
    found: dict[str, Path] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in sorted(pyenv.glob("3.*/bin/python3"), key=_numbers):
        version = ".".join(path.parts[-3].split(".")[:2])
        if version in VERSIONS:
            found[version] = path
    for version in VERSIONS:
        on_path = shutil.which(f"python{version}")
        if version not in found and on_path and _runs(on_path):
            found[version] = Path(on_path)
    return dict(sorted(found.items(), key=lambda item: VERSIONS.index(item[0])))


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parts[-3])]


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def libraries() -> list[str]:
    """What the tests need, of requirements-dev.txt."""
    wanted: list[str] = []
    section = ""
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif line.strip() and section not in NEEDLESS and not line.startswith(("types-", "playwright")):
            wanted.append(line.strip())
    return wanted


def environment(version: str, python: Path) -> Path:
    """The Python of the environment for one version, with the SDK and the libraries in it."""
    folder = ROOT / ".cache" / "matrix" / version
    inside = folder / "bin" / "python"
    stamp = folder / "libraries.txt"
    wanted = libraries()
    if not inside.exists() or not stamp.exists() or stamp.read_text() != "\n".join(wanted):
        subprocess.run([str(python), "-m", "venv", "--clear", str(folder)], check=True)
        install = [
            str(inside),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *wanted,
            "--editable",
            str(ROOT / "sdk"),
        ]
        # A pin may be of a version that this Python is too old for; then the newest that fits will do.
        pinned = subprocess.run([*install, "--constraint", str(ROOT / "constraints.txt")], capture_output=True, check=False)
        if pinned.returncode:
            subprocess.run(install, check=True)
        stamp.write_text("\n".join(wanted))
    return inside


def main() -> int:
    found = interpreters()
    wanted = [argument for argument in sys.argv[1:] if argument in VERSIONS]
    options = [argument for argument in sys.argv[1:] if argument not in VERSIONS]
    failed = [version for version in wanted if version not in found]
    for version, python in found.items():
        if wanted and version not in wanted:
            continue
        print(f"Python {version}: {python}", flush=True)
        inside = environment(version, python)
        ran = subprocess.run(
            [str(inside), "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *(options or ["sdk/tests"])], cwd=ROOT, check=False
        )
        if ran.returncode:
            failed.append(version)
    print(
        f"passed on {', '.join(v for v in (wanted or found) if v not in failed) or 'none'}"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
