"""The graph over HTTP: late events are in it, what was cleared is not."""

from __future__ import annotations

from typing import Any


def test_the_graph_of_what_is_stored(start: Any, event: Any) -> None:
    server = start()
    server.send(event("request", {"requestId": "g1"}, id="g1", path="/shop/1", route="/shop/{id}"))
    server.wait_for("graph?level=endpoints", lambda found: found["nodes"])
    server.send(event("db.query", {"requestId": "g1"}, operation="SELECT", table="orders", sql="SELECT 1 FROM orders"))
    found = server.wait_for("graph?level=endpoints", lambda found: found["edges"])
    [edge] = found["edges"]
    source = edge["source"]
    assert source.endswith(" /shop/{id}")
    assert (edge["id"], edge["target"], edge["type"]) == (f"{source} -> table:orders", "table:orders", "reads")
    assert found["metadata"]["totalObservations"] == 1
    shown = server.get("graph")
    assert [cluster["id"] for cluster in shown["clusters"]] == ["cluster:shop"]
    for asked in ("node=none", "cluster=none", "grouping=none", "level=none", f"node={'x' * 300}", "grouping=path"):
        again = server.get(f"graph?{asked}")
        assert [cluster["children"] for cluster in again["clusters"]] == [[source]], asked
    assert [node["id"] for node in server.get("graph?cluster=shop")["nodes"]] == [source, "table:orders"]
    assert len(server.get("graph?node=table:orders")["nodes"]) == 2
    server.call("POST", "/__brakit/api/clear")
    assert server.get("graph?level=endpoints")["nodes"] == []
    assert server.get("graph")["clusters"] == []
