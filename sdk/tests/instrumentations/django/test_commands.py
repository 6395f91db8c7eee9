"""`django.py`: management commands as jobs, from the command line and called by the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]

MANAGE = """
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.mark.parametrize(
    ("name", "rc", "status", "error"),
    [
        ("fill", 0, "succeeded", None),
        ("refuse", 1, "failed", "CommandError: not today"),
        ("crash", 1, "failed", "ZeroDivisionError: crashed"),
    ],
)
def test_from_the_command_line(run: Run, project: Path, name: str, rc: int, status: str, error: str | None) -> None:
    events = run(MANAGE, name, rc=rc)
    [job] = [event for event in events if event["type"] == "job"]
    data = job["data"]
    assert (data["name"], data["source"], data["status"], data.get("error")) == (name, "django", status, error)
    assert data["callsite"]["file"].endswith(f"shop/management/commands/{name}.py")
    inside = [event for event in events if event["type"] in ("db.query", "error") and "parentId" in event]
    assert {event["parentId"] for event in inside} == {job["id"]}
    if error is None:
        assert [event["data"]["operation"] for event in inside] == ["INSERT"]
    else:
        # Once, though the interpreter's hook sees the same exception afterwards.
        assert [event["data"]["name"] for event in events if event["type"] == "error"] == [error.partition(":")[0]]


CALLED = """
from django.core.management import call_command
call_command("fill", stdout=sys.stderr)
seen = None
try:
    call_command("crash")
except ZeroDivisionError as error:
    seen = error
assert str(seen) == "crashed"
assert [frame.f_code.co_name for frame, _ in __import__("traceback").walk_tb(seen.__traceback__)].count("plain") == 1
assert context.current() is None
call_command("rqworker")
call_command("showmigrations", "shop", stdout=sys.stderr)
Author.objects.filter(name="ann").delete()
current().flush(5)
owner, _, _ = context.request_owner(None, None)
context.enter(owner)
call_command("fill", stdout=sys.stderr)
release_all(owner, current().buffer)
assert context.current() is owner
"""


def test_called_by_the_app(run: Run) -> None:
    events = run(CALLED)
    jobs = [event for event in events if event["type"] == "job"]
    assert [(job["data"]["name"], job["data"]["status"]) for job in jobs] == [
        ("fill", "succeeded"),
        ("crash", "failed"),
        ("showmigrations", "succeeded"),
    ]
    inserts = [event for event in events if event["type"] == "db.query" and event["data"]["operation"] == "INSERT"]
    # One inside a job; one inside what stands for a request, which a command belongs to.
    assert inserts[0]["parentId"] == jobs[0]["id"]
    assert inserts[1]["parentId"] not in [job["id"] for job in jobs]
    [counted] = [event for event in events if event["type"] == "db.query" and "COUNT" in event["data"]["sql"]]
    assert "parentId" not in counted
