"""`GET /api/requests/<id>`: one request with all that belongs to it."""

from __future__ import annotations

import json
from typing import Any


def test_one_request_with_what_it_caused(seen: Any) -> None:
    found = seen.get("requests/r1")
    assert found["request"]["id"] == "r1"
    assert [entry["type"] for entry in found["timeline"]] == ["span", "auth", "query", "query", "fetch", "log"]
    assert found["counts"]["queries"] == 2
    [child] = found["children"]
    assert (child["type"], child["request"]["id"], child["request"]["service"]) == ("request", "p1", "payments")
    assert [entry["data"]["table"] for entry in child["timeline"]] == ["charges"]
    assert (found["run"]["framework"], found["run"]["pid"], found["run"]["dropped"]) == ("fastapi", 1, {"full": 2})
    assert "parent" not in found


def test_one_request_with_what_caused_it(seen: Any) -> None:
    found = seen.get("requests/p1")
    assert found["parent"]["id"] == "r1"
    assert found["children"] == []


def test_issues_of_the_request(seen: Any) -> None:
    found = seen.wait_for("requests/r2", lambda found: found["issues"])
    assert found["issues"][0]["issue"]["rule"] == "error"


def test_no_such_request(seen: Any) -> None:
    status, _, body = seen.call("GET", "/__brakit/api/requests/nobody")
    assert (status, json.loads(body)) == (404, {"error": "Request not found"})
