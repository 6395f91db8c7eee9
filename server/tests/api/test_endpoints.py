"""Figures of endpoints over time: what is among them, by what they are filtered, and that they outlive the server."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def near(ms: float) -> Any:
    return pytest.approx(ms, rel=0.021)


def send(server: Any, event: Callable[..., dict[str, Any]], now: float, run: int = 1, **resource: Any) -> None:
    def at(offset: float) -> dict[str, Any]:
        return {"timestamp": now + offset}

    def owned(id: str, offset: float) -> dict[str, Any]:
        return {"timestamp": now + offset, "requestId": id}

    one, two, three = (f"{name}{run}{now}" for name in ("a", "b", "c"))
    events = [
        event("db.query", owned(one, 1), duration=10),
        event("db.query", owned(one, 20), duration=10),
        event("request", at(0), id=one, route="/orders/{id}", url="/orders/1", durationMs=100, responseSize=500),
        event("request", at(5), id=two, route="/orders/{id}", url="/orders/2", durationMs=300, statusCode=500),
        event("request", at(9), id=three, url="/pay", method="POST", durationMs=40, statusCode=404),
        event("request", at(9), id=f"h{run}{now}", url="/healthz", durationMs=1, isHealthCheck=True),
        event("job", at(9), id=f"j{run}{now}", name="send", duration=70, status="failed"),
    ]
    assert server.send(*events, resource={"service": "shop", "pid": run, "host": "box", "started": 1.0, **resource}) == 204


def settled(server: Any, count: int, query: str = "endpoints") -> Any:
    return server.wait_for(query, lambda found: sum(row["requests"] for row in found["endpoints"]) == count)


def test_figures_filters_and_history(start: Callable[..., Any], event: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    server = start(tmp_path)
    now = time.time() * 1000
    send(server, event, now - 20_000)
    found = settled(server, 4)
    orders, send_, pay = found["endpoints"]
    assert (orders["kind"], orders["service"], orders["endpoint"]) == ("request", "shop", "GET /orders/{id}")
    assert (orders["requests"], orders["errors"], orders["refused"], orders["avgQueries"]) == (2, 1, 0, 1)
    assert (orders["p50Ms"], orders["p99Ms"], orders["maxMs"], orders["avgMs"]) == (near(100), near(300), 300, 200)
    assert (orders["avgQueryMs"], orders["avgAppMs"]) == (10, 190)
    assert (send_["kind"], send_["endpoint"], send_["errors"]) == ("job", "send", 1)
    assert (pay["endpoint"], pay["refused"], pay["errors"]) == ("POST /pay", 1, 0)
    assert found["total"] == 3
    assert [row["endpoint"] for row in server.get("endpoints?kind=noise")["endpoints"]] == ["GET /healthz"]
    assert server.get("endpoints?kind=job")["total"] == server.get("endpoints?service=shop&kind=job")["total"] == 1
    assert server.get("endpoints?service=other")["endpoints"] == []
    for junk in ("endpoints?minutes=x&since=y&until=z", "endpoints?since=-1e14&until=1e14", "endpoints?minutes=999999999"):
        assert server.get(junk)["total"] == 3

    send(server, event, now - 10_000, run=2, revision="f00")
    settled(server, 8)
    history = server.get(f"endpoints/{orders['id']}/history?step=1")
    assert (history["endpoint"], history["stepMs"]) == ("GET /orders/{id}", 60_000)
    assert sum(point["requests"] for point in history["points"]) == 4
    assert all(point["timestamp"] % 60_000 == 0 for point in history["points"])
    newest, first = sorted(history["runs"], key=lambda run: run["firstSeenAt"], reverse=True)
    assert (newest["requests"], first["requests"], newest["run"] != first["run"]) == (2, 2, True)
    assert settled(server, 4, f"endpoints?run={newest['run']}")["total"] == 3
    week = server.get(f"endpoints/{orders['id']}/history?minutes=10080&run={first['run']}")
    assert week["stepMs"] == 3_600_000
    assert [point["requests"] for point in week["points"]] == [2]
    assert server.call("GET", "/__brakit/api/endpoints/0000000000000000/history")[0] == 404

    code, _ = server.stop()
    assert code == 0
    again = start(tmp_path)
    assert settled(again, 8)["endpoints"][0]["id"] == orders["id"]


def test_a_server_that_is_killed_loses_and_doubles_nothing(
    start: Callable[..., Any], event: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    sent = 0
    for turn in range(3):
        server = start(tmp_path)
        for number in range(4):
            send(server, event, time.time() * 1000 - 30_000 + number, run=turn)
            sent += 4
        if turn == 1:
            settled(server, sent)
        server.stop(signal.SIGKILL)
    found = settled(start(tmp_path), sent)
    assert {row["endpoint"]: row["requests"] for row in found["endpoints"]} == {
        "GET /orders/{id}": 24,
        "POST /pay": 12,
        "send": 12,
    }
    assert {row["endpoint"]: row["avgQueries"] for row in found["endpoints"]}["GET /orders/{id}"] == 1
