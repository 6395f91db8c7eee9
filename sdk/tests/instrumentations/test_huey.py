"""`huey.py`: tasks in immediate mode, run one by one, and in a real consumer's process over Redis."""

# mypy: disable-error-code="import-untyped,untyped-decorator"

from __future__ import annotations

import logging
import signal
import uuid
from typing import TYPE_CHECKING, Any

import huey
import huey.api
import huey.serializer
import pytest
import redis

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("shop")


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


def drain(queue: Any) -> None:
    """Run what is in the queue, for no request."""
    before = context.enter(None)
    while (task := queue.dequeue()) is not None:
        queue.execute(task)
    context.enter(before)


def own(events: list[Json]) -> list[Json]:
    return [event for event in events if event["type"] != "log" or event["data"]["logger"] == "shop"]


def test_a_task_is_a_job(client: Client, events: Events, owner: context.Owner) -> None:
    queue: Any = huey.MemoryHuey("shop")

    @queue.task()
    def add(a: int, b: int) -> int:
        log.warning("adding")
        return a + b

    result = add(1, 2)
    line = test_a_task_is_a_job.__code__.co_firstlineno + 8
    [span] = own(events())
    assert (span["data"]["name"], span["parentId"], span["data"]["callsite"]["line"]) == ("enqueue add", owner.id, line)
    drain(queue)
    assert result.get() == 3
    record, job = own(events())
    data = job["data"]
    assert {key: data[key] for key in ("name", "source", "status", "queue", "attempt", "messageId")} == {
        "name": "add", "source": "huey", "status": "succeeded", "queue": "shop", "attempt": 1, "messageId": result.id,
    }  # fmt: skip
    assert (job["parentId"], job["traceId"], record["parentId"]) == (owner.id, owner.trace_id, job["id"])
    assert data["callsite"]["line"] == add.func.__code__.co_firstlineno
    assert 0 <= data["waitMs"] < 10_000


def test_a_consumer_without_us_reads_the_same_message(client: Client) -> None:
    queue: Any = huey.MemoryHuey("shop")

    @queue.task()
    def add(a: int, b: int) -> int:
        return a + b

    add(1, 2)
    client.shutdown(0.0)
    task = queue.dequeue()
    assert (task.name, task.args) == ("add", (1, 2))


def test_signed_messages_stay_as_they_are(client: Client, events: Events, owner: context.Owner) -> None:
    queue: Any = huey.MemoryHuey("shop", serializer=huey.serializer.SignedSerializer(secret="s"))

    @queue.task()
    def add(a: int, b: int) -> int:
        return a + b

    add(1, 2)
    drain(queue)
    [job] = [event for event in events() if event["type"] == "job"]
    assert job["data"]["status"] == "succeeded"
    assert "parentId" not in job


def test_failures_and_retries(client: Client, events: Events) -> None:
    queue: Any = huey.MemoryHuey("shop")
    broken, calls = ValueError("broken"), []

    @queue.task(retries=1)
    def fail() -> None:
        calls.append(1)
        raise broken

    fail()
    drain(queue)
    found = own(events())
    assert len(calls) == 2
    jobs = [event for event in found if event["type"] == "job"]
    assert [(job["data"]["status"], job["data"]["attempt"], job["data"]["error"]) for job in jobs] == [
        ("retried", 1, "ValueError: broken"),
        ("failed", 2, "ValueError: broken"),
    ]
    assert jobs[1]["parentId"] == jobs[0]["id"]
    errors = [event for event in found if event["type"] == "error"]
    assert [error["parentId"] for error in errors] == [job["id"] for job in jobs]


def test_signals_are_no_errors(client: Client, events: Events) -> None:
    queue: Any = huey.MemoryHuey("shop")

    @queue.task()
    def cancelled() -> None:
        raise huey.CancelExecution

    @queue.task()
    @queue.lock_task("the lock")
    def locked() -> None:
        raise AssertionError

    cancelled()
    locked()
    with queue.lock_task("the lock"):
        drain(queue)
    found = own(events())
    jobs = {event["data"]["name"]: event["data"]["status"] for event in found if event["type"] == "job"}
    assert jobs == {"cancelled": "rejected", "locked": "rejected"}
    assert [event for event in found if event["type"] == "error"] == []


def test_immediate_mode(client: Client, events: Events, owner: context.Owner) -> None:
    queue: Any = huey.MemoryHuey("shop", immediate=True)

    @queue.task(context=True)
    def add(a: int, b: int, task: Any = None) -> int:
        log.warning("adding")
        return a + b

    assert add(1, 2)() == 3
    found = own(events())
    [job] = [event for event in found if event["type"] == "job"]
    assert job["parentId"] == owner.id
    assert [event["type"] for event in found if event.get("parentId") == job["id"]] == ["log"]
    assert context.current() is owner


def test_pipelines(client: Client, events: Events, owner: context.Owner) -> None:
    queue: Any = huey.MemoryHuey("shop")

    @queue.task()
    def add(a: int, b: int) -> int:
        return a + b

    queue.enqueue(add.s(1, 2).then(add, 3))
    drain(queue)
    jobs = [event for event in events() if event["type"] == "job"]
    assert [job["parentId"] for job in jobs] == [owner.id, jobs[0]["id"]]


def test_restored(client: Client) -> None:
    patched = [(huey.api.Huey, "enqueue"), (huey.api.Huey, "_execute"), (huey.api.Huey, "serialize_task")]
    originals = [getattr(holder, name).__wrapped__ for holder, name in patched]
    client.shutdown(0.0)
    assert [getattr(holder, name) for holder, name in patched] == originals


CONSUMER = """
import sys, logging, brakit, huey, redis
queue = huey.RedisHuey(sys.argv[1])

@queue.task(name="work")
def work():
    logging.getLogger("shop").warning("working")
    redis.Redis().get("brakit:nothing")

if __name__ == "__main__":
    if len(sys.argv) > 2:
        queue.create_consumer(workers=1, worker_type=sys.argv[2], initial_delay=0.01, max_delay=0.05, periodic=False).run()
"""


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_consumer(kind: str, client: Client, py: Any, sink: Any, owner: context.Owner) -> None:
    server: Any = redis.Redis()
    try:
        server.ping()
    except redis.exceptions.ConnectionError:
        pytest.skip("no Redis at 127.0.0.1:6379")
    name = f"brakit{uuid.uuid4().hex[:8]}"
    queue: Any = huey.RedisHuey(name)

    def work() -> None:
        return None

    work.__module__ = "__main__"
    wrapped = queue.task(name="work")(work)
    consumer = py.start(CONSUMER, name, kind, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    wrapped()
    wrapped()
    try:
        assert sink.wait(lambda: len(sink.of("job")) == 2, 20), (sink.events, consumer.poll())
        consumer.send_signal(signal.SIGINT)
        consumer.communicate(timeout=15)
    finally:
        server.delete(*[key for key in server.scan_iter("huey.*") if name.encode() in key] or ["brakit:nothing"])
        server.close()
    jobs = sink.of("job")
    assert [(job["parentId"], job["data"]["name"], job["data"]["status"]) for job in jobs] == [
        (owner.id, "work", "succeeded")
    ] * 2
    ids = [job["id"] for job in jobs]
    assert [event["parentId"] for event in sink.of("db.query")] == ids
    assert [event["parentId"] for event in sink.of("log") if event["data"]["logger"] == "shop"] == ids
