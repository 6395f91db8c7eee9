"""Added CPU per operation, in process, encoding and sending included, and the part of it on the app's own thread.

Each variant is a worker that does a chunk of operations when told to, and says what that has cost; the workers take turns.
"""

from __future__ import annotations

from bench import variants

flush = variants.activate() if __name__ == "__main__" else variants.off()

import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from typing import Any  # noqa: E402

from bench.processes import OFF, on, running, sink  # noqa: E402

Many = Callable[[int], None]
CHUNKS = 8
NUMBERS = {"request": 400, "post": 200, "q1": 200, "q50": 12, "fetch": 200, "log": 1000}
"""Operations in a chunk."""


class Calls:
    """Calls of the FastAPI app without a server around it."""

    def __init__(self, app: Any) -> None:
        import asyncio

        self.loop = asyncio.new_event_loop()
        self.app = app

    def many(self, path: str, body: Callable[[int], bytes] | None = None) -> Many:
        """Requests with a browser's headers; each body is another."""
        from bench.load import get

        lines = get(path).split(b"\r\n")[1:-2]
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        if body is not None:
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body(0))).encode())]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST" if body else "GET", "path": path,
            "raw_path": path.encode(), "query_string": b"page=1", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2), "headers": headers,
        }  # fmt: skip
        sent = {"type": "http.request", "body": b"", "more_body": False}

        async def receive() -> dict[str, Any]:
            return sent

        async def send(message: Any) -> None:
            return None

        async def calls(number: int) -> None:
            for index in range(number):
                if body is not None:
                    sent["body"] = body(index)
                await self.app(dict(scope), receive, send)

        return lambda number: self.loop.run_until_complete(calls(number))


def order(index: int) -> bytes:
    """Just under 10 kB of JSON."""
    items = [
        {"id": index * 100 + n, "name": f"item {n}", "price": n * 10, "note": "two for the price of one"} for n in range(128)
    ]
    return json.dumps({"number": f"{index:08}", "items": items}).encode().ljust(10_000)


def fetch() -> Many:
    """httpx calls whose connections are none: the library's own work without the network's."""
    import httpcore
    import httpx

    class Pool:
        def handle_request(self, request: object) -> httpcore.Response:
            return httpcore.Response(200, headers=[(b"content-type", b"application/json")], content=b'{"ok": true}')

    transport = httpx.HTTPTransport()
    # A transport of the app's own would pass by what OpenTelemetry patches.
    transport._pool = Pool()  # type: ignore[assignment]
    client = httpx.Client(transport=transport)

    def many(number: int) -> None:
        for index in range(number):
            client.get(f"http://127.0.0.1/items/{index}")

    return many


def log() -> Many:
    """Log records with arguments, formatted by a handler."""
    import logging

    logger = logging.getLogger("bench.operations")

    def many(number: int) -> None:
        for index in range(number):
            logger.info("item %s was read by %s", index, "somebody")

    return many


def work() -> None:
    """The worker: a line names an operation, the answer is its microseconds: in all, and on this thread."""
    from bench.apps import fastapi_app

    calls, client, ship = Calls(fastapi_app()), fetch(), flush
    if "BENCH_WITHOUT" in os.environ:
        from bench.parts.pieces import leave_out

        ship = leave_out(os.environ["BENCH_WITHOUT"])
    operations = {
        "request": calls.many("/hello"),
        "post": calls.many("/echo", order),
        "q1": calls.many("/q1"),
        "q50": calls.many("/q50"),
        "fetch": client,
        "log": log(),
    }
    for name, many in operations.items():
        many(max(NUMBERS[name] // 10, 4))
    ship()
    for line in sys.stdin:
        name, number = line.split()[0], NUMBERS[line.split()[0]]
        total, inline = time.process_time(), time.thread_time()
        operations[name](number)
        inline = time.thread_time() - inline
        ship()
        print((time.process_time() - total) / number * 1e6, inline / number * 1e6, flush=True)


def ask(worker: subprocess.Popen[str], name: str) -> tuple[float, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{name}\n")
    worker.stdin.flush()
    total, inline = worker.stdout.readline().split()
    return float(total), float(inline)


def measure(
    extras: dict[str, dict[str, str]], python: str = sys.executable, names: Iterable[str] = tuple(NUMBERS), chunks: int = CHUNKS
) -> dict[str, dict[str, tuple[float, float]]]:
    """Microseconds of each operation in each variant, in all and inline; medians over the chunks. `names` has q1 and q50 in it."""
    with contextlib.ExitStack() as stack:
        workers = {
            name: stack.enter_context(running(["-m", "bench.parts.operations"], extra, python=python))
            for name, extra in extras.items()
        }
        found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in workers}
        for operation in names:
            told: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
            for turn in range(chunks):
                for name in list(workers) if turn % 2 == 0 else list(reversed(workers)):
                    told[name].append(ask(workers[name], operation))
            for name, rows in told.items():
                found[name][operation] = (statistics.median(row[0] for row in rows), statistics.median(row[1] for row in rows))
    for operations in found.values():
        one, fifty = operations["q1"], operations["q50"]
        operations["query"] = ((fifty[0] - one[0]) / 49, (fifty[1] - one[1]) / 49)
    return found


LABELS = {
    "request": "request (FastAPI)",
    "post": "request, 10 kB of JSON each way",
    "query": "query (SQLAlchemy ORM)",
    "fetch": "httpx call",
    "log": "log record",
}


def run() -> None:
    from bench.sheet import ROUNDS, Sheet, most, rounds

    musts = {"request": most(25), "post": most(25), "query": most(5), "fetch": most(8), "log": most(5)}
    with sink() as server:
        extras = {"off": OFF, "control": OFF, "brakit": on(server.port)}
        measured = [measure(extras) for _ in rounds(90)]
    sheet = Sheet(
        f"added CPU per operation, µs, in process, shipping included; median of up to {ROUNDS} rounds [range]",
        "the operation itself", "again (control), added", "on the app's thread", "brakit, added",
    )  # fmt: skip
    for name, label in LABELS.items():
        sheet.row(
            label,
            [found["off"][name][0] for found in measured],
            [found["control"][name][0] - found["off"][name][0] for found in measured],
            [found["brakit"][name][1] - found["off"][name][1] for found in measured],
            [found["brakit"][name][0] - found["off"][name][0] for found in measured],
            must=musts[name],
        )
    sheet.show()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        work()
