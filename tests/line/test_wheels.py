"""The wheels that `make build` writes, installed into empty environments: the SDK alone, and the server with its dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.line.processes import ROOT, Process, wait_for


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dist")
    for distribution in ("sdk", "server"):
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT / distribution)],
            check=True,
            capture_output=True,
        )
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


def environment(folder: Path, *wheels: Path) -> Path:
    """Python of a new environment with these wheels."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    subprocess.run([*pip, *map(str, wheels)], check=True, env=clean())
    return python


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("BRAKIT_", "PYTEST_", "PYTHON"))}


def test_the_sdk_stands_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", wheels["brakit"])
    code = "import brakit, sys; print(sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    ran = subprocess.run([str(python), "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True, env=clean())
    assert ran.stdout.strip() in ("['__main__', 'brakit']", "['brakit']", "['__main__', '_distutils_hack', 'brakit']"), ran.stdout
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout
    assert {line.partition("==")[0] for line in listed.split()} <= {"brakit", "pip", "setuptools", "wheel"}
    assert wheels["brakit"].stat().st_size < 1024 * 1024


def test_the_server_brings_its_dashboard(wheels: dict[str, Path], tmp_path: Path, start: Callable[..., Process]) -> None:
    names = zipfile.ZipFile(wheels["brakit_server"]).namelist()
    assert "brakit_server/web/index.html" in names
    assert "brakit_server/bootstrap/sitecustomize.py" in names
    python = environment(tmp_path / "venv", wheels["brakit"], wheels["brakit_server"])
    data = tmp_path / ".brakit"
    server = start([str(python.parent / "brakit"), "serve", "--port", "0", "--dir", str(data)], name="server")
    wait_for((data / "port").exists, 20, server)
    with urllib.request.urlopen(f"http://127.0.0.1:{(data / 'port').read_text()}/__brakit") as page:
        text = page.read().decode()
    assert page.status == 200
    assert "/__brakit/assets/" in text
    # The program of an environment without the SDK is observed all the same: `brakit run` brings the server's along.
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    program = "import brakit, sys; print(brakit.__file__, 'msgspec' in sys.modules)"
    ran = subprocess.run(
        [str(python.parent / "brakit"), "run", "--dir", str(data), "--", str(bare / "bin" / "python"), "-c", program],
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60, env=clean(),
    )  # fmt: skip
    assert ran.stdout.startswith(str(tmp_path / "venv"))
    assert ran.stdout.split()[1] == "False"
