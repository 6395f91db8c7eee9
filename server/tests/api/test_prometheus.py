"""The figures as Prometheus reads them, read by Prometheus' own parser."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families


def figures(server: Any) -> dict[tuple[str, tuple[str, ...]], float]:
    status, headers, body = server.call("GET", "/__brakit/api/prometheus")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_they_are_those_of_health(server: Any, event: Any) -> None:
    assert server.send(event("log"), event("request"), {"type": 5}, dropped={"full": 2}) == 400
    server.wait_for("health", lambda found: found["toJudge"] == 0)
    health = server.get("health")
    found = figures(server)
    assert found[("brakit_up", ())] == 1
    assert found[("brakit_received_events_total", ())] == health["received"] == 2
    assert found[("brakit_dropped_total", ("full",))] == 2
    assert found[("brakit_answers_total", ("400",))] == 1
    assert sum(value for (name, _), value in found.items() if name == "brakit_rejected_total") == 1
    assert found[("brakit_commit_seconds_count", ())] == found[("brakit_commit_seconds_bucket", ("+Inf",))] == 1
    assert 0 < found[("brakit_commit_seconds_sum", ())] < 10
    assert found[("brakit_database_bytes", ())] > 0
    assert found[("brakit_memory_bytes", ())] > 0
    assert found[("brakit_uptime_seconds", ())] > 0
    rules = {labels[0] for name, labels in found if name == "brakit_rule_seconds_total"}
    assert rules == set(health["ruleSeconds"])
