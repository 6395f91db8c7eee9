"""`dramatiq.py`: real workers, over the stub broker, Redis and RabbitMQ."""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from typing import TYPE_CHECKING, Any

import dramatiq
import dramatiq.worker
import pytest
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import SkipMessage

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


class Skip(dramatiq.Middleware):
    def before_process_message(self, broker: Any, message: Any) -> None:
        if message.actor_name == "skipped":
            raise SkipMessage


@pytest.fixture
def broker(client: Client) -> Iterator[Any]:
    made: Any = StubBroker()
    made.add_middleware(Skip())
    dramatiq.set_broker(made)
    yield made
    made.close()


@pytest.fixture
def run(broker: Any) -> Callable[[], None]:
    """Run all that is enqueued."""

    def run() -> None:
        worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=2)
        worker.start()
        for queue in list(broker.queues):
            broker.join(queue, fail_fast=False, timeout=10_000)
        worker.join()
        worker.stop()

    return run


def own(events: list[Json]) -> list[Json]:
    """Without the logs of the library, which it writes outside of jobs as well."""
    return [event for event in events if event["type"] != "log" or event["data"]["logger"] == "shop"]


def test_a_message_is_a_job(broker: Any, run: Any, events: Events, owner: context.Owner) -> None:
    @dramatiq.actor
    def greet(name: str) -> None:
        log.warning("hello")

    message = greet.send("ann")
    line = test_a_message_is_a_job.__code__.co_firstlineno + 5
    [span] = own(events())
    assert (span["data"]["name"], span["parentId"]) == ("enqueue greet", owner.id)
    assert span["data"]["attributes"] == {"queue": "default"}
    assert span["data"]["callsite"]["line"] == line
    run()
    record, job = own(events())
    data = job["data"]
    assert {key: data[key] for key in ("name", "source", "status", "queue", "attempt", "messageId")} == {
        "name": "greet", "source": "dramatiq", "status": "succeeded", "queue": "default", "attempt": 1,
        "messageId": message.message_id,
    }  # fmt: skip
    assert (job["parentId"], job["traceId"], record["parentId"]) == (owner.id, owner.trace_id, job["id"])
    assert 0 <= data["waitMs"] < 10_000
    assert data["callsite"]["line"] == greet.fn.__code__.co_firstlineno


def test_the_message_of_the_app_stays_as_it_is(broker: Any, events: Events) -> None:
    @dramatiq.actor
    def greet() -> None:
        return None

    message = greet.message()
    broker.enqueue(message)
    assert "brakit" not in message.options


def test_failures_and_retries(broker: Any, run: Any, events: Events) -> None:
    broken = ValueError("broken")
    calls = []

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
    def fail() -> None:
        calls.append(1)
        raise broken

    fail.send()
    events()
    run()
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
    [span] = [event for event in found if event["type"] == "span"]
    assert span["parentId"] == jobs[0]["id"]


def test_what_is_announced_or_skipped_is_no_error(broker: Any, run: Any, events: Events) -> None:
    @dramatiq.actor(throws=KeyError)
    def known() -> None:
        raise KeyError("expected")

    @dramatiq.actor
    def skipped() -> None:
        raise AssertionError

    known.send()
    skipped.send()
    events()
    run()
    found = own(events())
    assert {event["data"]["name"]: event["data"]["status"] for event in found} == {"known": "failed", "skipped": "rejected"}


def test_owners_of_concurrent_messages(broker: Any, run: Any, events: Events) -> None:
    barrier = threading.Barrier(2, timeout=10)

    @dramatiq.actor
    def both(name: str) -> None:
        barrier.wait()
        log.warning(name)

    owners = {}
    for name in ("a", "b"):
        made, _, _ = context.request_owner(None, None)
        owners[name] = made.id
        context.enter(made)
        both.send(name)
    context.enter(None)
    events()
    run()
    found = own(events())
    jobs = {event["id"]: event["parentId"] for event in found if event["type"] == "job"}
    logs = {event["data"]["message"]: jobs[event["parentId"]] for event in found if event["type"] == "log"}
    assert logs == owners


def test_restored(client: Client) -> None:
    patched = [
        (StubBroker, "enqueue"), (RedisBroker, "enqueue"), (RabbitmqBroker, "enqueue"), (dramatiq.Broker, "emit_after"),
        (dramatiq.worker._WorkerThread, "process_message"), (dramatiq.Actor, "__call__"),
    ]  # fmt: skip
    originals = [getattr(holder, name).__wrapped__ for holder, name in patched]
    client.shutdown(0.0)
    assert [getattr(holder, name) for holder, name in patched] == originals


def over_redis(name: str) -> Any:
    broker: Any = RedisBroker
    return broker(namespace=name)


def over_rabbitmq(_: str) -> Any:
    made: Any = RabbitmqBroker(url="amqp://guest:guest@127.0.0.1:5672")
    return made


@pytest.mark.parametrize(("make", "port"), [(over_redis, 6379), (over_rabbitmq, 5672)], ids=["redis", "rabbitmq"])
def test_over_a_server(make: Any, port: int, client: Client, events: Events, owner: context.Owner) -> None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        pytest.skip(f"no server at 127.0.0.1:{port}")
    name = f"brakit{uuid.uuid4().hex[:8]}"
    broker = make(name)
    done = threading.Event()

    @dramatiq.actor(broker=broker, queue_name=name)
    def touch() -> None:
        redis.Redis().get("brakit:nothing")
        done.set()

    try:
        touch.send()
        worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=1)
        worker.start()
        assert done.wait(10)
        worker.stop()
        found = [event for event in events() if event["type"] != "log"]
    finally:
        if port == 6379:
            broker.flush_all()
            broker.client.delete(*broker.client.scan_iter(f"{name}*", count=1000), "brakit:nothing")
        else:
            for suffix in ("", ".DQ", ".XQ"):
                broker.channel.queue_delete(name + suffix)
        broker.close()
    span, query, job = found
    assert (span["type"], span["parentId"]) == ("span", owner.id)
    assert (query["data"]["sql"], query["parentId"]) == ("GET brakit:nothing", job["id"])
    assert (job["parentId"], job["data"]["queue"], job["data"]["status"]) == (owner.id, name, "succeeded")
