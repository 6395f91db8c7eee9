"""`celery.py`: tasks in eager mode and in real workers, solo and prefork, over Redis and RabbitMQ."""

# mypy: disable-error-code="import-untyped,untyped-decorator"

from __future__ import annotations

import inspect
import logging
import signal
import socket
import uuid
from typing import TYPE_CHECKING, Any

import celery
import celery.app.trace
import pytest
import redis
from celery.exceptions import Ignore, Reject

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdk.tests.conftest import Py, Sink

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("shop")


def reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


@pytest.fixture
def app(client: Client) -> Iterator[Any]:
    """An app whose tasks run where they are called."""
    made: Any = celery.Celery("eager", broker="memory://localhost//", backend="cache+memory://", set_as_current=False)
    made.conf.task_always_eager = True
    yield made
    made.close()


def test_a_run_is_a_job_of_its_own(app: Any, events: Events, owner: context.Owner) -> None:
    @app.task(name="shop.add", shared=False)
    def add(a: int, b: int) -> int:
        log.warning("adding")
        return a + b

    assert add.delay(1, 2).get() == 3
    record, job = events()
    assert (record["type"], job["type"]) == ("log", "job")
    data = job["data"]
    assert record["parentId"] == data["id"] == job["id"]
    assert record["requestId"] == job["requestId"] == job["parentId"] == owner.id
    assert job["traceId"] == owner.trace_id
    assert {key: data[key] for key in ("name", "source", "status", "attempt")} == {
        "name": "shop.add", "source": "celery", "status": "succeeded", "attempt": 1,
    }  # fmt: skip
    assert data["callsite"]["function"].endswith("add")
    assert data["callsite"]["line"] == inspect.getsourcelines(add.run)[1]
    assert data["duration"] >= 0
    assert context.current() is owner


def test_outside_of_any_request(app: Any, events: Events) -> None:
    @app.task(name="shop.nothing", shared=False)
    def nothing() -> None:
        return None

    nothing.delay()
    [job] = events()
    assert job["requestId"] == job["id"]
    assert "parentId" not in job
    assert context.current() is None


@pytest.mark.parametrize("propagates", [False, True])
def test_failures(app: Any, events: Events, propagates: bool) -> None:
    broken = ValueError("broken")
    calls = []

    @app.task(name="shop.fail", shared=False)
    def fail() -> None:
        calls.append(1)
        raise broken

    app.conf.task_eager_propagates = propagates
    if propagates:
        with pytest.raises(ValueError, match="broken") as caught:
            fail.delay()
        assert caught.value is broken
    else:
        assert fail.delay().result is broken
    assert len(calls) == 1
    found = [event for event in events() if event["type"] != "log"]
    assert [event["type"] for event in found] == ["error", "job"]
    error, job = found
    assert error["parentId"] == job["id"]
    assert (error["data"]["mechanism"], error["data"]["message"]) == ("celery", "broken")
    assert error["data"]["callsite"]["function"].endswith("fail")
    assert (job["data"]["status"], job["data"]["error"]) == ("failed", "ValueError: broken")


def test_what_a_task_announces_is_no_error(app: Any, events: Events) -> None:
    @app.task(name="shop.known", shared=False, throws=(KeyError,))
    def known() -> None:
        raise KeyError("expected")

    known.delay()
    [job] = [event for event in events() if event["type"] != "log"]
    assert (job["data"]["status"], job["data"]["error"]) == ("failed", "KeyError: 'expected'")


def test_retries(app: Any, events: Events) -> None:
    @app.task(name="shop.retry", shared=False, bind=True, max_retries=2)
    def again(self: Any) -> str:
        if self.request.retries < 2:
            try:
                raise OSError("not yet")
            except OSError as error:
                raise self.retry(countdown=0, exc=error) from error
        return "done"

    assert again.delay().get() == "done"
    jobs = [event["data"] for event in events("job")]
    assert [(job["status"], job["attempt"], job.get("error")) for job in jobs] == [
        ("retried", 1, "OSError: not yet"),
        ("retried", 2, "OSError: not yet"),
        ("succeeded", 3, None),
    ]
    assert len({job["id"] for job in jobs}) == 3
    assert len({job["messageId"] for job in jobs}) == 1


def test_ignored_and_rejected(app: Any, events: Events) -> None:
    @app.task(name="shop.ignore", shared=False)
    def ignore() -> None:
        raise Ignore

    @app.task(name="shop.reject", shared=False)
    def reject() -> None:
        raise Reject("no", requeue=False)

    ignore.delay()
    reject.delay()
    assert [(event["data"]["name"], event["data"]["status"]) for event in events("job")] == [
        ("shop.ignore", "succeeded"),
        ("shop.reject", "rejected"),
    ]
    assert events("error") == []


