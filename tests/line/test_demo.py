"""The product's main job, as a stranger would run it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"(requests|queries|fetches|logs|errors)\W+(\d+)\W+(\d+)\W+same")


def start(folder: Path, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={**os.environ, "DEMO_DIR": str(folder), "COLUMNS": "200", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started_by(folder: Path) -> list[psutil.Process]:
    """The processes of the demo in `folder`: they inherit its name in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEMO_DIR") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def finish(demo: subprocess.Popen[str], folder: Path, seconds: float) -> str:
    """The demo's whole output. Nothing that it started is left, even when it hangs."""
    try:
        output, _ = demo.communicate(timeout=seconds)
        assert not started_by(folder), output
    finally:
        for process in started_by(folder):
            process.kill()
        demo.wait()
    return output


@pytest.mark.timeout(90)
def test_everything_that_was_sent_is_captured_once_and_the_faults_are_found(tmp_path: Path) -> None:
    demo = start(tmp_path, DEMO_SECONDS="8")
    output = finish(demo, tmp_path, seconds=75)
    assert demo.returncode == 0, output
    rows = ROW.findall(output)
    assert len(rows) == 10, output
    assert all(sent == captured for _, sent, captured in rows), output
    requests, queries, fetches, logs, errors = (int(sent) for _, sent, _ in rows[:5])
    assert requests > 40
    assert queries > 300
    assert min(fetches, logs, errors) > 0
    issues = output.split("Issues", 1)[1]
    for rule in ("n1", "slow", "error"):
        assert re.search(rf"(?m)^\W+{rule}\s", issues), output


@pytest.mark.timeout(90)
def test_ctrl_c_ends_it_with_the_comparison(tmp_path: Path) -> None:
    demo = start(tmp_path, DEMO_CLIENTS="2")
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if "until Ctrl-C" in line:
            break
    assert any(re.search(r"http://127\.0\.0\.1:\d+/__brakit/", line) for line in lines), lines
    demo.send_signal(signal.SIGINT)
    output = finish(demo, tmp_path, seconds=60)
    assert demo.returncode == 0, "".join(lines) + output
    assert "Everything that was sent was captured" in output
