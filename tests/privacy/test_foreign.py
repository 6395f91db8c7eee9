"""A sender that masks nothing: what our server stores, and what it answers, has none of its secrets in it."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import string
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from brakit.events import KINDS, PARTS, RESOURCE, Field, Shape, camel
from tests.line.processes import Server, wait_for
from tests.privacy.receiver import readings

RANDOM = random.Random(5)
PART = {part.name: part for part in PARTS}
ANSWERS = (
    *("requests?limit=200", "queries?limit=200", "fetches?limit=200", "logs?limit=200", "errors?limit=200", "jobs?limit=200"),
    *("errors/groups", "findings", "insights", "security", "flows", "metrics", "metrics/live", "overview", "shapes", "status"),
)
WAYS = ("sk_" + "live_{}", "password={}", "postgres://shop:{}@db/shop", "Bearer {}")
"""How a secret stands in a field; fields where the whole is none anyway get the others too."""

needles: dict[str, str] = {}
"""Needle: the field that it was planted in."""


def _planted(place: str, way: str) -> str:
    needle = "q7" + "".join(RANDOM.choice(string.ascii_letters + string.digits) for _ in range(22))
    needles[needle] = place
    return way.format(needle)


def _value(field: Field, place: str, way: str) -> Any:
    place = f"{place}.{field.name}"
    if field.enum:
        return field.enum[0]
    if field.type.endswith("[]"):
        part = field.type[:-2]
        return [_value(Field(field.name, part, ""), place, way)] * 2
    if field.type in PART:
        return _data(PART[field.type], place, way)
    if field.type == "object":
        secret = {"note": _planted(place, way), "password": _planted(place, "{}"), _planted(place, "gh" + "p_{}"): "x"}
        if field.name.endswith("headers"):
            secret |= {
                "authorization": _planted(place, "Bearer {}"),
                "Cookie": _planted(place, "a=1; sid={}"),
                "Set-Cookie": _planted(place, "sid={}; HttpOnly"),
                "x-api-key": _planted(place, "{}"),
                "referer": _planted(place, "https://x/?token={}"),
            }
        return secret
    if field.name in ("sql", "shape"):
        return _planted(place, f"SELECT a FROM {field.name} WHERE c = '{{}}'")
    return _planted(place, way) if field.type == "string" else {"number": 1.5, "integer": 200, "boolean": True}[field.type]


def _data(shape: Shape, place: str, way: str) -> dict[str, Any]:
    return {camel(field.name): _value(field, place, way) for field in shape}


def _payload(way: str, *, shared: bool) -> bytes:
    events: list[dict[str, Any]] = []
    for kind in (*KINDS, None):
        name = kind.name if kind else _planted("type", way)
        data = (
            _data(kind, name, way)
            if kind
            else {"note": _planted("unknown", way), "deep": [{"apiKey": _planted("unknown", "{}")}]}
        )
        around = {key: _planted(f"{name}: {key}", way) for key in ("id", "requestId", "parentId", "ownerId", "traceId")}
        events.append({"type": name, "timestamp": time.time() * 1000, **around, "data": data})
    payload: dict[str, Any] = {
        "_brakit": True,
        "version": 1,
        "sdk": _planted("sdk", way),
        "batchId": _planted("batchId", way),
        "resource": _data(RESOURCE, "resource", way),
        "dropped": {_planted("dropped", way): 3},
        "events": events,
    }
    if shared:
        payload["shared"] = [{"data": event.pop("data")} for event in events]
        payload["events"] = [{**event, "of": [number]} for number, event in enumerate(events)]
    return json.dumps(payload).encode()


def _legacy(way: str) -> bytes:
    """The batch of the published SDK for Node."""
    events = [
        {
            "type": "query",
            "data": {"sql": _planted("old sql", "SELECT a FROM b WHERE c = '{}'"), "driver": _planted("old driver", way)},
        },
        {"type": "fetch", "data": {"url": _planted("old url", "https://x/?token={}"), "method": "GET", "statusCode": 200}},
        {"type": "log", "data": {"message": _planted("old log", way), "level": "info"}},
        {
            "type": "error",
            "data": {"name": _planted("old error", way), "message": _planted("old error", way), "stack": _planted("old", way)},
        },
    ]
    return json.dumps({"_brakit": True, "events": events}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("foreign"))
    for way in WAYS:
        for shared in (False, True):
            assert running.post(_payload(way, shared=shared)) == 204
        assert running.post(_legacy(way)) == 204
    wait_for(lambda: running.get("requests")["total"] == 2 * len(WAYS), 10)
    yield running
    running.process.stop()


def _leaks(body: bytes) -> list[str]:
    texts = "\n".join(readings(body))
    return sorted(
        {place for needle, place in needles.items() if needle in texts or needle[:12] in texts or needle[-12:] in texts}
    )


def test_no_answer_has_one(server: Server) -> None:
    seen = 0
    for path in ANSWERS:
        with urllib.request.urlopen(f"{server.url}/api/{path}", timeout=10) as answer:
            body = answer.read()
        assert _leaks(body) == [], path
        seen += body.count(b"****")
    assert seen > 200
    [*_, request] = server.get("requests?limit=10")["requests"]
    with urllib.request.urlopen(f"{server.url}/api/requests/{request['id']}", timeout=10) as answer:
        assert _leaks(answer.read()) == []
    with urllib.request.urlopen(f"{server.url}/api/activity?requestId={request['id']}", timeout=10) as answer:
        assert _leaks(answer.read()) == []


def test_no_file_has_one(server: Server) -> None:
    server.process.stop()
    files = [path for path in Path(server.data).rglob("*") if path.is_file()]
    stored = b"".join(path.read_bytes() for path in files)
    # What is compressed could hold anything: it is looked at as well.
    packed = _unpacked(Path(server.data))
    assert packed
    stored += b"".join(packed)
    assert stored.count(b"****") > 200
    assert _leaks(stored) == []
    assert _leaks(server.process.log.read_bytes()) == []


def _unpacked(folder: Path) -> list[bytes]:
    """The content of every compressed cell of every database below the folder."""
    found = []
    for path in folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                cells = (cell for row in connection.execute(f"SELECT * FROM {table}") for cell in row)
                found += [
                    zstandard.ZstdDecompressor().decompress(cell, max_output_size=2**28)
                    for cell in cells
                    if type(cell) is bytes and cell.startswith(zstandard.FRAME_HEADER)
                ]
    return found


def test_what_belongs_together_stays_together() -> None:
    from brakit_server.ingest import read

    id = "sk_" + "live_0123456789abcdefgh"
    events = [
        {"type": "request", "timestamp": 1e12, "data": {"id": id, "method": "GET", "url": "/", "statusCode": 200}},
        {"type": "log", "timestamp": 1e12, "parentId": id, "data": {"level": "info", "message": "a"}},
    ]
    batch = read(json.dumps({"_brakit": True, "version": 1, "events": events}).encode(), 1e12).batch
    [(_, request), (_, logged)] = batch.entries
    assert request.id == logged.parent_request_id != id