def test_tasks_inside_tasks(app: Any, events: Events, owner: context.Owner) -> None:
    @app.task(name="shop.inner", shared=False)
    def inner(value: int) -> int:
        return value + 1

    @app.task(name="shop.outer", shared=False)
    def outer() -> int:
        value: int = inner.delay(1).get(disable_sync_subtasks=False)
        log.warning("after")
        return value

    assert (outer.s() | inner.s()).delay().get() == 3
    jobs = {event["data"]["name"]: event for event in events()[:3] if event["type"] == "job"}
    assert jobs["shop.inner"]["parentId"] == jobs["shop.outer"]["id"]
    assert jobs["shop.outer"]["parentId"] == owner.id


def test_sending_is_a_span_and_the_ids_travel(client: Client, events: Events, owner: context.Owner) -> None:
    app: Any = celery.Celery("sender", broker="memory://localhost//", set_as_current=False)

    @app.task(name="shop.send", shared=False)
    def send() -> None:
        return None

    headers = {"mine": "kept"}
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    send.apply_async(queue="q1", headers=headers)
    [span] = events()
    assert (span["type"], span["data"]["name"], span["parentId"]) == ("span", "enqueue shop.send", owner.id)
    assert span["data"]["attributes"] == {"queue": "q1"}
    assert span["data"]["callsite"]["line"] == line
    assert headers == {"mine": "kept"}
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("q1").get(timeout=1)
        assert message.headers["mine"] == "kept"
        assert message.headers["x-brakit-request-id"] == owner.id
        assert message.headers["traceparent"] == f"00-{owner.trace_id}-{span['data']['spanId']}-01"
        assert message.headers["x-brakit-enqueued"].isdigit()
    app.close()


