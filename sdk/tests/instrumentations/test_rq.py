"""`rq.py`: jobs that run at once, in a simple worker, and in real worker processes that fork."""

from __future__ import annotations

import logging
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
import rq
import rq.job
import rq.queue
import rq.worker

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("shop")
BROKEN = ValueError("broken")


def add(a: int, b: int) -> int:
    log.warning("adding")
    redis.Redis().get("brakit:nothing")
    return a + b


def fail() -> None:
    raise BROKEN


def cleanup(*_: object) -> None:
    log.warning("callback")


@pytest.fixture
def connection() -> Iterator[Any]:
    made: Any = redis.Redis()
    try:
        made.ping()
    except redis.exceptions.ConnectionError:
        pytest.skip("no Redis at 127.0.0.1:6379")
    yield made
    made.close()


@pytest.fixture
def queue(connection: Any, client: Client) -> Iterator[Any]:
    # `add` is to be found under the name of this module.
    sys.modules.setdefault(__name__, sys.modules[add.__module__])
    made: Any = rq.Queue(f"brakit{uuid.uuid4().hex[:8]}", connection=connection)
    yield made
    ids = [id for registry in (made.finished_job_registry, made.failed_job_registry) for id in registry.get_job_ids()]
    made.delete(delete_jobs=True)
    keys = [f"rq:{kind}:{id}" for id in ids for kind in ("job", "results")]
    connection.delete(*keys, *connection.scan_iter(f"rq:*{made.name}*", count=1000), "brakit:nothing")


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


def work(queue: Any, client: Client) -> None:
    """Run what is in the queue, in this process but for no request."""
    before = context.enter(None)
    rq.SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="CRITICAL")
    context.enter(before)


def test_enqueuing_is_a_span_and_changes_nothing_of_a_job(queue: Any, events: Events, owner: context.Owner) -> None:
    job = queue.enqueue(add, 1, 2)
    line = test_enqueuing_is_a_span_and_changes_nothing_of_a_job.__code__.co_firstlineno + 1
    spans = [event for event in events() if event["type"] == "span"]
    [span] = spans
    assert span["data"]["name"] == f"enqueue {add.__module__}.add"
    assert (span["parentId"], span["data"]["attributes"]) == (owner.id, {"queue": queue.name})
    assert span["data"]["callsite"]["line"] == line
    assert job.meta == {}
    assert "brakit" not in job.to_dict()
    assert owner.id in queue.connection.hget(job.key, "brakit").decode()
    assert "brakit" not in rq.job.Job.fetch(job.id, connection=queue.connection).to_dict()


def test_a_job_in_a_worker(queue: Any, client: Client, events: Events, owner: context.Owner) -> None:
    job = queue.enqueue(add, 1, 2, on_success=rq.Callback(cleanup))
    events()
    work(queue, client)
    assert job.return_value() == 3
    context.enter(None)
    found = [event for event in events() if event["data"].get("logger") != "rq.worker"]
    [record] = [event for event in found if event["type"] == "job"]
    data = record["data"]
    assert {key: data[key] for key in ("name", "source", "status", "queue", "attempt", "messageId")} == {
        "name": f"{add.__module__}.add", "source": "rq", "status": "succeeded", "queue": queue.name, "attempt": 1, "messageId": job.id,
    }  # fmt: skip
    assert (record["parentId"], record["traceId"]) == (owner.id, owner.trace_id)
    assert 0 <= data["waitMs"] < 10_000
    assert (data["callsite"]["function"], data["callsite"]["line"]) == ("add", add.__code__.co_firstlineno)
    inside = [event for event in found if event.get("parentId") == record["id"] and event is not record]
    assert [event["type"] for event in inside] == ["log", "db.query", "log"]
    assert [event["data"]["sql"] for event in inside if event["type"] == "db.query"] == ["GET brakit:nothing"]
    # The last of it all, and nothing of what the worker says to Redis; the test has asked for the result itself.
    assert found[found.index(record) + 1 :] == [event for event in found[found.index(record) + 1 :] if "ownerId" not in event]
    assert not [event for event in found if event["type"] == "span"]


