"""`brakit serve`, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.line.processes import Process, Server, wait_for


def brakit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "brakit_server.cli", *arguments], cwd=folder, timeout=60, capture_output=True, text=True
    )


def test_it_says_its_address_and_ends_in_order(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with urllib.request.urlopen(f"{server.url}/api/status") as answer:
        assert json.load(answer)["events"] == {}
    assert server.process.text() == f"brakit: {server.url}\n"
    assert server.process.stop() == 0
    assert not (server.data / "port").exists()


def test_a_second_one_says_who_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path)
    ran = brakit(tmp_path, "serve", "--dir", str(server.data))
    assert ran.returncode == 2
    assert f"pid {server.process.popen.pid}" in ran.stderr
    assert server.url in ran.stderr
    assert server.process.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "--port"),
        (["--durability", "maybe"], "--durability"),
        (["--max-bytes", "12"], "--max-bytes"),
        (["--host", "0.0.0.0"], "BRAKIT_READ_TOKEN"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, arguments: list[str], words: str) -> None:
    ran = brakit(tmp_path, "serve", "--dir", str(tmp_path / "data"), *arguments)
    assert ran.returncode == 2
    assert ran.stderr.startswith("brakit serve: ")
    assert words in ran.stderr


def test_it_ends_with_the_process_that_it_is_for(tmp_path: Path, start: Callable[..., Process]) -> None:
    waiting = start([sys.executable, "-c", "import time; time.sleep(60)"], name="waiting")
    data = tmp_path / "data"
    server = start(
        [
            sys.executable,
            "-m",
            "brakit_server.cli",
            "serve",
            "--port",
            "0",
            "--dir",
            str(data),
            "--until-exit",
            str(waiting.popen.pid),
        ],
        name="server",
    )
    wait_for((data / "port").exists, 20, server)
    waiting.stop()
    assert server.popen.wait(10) == 0


def test_its_help_has_an_example(tmp_path: Path) -> None:
    assert "Example: brakit serve" in brakit(tmp_path, "serve", "--help").stdout
    listed = brakit(tmp_path, "--help").stdout
    assert "run" in listed
    assert "The server, in the foreground." in listed
