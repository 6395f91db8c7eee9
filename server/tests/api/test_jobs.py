"""`GET /api/jobs`, and what happened in a job."""

from __future__ import annotations

import json
from typing import Any

import pytest

NOW = 1_790_000_000_000.0
REQUEST, JOB = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def worked(server: Any, event: Any) -> Any:
    """A request that enqueued `shop.mail`, which failed and enqueued `shop.log`; and `shop.tick`, which nothing enqueued."""
    sent = server.send(
        event("request", {"id": REQUEST, "requestId": REQUEST, "timestamp": NOW - 20}, id=REQUEST, url="/orders", method="POST"),
        event("log", {"requestId": REQUEST, "parentId": JOB, "timestamp": NOW + 1}, message="in the job"),
        event("error", {"requestId": REQUEST, "parentId": JOB, "timestamp": NOW + 2}, name="ValueError", message="broken"),
        event(
            "job", {"id": JOB, "requestId": REQUEST, "parentId": REQUEST, "timestamp": NOW},
            id=JOB, name="shop.mail", duration=12.5, status="failed", source="celery", queue="mail", attempt=2, waitMs=3,
            messageId="m1", error="ValueError: broken",
        ),
        event("job", {"id": "c" * 32, "requestId": "c" * 32, "timestamp": NOW + 5}, id="c" * 32, name="shop.tick", duration=1),
        event("db.query", {"requestId": REQUEST, "parentId": "d" * 32, "timestamp": NOW + 31}, table="mails"),
        event(
            "job", {"id": "d" * 32, "requestId": REQUEST, "parentId": JOB, "timestamp": NOW + 30},
            id="d" * 32, name="shop.log", duration=4, status="succeeded",
        ),
    )  # fmt: skip
    assert sent == 204
    return server


def test_jobs(worked: Any) -> None:
    server = worked
    page = server.get("jobs")
    assert (page["total"], [job["name"] for job in page["entries"]]) == (3, ["shop.log", "shop.tick", "shop.mail"])
    _, tick, mail = page["entries"]
    assert tick["parentRequestId"] is None
    assert (mail["id"], mail["parentRequestId"], mail["durationMs"], mail["attempt"]) == (JOB, REQUEST, 12.5, 2)
    assert (mail["status"], mail["queue"], mail["waitMs"], mail["messageId"]) == ("failed", "mail", 3, "m1")
    assert [job["id"] for job in server.get(f"jobs?requestId={REQUEST}")["entries"]] == [JOB]
    assert [job["id"] for job in server.get("jobs?status=failed&search=mail")["entries"]] == [JOB]
    assert server.get("jobs?status=4xx&limit=1")["total"] == 0
    activity = server.get(f"activity?requestId={JOB}")
    assert [entry["type"] for entry in activity["timeline"]] == ["log", "error"]
    assert server.get(f"activity?requestId={REQUEST}")["total"] == 0


def test_one_job_with_what_caused_it_and_what_it_caused(worked: Any) -> None:
    found = worked.get(f"jobs/{JOB}")
    assert (found["job"]["name"], found["job"]["error"]) == ("shop.mail", "ValueError: broken")
    assert [entry["type"] for entry in found["timeline"]] == ["log", "error"]
    assert (found["counts"]["errors"], found["run"]["service"]) == (1, found["job"]["service"])
    assert found["parent"]["id"] == REQUEST
    assert "parentJob" not in found
    [child] = found["children"]
    assert (child["type"], child["job"]["name"]) == ("job", "shop.log")
    assert [entry["data"]["table"] for entry in child["timeline"]] == ["mails"]
    below = worked.get("jobs/" + "d" * 32)
    assert (below["parentJob"]["id"], below["children"]) == (JOB, [])
    assert "parent" not in below
    alone = worked.get("jobs/" + "c" * 32)
    assert (alone["timeline"], alone["children"]) == ([], [])


def test_a_request_with_its_jobs_and_theirs(worked: Any) -> None:
    children = worked.get(f"requests/{REQUEST}")["children"]
    assert [(child["job"]["name"], child["job"]["parentRequestId"]) for child in children] == [
        ("shop.mail", REQUEST),
        ("shop.log", JOB),
    ]
    assert [[entry["type"] for entry in child["timeline"]] for child in children] == [["log", "error"], ["query"]]


def test_a_link_to_the_owner_of_an_event_finds_a_job(worked: Any) -> None:
    status, headers, _ = worked.call("GET", f"/__brakit/api/requests/{JOB}")
    assert (status, headers["location"]) == (303, f"../jobs/{JOB}")
    [group] = worked.get("errors/groups")["groups"]
    assert (group["lastJobId"], group["endpoints"]) == (JOB, ["shop.mail"])


@pytest.mark.parametrize("id", [REQUEST, "nobody", "..%5c"])
def test_no_such_job(worked: Any, id: str) -> None:
    status, _, body = worked.call("GET", f"/__brakit/api/jobs/{id}")
    assert (status, json.loads(body)) == (404, {"error": "Job not found"})


def test_jobs_that_name_each_other_as_their_cause(worked: Any, event: Any) -> None:
    one, other = "e" * 32, "f" * 32
    for id, cause in ((one, other), (other, one)):
        assert worked.send(event("job", {"id": id, "parentId": cause, "timestamp": NOW}, id=id, name="loop", duration=1)) == 204
    assert [child["job"]["id"] for child in worked.get(f"jobs/{one}")["children"]] == [other]
    many = [
        event("job", {"id": f"n{n}", "parentId": one, "timestamp": NOW + n}, id=f"n{n}", name="many", duration=1)
        for n in range(60)
    ]
    assert worked.send(*many) == 204
    assert len(worked.get(f"jobs/{one}")["children"]) == 50
