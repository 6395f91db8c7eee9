"""What changed, over HTTP: two processes of two revisions on a real server."""

from __future__ import annotations

import json
import time
from typing import Any


def test_what_a_new_revision_did(start: Any, event: Any) -> None:
    server = start()
    now = time.time() * 1000

    def send(pid: int, started: float, revision: str, queries: int, body: object) -> None:
        events = []
        for n in range(3):
            id = f"p{pid}r{n}"
            at = {"requestId": id, "timestamp": started + n}
            headers = {"content-type": "application/json"}
            answer = {"responseBody": json.dumps(body), "responseHeaders": headers}
            events += [event("request", at, id=id, path="/cart", route="/cart", **answer)]
            events += [event("db.query", at) for _ in range(queries)]
        resource = {"service": "shop", "host": "box", "pid": pid, "started": started, "revision": revision}
        assert server.send(*events, resource=resource) == 204

    send(1, now - 9000, "a" * 40, 2, {"total": 17, "note": "hunter2"})
    assert server.get("changes") == {**server.get("changes"), "total": 0, "endpoints": []}
    time.sleep(0.01)
    send(2, time.time() * 1000, "b" * 40, 6, {"total": "17", "note": "hunter2", "tax": 3})
    found = server.wait_for("changes", lambda told: told["total"] and told["endpoints"][0]["run"]["after"]["requests"] == 3)[
        "endpoints"
    ][0]
    for side in (found["run"], found["revision"]):
        assert (side["before"]["revision"], side["after"]["revision"]) == ("a" * 40, "b" * 40)
        assert (side["before"]["avgQueries"], side["after"]["avgQueries"]) == (2.0, 6.0)
        assert side["changed"] == ["queries", "shape"]
        assert side["shape"] == [
            {"path": "tax", "before": None, "after": "number"},
            {"path": "total", "before": "number", "after": "string"},
        ]
    assert "hunter2" not in json.dumps(server.get("changes"))
    assert server.get(f"changes?service=other&since={now}")["endpoints"] == []
    assert server.get("changes?endpoint=GET%20/cart&since=junk")["total"] == 1
    server.call("POST", "/__brakit/api/clear")
    assert server.get("changes")["total"] == 0
