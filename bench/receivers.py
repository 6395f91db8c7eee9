"""What the server is compared with, on the same uvicorn: `python -m bench.receivers NAME` prints its port.

bare reads the body; decode makes typed records of it as well; commit is what one writes on the first day: it also stores each event as
one row with its JSON, in one transaction a POST. `server` is ours with its analysis switched off, or watched.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from bench.naive import Payload, rows

Take = Callable[[bytes], Awaitable[None]]

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE event (seq INTEGER PRIMARY KEY, request TEXT, type TEXT, at REAL, json TEXT);
CREATE INDEX by_request ON event (request);
"""


def bare() -> Take:
    async def take(body: bytes) -> None:
        pass

    return take


def decode() -> Take:
    decoded = msgspec.json.Decoder(Payload).decode

    async def take(body: bytes) -> None:
        decoded(body)

    return take


def commit() -> Take:
    """Answers when the POST's own transaction is committed, in a writer's thread."""
    decoded = msgspec.json.Decoder(Payload).decode
    writer = ThreadPoolExecutor(1)
    connection = sqlite3.connect(Path(os.environ["BENCH_FOLDER"]) / "naive.sqlite", check_same_thread=False, isolation_level=None)
    connection.executescript(SCHEMA)

    def store(found: list[tuple[str | None, str, float, str]]) -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO event (request, type, at, json) VALUES (?, ?, ?, ?)", found)
        connection.execute("COMMIT")

    async def take(body: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(writer, store, rows(decoded(body)))

    return take


RECEIVERS: dict[str, Callable[[], Take]] = {"bare": bare, "decode": decode, "commit": commit}


def app(take: Take) -> Any:
    """204 for every POST that is taken."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await take(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return answer


def receive(name: str) -> None:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    settings = uvicorn.Config(app(RECEIVERS[name]()), access_log=False, log_level="warning", lifespan="off")
    uvicorn.Server(settings).run(sockets=[listener])


def server(analysis: bool, folder: str) -> None:
    """Ours, on a free port. What waits to be judged is looked at ten times a second, and told in `backlog.json` at the end."""
    from brakit_server.analysis.engine import Engine
    from brakit_server.app import serve
    from brakit_server.config import Config

    engines: list[Engine] = []
    begin = Engine.start

    async def start(self: Engine) -> None:
        engines.append(self)
        await begin(self)

    Engine.start = start  # type: ignore[method-assign]
    if not analysis:
        Engine.observe = lambda *_: None  # type: ignore[method-assign]
    waiting: list[int] = []

    def watch() -> None:
        while True:
            time.sleep(0.1)
            waiting.extend(len(engine._backlog.due) for engine in engines)

    threading.Thread(target=watch, daemon=True).start()
    try:
        serve(Config.load(environ={}, cwd=Path(folder), root=folder, dir=folder, port=0))
    finally:
        given_up = sum(engine._backlog.given_up for engine in engines)
        (Path(folder) / "backlog.json").write_text(json.dumps({"waiting": waiting, "given_up": given_up}))


if __name__ == "__main__":
    try:
        if sys.argv[1] == "server":
            server(sys.argv[2] == "analysis", sys.argv[3])
        else:
            receive(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
