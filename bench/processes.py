"""The processes of a measurement: started on one core, watched, stopped by process id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CORES = sorted(os.sched_getaffinity(0))
APP_CORE, LOAD_CORE = CORES[0], CORES[-1]
ROOT = Path(__file__).resolve().parent.parent
ABSENT = 9
"""A port that nothing listens on."""
OFF = {"BENCH_VARIANT": "off", "BRAKIT_DISABLE": "1"}


def on(port: int) -> dict[str, str]:
    """The environment of an app whose SDK sends to `port`."""
    return {"BENCH_VARIANT": "brakit", "BRAKIT_ENABLE": "1", "BRAKIT_PORT": str(port)}


class Process(NamedTuple):
    """One that serves on `port`."""

    pid: int
    port: int

    def cpu(self) -> float:
        """Seconds of CPU that all its threads have used, those that have ended included: Linux makes the id of the clock like this."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def quiet(self, most: float = 2.0) -> None:
        """Wait until it does nothing more, for `most` seconds: what it records is on its way for a while."""
        until = time.monotonic() + most
        before = self.cpu()
        while time.monotonic() < until:
            time.sleep(0.1)
            now = self.cpu()
            if now - before < 0.002:
                return
            before = now

    def memory(self) -> float:
        """MiB of resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def ask(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            read: bytes = answer.read()
            return read

    def stats(self) -> dict[str, int]:
        """Of a sink."""
        told: dict[str, int] = json.loads(self.ask("/stats"))
        return told


def environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment without any of our variables, plus `extra`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BRAKIT_", "BENCH_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), **extra}


def pinned(core: int, python: str = sys.executable) -> list[str]:
    """Command line of a Python on one core."""
    return ["taskset", "-c", str(core), python]


@contextlib.contextmanager
def running(
    arguments: list[str], extra: dict[str, str] | None = None, core: int = APP_CORE, python: str = sys.executable
) -> Iterator[subprocess.Popen[str]]:
    """A process with pipes, and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        process = subprocess.Popen(
            [*pinned(core, python), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment({"BENCH_FOLDER": folder, **(extra or {})}),
        )
        try:
            yield process
        finally:
            end(process)


@contextlib.contextmanager
def serving(
    arguments: list[str], extra: dict[str, str] | None = None, core: int = APP_CORE, python: str = sys.executable
) -> Iterator[Process]:
    """A process that prints its port first."""
    with running(arguments, extra, core, python) as process:
        assert process.stdout is not None
        try:
            yield Process(process.pid, int(process.stdout.readline()))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def end(process: subprocess.Popen[str], most: float = 10.0) -> None:
    """Wait until it has ended, as one that reads its input does by then; after `most` seconds it is made to."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(most)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def output(arguments: list[str], extra: dict[str, str], core: int = APP_CORE) -> str:
    """What a process prints."""
    return subprocess.run(
        [*pinned(core), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment({"BENCH_FOLDER": os.devnull, **extra}),
        timeout=120,
    ).stdout


@contextlib.contextmanager
def sink(mode: str = "ok") -> Iterator[Process]:
    with serving(["-m", "bench.sink", mode], core=LOAD_CORE) as process:
        yield process


@contextlib.contextmanager
def stub() -> Iterator[Process]:
    with serving(["-m", "bench.stub"], core=LOAD_CORE) as process:
        yield process