def test_sending_that_fails(client: Client, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    app: Any = celery.Celery("sender", broker="memory://localhost//", set_as_current=False)
    refused, calls = OSError("refused"), []

    def create_task_message(*_: object, **__: object) -> None:
        calls.append(1)
        raise refused

    monkeypatch.setattr(app.amqp.__class__, "create_task_message", property(lambda _: create_task_message))
    with pytest.raises(OSError, match="refused") as caught:
        app.send_task("shop.send")
    assert caught.value is refused
    assert len(calls) == 1
    [span] = events()
    assert span["data"]["error"] == "OSError: refused"


def test_restored(client: Client) -> None:
    from celery.worker.consumer import consumer

    patched = [(celery.app.trace, "build_tracer"), (consumer, "build_tracer"), (celery.Celery, "send_task")]
    originals = [getattr(holder, name).__wrapped__ for holder, name in patched]
    assert originals[0] is originals[1]
    client.shutdown(0.0)
    assert [getattr(holder, name) for holder, name in patched] == originals


WORKER = """
import sys, logging, time, brakit, celery, redis
broker, backend, queue, pool = sys.argv[1:]
app = celery.Celery("shop", broker=broker, backend=backend)
app.conf.update(
    task_default_queue=queue, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False,
    worker_send_task_events=False, worker_enable_remote_control=False, result_expires=60,
)
log = logging.getLogger("shop")

@app.task(name="shop.add")
def add(a, b):
    log.warning("adding %s", a)
    redis.Redis().get("brakit:nothing")
    return a + b

@app.task(name="shop.fail", bind=True, max_retries=1)
def fail(self):
    try:
        raise ValueError("broken")
    except ValueError as error:
        raise self.retry(countdown=0, exc=error)

if __name__ == "__main__":
    app.worker_main(["worker", "-P", pool, "-c", "1", "-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


@pytest.mark.parametrize(
    ("broker", "port", "pool"),
    [("redis://127.0.0.1:6379/0", 6379, "solo"), ("amqp://guest:guest@127.0.0.1:5672//", 5672, "prefork")],
    ids=["redis-solo", "rabbitmq-prefork"],
)
def test_workers(broker: str, port: int, pool: str, py: Any, sink: Any, client: Client, events: Events) -> None:
    if not (reachable("127.0.0.1", port) and reachable("127.0.0.1", 6379)):
        pytest.skip(f"no broker at 127.0.0.1:{port}, or no Redis for the results")
    queue, backend = f"brakit{uuid.uuid4().hex[:8]}", "redis://127.0.0.1:6379/0"
    worker = py.start(WORKER, broker, backend, queue, pool, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    app: Any = celery.Celery("shop", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(task_default_queue=queue, result_expires=60)
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    try:
        # Only its name matters: the worker has one of its own.
        add: Any = app.task(test_workers, name="shop.add", shared=False, typing=False).s()
        chain = celery.chain(add.clone(args=(1, 2)), add.clone(args=(10,)), app=app).apply_async()
        group = celery.group([add.clone(args=(number, 0)) for number in range(4)], app=app).apply_async()
        failed = app.send_task("shop.fail")
        assert chain.get(timeout=30) == 13
        assert group.get(timeout=30) == [0, 1, 2, 3]
        with pytest.raises(ValueError, match="broken"):
            failed.get(timeout=30)
    finally:
        context.enter(before)
    sent = [event for event in events() if event["type"] == "span"]
    assert len(sent) == 6  # the worker sends the second task of the chain
    assert sink.wait(lambda: len(sink.of("job")) >= 8), sink.events
    worker.send_signal(signal.SIGTERM)
    stdout, stderr = worker.communicate(timeout=20)
    assert worker.returncode == 0, (stdout, stderr)
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(queue)
    app.close()
    results: Any = redis.Redis()
    results.delete(*results.scan_iter(f"*{queue}*", count=1000), "brakit:nothing")
    results.close()

    jobs = sink.of("job")
    ids = [job["id"] for job in jobs]
    assert len(ids) == len(set(ids)) == 8
    assert sorted((job["data"]["name"], job["data"]["status"], job["data"]["attempt"]) for job in jobs) == [
        *[("shop.add", "succeeded", 1)] * 6,
        ("shop.fail", "failed", 2),
        ("shop.fail", "retried", 1),
    ]
    # All follow from the request: directly, or through the job that sent them.
    assert {job["traceId"] for job in jobs} == {owner.trace_id}
    assert sorted(job["parentId"] == owner.id for job in jobs) == [False, False, True, True, True, True, True, True]
    assert {job["parentId"] for job in jobs} - {owner.id} < set(ids)
    assert all(job["data"]["queue"] == queue and 0 <= job["data"]["waitMs"] < 30_000 for job in jobs)
    # Each has what happened in it, and nothing else was seen of the worker.
    adds = [job["id"] for job in jobs if job["data"]["name"] == "shop.add"]
    assert sorted(event["parentId"] for event in sink.of("log") if event["data"].get("logger") == "shop") == sorted(adds)
    assert sorted(event["parentId"] for event in sink.of("db.query")) == sorted(adds)
    assert {event["data"]["sql"] for event in sink.of("db.query")} == {"GET brakit:nothing"}
    [failure] = [job for job in jobs if job["data"]["status"] == "failed"]
    [error] = sink.of("error")
    assert (error["parentId"], error["data"]["name"]) == (failure["id"], "ValueError")
    # The worker's own sends: the next of the chain, and the retry.
    assert [event["data"]["name"] for event in sink.of("span")].count("enqueue shop.add") == 1
    pids = {payload["resource"]["pid"] for payload in sink.payloads if any(e["type"] == "job" for e in payload["events"])}
    assert (worker.pid in pids) == (pool == "solo")


def test_last_words_of_a_pool(py: Any, sink: Any) -> None:
    """What is captured right before a child of the pool ends arrives."""
    code = """
import brakit, logging
from celery.concurrency import prefork
logging.getLogger("shop").error("last")
prefork.process_destructor(1, 0)
import os
os._exit(3)
"""
    ran = py(code, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    assert (ran.rc, ran.stdout) == (3, "")
    assert sink.messages() == ["last"]


BEAT = """
import os, threading
import brakit
from celery import Celery

app = Celery("shop", broker="memory://")
app.conf.beat_schedule = {"tick": {"task": "shop.tick", "schedule": 0.2}}

@app.task(name="shop.tick")
def tick(): pass

def stop():
    brakit.flush(5)
    os._exit(0)

threading.Timer(2, stop).start()
app.Beat(loglevel="ERROR", schedule="beat.db", quiet=True).run()
"""


def test_what_beat_sends_is_seen_each_time_and_is_nobodys(py: Py, sink: Sink) -> None:
    ran = py(BEAT, BRAKIT_PORT=str(sink.port))
    assert ran.rc == 0, ran.stderr
    spans = sink.of("span")
    assert len(spans) >= 2
    assert {span["data"]["name"] for span in spans} == {"enqueue shop.tick"}
    assert all("parentId" not in span and "requestId" not in span for span in spans)
    # Each is the beginning of a trace of its own.
    assert len({span["data"]["spanId"] for span in spans}) == len(spans)
