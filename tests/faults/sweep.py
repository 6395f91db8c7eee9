"""One app, run once for each line of ours that fails, and compared with its run without us."""

from __future__ import annotations

import contextvars
import faulthandler
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import brakit.client
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config
from brakit.wire import Wire
from tests.faults.injection import faults
from tests.faults.observing import Run, Seen, captured, observe
from tests.faults.seam import is_seam

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = 10
START_SAMPLE = 4
SLOW_S = 3.0
STUCK_S = 40.0
FULL = "full"


@dataclass
class App:
    """A small app. `make` sets it up and gives its run; `files` are the instrumentations that it is there for, `shares` are files that
    all of its kind share and that are tried line by line with this one."""

    name: str
    make: Callable[[], AbstractContextManager[Run]]
    files: tuple[str, ...]
    shares: tuple[str, ...] = ()


@dataclass
class Result:
    """A row of the table, and what was wrong."""

    app: str
    lines: int = 0
    runs: int = 0
    altered: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    skipped: str = ""
    broken: str = ""
    silent: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Unsteady(Exception):
    """The app itself does not do the same twice."""


class Sweep:
    """`run()` gives the row."""

    def __init__(self, app: App, mode: str) -> None:
        self.app = app
        self.full = mode == FULL
        self.result = Result(app.name)
        # The same lines each time.
        self.random = random.Random(app.name)
        self.client: Client | None = None
        self.stack = ExitStack()
        self.wire: Any = None
        self.program: Run = lambda _: None
        self.truth = Seen()
        self.events: list[str] = []

    # The app, with us and without.

    def build(self, number: int = -1) -> None:
        """Start a client, then the app; a line may fail while the client starts."""
        for variable in list(contextvars.copy_context()):
            if variable.name.startswith("brakit_"):
                variable.set(None)
        self.client = client = Client(
            Config({"BRAKIT_ENABLE": "1", "BRAKIT_DIR": os.path.join(tempfile.gettempdir(), "brakit-nowhere")}),  # noqa: PTH118
            Decision(True, "on: for a test"),
        )
        client.buffer.wake = lambda: None
        client.look = lambda: None  # type: ignore[method-assign]
        brakit.client._client = client
        self.wire = Wire(client)
        self.wire.root = str(ROOT)
        if number >= 0:
            faults.arm(number)
        client.attempt("start", client.start)
        faults.rest()
        self.program = self.stack.enter_context(self.app.make())

    def tear_down(self) -> None:
        self.stack.close()
        if self.client is not None:
            self.client.shutdown(0.0)
        brakit.client._client = self.client = None

    def look(self) -> Seen:
        """One run. One that hangs ends the process."""
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        try:
            self.result.runs += 1
            return observe(self.program)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def take(self) -> list[str]:
        """What has been captured since the last time."""
        import json

        assert self.client is not None
        records = self.client.buffer.take(self.client.buffer.limit + 1)
        encoded, _ = self.wire.encode(records)
        return captured([json.loads(event) for event in encoded])

    # The sweep.

    def run(self) -> Result:
        with self.app.make() as program:
            self.program = program
            self.look()
            self.truth, again = self.look(), self.look()
            if difference := again.differs(self.truth):
                raise Unsteady(f"without us: {difference}")
        try:
            self._sweep()
        finally:
            faults.rest()
            self.tear_down()
        return self.result

    def _sweep(self) -> None:
        self.build()
        assert self.client is not None
        self.look()
        self.take()
        clean = self.look()
        if difference := clean.differs(self.truth):
            raise Unsteady(f"with us, nothing failing: {difference}")
        assert not clean.leaks, clean.leaks
        self.events = self.take()
        self.look()
        if (second := self.take()) != self.events:
            raise Unsteady(f"captured: {sorted(set(second) ^ set(self.events))}")
        assert self.client.failures.counts == {}, self.client.failures.first
        faults.record()
        self.look()
        faults.rest()
        self.take()
        lines = [number for number in faults.seen if not is_seam(faults.lines[number])]
        self.result.lines = len(lines)
        for number in self.chosen(lines, SAMPLE, self.app.shares):
            self.fail(number)
            if self.full:
                self.fail(number, once=True)
        self.starts()

    def chosen(self, lines: Iterable[int], sample: int, shares: tuple[str, ...]) -> list[int]:
        """All when the sweep is full; else a sample of the app's own lines, and all those of what is shared."""
        lines = list(lines)
        if self.full:
            return lines
        names = {f"instrumentations/{file}" for file in self.app.files}
        own = [number for number in lines if faults.lines[number].file in names and faults.lines[number].file not in shares]
        shared = [number for number in lines if faults.lines[number].file.rpartition("/")[2] in shares]
        return self.random.sample(own, min(sample, len(own))) + shared

    def fail(self, number: int, once: bool = False) -> None:
        """A run in which that line fails, and one after it."""
        line = f"{faults.lines[number]}{' once' if once else ''}"
        self.said(line)
        assert self.client is not None
        self.client.failures.counts.clear()
        self.client.failures.first.clear()
        faults.arm(number, once=once)
        seen = self.look()
        faults.rest()
        if faults.fired and not self.client.failures.counts:
            self.result.silent.append(line)
        self.judge(line, seen)
        self.take()
        after = self.look()
        events = self.take()
        bad = [f"the next run: {found}"] if (found := after.differs(self.truth)) else []
        bad += [f"stays behind: {seen.leaks}"] if seen.leaks else []
        if events != self.events:
            lacking = [event for event in self.events if event not in events]
            added = [event for event in events if event not in self.events]
            bad.append(f"captured next: without {lacking[:2]}, with {added[:2]}, {len(events)} of {len(self.events)}")
        if bad:
            self.result.lost.append(f"{line}: {'; '.join(bad)}")
            self.tear_down()
            self.build()
            self.look()
            self.take()

    def judge(self, line: str, seen: Seen) -> None:
        if difference := seen.differs(self.truth):
            self.result.altered.append(f"{line}: {difference}")
        if seen.doubled(self.truth):
            self.result.doubled.append(f"{line}: {seen.counts} instead of {self.truth.counts}")
        if seen.seconds > max(SLOW_S, 20 * self.truth.seconds):
            self.result.altered.append(f"{line}: took {seen.seconds:.1f} s instead of {self.truth.seconds:.3f}")

    def starts(self) -> None:
        """The lines that patch, each failing while the client starts; then the app runs half patched, and whole again."""
        self.tear_down()
        faults.record()
        self.build()
        faults.rest()
        names = {f"instrumentations/{file}" for file in self.app.files}
        wanted = [number for number in faults.seen if faults.lines[number].file in {*names, "patch.py", "guard.py"}]
        lines = [number for number in wanted if not is_seam(faults.lines[number]) and self.patches(number)]
        self.result.lines += len(lines)
        shares = tuple(name for name in self.app.shares if name == "patch.py")
        for number in self.chosen(lines, START_SAMPLE, shares):
            line = f"{faults.lines[number]} at the start"
            self.said(line)
            self.tear_down()
            self.build(number)
            self.judge(line, self.look())
            self.tear_down()
            self.build()
            self.look()
            self.take()
            after = self.look()
            if difference := after.differs(self.truth):
                self.result.altered.append(f"{line}: the next client: {difference}")
            if (events := self.take()) != self.events:
                self.result.lost.append(f"{line}: the next client captures {sorted(set(events) ^ set(self.events))[:2]}")

    def patches(self, number: int) -> bool:
        """Whether the full sweep tries this line here: what is shared by all is tried with one app."""
        file = faults.lines[number].file
        return file.startswith("instrumentations/") or file in self.app.shares

    def said(self, line: str) -> None:
        """For whoever wants to know where a process has got stuck."""
        print(f"{self.app.name}: {line}", file=sys.__stderr__, flush=True)