def test_failures(queue: Any, client: Client, events: Events) -> None:
    queue.enqueue(fail)
    events()
    work(queue, client)
    found = events()
    [error] = [event for event in found if event["type"] == "error"]
    [job] = [event for event in found if event["type"] == "job"]
    assert (error["parentId"], error["data"]["mechanism"]) == (job["id"], "rq")
    assert error["data"]["callsite"]["function"] == "fail"
    assert (job["data"]["status"], job["data"]["error"]) == ("failed", "ValueError: broken")


def test_retries(queue: Any, client: Client, events: Events, owner: context.Owner) -> None:
    queue.enqueue(fail, retry=rq.Retry(max=2))
    events()
    work(queue, client)
    found = events()
    jobs = [event for event in found if event["type"] == "job"]
    assert [(job["data"]["status"], job["data"]["attempt"]) for job in jobs] == [("retried", 1), ("retried", 2), ("failed", 3)]
    assert len({job["id"] for job in jobs}) == 3
    assert {job["parentId"] for job in jobs} == {owner.id}
    spans = [event for event in found if event["type"] == "span"]
    assert [span["parentId"] for span in spans] == [job["id"] for job in jobs[:2]]


def test_at_once(queue: Any, events: Events, owner: context.Owner) -> None:
    at_once: Any = rq.Queue(queue.name, connection=queue.connection, is_async=False)
    assert at_once.enqueue(add, 1, 2).return_value() == 3
    found = events()
    [job] = [event for event in found if event["type"] == "job"]
    assert (job["parentId"], job["data"]["status"]) == (owner.id, "succeeded")
    assert [event["type"] for event in found if event.get("parentId") == job["id"]] == ["log", "db.query"]
    assert context.current() is owner


def test_the_same_exception(client: Client, queue: Any, events: Events) -> None:
    job = rq.job.Job.create(fail, connection=queue.connection)
    events()
    with pytest.raises(ValueError, match="broken") as caught:
        job.perform()
    assert caught.value is BROKEN
    assert [event["type"] for event in events()] == ["error", "job"]


def test_restored(client: Client) -> None:
    worker = next(base for base in rq.Worker.__mro__ if "perform_job" in vars(base))
    patched = [(rq.job.Job, "_execute"), (rq.job.Job, "to_dict"), (rq.queue.Queue, "_enqueue_job"), (worker, "perform_job")]
    originals = [getattr(holder, name).__wrapped__ for holder, name in patched]
    client.shutdown(0.0)
    assert [getattr(holder, name) for holder, name in patched] == originals


WORKER = """
import sys, logging, brakit, rq, redis
sys.modules["tasks"] = sys.modules["__main__"]

def add(a, b):
    logging.getLogger("shop").warning("adding")
    return a + b

def fail():
    raise ValueError("broken")

if __name__ == "__main__":
    rq.Worker([sys.argv[1]], connection=redis.Redis()).work(burst=True, logging_level="CRITICAL")
"""


def test_a_worker_that_forks(queue: Any, py: Any, sink: Any, owner: context.Owner) -> None:
    """Each job runs in a child that leaves through os._exit: nothing is lost, nothing is sent twice."""
    for number in range(3):
        queue.enqueue("tasks.add", number, 1)
    queue.enqueue("tasks.fail")
    ran = py(WORKER, queue.name, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    assert (ran.rc, ran.stdout) == (0, ""), ran.stderr
    jobs = sink.of("job")
    assert [(job["data"]["name"], job["data"]["status"]) for job in jobs] == [
        *[("tasks.add", "succeeded")] * 3,
        ("tasks.fail", "failed"),
    ]
    assert {(job["parentId"], job["traceId"]) for job in jobs} == {(owner.id, owner.trace_id)}
    ids = [job["id"] for job in jobs]
    logs = [event for event in sink.of("log") if event["data"]["logger"] == "shop"]
    assert [event["parentId"] for event in logs] == ids[:3]
    assert [event["parentId"] for event in sink.of("error")] == ids[3:]
    assert sink.of("db.query") == []
    assert len({event["id"] for event in sink.events}) == len(sink.events)
    assert len({payload["resource"]["pid"] for payload in sink.payloads if payload["events"]}) >= 4
