"""What is the same for all queues: orders of import, failures of ours, ids that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from brakit import context
from brakit.instrumentations import _jobs
from brakit.instrumentations._jobs import ENQUEUED, Enqueue, Run, definition

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

LIBRARIES = {
    "celery": "hasattr(celery.Celery.send_task, '__wrapped__')",
    "rq": "hasattr(rq.job.Job.save, '__wrapped__')",
    "dramatiq": "hasattr(dramatiq.Broker.emit_after, '__wrapped__')",
    "huey": "hasattr(huey.Huey.enqueue, '__wrapped__')",
    "apscheduler.schedulers.background": "hasattr(apscheduler.executors.pool.run_job, '__wrapped__')",
    "pymongo": "len(pymongo.monitoring._LISTENERS.command_listeners) == 1",
}
"""What to import, and what is true once we know of it."""


def test_import_before_and_after(py: Any) -> None:
    """Each library is seen whether it comes before or after us, and nothing of ours fails."""
    code = """
import {first}
import {second}
from brakit import client
print(client.current().failures.first, {seen})
"""
    for library, seen in LIBRARIES.items():
        for first, second in (("brakit", library), (library, "brakit")):
            ran = py(code.format(first=first, second=second, seen=seen), BRAKIT_ENABLE="1", BRAKIT_PORT="1")
            assert (ran.stdout, ran.stderr) == ("{} True\n", ""), (first, second)


@pytest.mark.parametrize(
    "ids",
    [
        {context.REQUEST_ID_HEADER: "x" * 32, ENQUEUED: "soon", context.TRACEPARENT_HEADER: "00-1-2-3"},
        {context.REQUEST_ID_HEADER: 7, ENQUEUED: 7, context.TRACEPARENT_HEADER: None},
        {context.REQUEST_ID_HEADER: "a" * 100_000, ENQUEUED: "9" * 1000},
        "junk",
        {},
    ],
)
def test_ids_that_are_none(ids: object, client: Client, events: Events) -> None:
    Run(client, "test", "work", ids).end()
    [job] = events()
    assert job["requestId"] == job["id"]
    assert "parentId" not in job
    assert "waitMs" not in job["data"]


def test_an_end_is_one(client: Client, events: Events) -> None:
    run = Run(client, "test", object())
    error = KeyboardInterrupt()
    run.end(error=error)
    run.end()
    [job] = events()
    assert (job["data"]["name"], job["data"]["status"], job["data"]["error"]) == ("<object>", "failed", "KeyboardInterrupt")
    assert context.current() is None
    assert not _jobs.is_quiet()


def test_what_a_worker_moves_is_no_enqueuing(client: Client, events: Events) -> None:
    before = _jobs.hush(True)
    moved = Enqueue(client, "work")
    moved.end()
    assert _jobs.is_quiet()
    _jobs.hush(before)
    assert events() == []
    assert not _jobs.is_quiet()


def test_definitions() -> None:
    import functools

    @functools.wraps(test_definitions)
    def wrapper() -> None:
        return None

    expected = (test_definitions.__code__, test_definitions.__code__.co_firstlineno)
    assert definition(wrapper) == definition(functools.partial(wrapper)) == expected
    assert definition(Run.end) == (Run.end.__code__, Run.end.__code__.co_firstlineno)
    assert definition(len) is definition(None) is definition(Run) is None
