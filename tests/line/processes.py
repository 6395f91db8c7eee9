"""The processes of the tests of the whole line: the real server with questions to its API, apps, and waiting for things."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


class Process:
    """A process in a folder of its own; what it prints goes to a file. Stopped by its id."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str], name: str) -> None:
        self.log = folder / f"{name}.log"
        # What makes an SDK switch itself off is none of these processes' business; the published one knows no way around it.
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("BRAKIT_", "PYTEST_")) and key != "CI"
        }
        with self.log.open("wb") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                env={**inherited, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code, after `number` was sent to it (SIGKILL after ten seconds)."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class Server:
    """A running brakit server and its API."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.data = folder / ".brakit"
        self.process = Process(
            [sys.executable, "-m", "brakit_server.cli", "serve", "--port", str(port), "--dir", str(self.data)],
            folder,
            {},
            "server",
        )
        wait_for((self.data / "port").exists, 20, self.process)
        self.port = int((self.data / "port").read_text())
        self.url = f"http://127.0.0.1:{self.port}/__brakit"

    def get(self, path: str) -> Any:
        """The JSON of `GET /__brakit/api/<path>`."""
        with urllib.request.urlopen(f"{self.url}/api/{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, body: bytes) -> int:
        """Status of the answer to a POST to ingest."""
        request = urllib.request.Request(f"{self.url}/api/ingest", data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def environment(self, service: str) -> dict[str, str]:
        """What an app needs to be observed by this server."""
        return {"BRAKIT_DIR": str(self.data), "BRAKIT_SERVICE": service, "BRAKIT_ENABLE": "1"}


def starter(folder: Path) -> Iterator[Callable[..., Process]]:
    """Yields a function that starts a process in `folder`; stops them all afterwards."""
    started: list[Process] = []

    def run(command: list[str], name: str = "app", **variables: str) -> Process:
        started.append(Process(command, folder, variables, name))
        return started[-1]

    yield run
    for process in started:
        process.stop()


def wait_for(condition: Callable[[], Any], seconds: float, process: Process | None = None) -> Any:
    """What `condition` answers once that is true; fails after `seconds`, or when `process` ends before."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        if process is not None and process.popen.poll() is not None:
            pytest.fail(f"ended with code {process.popen.returncode}:\n{process.text()[-4000:]}")
        if time.monotonic() > until:
            pytest.fail(f"not within {seconds} s" + (f":\n{process.text()[-4000:]}" if process else ""))
        time.sleep(0.05)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
