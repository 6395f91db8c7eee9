"""The sender's thread: a line of it that fails is nothing to the app; what is lost for it is counted, and what comes next arrives."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

from sdk.tests.conftest import Sink

import brakit.client
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config
from tests.faults.injection import Line, faults
from tests.faults.observing import captured
from tests.faults.seam import SEAM, is_seam
from tests.faults.sweep import App, Sweep, Unsteady

SAMPLE = 40
QUIET_S = 0.25
"""Longer than what the sender waits for more to come."""
ARRIVAL_S = 6.0


def left_alone(line: Line) -> bool:
    """What holds the guard, and the addition that the count of what is lost begins with; what the thread hands on is tried as well."""
    return line.plain or line.text == "self.taken += len(records)" or ((line.file, line.function) in SEAM and is_seam(line))


class SenderSweep(Sweep):
    """Like a sweep of an app's own threads, with a server that takes what is sent. Each line fails from the client's start on."""

    def __init__(self, app: App, mode: str) -> None:
        super().__init__(app, mode)
        self.sink = Sink()

    def start(self) -> None:
        folder = os.path.join(tempfile.gettempdir(), "brakit-nowhere")  # noqa: PTH118
        self.client = Client(
            Config({"BRAKIT_ENABLE": "1", "BRAKIT_DIR": folder, "BRAKIT_PORT": str(self.sink.port)}),
            Decision(True, "on: for a test"),
        )
        brakit.client._client = self.client
        self.client.attempt("start", self.client.start)
        self.program = self.stack.enter_context(self.app.make())

    def arrived(self, number: int, since: int) -> list[dict[str, Any]]:
        """What has come in since then; waits for `number` events, which nobody sends but the thread."""
        self.sink.wait(lambda: len(self.sink.events) - since >= number, ARRIVAL_S)
        return self.sink.events[since:]

    def _sweep(self) -> None:
        faults.record(of_sender=True)
        self.start()
        difference = self.look().differs(self.truth)
        if difference:
            raise Unsteady(difference)
        time.sleep(QUIET_S)
        faults.rest()
        self.events = captured(self.arrived(1, 0))
        if not self.events:
            raise Unsteady("nothing arrived")
        self.tear_down()
        lines = [number for number in faults.seen if not left_alone(faults.lines[number])]
        self.result.lines = len(lines)
        for number in lines if self.full else self.random.sample(lines, SAMPLE):
            self.fail(number)
            if self.full:
                self.fail(number, once=True)

    def fail(self, number: int, once: bool = False) -> None:
        line = f"{faults.lines[number]} on the sender's thread{' once' if once else ''}"
        self.said(line)
        since, told = len(self.sink.events), sum(self.sink.dropped().values())
        faults.arm(number, of_sender=True, once=once)
        self.start()
        assert self.client is not None
        self.judge(line, self.look())
        time.sleep(QUIET_S)
        faults.rest()
        self.judge(f"{line}: the next run", self.look())
        mine = len(self.events)
        came = (
            self.arrived(2 * mine, since) if not self.client.sender or not self.client.sender.lost else self.arrived(mine, since)
        )
        # The next batch tells what was lost.
        self.client.flush(2.0)
        came = self.sink.events[since:]
        counted = sum(self.sink.dropped().values()) - told
        missing = 2 * mine - len(came)
        if missing > counted:
            self.result.lost.append(f"{line}: {missing} of {2 * mine} events are gone, {counted} of them counted")
        if len(came) > 2 * mine:
            self.result.doubled.append(f"{line}: {len(came)} events of {2 * mine}")
        self.tear_down()
