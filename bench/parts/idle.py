"""What the server costs while little happens, and how soon an open dashboard shows what does."""

from __future__ import annotations

import json
import os
import tempfile
import time

from bench.load import post
from bench.pace import paced
from bench.parts.ingest import brakit_server
from bench.processes import Process
from bench.sheet import Sheet, console, most
from bench.watching import Watcher

SECONDS = float(os.environ.get("BENCH_SECONDS", "2")) * 4
LITTLE = 40
BUSY = tuple(int(rate) for rate in os.environ.get("BENCH_RATES", "2000,20000").split(","))
"""Events per second."""

EVENTS = 20
TIME = 1_790_000_000_000
OWNER = "0f" * 16
INGEST = "/__brakit/api/ingest"


def cpu_each_second(server: Process, seconds: float) -> float:
    """Milliseconds of CPU a second."""
    before, began = server.cpu(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu() - before) / (time.monotonic() - began) * 1000


def body() -> bytes:
    """A POST of 20 events, with digits to be replaced: `TIME` and `OWNER`."""
    events: list[dict[str, object]] = []
    for number in range(EVENTS - 1):
        event: dict[str, object] = {"timestamp": TIME, "requestId": OWNER}
        if number < 7:
            event |= {"type": "log", "data": {"level": "info", "message": f"item {number} read"}}
        else:
            statement = {"operation": "SELECT", "table": "item", "duration": 0.4, "sql": "SELECT id FROM item WHERE id = ?"}
            event |= {"type": "db.query", "data": statement}
        events.append(event)
    data = {"id": OWNER, "method": "GET", "url": "/items/1", "route": "/items/{id}", "statusCode": 200, "durationMs": 12.5}
    events.append({"type": "request", "timestamp": TIME, "requestId": OWNER, "data": data})
    return post(INGEST, json.dumps({"_brakit": True, "version": 1, "sdk": "bench/1", "events": events}).encode())


class Bodies(list[bytes]):
    """POSTs of 20 events whose `timestamp` is when they are taken from the list."""

    def __init__(self) -> None:
        super().__init__([body()])
        self._number = time.time_ns()

    def __getitem__(self, index: object) -> bytes:  # type: ignore[override]
        self._number += 1
        made = super().__getitem__(0).replace(b"%d" % TIME, b"%d" % (time.time() * 1000))
        return made.replace(OWNER.encode(), b"%032x" % self._number)


def run() -> None:
    sheet = Sheet(f"the server while little happens; {SECONDS:g} s each", "measured")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, brakit_server(folder) as server:
        time.sleep(1.5)
        sheet.row("nobody there, ms of CPU a second", [cpu_each_second(server, SECONDS)])
        watcher = Watcher(server.port)
        time.sleep(0.5)
        sheet.row("one dashboard open, ms of CPU a second", [cpu_each_second(server, SECONDS)], must=most(2))
        before, began = server.cpu(), time.monotonic()
        paced(server.port, Bodies(), LITTLE / EVENTS, SECONDS, 1)
        spent = (server.cpu() - before) / (time.monotonic() - began) * 1000
        sheet.row(f"the same at {LITTLE} events/s, ms of CPU a second", [spent])
        for rate in BUSY:
            before = server.cpu()
            watcher.delays.clear()
            watcher.shown = 0
            result = paced(server.port, Bodies(), rate / EVENTS, SECONDS, 8)
            time.sleep(1)
            delays = sorted(watcher.delays) or [float("inf")]
            p95 = delays[int(0.95 * (len(delays) - 1))]
            sheet.row(f"sent until visible at {rate:,} events/s, p95 ms", [p95], must=most(250))
            sheet.row(
                "  µs of CPU an event, all of the server's", [(server.cpu() - before) / len(result.latencies) / EVENTS * 1e6]
            )
            sheet.row("  share of the events that were shown", [watcher.shown / (len(result.latencies) * EVENTS)])
            sheet.row("  events in a message", [watcher.shown / max(1, len(watcher.delays))])
            sheet.row("  events/s that were really sent", [len(result.latencies) * EVENTS / result.seconds])
        watcher.close()
    sheet.show()
    console.print(f"streams that had to load anew: {watcher.resyncs}")
