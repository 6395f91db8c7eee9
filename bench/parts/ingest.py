"""Events per second that the server stores, against an endpoint on the same uvicorn that only reads the body."""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load import drive, post
from bench.processes import APP_CORE, Process, end, environment, pinned, serving
from bench.sheet import ROUNDS, SECONDS, Sheet, console, rounds

BATCH = 20


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers 204."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def batches(number: int) -> list[bytes]:
    """Payloads of 20 mixed events each, as the SDK sends them: a request with its queries, logs and calls."""
    now = time.time() * 1000
    made = []
    for index in range(number):
        owner = f"{index:032x}"
        events: list[dict[str, Any]] = []
        for position in range(BATCH - 1):
            event: dict[str, Any] = {"timestamp": now, "requestId": owner, "parentId": owner, "traceId": owner}
            if position < 12:
                event |= {
                    "type": "db.query",
                    "data": {
                        "operation": "SELECT",
                        "table": "item",
                        "duration": 0.4,
                        "source": "sqlalchemy",
                        "rowCount": 1,
                        "sql": "SELECT id, name, price FROM item WHERE id = ?",
                        "shape": "SELECT id, name, price FROM item WHERE id = ?",
                        "shapeHash": "0123456789abcdef",
                        "paramsHash": f"{position:016x}",
                        "callsite": {"file": "shop/views.py", "line": 42, "function": "detail"},
                    },
                }
            elif position < 16:
                event |= {"type": "log", "data": {"level": "info", "message": f"item {position} read", "logger": "shop"}}
            else:
                event |= {
                    "type": "fetch",
                    "data": {"url": f"http://127.0.0.1/pay/{position}", "method": "GET", "statusCode": 200, "duration": 3.5},
                }
            events.append(event)
        request = {
            "id": owner,
            "method": "GET",
            "url": f"/items/{index}",
            "path": f"/items/{index}",
            "route": "/items/{id}",
            "statusCode": 200,
            "durationMs": 12.5,
            "headers": {"host": "127.0.0.1", "user-agent": "bench"},
            "responseBody": '{"id": 1}',
            "responseHeaders": {"content-type": "application/json"},
            "responseSize": 9,
        }
        events.append({"type": "request", "timestamp": now, "requestId": owner, "id": owner, "traceId": owner, "data": request})
        payload = {"_brakit": True, "version": 1, "sdk": "bench/1", "resource": {"service": "bench", "pid": 1}, "events": events}
        made.append(json.dumps(payload).encode())
    return made


@contextlib.contextmanager
def brakit_server(folder: str) -> Iterator[Process]:
    """The real server on the app's core."""
    process = subprocess.Popen(
        [*pinned(APP_CORE), "-m", "brakit_server.cli", "serve", "--port", "0", "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment({}),
    )
    try:
        file = Path(folder) / "port"
        while not file.exists():
            assert process.poll() is None, "the server did not start"
            time.sleep(0.05)
        yield Process(process.pid, int(file.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        end(process, 20)


def run() -> None:
    requests = [post("/__brakit/api/ingest", body) for body in batches(200)]
    rates: dict[str, list[float]] = {"bare": [], "control": [], "brakit": []}
    stored: list[int] = []
    for _ in rounds(60):
        for name in ("bare", "control"):
            with serving(["-m", "bench.parts.ingest"]) as server:
                drive(server.port, requests, 0.3, 8)
                rates[name].append(drive(server.port, requests, SECONDS, 8).rate * BATCH)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, brakit_server(folder) as server:
            drive(server.port, requests, 0.3, 8)
            result = drive(server.port, requests, SECONDS, 8)
            rates["brakit"].append(result.rate * BATCH)
            assert result.failures == 0, f"{result.failures} batches were refused"
            stored.append(sum(json.loads(server.ask("/__brakit/api/status"))["events"].values()))
    sheet = Sheet(
        f"ingest, batches of {BATCH} mixed events, one core; median of up to {ROUNDS} rounds [range]",
        "bare: reads the body", "bare, again (control)", "brakit: stored and analysed",
    )  # fmt: skip
    sheet.row("events/s", rates["bare"], rates["control"], rates["brakit"])
    kept = {name: [rate / bare for rate, bare in zip(rates[name], rates["bare"], strict=True)] for name in ("control", "brakit")}
    sheet.row("ratio to bare", None, kept["control"], kept["brakit"])
    sheet.show()
    console.print(f"events in the store after a round: {statistics.median(stored):,.0f}")


def main() -> None:
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(bare, access_log=False, log_level="warning", lifespan="off")).run(sockets=[listener])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
