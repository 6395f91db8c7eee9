"""`redis.py`: commands, pipelines and what waits, sync and async, against a real server."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.client
import redis.client

from brakit import context
from brakit.instrumentations import _jobs
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

NAMED = ("_",) if tuple(map(int, redis.__version__.split(".")[:2])) < (5, 3) else ()
"""What `get_connection` of a pool once had to be given, and now must not."""
SECRET = "the-value-of-it"


@pytest.fixture
def name() -> str:
    return f"brakit{uuid.uuid4().hex[:8]}"


@pytest.fixture
def server(name: str) -> Iterator[Any]:
    made: Any = redis.Redis()
    try:
        made.ping()
    except redis.exceptions.ConnectionError:
        pytest.skip("no Redis at 127.0.0.1:6379")
    yield made
    keys = list(made.scan_iter(f"{name}*"))
    if keys:
        made.delete(*keys)
    made.close()


@pytest.fixture
def r(server: Any, client: Client) -> Any:
    """Connected, with brakit on."""
    return server


@pytest.fixture
async def ar(server: Any, client: Client) -> AsyncIterator[redis.asyncio.Redis]:
    made = redis.asyncio.Redis()
    yield made
    # Before redis 5 it had another name.
    await getattr(made, "aclose", made.close)()


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


def test_commands(r: Any, name: str, events: Events) -> None:
    r.set(f"{name}:1", SECRET)
    line = test_commands.__code__.co_firstlineno + 1
    assert r.get(f"{name}:1") == SECRET.encode()
    assert r.get(f"{name}:2") is None
    r.incrby(f"{name}:n", 5)
    r.hset(f"{name}:h", mapping={"field": SECRET})
    r.mget([f"{name}:1", f"{name}:2"])
    r.delete(f"{name}:1", f"{name}:2")
    r.publish(f"{name}:c", SECRET)
    found = [event["data"] for event in events("db.query")]
    assert [(q["operation"], q["sql"], q["shape"], q.get("rowCount")) for q in found] == [
        ("INSERT", f"SET {name}:1", "SET ?", None),
        ("SELECT", f"GET {name}:1", "GET ?", 1),
        ("SELECT", f"GET {name}:2", "GET ?", 0),
        ("UPDATE", f"INCRBY {name}:n", "INCRBY ?", None),
        ("INSERT", f"HSET {name}:h", "HSET ?", None),
        ("SELECT", f"MGET {name}:1 {name}:2", "MGET ?", 2),
        ("DELETE", f"DEL {name}:1 {name}:2", "DEL ?", 1),
        ("OTHER", f"PUBLISH {name}:c", "PUBLISH ?", None),
    ]
    first = found[0]
    assert (first["system"], first["source"]) == ("redis", "redis")
    assert first["callsite"]["line"] == line
    assert first["callsite"]["function"] == "test_commands"
    assert SECRET not in str(found)
    assert found[1]["shapeHash"] == found[2]["shapeHash"]
    assert found[1]["paramsHash"] != found[2]["paramsHash"]


@pytest.mark.parametrize("environ", [{"BRAKIT_ENABLE": "1", "BRAKIT_DIR": "nowhere", "BRAKIT_PARAMS": "1"}])
def test_values_are_never_shown(r: Any, name: str, events: Events) -> None:
    r.execute_command(f"SET {name}:a {SECRET}")
    r.execute_command("ECHO", SECRET)
    r.eval(f"return '{SECRET}'", 0)
    with pytest.raises(redis.exceptions.ResponseError):
        r.execute_command("AUTH", SECRET, SECRET, "x")
    r.config_get("maxmemory")
    found = [event["data"] for event in events("db.query")]
    assert [q["sql"] for q in found] == [f"SET {name}:a", "ECHO", "EVAL", "AUTH", "CONFIG GET"]
    assert SECRET not in str(found)


def test_owner(r: Any, name: str, events: Events, owner: context.Owner) -> None:
    r.get(name)
    [event] = events()
    assert (event["parentId"], event["requestId"]) == (owner.id, owner.id)


def test_tables_are_prefixes_that_read_like_names(r: Any, name: str, events: Events) -> None:
    for key in ("user:1", "a:b:c", "1:2", "plain", "with space:1"):
        r.exists(key)
    assert [event["data"]["table"] for event in events()] == ["user", "a", "", "", ""]


def test_failures(r: Any, name: str, events: Events) -> None:
    r.set(name, "text")
    events()
    with pytest.raises(redis.exceptions.ResponseError) as caught:
        r.lpush(name, "x")
    [event] = events()
    assert event["data"]["error"].startswith("ResponseError: WRONGTYPE")
    assert str(caught.value) in event["data"]["error"]


def test_the_exception_is_the_librarys_own(client: Client, monkeypatch: pytest.MonkeyPatch, events: Events) -> None:
    raised = redis.exceptions.ConnectionError("gone")
    calls = []

    def get_connection(*_: object, **__: object) -> None:
        calls.append(1)
        raise raised

    r = redis.Redis()
    monkeypatch.setattr(r.connection_pool, "get_connection", get_connection)
    with pytest.raises(redis.exceptions.ConnectionError) as caught:
        r.get("x")
    assert caught.value is raised
    assert len(calls) == 1
    [event] = events()
    assert event["data"]["error"] == "ConnectionError: gone"


@pytest.mark.parametrize("transaction", [True, False])
def test_a_pipeline_is_one_record(r: Any, name: str, events: Events, transaction: bool) -> None:
    with r.pipeline(transaction=transaction) as pipe:
        pipe.set(f"{name}:1", SECRET).get(f"{name}:1").get(f"{name}:2")
        assert pipe.execute()[1:] == [SECRET.encode(), None]
    [event] = events()
    query = event["data"]
    head = "MULTI" if transaction else "PIPELINE"
    assert query["sql"] == f"{head}\nSET {name}:1\nGET {name}:1\nGET {name}:2"
    assert query["shape"] == f"{head} SET ? GET ?"
    assert (query["batchSize"], query["operation"], query["callsite"]["function"]) == (
        3,
        "OTHER",
        "test_a_pipeline_is_one_record",
    )
    assert SECRET not in str(event)


def test_an_empty_pipeline_is_none(r: Any, events: Events) -> None:
    assert r.pipeline().execute() == []
    assert events() == []


def test_a_watched_read_is_recorded(r: Any, name: str, events: Events) -> None:
    with r.pipeline() as pipe:
        pipe.watch(name)
        pipe.get(name)
        pipe.multi()
        pipe.set(name, 1)
        pipe.execute()
    assert [event["data"]["sql"] for event in events()] == [f"WATCH {name}", f"GET {name}", f"MULTI\nSET {name}"]


def test_a_large_pipeline_is_cut(r: Any, name: str, events: Events) -> None:
    pipe = r.pipeline(transaction=False)
    for number in range(200):
        pipe.get(f"{name}:{number}")
    pipe.execute()
    [event] = events()
    assert event["data"]["batchSize"] == 200
    assert event["data"]["operation"] == "SELECT"
    assert len(event["data"]["sql"].splitlines()) == 52


def test_a_failing_pipeline(r: Any, name: str, events: Events) -> None:
    r.set(name, "text")
    events()
    with pytest.raises(redis.exceptions.ResponseError):
        r.pipeline().lpush(name, 1).execute()
    [event] = events()
    assert "WRONGTYPE" in event["data"]["error"]


def test_waiting_is_no_slow_query(r: Any, name: str, events: Events, owner: context.Owner) -> None:
    assert r.blpop([name], timeout=0.05) is None
    r.xread({name: "0"}, block=20)
    waits = events()
    assert [(event["type"], event["data"]["name"]) for event in waits] == [("span", f"BLPOP {name}"), ("span", "XREAD")]
    assert waits[0]["data"]["duration"] >= 40
    r.xread({name: "0"})
    assert [event["type"] for event in events()] == ["db.query"]


def test_waiting_outside_of_any_owner_is_nothing(r: Any, name: str, events: Events) -> None:
    r.blpop([name], timeout=0.01)
    assert events() == []


def test_machinery_is_silent(r: Any, name: str, events: Events) -> None:
    before = _jobs.hush(True)
    r.get(name)
    r.pipeline().get(name).execute()
    _jobs.hush(before)
    assert events() == []


def test_subscriptions_are_silent(r: Any, name: str, events: Events) -> None:
    with r.pubsub() as subscription:
        subscription.subscribe(name)
        assert subscription.get_message(timeout=1) is not None
        r.publish(name, "x")
        assert subscription.get_message(timeout=1) is not None
    assert [event["data"]["sql"] for event in events()] == [f"PUBLISH {name}"]


async def test_async_commands(ar: Any, name: str, events: Events) -> None:
    await ar.set(f"{name}:1", SECRET)
    assert await ar.get(f"{name}:1") == SECRET.encode()
    async with ar.pipeline() as pipe:
        assert await pipe.get(f"{name}:1").get(f"{name}:2").execute() == [SECRET.encode(), None]
    async with ar.pipeline() as pipe:
        await pipe.watch(name)
        await pipe.get(name)
    found = events()
    assert [event["data"]["sql"] for event in found] == [
        f"SET {name}:1",
        f"GET {name}:1",
        f"MULTI\nGET {name}:1\nGET {name}:2",
        f"WATCH {name}",
        f"GET {name}",
    ]
    assert {event["data"]["callsite"]["function"] for event in found} == {"test_async_commands"}
    assert SECRET not in str(found)


async def test_async_failures_and_cancellation(ar: Any, name: str, events: Events, owner: context.Owner) -> None:
    await ar.set(name, "text")
    events()
    with pytest.raises(redis.exceptions.ResponseError):
        await ar.lpush(name, "x")
    [event] = events()
    assert "WRONGTYPE" in event["data"]["error"]
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ar.blpop([f"{name}:q"], timeout=5), 0.05)
    [event] = events()
    assert (event["type"], event["data"]["error"]) == ("span", "CancelledError")


async def test_owners_of_concurrent_requests(ar: Any, name: str, events: Events) -> None:
    async def request(number: int) -> str:
        owner, _, _ = context.request_owner(None, None)
        context.enter(owner)
        for _ in range(5):
            await ar.get(f"{name}:{number}")
        return owner.id

    ids = await asyncio.gather(*(asyncio.create_task(request(number)) for number in range(20)))
    found = events()
    assert len(found) == 100
    assert all(event["parentId"] == ids[int(event["data"]["sql"].rpartition(":")[2])] for event in found)


def test_hostile_arguments(r: Any, events: Events) -> None:
    class Key:
        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __len__ = __iter__ = __str__

    with pytest.raises(redis.exceptions.DataError):
        r.execute_command("GET", Key())
    [event] = events()
    assert event["data"]["sql"] == "GET <Key>"


def test_restored(environ: dict[str, str], client: Client) -> None:
    patched = [
        (redis.client.Redis, "execute_command"),
        (redis.client.Pipeline, "execute"),
        (redis.asyncio.client.Redis, "execute_command"),
        (redis.asyncio.client.Pipeline, "execute"),
    ]
    originals = [getattr(holder, name).__wrapped__ for holder, name in patched]
    client.shutdown(0.0)
    assert [getattr(holder, name) for holder, name in patched] == originals


def test_import_before_and_after(py: Any, sink: Any) -> None:
    code = "r = redis.Redis(port=1)\ntry:\n    r.get('order')\nexcept redis.ConnectionError:\n    print('refused')\n"
    started = [
        py.start(f"import {order}\n{code}", BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
        for order in ("brakit, redis", "redis.asyncio, brakit")
    ]
    for process in started:
        assert (*process.communicate(timeout=60), process.returncode) == ("refused\n", "", 0)
    assert sink.wait(lambda: len(sink.of("db.query")) == 2)
    assert {event["data"]["sql"] for event in sink.events} == {"GET order"}


def test_the_wait_for_a_blocking_pool(r: Any, name: str, events: Events) -> None:
    pool_class: Any = redis.BlockingConnectionPool
    pool = pool_class(max_connections=1, timeout=0.05)
    waiting = redis.Redis(connection_pool=pool)
    # The first command makes the connection: that is no wait.
    waiting.set(name, 1)
    held = pool.get_connection(*NAMED)
    assert events("span") == []
    timer = threading.Timer(0.02, pool.release, (held,))
    timer.start()
    assert waiting.get(name) == b"1"
    timer.join()
    (span,) = events("span")
    assert span["data"]["name"] == "wait for a connection"
    assert span["data"]["attributes"] == {"system": "redis", "source": "redis"}
    assert span["data"]["duration"] >= 10
    held = pool.get_connection(*NAMED)
    with pytest.raises(redis.exceptions.ConnectionError, match="No connection available"):
        waiting.get(name)
    pool.release(held)
    failed, span = sorted(events(), key=lambda event: event["type"])
    assert "No connection available" in failed["data"]["error"]
    assert span["data"]["error"].startswith("ConnectionError: No connection available")
    pool.disconnect()


async def test_the_wait_for_an_asynchronous_blocking_pool(ar: redis.asyncio.Redis, name: str, events: Events) -> None:
    pool: Any = redis.asyncio.BlockingConnectionPool(max_connections=1, timeout=0.05)
    waiting = redis.asyncio.Redis(connection_pool=pool)
    await waiting.set(name, 1)
    held = await pool.get_connection(*NAMED)
    assert events("span") == []
    asyncio.get_running_loop().call_later(0.02, lambda: asyncio.ensure_future(pool.release(held)))
    assert await waiting.get(name) == b"1"
    (span,) = events("span")
    assert span["data"]["duration"] >= 10
    held = await pool.get_connection(*NAMED)
    with pytest.raises(redis.exceptions.ConnectionError, match="No connection available"):
        await waiting.get(name)
    await pool.release(held)
    (span,) = events("span")
    assert span["data"]["error"].startswith("ConnectionError: No connection available")
    await waiting.set(name, 2)
    await pool.disconnect()
    assert events("span") == []
