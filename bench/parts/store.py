"""What a full store costs: to fill, on the disk, to start, in memory, and to look into, over HTTP. SIZE=10000000 for ten million.

With other work on the machine, times of answers say little; CPU is that of the server for one question, all of its threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bench.pace import paced
from bench.parts.ingest import brakit_server
from bench.payloads import mixed
from bench.processes import Process
from bench.records import Shop
from bench.sheet import Must, Sheet, console, most
from brakit_server.analysis.endpoint import key_of
from brakit_server.records import Entry
from brakit_server.stores.sqlite import SqliteStore

ASKED_FOR = True
"""Filling it takes a while: not among the parts that run when none is named."""

SIZE = int(os.environ.get("SIZE", "1000000"))
TIMES = 100
"""How often each question is asked."""

TOGETHER = 4
"""Appends that share a commit while the store is filled."""

PART = 500
LARGE = 10_000
"""Queries of one large request."""

CAP = 50_000_000_000
LARGER = 3.0 if SIZE > 2_000_000 else 1.0
"""Bounds at ten million events, as a multiple of those at one."""

HALF_POSTS = 300.0
"""POSTs of 20 events a second while it is asked as well."""


async def fill(path: Path, shop: Shop, large: str) -> tuple[float, float]:
    """Microseconds of CPU an event for appending; the same for the search index. `large`: id of a request with many queries."""
    store = SqliteStore(path, endpoint_of=key_of, max_bytes=CAP)
    spent = index = 0.0
    stored = 0
    batches = shop.batches(SIZE)
    while part := list(itertools.islice(batches, PART)):
        begun = time.process_time()
        for start in range(0, len(part), TOGETHER):
            await asyncio.gather(*(store.append(batch) for batch in part[start : start + TOGETHER]))
        spent += time.process_time() - begun
        stored += sum(len(batch.entries) for batch in part)
        begun = time.process_time()
        await store.settle()
        index += time.process_time() - begun
    await one_large(store, shop, large)
    await store.settle()
    await store.close()
    return spent / stored * 1e6, index / stored * 1e6


async def one_large(store: SqliteStore, shop: Shop, id: str) -> None:
    """A request with 10 000 queries."""
    entries: list[tuple[str, Entry]] = []
    while len(entries) < LARGE:
        batch = shop.batch(1)
        entries += batch.entries[:12]
    batch = shop.batch(1)
    for _, entry in entries:
        entry.parent_request_id = id
    root = batch.entries[-1][1]
    root.id = id
    batch.entries = [*entries, ("request", root)]
    await store.append(batch)


class Asking:
    """One connection that asks."""

    def __init__(self, process: Process) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)

    def ask(self, path: str) -> float:
        """Milliseconds."""
        begun = time.perf_counter()
        self._connection.request("GET", f"/__brakit/api/{path}")
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:300])
        return (time.perf_counter() - begun) * 1000


def questions(shop: Shop, large: str) -> dict[str, tuple[list[str], tuple[float, float] | None]]:
    """What is asked, in several wordings, with bounds of the median and of the 99th percentile in milliseconds."""
    ids = [shop.requests[len(shop.requests) * place // 20] for place in range(20)]
    needles = [f"customer {number * 4999 % 100_000} " for number in range(20)]
    urls = [f"/shelf{number}/items/{number * 997 % 20_000}" for number in range(20)]
    return {
        "requests, 50": (["requests?limit=50"], (5, 15)),
        "queries, 500": (["queries?limit=500"], (5, 15)),
        "requests, status 5xx": (["requests?limit=50&status=5xx"], (5, 15)),
        "requests of an endpoint": ([f"requests?limit=50&endpoint=GET%20/shelf{n}/items/%7Bid%7D" for n in (1, 19, 58)], (5, 15)),
        "logs, level warn": (["logs?limit=50&level=warn"], (5, 15)),
        "queries of a shape": ([f"queries?limit=50&shapeHash={n:016x}" for n in (3, 40, 62)], (5, 15)),
        "errors, 50": (["errors?limit=50"], (5, 15)),
        "one request": ([f"requests/{id}" for id in ids], (5, 15)),
        "its events": ([f"activity?requestId={id}" for id in ids], (5, 15)),
        f"one with {LARGE:,} queries": ([f"requests/{large}"], (100, 200)),
        "findings": (["findings"], (5, 15)),
        "query shapes, all history": (["shapes"], (10, 30)),
        "error groups, all history": (["errors/groups"], (10, 30)),
        "overview": (["overview?minutes=60"], None),
        "search, logs": ([f"logs?limit=50&search={quote(text)}" for text in needles], (40, 40)),
        "search, requests": ([f"requests?limit=50&search={quote(text)}" for text in urls], (40, 40)),
        "search, nothing found": (["logs?limit=50&search=quite%20unheard%20of"], (40, 40)),
        "filter": (["requests?limit=50&filter=" + quote("status:500 duration>100ms")], None),
    }


def answers(
    process: Process, asked: dict[str, tuple[list[str], tuple[float, float] | None]]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Milliseconds of each question, sorted; milliseconds of the server's CPU for one."""
    asking = Asking(process)
    found: dict[str, list[float]] = {}
    spent: dict[str, float] = {}
    for name, (paths, _) in asked.items():
        asking.ask(paths[0])
        before = process.cpu()
        found[name] = sorted(asking.ask(path) for path in itertools.islice(itertools.cycle(paths), TIMES))
        spent[name] = (process.cpu() - before) * 1000 / TIMES
    return found, spent


