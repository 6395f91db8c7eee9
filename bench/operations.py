"""`python -m bench.operations NAME`: CPU microseconds of one operation, in process, everything that follows from it included."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import brakit

from bench.apps import fastapi_app  # isort: skip

QUERIES = 50


def request(path: str) -> Callable[[int], None]:
    """Calls of the FastAPI app without a server around it."""
    app = fastapi_app()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"page=1", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        "headers": [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"cookie", b"sid=abcdef0123456789")],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        return None

    async def many(number: int) -> None:
        for _ in range(number):
            await app(dict(scope), receive, send)

    return lambda number: asyncio.run(many(number))


def fetch() -> Callable[[int], None]:
    """httpx calls that a mock transport answers: the library's own work without the network's."""
    import httpx

    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"ok": True})))

    def many(number: int) -> None:
        for index in range(number):
            client.get(f"http://127.0.0.1/items/{index}")

    return many


def log() -> Callable[[int], None]:
    """Log records with arguments, formatted by a handler."""
    import io
    import logging

    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler(io.StringIO()))

    def many(number: int) -> None:
        for index in range(number):
            logger.info("item %s was read by %s", index, "somebody")

    return many


OPERATIONS: dict[str, tuple[Callable[[], Callable[[int], None]], int]] = {
    "request": (lambda: request("/hello"), 3000),
    "q1": (lambda: request("/q1"), 2000),
    "q50": (lambda: request("/q50"), 200),
    "fetch": (fetch, 2000),
    "log": (log, 8000),
}


def main(name: str) -> None:
    make, number = OPERATIONS[name]
    many = make()
    many(max(number // 10, 20))
    brakit.flush()
    best = []
    for _ in range(5):
        inline, total = time.thread_time(), time.process_time()
        many(number // 5)
        inline = time.thread_time() - inline
        brakit.flush()
        best.append(((time.process_time() - total) / (number // 5) * 1e6, inline / (number // 5) * 1e6))
    best.sort()
    print(json.dumps({"total": best[len(best) // 2][0], "inline": sorted(b[1] for b in best)[len(best) // 2]}))


if __name__ == "__main__":
    main(sys.argv[1])
