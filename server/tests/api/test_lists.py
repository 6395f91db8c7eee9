"""The lists: fields of the reference's records, filters, clamps and pages."""

from __future__ import annotations

from typing import Any

import pytest

NOW = 1_790_000_000_000.0


def test_requests(seen: Any) -> None:
    page = seen.get("requests")
    assert (page["total"], [request["id"] for request in page["requests"]]) == (3, ["p1", "r2", "r1"])
    first = page["requests"][2]
    assert (first["startedAt"], first["path"], first["url"], first["durationMs"]) == (NOW, "/orders/1", "/orders/1?page=2", 20)
    assert (first["requestBody"], first["responseBody"]) == (None, '{"ok": true}')
    assert (first["isStatic"], first["isHealthCheck"]) == (False, False)
    assert (first["headers"], first["responseHeaders"], first["responseSize"]) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("method=post", ["p1", "r2"]),
        ("status=5xx", ["r2"]),
        ("status=500", ["r2"]),
        ("status=junk", []),
        ("status=5", []),
        ("status=0500", []),
        ("search=ORDERS", ["r2", "r1"]),
        ("search=p1", ["p1"]),
        ("search=%22ok%22", ["r1"]),
        ("limit=1", ["p1"]),
        ("limit=1&offset=1", ["r2"]),
        ("limit=0", ["p1", "r2", "r1"]),
        ("limit=-5&offset=-5", ["p1"]),
        ("limit=-&offset=-5", ["p1", "r2", "r1"]),
        ("limit=x&offset=99999999999999999999", ["p1", "r2", "r1"]),
        ("limit=501", ["p1", "r2", "r1"]),
        ("service=payments", ["p1"]),
        ("endpoint=GET%20/orders/{id}", ["r1"]),
        ("requestId=r1", ["r1"]),
        (f"since={NOW + 10}", ["r2"]),
        ("since=x", ["p1", "r2", "r1"]),
        ("since=nan&before=x&status=", ["p1", "r2", "r1"]),
        ("service=%00%27;--", []),
    ],
)
def test_filters_of_requests(seen: Any, query: str, ids: list[str]) -> None:
    page = seen.get(f"requests?{query}")
    assert [request["id"] for request in page["requests"]] == ids
    assert page["total"] == (3 if query.startswith(("limit=1", "limit=-5")) else len(ids))


def test_pages_follow_each_other(seen: Any) -> None:
    first = seen.get("requests?limit=2")
    second = seen.get(f"requests?limit=2&before={first['next']}")
    assert [request["id"] for request in first["requests"] + second["requests"]] == ["p1", "r2", "r1"]
    assert "next" not in second


def test_queries(seen: Any) -> None:
    page = seen.get("queries?requestId=r1")
    assert page["total"] == 2
    query = page["entries"][0]
    assert (query["driver"], query["normalizedOp"], query["table"], query["durationMs"]) == ("sqlalchemy", "SELECT", "items", 4.5)
    assert (query["parentRequestId"], query["timestamp"], query["callSite"]["line"]) == ("r1", NOW + 3, 12)
    assert seen.get(f"queries?shapeHash={query['shapeHash']}")["total"] == 2
    assert seen.get("queries?service=payments")["entries"][0]["parentRequestId"] == "p1"
    assert seen.get("queries?endpoint=POST%20/charge")["total"] == 1
    assert seen.get("queries?search=from%20ITEMS")["total"] == 2


def test_fetches_logs_and_errors(seen: Any) -> None:
    [fetch] = seen.get("fetches?requestId=r1")["entries"]
    assert (fetch["fetchId"], fetch["method"], fetch["statusCode"], fetch["durationMs"]) == ("f1", "POST", 200, 12)
    assert "abcdefgh12345" not in fetch["url"]
    assert [log["message"] for log in seen.get("logs")["entries"]] == ["outside", "Charged ünder ten"]
    assert seen.get("logs")["entries"][0]["parentRequestId"] is None
    assert seen.get("logs?level=warn")["total"] == 1
    assert seen.get("logs?search=%C3%9CNDER")["total"] == 1
    [error] = seen.get("errors?endpoint=POST%20/orders")["entries"]
    assert (error["name"], error["message"]) == ("ValueError", "no such order")
    for path in ("fetches", "logs", "errors", "queries"):
        assert seen.get(f"{path}?requestId=nobody") == {"total": 0, "entries": []}


def test_activity(seen: Any) -> None:
    found = seen.get("activity?requestId=r1")
    assert [entry["type"] for entry in found["timeline"]] == ["span", "auth", "query", "query", "fetch", "log"]
    assert (found["requestId"], found["total"]) == ("r1", 6)
    assert found["counts"] == {"fetches": 1, "logs": 1, "errors": 0, "queries": 2, "spans": 1}
    assert found["timeline"][2]["data"]["parentRequestId"] == "r1"
    several = seen.get("activity?requestIds=r2,%20,nobody")
    assert several["requestIds"] == ["r2", "nobody"]
    assert several["activities"]["r2"]["counts"]["errors"] == 1
    assert several["activities"]["nobody"] == {
        "total": 0,
        "timeline": [],
        "counts": {"fetches": 0, "logs": 0, "errors": 0, "queries": 0, "spans": 0},
    }
    for nothing in ("activity", "activity?requestIds=,,", "activity?requestId="):
        assert seen.call("GET", f"/__brakit/api/{nothing}")[0] == 400
