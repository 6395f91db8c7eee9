"""Runs the SDK's tests on every Python that is found: `python -m tests.matrix [3.10 3.12]`, or `make matrix`.

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
CACHE = ROOT / ".cache"
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


def bounds() -> dict[str, str]:
    """What constraints.txt pins, as an upper bound: an old Python gets the newest that it may have."""
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    return {line.partition("==")[0]: line.replace("==", "<=") for line in lines if "==" in line}


def environment(folder: Path, python: Path, wanted: list[str], again: bool = False) -> Path:
    """The Python of an environment with the SDK and what is wanted in it; `again` looks for newer releases of that each time.

    Raises CalledProcessError where it does not install.
    """
    inside = folder / "bin" / "python"
    stamp = folder / "wanted.txt"
    text = "\n".join((str(python), *wanted))
    kept = stamp.exists() and stamp.read_text() == text
    if kept and not again:
        return inside
    if not kept:
        subprocess.run([str(python), "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
        site = next((folder / "lib").glob("python*/site-packages"))
        (site / "brakit.pth").write_text(str(ROOT / "sdk/src"))
    pip = [sys.executable, "-m", "pip", "--python", str(inside), "install", "--quiet", "--upgrade"]
    installed = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if installed.returncode:
        print("\n".join(line[:200] for line in installed.stderr.splitlines()[-5:]), file=sys.stderr)
        installed.check_returncode()
    stamp.write_text(text)
    return inside


def everything() -> list[str]:
    """The libraries as constraints.txt has them, and what they need."""
    file = CACHE / "bounds.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(bounds().values()) + "\n")
    return [*libraries(), f"--constraint={file}"]


def main() -> int:
    found = interpreters()
    wanted = [argument for argument in sys.argv[1:] if argument in VERSIONS]
    options = [argument for argument in sys.argv[1:] if argument not in VERSIONS]
    failed = [version for version in wanted if version not in found]
    for version, python in found.items():
        if wanted and version not in wanted:
            continue
        print(f"Python {version}: {python}", flush=True)
        inside = environment(CACHE / "matrix" / version, python, everything())
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
