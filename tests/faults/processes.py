"""Whole programs: a line that fails while brakit is imported, while a process forks or at its end. Same output, same exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sdk.tests.conftest import Sink

from tests.faults.observing import NUMBERS
from tests.faults.sweep import App, Result

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE, LONG_SAMPLE = 14, 150
"""A program takes a second: even the full sweep takes some of the lines only."""
SLOW_S = 5.0
STUCK_S = 30.0
FILES = (
    "activation.py", "buffer.py", "client.py", "config.py", "context.py", "entry_points.py", "native.py", "patch.py", "transport.py",
    "instrumentations/multiprocessing.py", "instrumentations/sys.py",
)  # fmt: skip
Ended = tuple[int, str, list[str]]


class ProcessSweep:
    """Runs the program once for each line of the files that see to beginnings and ends."""

    def __init__(self, app: App, mode: str) -> None:
        self.app = app
        self.full = mode == "full"
        self.result = Result(app.name)
        self.sink = Sink()

    def ran(self, fault: str, *files: int, **variables: str) -> tuple[Ended, float]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.script", self.app.name],
            cwd=ROOT,
            env={**kept, "BRAKIT_ENABLE": "1", "BRAKIT_PORT": str(self.sink.port), "FAULT": fault, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=files,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=STUCK_S)
        except subprocess.TimeoutExpired:
            # Its own session: what it has forked goes with it.
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
        self.result.runs += 1
        printed = [NUMBERS.sub("#", line) for line in stderr.splitlines() if not line.startswith(" ")]
        return (process.returncode, stdout, printed), time.perf_counter() - started

    def run(self) -> Result:
        import random

        truth, _ = self.ran("", BRAKIT_ENABLE="", BRAKIT_DISABLE="1")
        with tempfile.TemporaryFile("w+") as seen:
            clean, usual_s = self.ran(str(seen.fileno()), seen.fileno())
            assert clean == truth, (clean, truth)
            seen.seek(0)
            lines = [line for line in dict.fromkeys(seen.read().split()) if line.rpartition(":")[0] in FILES]
        assert self.sink.events, "nothing arrived"
        self.result.lines = len(lines)
        for line in random.Random(self.app.name).sample(lines, min(len(lines), LONG_SAMPLE if self.full else SAMPLE)):
            print(f"{self.app.name}: {line}", file=sys.__stderr__, flush=True)
            ended, seconds = self.ran(line)
            if ended != truth:
                self.result.altered.append(f"{line}: {ended!s:.700} instead of {truth}")
            if seconds > usual_s + SLOW_S:
                self.result.altered.append(f"{line}: took {seconds:.1f} s instead of {usual_s:.1f}")
        return self.result
