"""psycopg_pool: the wait for a connection, sync and async, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg_pool
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    InRequest = Callable[[], AbstractContextManager[Owner]]

ADDRESS = "host=127.0.0.1 dbname=test user=postgres"


@pytest.fixture(autouse=True)
def server(client: Client, reachable: Callable[[str, int], None]) -> None:
    reachable("PostgreSQL", 5432)


def test_a_wait_is_a_span(events: Events, in_request: InRequest) -> None:
    with psycopg_pool.ConnectionPool(ADDRESS, min_size=1, max_size=1, open=False) as pool:
        pool.wait()
        with in_request(), pool.connection() as connection:
            connection.execute("SELECT 1")
        assert len(events("db.query")) == 2
        held = pool.getconn()
        timer = threading.Timer(0.05, pool.putconn, (held,))
        timer.start()
        with in_request() as owner, pool.connection():
            here = sys._getframe().f_lineno - 1
        timer.join()
        (span,) = events("span")
        assert span["parentId"] == owner.id
        data = span["data"]
        assert (data["name"], data["callsite"]["line"]) == ("wait for a connection", here)
        assert data["attributes"] == {"system": "postgresql", "source": "psycopg"}
        assert data["duration"] >= 30
        held = pool.getconn()
        with pytest.raises(psycopg_pool.PoolTimeout) as wrong:
            pool.getconn(timeout=0.02)
        pool.putconn(held)
        assert sum("<brakit.guard>" in str(frame.path) for frame in wrong.traceback) == 1
        (span,) = events("span")
        assert span["data"]["error"].startswith("PoolTimeout: couldn't get a connection")


def test_what_the_pool_resets_is_not_the_apps(events: Events, in_request: InRequest) -> None:
    with psycopg_pool.ConnectionPool(ADDRESS, min_size=1, max_size=1, open=False) as pool:
        pool.wait()
        connection = pool.getconn()
        connection.execute("SELECT 1")
        pool.putconn(connection)
        deadline = time.monotonic() + 5
        while not pool.get_stats()["pool_available"] and time.monotonic() < deadline:
            time.sleep(0.005)
        with pool.connection() as connection:
            assert connection.info.transaction_status == 0
    assert [event["data"]["sql"] for event in events("db.query")] == ["SELECT ?"]


def test_what_the_pool_checks_is_not_the_apps(events: Events) -> None:
    if not hasattr(psycopg_pool.ConnectionPool, "check_connection"):
        pytest.skip("psycopg_pool has no checks before 3.2")
    checked = []

    def check(connection: Any) -> None:
        connection.execute("SELECT 'checked'")
        connection.rollback()
        checked.append(connection)

    with psycopg_pool.ConnectionPool(ADDRESS, min_size=1, max_size=1, open=False, check=check) as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        with pool.connection() as connection:
            assert connection.info.transaction_status == 0
    assert len(checked) == 2
    assert [event["data"]["sql"] for event in events("db.query")] == ["SELECT ?", "COMMIT"]


async def test_a_pool_and_many_tasks(client: Client, in_request: InRequest, events: Events) -> None:
    async def one(number: int) -> tuple[str, int]:
        with in_request() as owner:
            async with pool.connection() as connection:
                await connection.execute("SELECT %s", (number,))
                await connection.execute("SELECT pg_sleep(0.002)")
            return owner.id, number

    async with psycopg_pool.AsyncConnectionPool(ADDRESS, min_size=2, max_size=4, open=False) as pool:
        await pool.wait()
        owners = dict(await asyncio.gather(*(one(number) for number in range(50))))
    records = list(client.buffer.records)
    for record in records:
        assert record.owner is not None
        if record.kind == "db.query" and record.data["params"]:
            assert record.data["params"] == (owners[record.owner.id],)
    kinds = [(event["type"], event["data"].get("transactionMark")) for event in events()]
    assert kinds.count(("db.query", None)) == 100
    assert kinds.count(("db.query", "commit")) == 50
    assert 30 <= kinds.count(("span", None)) <= 50
    assert len(kinds) == 150 + kinds.count(("span", None))


async def test_an_async_wait_in_vain(events: Events) -> None:
    async with psycopg_pool.AsyncConnectionPool(ADDRESS, min_size=1, max_size=1, open=False) as pool, pool.connection():
        with pytest.raises(psycopg_pool.PoolTimeout):
            await pool.getconn(timeout=0.02)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.getconn(), 0.02)
    spans = [event["data"] for event in events("span")]
    assert [data["error"].partition(":")[0] for data in spans if "error" in data] == ["PoolTimeout", "CancelledError"]


def test_shutdown_puts_every_original_back(client: Client, events: Events) -> None:
    places = [(psycopg_pool.ConnectionPool, "getconn"), (psycopg_pool.AsyncConnectionPool, "getconn")]
    originals = [vars(holder)[name].__wrapped__ for holder, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
