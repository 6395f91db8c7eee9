"""`arq.py`: real workers over Redis, in this event loop and in a process."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

WHY = "arq is not installed: it asks for redis below 6, and Celery's Redis transport for 6.1"
arq_connections: Any = pytest.importorskip("arq.connections", reason=WHY)
arq_worker: Any = pytest.importorskip("arq.worker", reason=WHY)
# arq speaks to Redis's client in words that newer versions of it do not like.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:arq", "ignore:.*retry_on_timeout:DeprecationWarning")

log = logging.getLogger("shop")


async def add(ctx: Any, a: int, b: int) -> int:
    log.warning("adding")
    await ctx["redis"].get("brakit:nothing")
    return a + b


async def fail(ctx: Any) -> None:
    raise ValueError("broken")


async def again(ctx: Any) -> str:
    if ctx["job_try"] < 2:
        raise arq_worker.Retry(defer=0)
    return "done"


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


@pytest.fixture
async def pool(client: Client) -> AsyncIterator[Any]:
    try:
        made: Any = await arq_connections.create_pool(
            arq_connections.RedisSettings(conn_retries=0), default_queue_name=f"brakit{uuid.uuid4().hex[:8]}"
        )
    except (redis.exceptions.ConnectionError, OSError):
        pytest.skip("no Redis at 127.0.0.1:6379")
    yield made
    await made.delete(*[key async for key in made.scan_iter(f"{made.default_queue_name}*", count=1000)], "brakit:nothing")
    await made.aclose()


def own(events: list[Json]) -> list[Json]:
    return [event for event in events if event["type"] != "log" or event["data"]["logger"] == "shop"]


async def work(pool: Any, **settings: Any) -> None:
    """Run what is in the queue, for no request."""
    before = context.enter(None)
    worker = arq_worker.Worker(
        [add, fail, again], redis_pool=pool, queue_name=pool.default_queue_name, burst=True, poll_delay=0.01,
        handle_signals=False, keep_result=1, **settings,
    )  # fmt: skip
    await worker.main()
    context.enter(before)


async def test_a_run_is_a_job(pool: Any, events: Events, owner: context.Owner) -> None:
    events()
    queued = await pool.enqueue_job("add", 1, 2)
    [span] = own(events())
    assert (span["data"]["name"], span["parentId"]) == ("enqueue add", owner.id)
    assert span["data"]["callsite"]["function"] == "test_a_run_is_a_job"
    await work(pool)
    record, query, job = own(events())
    data = job["data"]
    assert {key: data[key] for key in ("name", "source", "status", "queue", "attempt", "messageId")} == {
        "name": "add", "source": "arq", "status": "succeeded", "queue": pool.default_queue_name, "attempt": 1,
        "messageId": queued.job_id,
    }  # fmt: skip
    assert (job["parentId"], job["traceId"]) == (owner.id, owner.trace_id)
    assert (record["parentId"], query["parentId"]) == (job["id"], job["id"])
    assert query["data"]["sql"] == "GET brakit:nothing"
    assert data["callsite"]["line"] == add.__code__.co_firstlineno
    assert 0 <= data["waitMs"] < 10_000
    assert await queued.result(timeout=1) == 3


async def test_failures_and_retries(pool: Any, events: Events, owner: context.Owner) -> None:
    failing, retried = await pool.enqueue_job("fail"), await pool.enqueue_job("again")
    events()
    await work(pool)
    found = own(events())
    jobs = [event for event in found if event["type"] == "job"]
    assert sorted((job["data"]["name"], job["data"]["status"], job["data"]["attempt"]) for job in jobs) == [
        ("again", "retried", 1),
        ("again", "succeeded", 2),
        ("fail", "failed", 1),
    ]
    assert {job["parentId"] for job in jobs} == {owner.id}
    [error] = [event for event in found if event["type"] == "error"]
    assert (error["data"]["message"], error["data"]["callsite"]["function"]) == ("broken", "fail")
    assert error["parentId"] == next(job["id"] for job in jobs if job["data"]["name"] == "fail")
    assert await retried.result(timeout=1) == "done"
    with pytest.raises(ValueError, match="broken"):
        await failing.result(timeout=1)


async def test_a_timeout(pool: Any, events: Events) -> None:
    async def sleep(ctx: Any) -> None:
        import asyncio

        await asyncio.sleep(5)

    await pool.enqueue_job("sleep")
    events()
    before = context.enter(None)
    worker = arq_worker.Worker(
        [arq_worker.func(sleep, name="sleep", timeout=0.05)], redis_pool=pool, queue_name=pool.default_queue_name, burst=True,
        poll_delay=0.01, handle_signals=False, keep_result=0, max_tries=1,
    )  # fmt: skip
    await worker.main()
    context.enter(before)
    [job] = [event for event in own(events()) if event["type"] == "job"]
    assert (job["data"]["status"], job["data"]["error"]) == ("failed", "CancelledError")


def noisy(data: Any) -> bytes:
    """A serializer of the app's own, which knows exactly what it gets."""
    assert set(data) <= {"t", "f", "a", "k", "et", "s", "r", "st", "ft", "q", "id"}
    return json.dumps(data).encode()


async def test_serializers_of_the_apps_own_get_what_they_always_get(pool: Any, events: Events, owner: context.Owner) -> None:
    pool.job_serializer, pool.job_deserializer = noisy, json.loads
    await pool.enqueue_job("add", 1, 2)
    await work(pool, job_serializer=noisy, job_deserializer=json.loads)
    [job] = [event for event in events() if event["type"] == "job"]
    assert "parentId" not in job


async def test_a_worker_without_us_reads_the_same_job(pool: Any, client: Client) -> None:
    queued = await pool.enqueue_job("add", 1, 2)
    info = await queued.info()
    client.shutdown(0.0)
    assert (await queued.info()).args == info.args == (1, 2)
    await work(pool)
    assert await queued.result(timeout=1) == 3


def test_restored(client: Client) -> None:
    patched = [
        (arq_connections.ArqRedis, "enqueue_job"), (arq_connections, "serialize_job"), (arq_worker, "deserialize_job_raw"),
        (arq_worker.Worker, "run_job"),
    ]  # fmt: skip
    originals = [getattr(holder, name).__wrapped__ for holder, name in patched]
    client.shutdown(0.0)
    assert [getattr(holder, name) for holder, name in patched] == originals
