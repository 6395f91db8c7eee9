"""Figures of endpoints over HTTP with many events stored, and how long a server needs to add up what it finds without rollups."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

from bench.parts.analysis import BATCH, batch, owned
from bench.parts.ingest import brakit_server
from bench.processes import Process
from bench.sheet import Sheet, console, most
from brakit_server.analysis.endpoint import key_of
from brakit_server.stores.sqlite import SqliteStore

ASKED_FOR = True
"""Filling the store takes a while: not among the parts that run when none is named."""

SIZE = int(os.environ.get("SIZE", "1000000"))
ENDPOINTS = 50
RUNS = 20
WEEK_MS = 7 * 86_400_000.0
ASKED = 200


async def fill(folder: Path, now: float) -> None:
    """Requests of 50 endpoints in 20 processes over a week."""
    store = SqliteStore(folder / "brakit.db", endpoint_of=key_of)
    number = SIZE // BATCH
    for index in range(number):
        made = batch(owned(f"{index:032x}", now - WEEK_MS + (index + 1) * WEEK_MS / (number + 2), index % ENDPOINTS))
        made.resource.run = f"run{index * RUNS // number}"
        for _, entry in made.entries:
            entry.run = made.resource.run
        await store.append(made)
    await store.close()


def times(server: Process, path: str) -> tuple[list[float], float]:
    """Milliseconds of each answer, ascending, and of the server's CPU for one."""
    found = []
    before = server.cpu()
    for _ in range(ASKED):
        begun = time.perf_counter()
        server.ask(f"/__brakit/api/{path}")
        found.append((time.perf_counter() - begun) * 1000)
    return sorted(found), (server.cpu() - before) * 1000 / ASKED


def run() -> None:
    sheet = Sheet(
        f"figures of endpoints over HTTP, {SIZE:,} events over a week stored; {ASKED} answers each",
        "CPU, ms",
        "p50, ms",
        "p99, ms",
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run(fill(Path(folder), time.time() * 1000))
        begun = time.monotonic()
        with brakit_server(folder) as server:
            console.print(f"started in {time.monotonic() - begun:.2f} s")
            while True:
                rows = json.loads(server.ask("/__brakit/api/endpoints?minutes=10080"))["endpoints"]
                if sum(row["requests"] for row in rows) >= SIZE // BATCH:
                    break
                time.sleep(0.2)
            console.print(f"added up in {time.monotonic() - begun:.1f} s, {server.cpu():.1f} s of CPU")
            run = json.loads(server.ask("/__brakit/api/status"))["runs"][0]["run"]
            paths = {
                "endpoints, an hour": "endpoints?minutes=60",
                "endpoints, a day": "endpoints?minutes=1440",
                "endpoints, a week": "endpoints?minutes=10080",
                "endpoints, a week, one process": f"endpoints?minutes=10080&run={run}",
                "history, an hour": f"endpoints/{rows[0]['id']}/history?minutes=60",
                "history, a week by hours": f"endpoints/{rows[0]['id']}/history?minutes=10080",
                "overview, an hour": "overview",
                "overview, a week": "overview?minutes=10080",
            }
            for label, path in paths.items():
                found, cpu = times(server, path)
                sheet.row(label, [cpu], [found[len(found) // 2]], [found[int(len(found) * 0.99)]], must=most(30))
    sheet.show()
