"""A server that has seen a little traffic."""

from __future__ import annotations

from typing import Any

import pytest

NOW = 1_790_000_000_000.0


@pytest.fixture(scope="module")
def seen(server: Any, event: Any) -> Any:
    """Two services: `shop` answered `r1` (which caused `p1` in `payments`) and `r2`, which failed."""
    shop = {"service": "shop", "pid": 1, "host": "box", "started": NOW, "framework": "fastapi"}
    payments = {"service": "payments", "pid": 2, "host": "box", "started": NOW}

    def around(owner: str | None, offset: float) -> dict[str, Any]:
        return {"requestId": owner, "timestamp": NOW + offset}

    site = {"file": "shop/views.py", "line": 12, "function": "orders"}
    sql = "SELECT * FROM items WHERE id = %s"
    sent = server.send(
        event("db.query", around("r1", 1), table="items", sql=sql, callsite=site, paramsHash="a", source="sqlalchemy"),
        event("db.query", around("r1", 3), table="items", sql=sql, callsite=site, paramsHash="b", source="sqlalchemy"),
        event("fetch", around("r1", 5), fetchId="f1", url="http://payments/charge?token=abcdefgh12345"),
        event("log", around("r1", 7), message="Charged ünder ten"),
        event("span", around("r1", 0.5)),
        event("auth.check", around("r1", 0.7), result="allowed"),
        event("request", around("r1", 0), id="r1", url="/orders/1?page=2", route="/orders/{id}", responseBody='{"ok": true}'),
        event("error", around("r2", 21), message="no such order"),
        event("request", around("r2", 20), id="r2", method="POST", url="/orders", statusCode=500, durationMs=80),
        event("log", around(None, 30), level="warning", message="outside"),
        resource=shop,
        dropped={"full": 2},
    )
    assert sent == 204
    sent = server.send(
        event("request", {**around("r1", 5.5), "parentId": "r1"}, id="p1", method="POST", url="/charge", parentFetchId="f1"),
        event("db.query", {**around("r1", 6), "parentId": "p1"}, operation="INSERT", table="charges", duration=9),
        resource=payments,
    )
    assert sent == 204
    return server
