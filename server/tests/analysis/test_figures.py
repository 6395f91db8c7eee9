from __future__ import annotations

from typing import Any

import pytest


async def test_live_and_history(bench: Any, make: Any) -> None:
    for n in range(10):
        query = make.query(owner=f"r{n}", ms=20)
        fetch = make.fetch(owner=f"r{n}", ms=30, timestamp=query.timestamp + 20)
        request = make.request(f"r{n}", ms=100 + n, status=500 if n == 3 else 200, timestamp=query.timestamp - 1)
        await bench.see(request, query, fetch)
    await bench.see(make.request("fast", route="/fast", ms=1), make.request("h", route="/health", is_health_check=True))
    slow, fast = bench.engine.live_metrics()
    assert (slow.endpoint, slow.service, fast.endpoint) == ("GET /orders", "shop", "GET /fast")
    assert (slow.summary.total_requests, slow.summary.median_ms, slow.summary.p95_ms) == (10, 104, 109)
    assert (slow.summary.error_rate, slow.summary.avg_query_count) == (0.1, 1)
    assert (slow.summary.avg_query_time_ms, slow.summary.avg_fetch_time_ms) == (20, 30)
    assert slow.summary.avg_app_time_ms == pytest.approx(54.5)
    assert [point.request_id for point in slow.requests] == [f"r{n}" for n in range(10)]
    assert slow.requests[0].timestamp < 1e13
    (metrics,) = bench.engine.metrics("GET /orders")
    (session,) = metrics.sessions
    assert (session.session_id, session.request_count, session.error_count) == ("run1", 10, 1)
    assert session.p95_duration_ms == pytest.approx(109, rel=0.021)
    assert session.avg_query_time_ms == 20


async def test_a_baseline_is_what_earlier_runs_took(bench: Any, make: Any) -> None:
    for run, ms in (("a", 100.0), ("b", 300.0)):
        for n in range(8):
            make.now += 1000
            await bench.see(make.request(f"{run}{n}", run=run, ms=ms))
    (endpoint,) = bench.engine.live_metrics()
    assert endpoint.baseline_p95_ms == pytest.approx(100, rel=0.021)
    assert [session.session_id for session in endpoint.sessions] == ["a", "b"]
