"""Payloads to send to a receiver: mixed events as any SDK may send them, and what ours really sent from an app. Ids never repeat."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

from bench.load import drive, get, post
from bench.parts.loss import settled, whole
from bench.processes import on, serving, sink, stub

INGEST = "/__brakit/api/ingest"
BATCH = 20
AHEAD_MS = 3_600_000.0
"""What is measured begins after the server: of requests from before its start it would look for events in its store."""
_ID = re.compile(rb'(?<=")[0-9a-f]{32}(?=")')


class Mix:
    """POSTs of one kind, and how many events one has on average."""

    def __init__(self, bodies: list[bytes], events: float) -> None:
        self.bodies = bodies
        self.events = events
        self._turn = itertools.count(1)

    @property
    def bytes_each(self) -> float:
        """Bytes per event."""
        return sum(map(len, self.bodies)) / len(self.bodies) / self.events

    def requests(self, number: int) -> list[bytes]:
        """`number` POSTs with ids that no other has."""
        bodies = itertools.islice(itertools.cycle(self.bodies), number)
        return [post(INGEST, renewed(body, next(self._turn))) for body in bodies]


def renewed(body: bytes, turn: int) -> bytes:
    """The body with other ids: those that were equal stay equal."""
    known: dict[bytes, bytes] = {}

    def other(found: re.Match[bytes]) -> bytes:
        id = found[0]
        if id not in known:
            known[id] = b"%016x" % (turn * 0x9E3779B97F4A7C15 % 2**64) + id[16:]
        return known[id]

    return _ID.sub(other, body)


def query(position: int) -> dict[str, Any]:
    return {
        "operation": "SELECT",
        "table": "item",
        "duration": 0.4 + position / 100,
        "source": "sqlalchemy",
        "rowCount": 1,
        "sql": "SELECT id, name, price FROM item WHERE id = ?",
        "shape": "SELECT id, name, price FROM item WHERE id = ?",
        "shapeHash": "0123456789abcdef",
        "paramsHash": f"{position:016x}",
        "callsite": {"file": "shop/views.py", "line": 42, "function": "detail"},
    }


def mixed(number: int = 200, ahead_ms: float = 0.0) -> Mix:
    """20 events each: a request with its queries, logs and calls, `ahead_ms` from now."""
    now = time.time() * 1000 + ahead_ms
    made = []
    for index in range(number):
        owner = f"{index + 1:032x}"
        events: list[dict[str, Any]] = []
        for position in range(BATCH - 1):
            event: dict[str, Any] = {"timestamp": now + position, "requestId": owner, "parentId": owner, "traceId": owner}
            if position < 12:
                event |= {"type": "db.query", "data": query(index * 12 + position)}
            elif position < 16:
                event |= {"type": "log", "data": {"level": "info", "message": f"item {index} read", "logger": "shop"}}
            else:
                url = f"http://127.0.0.1/pay/{index}"
                event |= {"type": "fetch", "data": {"url": url, "method": "GET", "statusCode": 200, "duration": 3.5}}
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
    return Mix(made, BATCH)


def captured(seconds: float = 3.0, ahead_ms: float = 0.0) -> tuple[Mix, Mix]:
    """What the SDK sent from the app of the bench, twelve events a request, `ahead_ms` later: in rows, and the same events whole."""
    with contextlib.ExitStack() as stack:
        server, outgoing = stack.enter_context(sink("keep")), stack.enter_context(stub())
        app = stack.enter_context(serving(["-m", "bench.apps", "fastapi"], {**on(server.port), "BENCH_STUB": str(outgoing.port)}))
        # The SDK has to find out first what the server reads.
        drive(app.port, _tags(), 1.0, 2)
        drive(app.port, _tags(), seconds, 2)
        app.quiet()
        bodies = settled(server).splitlines()
    payloads = [later(json.loads(body), ahead_ms) for body in bodies]
    kept = [(_bytes(payload), payload) for payload in payloads if len(payload["events"]) >= BATCH // 2]
    assert kept, "the SDK sent nothing"
    events = sum(len(payload["events"]) for _, payload in kept) / len(kept)
    return Mix([body for body, _ in kept], events), Mix([_unshared(payload) for _, payload in kept], events)


def later(payload: dict[str, Any], ms: float) -> dict[str, Any]:
    """The payload as it would have been `ms` later."""
    if "base" in payload:
        payload["base"] += ms
    for event in payload["events"]:
        if type(event) is dict:
            event["timestamp"] += ms
    return payload


def _bytes(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def _tags() -> Iterator[bytes]:
    return (get(f"/tag/{number}?queries=9") for number in itertools.count())


def _unshared(payload: dict[str, Any]) -> bytes:
    """The same events as those that a server gets that reads neither parts nor rows."""
    kept = {name: value for name, value in payload.items() if name not in ("shared", "columns", "base")}
    times = [payload["base"] + event[2] / 1000 if type(event) is list else event["timestamp"] for event in payload["events"]]
    kept["events"] = [_alone(event, at) for event, at in zip(whole(payload), times, strict=True)]
    return _bytes(kept)


def _alone(event: dict[str, Any], at: float) -> dict[str, Any]:
    owner = event.pop("owner", None)
    event.pop("of", None)
    if owner is not None:
        event = {"requestId": owner, "traceId": owner, "parentId": owner} | event
        if event["type"] == "request":
            event["id"] = owner
            event["data"].setdefault("id", owner)
            del event["parentId"]
    return event | {"timestamp": at}
