"""The table of the sweeps, at the end of the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WRONG = ("altered", "doubled", "lost")
ROWS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section("lines of ours that failed on purpose, and what an app saw of it")
    terminalreporter.write_line(f"{'app':<20}{'lines':>8}{'runs':>8}{'altered':>9}{'doubled':>9}{'lost owners':>13}")
    for row in [*rows, total(rows)]:
        numbers = [row["lines"], row["runs"], len(row["altered"]), len(row["doubled"]), len(row["lost"])]
        cells = "".join(f"{number:>{width}}" for number, width in zip(numbers, (8, 8, 9, 9, 13), strict=True))
        terminalreporter.write_line(f"{row['app']:<20}{cells}{'  skipped: ' + row['skipped'] if row['skipped'] else ''}")


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = {name: sum(row[name] for row in rows) for name in ("lines", "runs")}
    return {"app": "all", "skipped": "", **numbers, **{name: [one for row in rows for one in row[name]] for name in WRONG}}


@pytest.fixture
def sweep(request: pytest.FixtureRequest) -> Callable[[str], list[dict[str, Any]]]:
    """`sweep(room)`: the rows of the apps of a room, swept in a process of their own."""

    def sweep(room: str, *arguments: str, timeout: float = 100) -> list[dict[str, Any]]:
        mode = "full" if os.environ.get("BRAKIT_LONG") else "sample"
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ran = subprocess.run(
            [sys.executable, "-m", "tests.faults", room, mode, *arguments],
            cwd=ROOT,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout * 12 if mode == "full" else timeout,
        )
        rows: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
        request.config.stash[ROWS] += rows
        # What came last says at which line the process has got stuck, or has died.
        assert ran.returncode == 0, ran.stderr[-4000:]
        return rows

    return sweep
