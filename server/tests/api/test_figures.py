"""Shapes, error groups, metrics, flows, overview, status: what is added up."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest


def test_shapes(seen: Any) -> None:
    found = seen.get("shapes")
    assert found["total"] == 2
    items = next(shape for shape in found["shapes"] if shape["table"] == "items")
    assert (items["count"], items["requests"], items["totalMs"], items["errors"]) == (2, 1, 9, 0)
    assert (items["services"], items["endpoints"]) == (["shop"], ["GET /orders/{id}"])
    assert items["callSites"][0]["function"] == "orders"
    assert found["shapes"][0]["totalMs"] >= found["shapes"][1]["totalMs"]


def test_error_groups(seen: Any) -> None:
    [group] = seen.get("errors/groups")["groups"]
    assert (group["name"], group["count"], group["endpoints"], group["lastRequestId"]) == (
        "ValueError",
        1,
        ["POST /orders"],
        "r2",
    )
    assert group["last"]["message"] == "no such order"


def test_metrics(seen: Any) -> None:
    live = seen.wait_for("metrics/live", lambda found: len(found["endpoints"]) == 3)["endpoints"]
    orders = next(one for one in live if one["endpoint"] == "GET /orders/{id}")
    assert orders["requests"][0]["queryCount"] == 2
    assert orders["summary"]["totalRequests"] == 1
    assert [one["summary"]["p95Ms"] for one in live] == sorted((one["summary"]["p95Ms"] for one in live), reverse=True)
    [history] = seen.get("metrics?endpoint=GET%20/orders/{id}")["endpoints"]
    assert history["sessions"][0]["requestCount"] == 1
    assert seen.get("metrics?endpoint=nothing") == {"endpoints": []}


def test_flows(seen: Any) -> None:
    found = seen.get("flows")
    assert found["total"] == len(found["flows"]) > 0
    assert found["flows"][0]["requests"][0]["label"]


def test_overview(seen: Any) -> None:
    found = seen.get("overview?minutes=10000000")
    assert 50 <= len(found["buckets"]) <= 61
    assert (found["queries"], found["fetches"], found["logs"], found["exceptions"]) == (3, 1, 2, 1)
    assert found["services"] == ["payments", "shop"]
    for junk in ("overview", "overview?minutes=0", "overview?minutes=x", "overview?minutes=5"):
        assert len(seen.get(junk)["buckets"]) == 60


def test_overview_of_now(server: Any, event: Any) -> None:
    server.send(event("request", statusCode=503, durationMs=40, url="/now"), event("request", durationMs=20, url="/now"))
    found = server.wait_for(
        "overview?minutes=5", lambda found: found["endpoints"] and found["endpoints"][0]["avgQueryCount"] == 0
    )
    assert (found["errors"], found["p50Ms"], found["p95Ms"]) == (1, 20, 40)
    row = next(row for row in found["endpoints"] if row["endpoint"] == "GET /now")
    assert (row["requests"], row["errors"], row["p50Ms"]) == (2, 1, pytest.approx(20, rel=0.021))
    assert sum(bucket["requests"] for bucket in found["buckets"]) == 2
    for minutes in (60, 700, 10_000):
        longer = server.get(f"overview?minutes={minutes}")
        assert (longer["requests"], longer["errors"], sum(bucket["requests"] for bucket in longer["buckets"])) == (2, 1, 2)
        assert (longer["p50Ms"], longer["p95Ms"]) == (pytest.approx(20, rel=0.021), 40)
        assert [row["endpoint"] for row in longer["endpoints"]] == ["GET /now"]


def test_status(seen: Any) -> None:
    found = seen.get("status")
    assert found["events"]["db.query"] == 3
    assert found["events"]["auth.check"] == 1
    assert found["dropped"] == {"full": 2}
    assert {run["service"] for run in found["runs"]} >= {"shop", "payments"}
    assert 0 < found["databaseBytes"] < found["maxBytes"]
    before = found["rejected"]
    assert seen.send({"type": "log"}) == 400
    assert seen.get("status")["rejected"] == before + 1


def test_hello_proves_who_we_are(seen: Any) -> None:
    nonce = json.loads((seen.data / "server.json").read_text())["nonce"]
    proof = seen.get("hello?challenge=00ff")["proof"]
    assert proof == hmac.digest(nonce.encode(), b"00ff", "sha256").hex()
    for junk in ("hello", "hello?challenge=", "hello?challenge=xyz", f"hello?challenge={'0' * 200}"):
        assert "proof" not in seen.get(junk)
