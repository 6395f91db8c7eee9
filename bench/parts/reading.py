"""What reading costs the server, in process: microseconds of CPU per event from bytes to records, and per POST for what is around it.

The usual way against the general one, and against a decoder of typed fields that looks at nothing (bench/naive.py).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.naive import Payload
from bench.payloads import INGEST, Mix, captured, mixed
from bench.sheet import ROUNDS, Sheet

REPEATS = 20
"""Measurements of each figure in a round; the least is taken, since whatever else the machine does only adds to it."""

POSTS = 200
EMPTY = b'{"_brakit":true,"version":1,"events":[]}'


def least_of(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds of CPU of this thread, in turns."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(REPEATS):
        for name, do in work.items():
            before = time.thread_time()
            do()
            best[name] = min(best[name], (time.thread_time() - before) * 1e6)
    return best


def each(read: Callable[[bytes], object], bodies: list[bytes]) -> Callable[[], None]:
    def do() -> None:
        for body in bodies:
            read(body)

    return do


def run() -> None:
    from brakit_server.ingest.payload import explained, read

    now = time.time() * 1000
    naive = msgspec.json.Decoder(Payload).decode
    rows, whole = captured()
    plain = mixed(50)
    mixes: dict[str, Mix] = {"mixed": plain, "SDK's, whole": whole, "SDK's, rows": rows}
    work: dict[str, Callable[[], object]] = {}
    for name, mix in mixes.items():
        if mix is not rows:
            work[f"naive {name}"] = each(naive, mix.bodies)
        work[f"general {name}"] = each(lambda body: explained(body, now), mix.bodies)
        work[f"usual {name}"] = each(lambda body: read(body, now), mix.bodies)
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for key, microseconds in least_of(work).items():
            mix = mixes[key.partition(" ")[2]]
            found.setdefault(key, []).append(microseconds / len(mix.bodies) / mix.events)
    sheet = Sheet("reading, µs of CPU per event", "typed decode, no more", "the general way", "the usual way", "general : usual")
    for name, mix in mixes.items():
        columns = [found.get(f"{way} {name}") for way in ("naive", "general", "usual")]
        ratio = [one / other for one, other in zip(columns[1] or [], columns[2] or [], strict=True)]
        sheet.row(f"{name}, {mix.events:.0f} events a POST", *columns, ratio)
    sheet.show()
    around()


def around() -> None:
    """What a POST without events costs in the app: the gate, the way to the handler, the answer. Nothing is stored."""
    from brakit_server.app import create_app
    from brakit_server.config import Config
    from brakit_server.running import Folder

    async def measure(app: Any) -> list[float]:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": EMPTY, "more_body": False}

        async def send(message: object) -> None:
            pass

        async def accept(outcome: object) -> None:
            pass

        app.state.pipeline.accept = accept
        taken = []
        for _ in range(ROUNDS * REPEATS):
            before = time.thread_time()
            for _ in range(POSTS):
                await app(scope(), receive, send)
            taken.append((time.thread_time() - before) / POSTS * 1e6)
        await app.state.pipeline.store.close()
        return taken

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config = Config(root=Path(folder), dir=Path(folder) / "data")
        data = Folder(config.dir)
        try:
            taken = asyncio.run(measure(create_app(config)))
        finally:
            data.close()
    sheet = Sheet("a POST of no events in the app, µs of CPU", "least", "all")
    sheet.row("gate, handler, answer", [min(taken)], taken)
    sheet.show()


def scope() -> dict[str, Any]:
    headers = {"host": "127.0.0.1", "content-type": "application/json", "content-length": str(len(EMPTY)), "user-agent": "bench"}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": INGEST,
        "raw_path": INGEST.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
