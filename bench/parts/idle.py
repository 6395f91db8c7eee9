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
INGEST = "/__brakit/api/ingest"


def cpu_each_second(server: Process, seconds: float) -> float:
    """Milliseconds of CPU a second."""
    before, began = server.cpu(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu() - before) / (time.monotonic() - began) * 1000


class Bodies(list[bytes]):
    """POSTs of 20 events whose `timestamp` is when they are taken from the list."""

    def __init__(self) -> None:
        super().__init__([b""])
        self._number = time.time_ns()

    def __getitem__(self, index: object) -> bytes:  # type: ignore[override]
        self._number += 1
        now = time.time() * 1000
        owner = f"{self._number:032x}"
        events = [
            {"type": "log", "timestamp": now, "requestId": owner, "data": {"level": "info", "message": f"item {n} read"}}
            for n in range(7)
        ]
        events += [
            {
                "type": "db.query",
                "timestamp": now,
                "requestId": owner,
                "data": {"operation": "SELECT", "table": "item", "duration": 0.4, "sql": "SELECT id FROM item WHERE id = ?"},
            }
            for _ in range(12)
        ]
        data = {"id": owner, "method": "GET", "url": "/items/1", "route": "/items/{id}", "statusCode": 200, "durationMs": 12.5}
        events.append({"type": "request", "timestamp": now, "requestId": owner, "data": data})
        return post(INGEST, json.dumps({"_brakit": True, "version": 1, "sdk": "bench/1", "events": events}).encode())


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
            watcher.delays.clear()
            watcher.batches = 0
            result = paced(server.port, Bodies(), rate / EVENTS, SECONDS, 8)
            time.sleep(1)
            delays = sorted(watcher.delays) or [float("inf")]
            p95 = delays[int(0.95 * (len(delays) - 1))]
            sheet.row(f"sent until visible at {rate:,} events/s, p95 ms", [p95], must=most(250))
            sheet.row("  share of the events that were shown", [len(watcher.delays) / (len(result.latencies) * EVENTS)])
            sheet.row("  events in a message", [len(watcher.delays) / max(1, watcher.batches)])
            sheet.row("  events/s that were really sent", [len(result.latencies) * EVENTS / result.seconds])
        watcher.close()
    sheet.show()
    console.print(f"streams that had to load anew: {watcher.resyncs}")
