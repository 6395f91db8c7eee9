"""Events per second that the server takes, against an endpoint on the same uvicorn that only reads the body."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

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
