"""`GET /api/jobs`, and what happened in a job."""

from __future__ import annotations

from typing import Any

NOW = 1_790_000_000_000.0
REQUEST, JOB = "a" * 32, "b" * 32


def test_jobs(server: Any, event: Any) -> None:
    sent = server.send(
        event("log", {"requestId": REQUEST, "parentId": JOB, "timestamp": NOW + 1}, message="in the job"),
        event("error", {"requestId": REQUEST, "parentId": JOB, "timestamp": NOW + 2}, name="ValueError", message="broken"),
        event(
            "job", {"id": JOB, "requestId": REQUEST, "parentId": REQUEST, "timestamp": NOW},
            id=JOB, name="shop.mail", duration=12.5, status="failed", source="celery", queue="mail", attempt=2, waitMs=3,
            messageId="m1", error="ValueError: broken",
        ),
        event("job", {"id": "c" * 32, "requestId": "c" * 32, "timestamp": NOW + 5}, id="c" * 32, name="shop.tick", duration=1),
    )  # fmt: skip
    assert sent == 204
    page = server.get("jobs")
    assert (page["total"], [job["name"] for job in page["entries"]]) == (2, ["shop.tick", "shop.mail"])
    tick, mail = page["entries"]
    assert tick["parentRequestId"] is None
    assert (mail["id"], mail["parentRequestId"], mail["durationMs"], mail["attempt"]) == (JOB, REQUEST, 12.5, 2)
    assert (mail["status"], mail["queue"], mail["waitMs"], mail["messageId"]) == ("failed", "mail", 3, "m1")
    assert [job["id"] for job in server.get(f"jobs?requestId={REQUEST}")["entries"]] == [JOB]
    assert [job["id"] for job in server.get("jobs?status=failed&search=mail")["entries"]] == [JOB]
    assert server.get("jobs?status=4xx&limit=1")["total"] == 0
    activity = server.get(f"activity?requestId={JOB}")
    assert [entry["type"] for entry in activity["timeline"]] == ["log", "error"]
    assert server.get(f"activity?requestId={REQUEST}")["total"] == 0
