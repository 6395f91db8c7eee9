"""`apscheduler.py`: real schedulers, with threads, processes and an event loop."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from typing import TYPE_CHECKING, Any

import apscheduler.executors.base
import apscheduler.executors.debug
import apscheduler.executors.pool
import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("shop")
BROKEN = ValueError("broken")


def work(*args: object) -> str:
    log.warning("working")
    return "done"


def fail() -> None:
    raise BROKEN


async def work_async() -> None:
    await asyncio.sleep(0.01)
    log.warning("working")


def own(events: list[Json]) -> list[Json]:
    return [event for event in events if event["type"] != "log" or event["data"]["logger"] == "shop"]


def run_all(scheduler: Any, count: int) -> list[Any]:
    """Start, wait for `count` runs, shut down; their events."""
    done: list[Any] = []
    all_done = threading.Event()

    def listener(event: Any) -> None:
        done.append(event)
        if len(done) == count:
            all_done.set()

    scheduler.add_listener(listener, 2**12 | 2**13 | 2**14)
    scheduler.start()
    assert all_done.wait(10)
    scheduler.shutdown()
    return done


def test_a_run_is_a_job(client: Client, events: Events) -> None:
    scheduler = BackgroundScheduler()
    scheduler.add_job(work, id="w1", args=["secret"])
    assert [event.retval for event in run_all(scheduler, 1)] == ["done"]
    record, job = own(events())
    data = job["data"]
    assert {key: data[key] for key in ("name", "source", "status", "queue", "messageId")} == {
        "name": "work", "source": "apscheduler", "status": "succeeded", "queue": "default", "messageId": "w1",
    }  # fmt: skip
    assert record["parentId"] == job["id"]
    assert data["callsite"]["line"] == work.__code__.co_firstlineno
    assert 0 <= data["waitMs"] < 10_000
    assert "parentId" not in job


def test_failures(client: Client, events: Events) -> None:
    scheduler = BackgroundScheduler()
    scheduler.add_job(fail)
    assert [event.exception for event in run_all(scheduler, 1)] == [BROKEN]
    error, job = own(events())
    assert (error["parentId"], error["data"]["callsite"]["function"]) == (job["id"], "fail")
    assert (job["data"]["status"], job["data"]["error"]) == ("failed", "ValueError: broken")


def test_a_run_that_is_too_late_is_rejected(client: Client, events: Events) -> None:
    scheduler = BackgroundScheduler()
    late = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    scheduler.add_job(work, trigger="date", run_date=late, misfire_grace_time=1)
    run_all(scheduler, 1)
    [job] = own(events())
    assert job["data"]["status"] == "rejected"
    assert job["data"]["waitMs"] > 3_000_000


async def test_in_an_event_loop(client: Client, events: Events) -> None:
    """What is scheduled in a request does not belong to it: it runs long after, and again and again."""
    owner, _, _ = context.request_owner(None, None)
    context.enter(owner)
    scheduler = AsyncIOScheduler()
    scheduler.start()
    scheduler.add_job(work_async)
    scheduler.add_job(work)
    for _ in range(200):
        found = [event for event in own(events()) if event["type"] == "job"]
        if len(found) == 1:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    found += [event for event in own(events()) if event["type"] == "job"]
    scheduler.shutdown()
    assert sorted(job["data"]["name"] for job in found) == ["work", "work_async"]
    assert all("parentId" not in job and job["requestId"] == job["id"] for job in found)


def test_restored(client: Client) -> None:
    base = apscheduler.executors.base
    for module in (base, apscheduler.executors.pool, apscheduler.executors.debug):
        assert module.run_job is base.run_job
    original = base.run_job.__wrapped__
    client.shutdown(0.0)
    for module in (base, apscheduler.executors.pool, apscheduler.executors.debug):
        assert module.run_job is original


@pytest.mark.parametrize("order", ["brakit, apscheduler.schedulers.background", "apscheduler.schedulers.background, brakit"])
def test_in_a_process_pool(order: str, py: Any, sink: Any) -> None:
    code = f"""
import {order}
import logging, threading
from apscheduler.executors.pool import ProcessPoolExecutor

def work():
    logging.getLogger("shop").warning("working")

if __name__ == "__main__":
    done = threading.Event()
    scheduler = apscheduler.schedulers.background.BackgroundScheduler(executors={{"default": ProcessPoolExecutor(1)}})
    scheduler.add_listener(lambda event: done.set(), 2**12 | 2**13)
    scheduler.start()
    scheduler.add_job(work)
    print(done.wait(10))
    scheduler.shutdown()
"""
    ran = py(code, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    assert (ran.rc, ran.stdout) == (0, "True\n"), ran.stderr
    [job] = sink.of("job")
    assert [event["parentId"] for event in sink.of("log") if event["data"]["logger"] == "shop"] == [job["id"]]