def at(ordered: list[float], fraction: float) -> float:
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


@contextlib.contextmanager
def under_load(process: Process) -> Iterator[None]:
    """POSTs come at half of what it takes."""
    ended = threading.Event()
    mix = mixed()

    def send() -> None:
        while not ended.is_set():
            paced(process.port, mix.requests(int(HALF_POSTS)), HALF_POSTS, 1.0)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        time.sleep(0.5)
        yield
    finally:
        ended.set()
        thread.join()


def run() -> None:
    shop = Shop()
    large = "f" * 31 + "1"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "brakit.db"
        spent, index = asyncio.run(fill(path, shop, large))
        size = path.stat().st_size
        begun = time.perf_counter()
        os.environ["BRAKIT_MAX_BYTES"] = str(CAP)
        with brakit_server(folder) as process:
            Asking(process).ask("status")
            started = time.perf_counter() - begun
            # Figures by endpoint are added up of what came without its server, first.
            process.quiet(600)
            asked = questions(shop, large)
            idle, spent_each = answers(process, asked)
            memory = process.memory()
            with under_load(process):
                loaded, _ = answers(process, asked)
    sheet = Sheet(f"a store of {SIZE:,} events", "brakit")
    sheet.row("appending, µs of CPU an event", [spent], must=most(3))
    sheet.row("search index, µs of CPU an event", [index])
    sheet.row("bytes on the disk an event, index included", [size / SIZE], must=most(200))
    sheet.row("from start to first answer, s", [started], must=most(1))
    sheet.row("memory of the server after all questions, MiB", [memory], must=most(200 if SIZE > 2_000_000 else 120))
    sheet.show()
    sheet = Sheet(
        f"asked over HTTP, of {SIZE:,} events, ms; {TIMES} times each", "CPU", "p50", "p99", "under load p50", "under load p99"
    )
    for name, (_, bounds) in asked.items():
        figures = [[at(times[name], fraction)] for times in (idle, loaded) for fraction in (0.5, 0.99)]
        sheet.row(name, [spent_each[name]], *figures, must=_under_load(bounds))
    sheet.show()
    for name, (_, bounds) in asked.items():
        if bounds is not None:
            for said, fraction, bound in (("p50", 0.5, bounds[0]), ("p99", 0.99, bounds[1])):
                value = at(idle[name], fraction)
                if value > bound * LARGER:
                    console.print(f"{name}: {said} is {value:.1f} ms, and must be {bound * LARGER:g} at most")


def _under_load(bounds: tuple[float, float] | None) -> Must | None:
    return most(2 * bounds[1] * LARGER) if bounds is not None else None
