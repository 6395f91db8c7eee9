"""What judging costs the server: CPU of an event, whatever is stored, and of a request with 10 000 queries."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.sheet import ROUNDS, Sheet, most, rounds
from brakit_server.analysis.endpoint import key_of
from brakit_server.analysis.engine import Engine
from brakit_server.records import Callsite, Entry, Fetch, Log, Query, Request
from brakit_server.stores import Batch, Resource, Stored
from brakit_server.stores.sqlite import SqliteStore

SIZES = tuple(int(size) for size in os.environ.get("BENCH_SIZES", "1,10000,1000000").split(","))
"""Events that are stored before."""

MEASURED = 20_000
"""Events of one round."""

BATCH = 20
ENDPOINTS = 20
LITTLE = 40
"""Events per second when little happens."""

LITTLE_S = 6.0
QUERIES = 10_000
GIANTS = 5
SITE = Callsite(file="shop/views.py", line=42, function="detail")
_numbers = itertools.count(1)


def query(owner: str, at: float, params: int) -> Query:
    return Query(
        id=f"{next(_numbers):032x}",
        timestamp=at,
        parent_request_id=owner,
        service="bench",
        run="run",
        driver="sqlalchemy",
        source="sqlalchemy",
        operation="SELECT",
        normalized_op="SELECT",
        table="item",
        duration_ms=0.4,
        row_count=1,
        sql="SELECT id, name, price FROM item WHERE id = ?",
        shape="SELECT id, name, price FROM item WHERE id = ?",
        shape_hash="0123456789abcdef",
        params_hash=f"{params:016x}",
        call_site=SITE,
    )


def owned(owner: str, at: float, endpoint: int, queries: int = 12) -> list[Entry]:
    """A request with its queries, four logs and three calls: 20 events by default."""
    entries: list[Entry] = [query(owner, at + position, position) for position in range(queries)]
    around: dict[str, Any] = {"parent_request_id": owner, "service": "bench", "run": "run"}
    for position in range(4):
        text = f"item {position} read"
        entries.append(Log(id=f"{next(_numbers):032x}", timestamp=at + 0.1 + position, **around, level="info", message=text))
    for position in range(3):
        url = f"http://127.0.0.1/pay/{position}"
        id = f"{next(_numbers):032x}"
        entries.append(
            Fetch(id=id, timestamp=at + 0.2 + position, **around, url=url, method="GET", status_code=200, duration_ms=3.5)
        )
    path = f"/items{endpoint}/1"
    request = Request(
        id=owner,
        timestamp=at,
        started_at=at,
        parent_request_id=None,
        service="bench",
        run="run",
        method="GET",
        url=path,
        path=path,
        route=f"/items{endpoint}/{{id}}",
        status_code=200,
        duration_ms=12.5,
        headers={"host": "127.0.0.1", "user-agent": "bench"},
        response_headers={"content-type": "application/json"},
        request_body=None,
        response_body='{"id": 1}',
        response_size=9,
        is_static=False,
        is_health_check=False,
    )
    return [*entries, request]


KINDS = {Query: "db.query", Log: "log", Fetch: "fetch", Request: "request"}


def batch(entries: list[Entry]) -> Batch:
    named = [(KINDS[type(entry)], entry) for entry in entries]
    return Batch(
        batch_id=None,
        resource=Resource(run="run", service="bench"),
        entries=named,
        dropped={},
        received_at=time.time() * 1000,
    )


def batches(events: int) -> Iterator[Batch]:
    for _ in range(max(1, events // BATCH)):
        number = next(_numbers)
        yield batch(owned(f"{number:032x}", time.time() * 1000, number % ENDPOINTS))


async def stored(store: SqliteStore, events: int) -> list[list[Stored]]:
    return [await store.append(each) for each in batches(events)]


class Turns:
    """The longest that the event loop was held."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - begun)

    async def end(self) -> float:
        """Milliseconds of CPU."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return self.longest * 1000


async def quiet(seconds: float = 5.0) -> None:
    """Wait until the store has brought its file in order."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = time.process_time()
        await asyncio.sleep(0.1)
        if time.process_time() - before < 0.003:
            return


async def little(store: SqliteStore, engine: Engine | None) -> float:
    """Milliseconds of CPU a second while 40 events a second are stored."""
    started, cpu = time.monotonic(), time.process_time()
    for each in batches(int(LITTLE * LITTLE_S)):
        arrived = await store.append(each)
        if engine is not None:
            engine.observe(arrived)
        await asyncio.sleep(BATCH / LITTLE)
    return (time.process_time() - cpu) / (time.monotonic() - started) * 1000


async def each_event(store: SqliteStore, engine: Engine) -> tuple[float, float]:
    """Microseconds an event: taking it in; all of it, with what the store does for the analysis."""
    arrived = await stored(store, MEASURED)
    await quiet()
    gc.collect()
    started = time.process_time()
    for part in arrived:
        engine.observe(part)
    observed = time.process_time() - started
    await engine.settle()
    whole = time.process_time() - started
    return observed / MEASURED * 1e6, whole / MEASURED * 1e6


async def giant(store: SqliteStore, engine: Engine) -> tuple[float, float]:
    """Milliseconds of CPU for a request with 10 000 queries, and of the longest turn."""
    number = next(_numbers)
    arrived = await store.append(batch(owned(f"{number:032x}", time.time() * 1000, 0, QUERIES)))
    await quiet()
    gc.collect()
    started = time.process_time()
    turns = Turns()
    engine.observe(arrived)
    await asyncio.sleep(0)
    await engine.settle()
    return (time.process_time() - started) * 1000, await turns.end()


async def measured(size: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"observe": [], "all": [], "giant": [], "turn": [], "little": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = SqliteStore(Path(folder) / "brakit.db", endpoint_of=key_of)
        for each in batches(size):
            await store.append(each)
        engine = Engine(store, project="bench", settings={}, on_issues=lambda _: None)
        await engine.start()
        await each_event(store, engine)
        for _ in rounds(40):
            observed, whole = await each_event(store, engine)
            found["observe"].append(observed)
            found["all"].append(whole)
        for _ in range(GIANTS):
            spent, turn = await giant(store, engine)
            found["giant"].append(spent)
            found["turn"].append(turn)
        await quiet()
        alone = await little(store, None)
        found["little"].append(await little(store, engine) - alone)
        await engine.stop()
        await store.close()
    return found


def run() -> None:
    sys.setswitchinterval(0.005)
    found = {size: asyncio.run(measured(size)) for size in SIZES}
    titles = [f"{size:,} stored" for size in SIZES]
    sheet = Sheet(f"analysis; median of up to {ROUNDS} rounds of {MEASURED:,} events [range]", *titles)
    rows = {
        "observe": ("taking in, µs of CPU an event", most(1)),
        "all": ("all of it, µs of CPU an event", most(8)),
        "giant": (f"a request with {QUERIES:,} queries, ms of CPU", most(150)),
        "little": (f"at {LITTLE} events/s, ms of CPU a second more than without", most(2)),
        "turn": ("the longest turn of the event loop during it, ms of CPU", most(60)),
    }
    for name, (label, must) in rows.items():
        sheet.row(label, *(found[size][name] for size in SIZES), must=must)
    sheet.show()
    assert statistics.median(found[SIZES[0]]["all"]) > 0
