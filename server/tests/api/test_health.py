"""The server about itself."""

from __future__ import annotations

import json
from typing import Any


def test_what_was_received_refused_and_dropped(server: Any, event: Any) -> None:
    before = server.get("health")
    assert (before["status"], before["problems"]) == ("ok", [])
    assert server.send(event("log"), event("log"), dropped={"full": 3}) == 204
    broken = event("log")
    del broken["data"]["message"]
    assert server.send(event("log"), broken, {"type": 5}) == 400
    assert server.call("POST", "/__brakit/api/ingest", b"{", {})[0] == 400
    assert server.call("POST", "/__brakit/api/ingest", b"{}", {"Origin": "https://evil.test"})[0] == 403
    after = server.get("health")
    assert after["received"] - before["received"] == 3
    assert after["batches"] - before["batches"] == 2
    assert sum(after["rejected"].values()) - sum(before["rejected"].values()) == 2
    assert after["rejected"]["is missing"] >= 1
    assert after["dropped"] == {"full": 3}
    assert after["answers"] == {"204": 1, "400": 2, "403": 1}
    assert after["refused"] == {"403": 1}
    assert after["commits"]["count"] == 2
    assert 0 < after["commits"]["p50Ms"] <= after["commits"]["p99Ms"] <= after["commits"]["maxMs"] <= after["commits"]["totalMs"]
    assert after["waiting"] == 0
    assert after["connections"]["open"] >= 1
    assert after["databaseBytes"] > 0
    assert 0 < after["memoryBytes"] < after["maxMemory"]
    assert after["uptimeMs"] > before["uptimeMs"] > 0


def test_reasons_are_ours_and_not_the_senders(server: Any, event: Any) -> None:
    hostile = event("log", message=5, **{"<script>": 1})
    server.send(hostile, {"type": "<script>", "data": 5}, {"<script>": 1})
    assert "<script>" not in json.dumps(server.get("health"))
