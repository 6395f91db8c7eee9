"""Runs of a suite, with us and without, and what differs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.suites.catalogue import Suite

INSIDE = Path(__file__).parent / "inside"
ACTIVE = INSIDE / "active"
"""Found on the path with us only: it imports us."""
SECONDS = float(os.environ.get("SUITES_SECONDS", "240"))
"""How long one run of a suite may take."""
EACH_SECONDS = 20.0
"""How long one test may take."""
ALONE_SECONDS = 60.0
AGAIN = 3
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class Outcome(NamedTuple):
    """How one test has ended."""

    outcome: str
    text: str = ""


@dataclass
class Ran:
    """A run: outcomes by id, the seconds it took, how it ended, and the end of its output."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0
    code: int | None = None
    """None where its time was over."""
    output: str = ""

    def count(self, outcome: str) -> int:
        return sum(one.outcome == outcome for one in self.outcomes.values())


class Runner:
    """Runs the tests of a suite in `source` with `python`; with us where a port is given."""

    def __init__(self, suite: Suite, source: Path, python: Path, redis: str = "") -> None:
        self.suite = suite
        self.source = source
        self.python = python
        self.redis = redis

    def command(self, tests: tuple[str, ...]) -> list[str]:
        """`tests` are ids; the whole suite where there are none."""
        options = [option.format(redis=self.redis) for option in self.suite.options]
        if self.suite.script:
            return [str(self.python), str(INSIDE / "outcomes.py"), *self.suite.tests, *(tests or options)]
        pytest = [
            str(self.python), "-m", "pytest", "-p", "outcomes", "-p", "no:cacheprovider", "-p", "no:randomly",
            f"--timeout={EACH_SECONDS:.0f}", "--continue-on-collection-errors", "-q", "--color=no",
        ]  # fmt: skip
        where = tests or self.suite.tests
        if tests and self.suite.installed:
            where = ("--pyargs", *tests)
        return [*pytest, *options, *where]

    def run(self, port: int, seconds: float, tests: tuple[str, ...] = ()) -> Ran:
        """One run; `port` is that of the server where we take part, 0 without us."""
        file = self.source.parent / "outcomes.jsonl"
        file.unlink(missing_ok=True)
        output = self.source.parent / "output.txt"
        environ = {name: os.environ[name] for name in KEPT if name in os.environ}
        environ |= {"SUITE_OUTCOMES": str(file), "PYTHONDONTWRITEBYTECODE": "1"}
        if port:
            environ |= {"BRAKIT_ENABLE": "1", "BRAKIT_PORT": str(port), "PYTHONPATH": f"{INSIDE}{os.pathsep}{ACTIVE}"}
            if self.suite.warm:
                environ["SUITE_WARM"] = "1"
        else:
            environ |= {"BRAKIT_DISABLE": "1", "PYTHONPATH": str(INSIDE)}
        started = time.monotonic()
        with output.open("wb") as written:
            process = subprocess.Popen(
                self.command(tests), cwd=self.source, env=environ, stdin=subprocess.DEVNULL, stdout=written, stderr=written,
                start_new_session=True,
            )  # fmt: skip
            code: int | None = None
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(seconds)
            finally:
                end(process, str(file))
        text = output.read_text(errors="replace")[-4000:]
        return Ran(_read(file), time.monotonic() - started, code, text)


def end(process: subprocess.Popen[bytes], outcomes: str) -> None:
    """End the run and what its tests have left behind, in sessions of their own too: those that were told to write there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    killed = []
    for left in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if left.environ().get("SUITE_OUTCOMES") == outcomes:
                left.kill()
                killed.append(left)
    psutil.wait_procs(killed, timeout=5)


def _read(file: Path) -> dict[str, Outcome]:
    """The worst that was told of each test: its teardown may fail after it has passed."""
    found: dict[str, Outcome] = {}
    rank = ("skipped", "passed", "failed")
    for line in file.read_text().splitlines() if file.exists() else ():
        told = json.loads(line)
        before = found.get(told["id"])
        if before is None or rank.index(told["outcome"]) > rank.index(before.outcome):
            found[told["id"]] = Outcome(told["outcome"], told["text"])
    return found


def newly(without: Ran, with_us: Ran) -> list[str]:
    """Tests that fail with us and do not without; those that were not run without are left out."""
    return [
        id
        for id, told in with_us.outcomes.items()
        if told.outcome == "failed" and (id in without.outcomes or "(not collected)" in id) and _fine(without, id)
    ]


def _fine(ran: Ran, id: str) -> bool:
    return id not in ran.outcomes or ran.outcomes[id].outcome != "failed"


def missing(without: Ran, with_us: Ran) -> list[str]:
    """Tests that were run without us and are not there with us, where both runs came to their end."""
    if without.code is None or with_us.code is None:
        return []
    return [id for id in without.outcomes if id not in with_us.outcomes]


def alone(runner: Runner, id: str, port: int) -> tuple[int, int]:
    """How often a test fails by itself, of three times: with us, and without."""
    failed = [0, 0]
    for _ in range(AGAIN):
        for index, use in enumerate((port, 0)):
            ran = runner.run(use, ALONE_SECONDS, (id,))
            failed[index] += ran.code is None or ran.count("failed") > 0 or not ran.outcomes
    return failed[0], failed[1]


@contextlib.contextmanager
def own_redis(folder: Path) -> Iterator[str]:
    """A Redis whose databases may be emptied. Raises FileNotFoundError where there is none to start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()
