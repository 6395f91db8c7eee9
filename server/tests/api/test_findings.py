"""Issues and what is reported about them; clearing."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

REPORT = "/__brakit/api/findings/report"


def report(server: Any, body: bytes) -> tuple[int, Any]:
    status, _, answer = server.call("POST", REPORT, body, {"Content-Type": "application/json"})
    return status, json.loads(answer)


@pytest.fixture
def issue(server: Any, event: Any) -> Any:
    server.send(event("error", {"requestId": None}, name="KeyError", message="gone"))
    return server.wait_for("findings", lambda found: found["total"])["findings"][0]


def test_the_same_issue_in_every_list(server: Any, issue: Any) -> None:
    assert (issue["state"], issue["issue"]["rule"], issue["category"]) == ("open", "error", "reliability")
    for path in ("insights", "insights?state=open", "insights?category=reliability", "insights?state=junk&category=junk"):
        assert [one["issueId"] for one in server.get(path)["issues"]] == [issue["issueId"]]
    for path in ("insights?state=resolved", "insights?category=security", "security"):
        assert server.get(path)["issues"] == []
    assert server.get("findings?state=open")["total"] == 1
    assert server.get("findings?state=stale") == {"total": 0, "findings": []}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "Invalid JSON body"),
        (b"{", 400, "Invalid JSON body"),
        (b"null", 400, "Invalid JSON body"),
        (b"0", 400, "Invalid JSON body"),
        (b"false", 400, "Invalid JSON body"),
        (b'""', 400, "Invalid JSON body"),
        (b"[" * 60_000, 400, "Invalid JSON body"),
        (b"\xff", 400, "Invalid JSON body"),
        (b"{}", 400, "findingId is required"),
        (b'{"findingId": 5, "status": "fixed", "notes": "n"}', 400, "findingId is required"),
        (b'{"findingId": "x", "status": "done", "notes": "n"}', 400, "status must be 'fixed' or 'wont_fix'"),
        (b'{"findingId": "x", "status": ["fixed"], "notes": "n"}', 400, "status must be 'fixed' or 'wont_fix'"),
        (b'{"findingId": "x", "status": "fixed", "notes": ""}', 400, "notes is required"),
        (b'{"findingId": "x", "status": "fixed", "notes": "n"}', 404, "Finding not found"),
        (b'"' + b"x" * 65_536 + b'"', 413, "Payload too large"),
    ],
)
def test_reports_that_make_no_sense(server: Any, body: bytes, status: int, error: str) -> None:
    assert report(server, body) == (status, {"error": error})


def test_a_report_is_kept(server: Any, issue: Any) -> None:
    body = json.dumps({"findingId": issue["issueId"], "status": "fixed", "notes": "caught it"}).encode()
    assert report(server, body) == (200, {"ok": True})
    [found] = server.get("findings")["findings"]
    assert (found["state"], found["aiStatus"], found["aiNotes"]) == ("fixing", "fixed", "caught it")


def say(server: Any, id: str, **said: Any) -> tuple[int, Any]:
    body = json.dumps(said).encode()
    status, _, answer = server.call("POST", f"/__brakit/api/findings/{id}/state", body, {"Content-Type": "application/json"})
    return status, json.loads(answer)


def test_a_state_is_said_with_a_reason_and_outlives_the_server(start: Any, event: Any) -> None:
    server = start()
    server.send(event("error", {"requestId": None}, name="KeyError", message="gone"))
    id = server.wait_for("findings", lambda found: found["total"])["findings"][0]["issueId"]
    status, said = say(server, id, state="ignored", reason=" known to the team ")
    assert (status, said["state"], said["history"][-1]["why"]) == (200, "ignored", "known to the team")
    server.stop(signal.SIGKILL)
    server = start()
    kept = server.get(f"findings/{id}")
    assert (kept["state"], kept["history"]) == ("ignored", said["history"])
    assert [(c["state"], c["by"]) for c in kept["history"]] == [("open", "engine"), ("ignored", "person")]
    server.send(event("error", {"requestId": None}, name="KeyError", message="gone"))
    again = server.wait_for("findings", lambda found: found["findings"][0]["occurrences"] == 2)["findings"][0]
    assert again["state"] == "ignored"
    assert say(server, id, state="fixing", reason="on it", by="agent")[1]["history"][-1]["by"] == "agent"


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        ({"state": "stale", "reason": "r"}, 400, "state must be 'open', 'fixing', 'resolved' or 'ignored'"),
        ({"state": ["open"], "reason": "r"}, 400, "state must be 'open', 'fixing', 'resolved' or 'ignored'"),
        ({"state": "open"}, 400, "reason is required, of at most 2000 characters"),
        ({"state": "open", "reason": " "}, 400, "reason is required, of at most 2000 characters"),
        ({"state": "open", "reason": "r" * 2001}, 400, "reason is required, of at most 2000 characters"),
        ({"state": "open", "reason": "r", "by": "engine"}, 400, "by must be 'person' or 'agent'"),
        ({"state": "open", "reason": "r"}, 404, "Finding not found"),
    ],
)
def test_states_that_make_no_sense(server: Any, said: dict[str, Any], status: int, error: str) -> None:
    assert say(server, "none", **said) == (status, {"error": error})
    assert server.call("GET", "/__brakit/api/findings/none")[0] == 404


def test_another_site_cannot_say_a_state(server: Any, issue: Any) -> None:
    body = json.dumps({"state": "ignored", "reason": "r"}).encode()
    path = f"/__brakit/api/findings/{issue['issueId']}/state"
    kind = {"Content-Type": "application/json"}
    assert server.call("POST", path, body, {**kind, "Origin": "https://evil.example"})[0] == 403
    assert server.call("POST", path, body, {"Content-Type": "text/plain"})[0] == 415
    assert server.get(f"findings/{issue['issueId']}")["history"] == issue["history"]


def test_clear_forgets_it_all(server: Any, event: Any, issue: Any) -> None:
    server.send(event("request"), event("log", message="find-this-secret-word"))
    assert issue
    status, _, body = server.call("POST", "/__brakit/api/clear")
    assert (status, json.loads(body)) == (200, {"cleared": True})
    for path in ("requests", "logs", "errors", "findings"):
        assert server.get(path)["total"] == 0
    assert server.get("metrics/live") == {"endpoints": []}
    for file in server.data.iterdir():
        assert b"find-this-secret-word" not in file.read_bytes()
    assert server.call("GET", "/__brakit/api/clear")[0] == 405


def test_tab_is_not_interesting(server: Any) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert server.call(method, "/__brakit/api/tab?tab=queries&event=x")[0] == 204
