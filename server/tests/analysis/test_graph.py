from __future__ import annotations

from typing import Any

import pytest

from brakit_server.analysis import graph as whole
from brakit_server.analysis.clusters import around, clusters, inside
from brakit_server.analysis.graph import Seen, graph
from brakit_server.details import Graph
from brakit_server.stores.rollups import Rollup, RollupKey


def row(kind: str, endpoint: str, count: int, service: str = "shop", **sums: Any) -> tuple[RollupKey, Rollup]:
    rollup = Rollup(count=count, **sums)
    for _ in range(count):
        rollup.durations.add(20.0)
    return RollupKey(kind, service, endpoint, "", None, 0), rollup


@pytest.fixture
def seen(make: Any) -> Seen:
    fetch = make.fetch("http://127.0.0.1:9000/charge", fetch_id="f1", ms=7)
    roots = {
        "r1": make.request(headers={"authorization": "****"}),
        "r2": make.request("r2"),
        "p1": make.request("p1", route="/charge", service="pay", parent_fetch_id="f1", status=500),
        "j1": make.job(parent_request_id="r1"),
        "gone": make.request("gone", route="/gone"),
    }
    events = {
        "r1": [make.query(ms=2), make.query(ms=4), make.query("DELETE FROM carts", table="carts", error="E"), fetch],
        "r2": [make.fetch("https://api.example.com:8443/x?token=1", owner="r2"), make.fetch("http://localhost:81/", owner="r2")],
        "p1": [],
        "j1": [make.query(owner="j1")],
        "gone": [make.query(owner="gone")],
    }
    rows = [
        row("request", "GET /orders", 100, refused=10, queries=150),
        row("request", "GET /charge", 10, "pay", errors=5),
        row("job", "send_invoices", 3),
        row("noise", "GET /health", 1000),
    ]
    return Seen(rows, roots, events, [], 0.0, 600_000.0)


def edges(found: Graph) -> dict[str, tuple[str, int, float]]:
    return {edge.id: (edge.type, edge.stats.frequency, edge.stats.avg_latency_ms) for edge in found.edges}


def test_what_uses_what(seen: Seen) -> None:
    found = graph(seen)
    assert [(n.id, n.type, n.stats.request_count) for n in found.nodes] == [
        ("endpoint:GET /orders", "endpoint", 100),
        ("endpoint:GET /charge", "endpoint", 10),
        ("job:send_invoices", "job", 3),
        ("table:items", "table", 103),
        ("external:api.example.com", "external", 50),
        ("external:localhost:81", "external", 50),
        ("table:carts", "table", 50),
    ]
    assert edges(found) == {
        "endpoint:GET /orders -> endpoint:GET /charge": ("calls", 50, 7.0),
        "endpoint:GET /orders -> external:api.example.com": ("fetches", 50, 5.0),
        "endpoint:GET /orders -> external:localhost:81": ("fetches", 50, 5.0),
        "endpoint:GET /orders -> job:send_invoices": ("enqueues", 3, 0.0),
        "endpoint:GET /orders -> table:carts": ("writes", 50, 1.0),
        "endpoint:GET /orders -> table:items": ("reads", 100, 3.0),
        "job:send_invoices -> table:items": ("reads", 3, 1.0),
    }
    orders, charge, *_, carts = found.nodes
    assert (orders.annotations.has_auth, charge.annotations.has_auth) == (True, False)
    assert (orders.stats.error_rate, charge.stats.error_rate, carts.stats.error_rate) == (0.1, 0.5, 1.0)
    assert (orders.stats.avg_query_count, orders.stats.per_minute) == (1.5, 10.0)
    assert (found.metadata.total_observations, found.metadata.sampled, found.metadata.complete) == (113, 4, True)


def test_one_name_in_two_services_is_two_nodes(make: Any) -> None:
    rows = [row("request", "GET /", 1, "a"), row("request", "GET /", 1, "b")]
    found = graph(Seen(rows, {}, {}, [], 0.0, 1.0))
    assert [n.id for n in found.nodes] == ["endpoint:a:GET /", "endpoint:b:GET /"]


async def test_issues_are_on_nodes_and_edges(bench: Any, make: Any) -> None:
    loop = [*(make.query(params=f"p{n}") for n in range(6)), make.query(table="other", site=None), make.request()]
    await bench.see(*loop)
    request = loop.pop()
    issues = bench.engine.issues()
    seen = Seen([row("request", "GET /orders", 1)], {"r1": request}, {"r1": loop}, issues, 0.0, 1.0)
    found = graph(seen)
    assert [(i.type, i.issue_id) for i in found.nodes[0].annotations.insights] == [("n1", issues[0].issue_id)]
    assert found.nodes[0].annotations.open_issue_count == 1
    assert {edge.target: edge.annotations.has_issue for edge in found.edges} == {"table:items": True, "table:other": False}
    issues[0].state = "resolved"
    assert graph(seen).nodes[0].annotations.insights == []


def test_is_bounded(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "ENDPOINTS", 3)
    monkeypatch.setattr(whole, "OTHERS", 2)
    rows = [row("request", f"GET /{n}", n + 1) for n in range(9)]
    roots = {"r1": make.request(route="/8")}
    events = {"r1": [make.query(table=f"t{n}") for n in range(9)]}
    found = graph(Seen(rows, roots, events, [], 0.0, 1.0))
    assert [n.id for n in found.nodes] == ["endpoint:GET /8", "endpoint:GET /7", "endpoint:GET /6", "table:t0", "table:t1"]
    assert {edge.target for edge in found.edges} == {"table:t0", "table:t1"}
    assert not found.metadata.complete


def test_clusters_and_what_is_in_and_around(seen: Seen) -> None:
    found = graph(seen)
    by_path = clusters(found, "path")
    assert [(c.id, c.children, c.stats.request_count) for c in by_path.clusters] == [
        ("cluster:charge", ["endpoint:GET /charge"], 10),
        ("cluster:jobs", ["job:send_invoices"], 3),
        ("cluster:orders", ["endpoint:GET /orders"], 100),
    ]
    assert {n.type for n in by_path.nodes} == {"table", "external"}
    by_auth = clusters(found, "auth-boundary")
    assert [c.label for c in by_auth.clusters] == ["authenticated", "unauthenticated"]
    assert edges(by_auth)["cluster:authenticated -> cluster:unauthenticated"][0] in ("calls", "enqueues")
    assert [c.label for c in clusters(found, "data-domain").clusters] == ["carts+items", "items", "no-db"]
    assert [c.label for c in clusters(found, "service").clusters] == ["pay", "shop"]
    shop = inside(found, "cluster:shop", "service")
    assert shop is not None
    assert "table:carts" in {n.id for n in shop.nodes}
    carts = around(found, "table:carts")
    assert carts is not None
    assert [n.id for n in carts.nodes] == ["endpoint:GET /orders", "table:carts"]
    assert around(found, "table:none") is None
    assert inside(found, "none", "path") is None


def test_a_large_cluster_is_split_by_the_next_segment(make: Any) -> None:
    rows = [row("request", f"GET /api/v2/shop/{'ab'[n % 2]}/{n}", 1) for n in range(16)]
    found = clusters(graph(Seen(rows, {}, {}, [], 0.0, 1.0)), "path")
    assert [(c.label, len(c.children)) for c in found.clusters] == [("shop/a", 8), ("shop/b", 8)]
