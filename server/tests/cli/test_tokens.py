"""`brakit tokens`, in a process of its own; with a server: security/test_exposure.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def tokens(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRAKIT_")}
    return subprocess.run(
        [sys.executable, "-m", "brakit_server.cli", "tokens", *arguments],
        cwd=folder,
        env=environment,
        umask=0,
        timeout=60,
        capture_output=True,
        text=True,
    )


def test_it_keeps_what_is_there_unless_it_is_to_be_renewed(tmp_path: Path) -> None:
    assert tokens(tmp_path, "--dir", "data").stdout.startswith("made ")
    file = tmp_path / "data" / "read-token"
    before = file.read_text()
    assert tokens(tmp_path, "--dir", "data").stdout.startswith("kept ")
    assert file.read_text() == before
    assert tokens(tmp_path, "--dir", "data", "--renew").stdout.startswith("made ")
    assert file.read_text() != before


def test_a_file_that_others_can_read_is_not_kept(tmp_path: Path) -> None:
    tokens(tmp_path)
    (tmp_path / ".brakit" / "read-token").chmod(0o644)
    ran = tokens(tmp_path)
    assert ran.returncode == 2
    assert "read-token" in ran.stderr
    assert tokens(tmp_path, "--renew").returncode == 0
