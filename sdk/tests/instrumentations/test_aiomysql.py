"""aiomysql: statements of connections and pools, on a real MariaDB."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import TYPE_CHECKING, Any

import aiomysql  # type: ignore[import-untyped]
import aiomysql.connection  # type: ignore[import-untyped]
import aiomysql.cursors  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]
    Transactions = Callable[[], list[str]]

ADDRESS = {"host": "127.0.0.1", "user": "root", "db": "test"}


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
async def connection(client: Client, reachable: Callable[[str, int], None]) -> AsyncIterator[Any]:
    """A temporary table `t` of a hundred rows; its making is not among the events."""
    reachable("MariaDB", 3306)
    made = await aiomysql.connect(**ADDRESS)
    cursor = await made.cursor()
    await cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name TEXT) ENGINE=InnoDB")
    await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(n, f"n{n}") for n in range(100)])
    await made.commit()
    client.buffer.records.clear()
    yield made
    await made.ensure_closed()


async def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = await connection.cursor()
        assert await cursor.execute("SELECT * FROM t WHERE id < %s", (3,)) == 3
        here = line() - 1
        assert len(await cursor.fetchall()) == 3
        async with connection.cursor(aiomysql.DictCursor) as dicts:
            await dicts.execute("SELECT * FROM t WHERE id = %s", (4,))
            assert await dicts.fetchone() == {"id": 4, "name": "n4"}
        assert await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(200, "a"), (201, "b")]) == 2
        assert await cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("c", 1), ("d", 2), ("e", 3)]) == 3
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["rowCount"] for data in datas] == [3, 1, 2, 3]
    assert [data.get("batchSize") for data in datas] == [None, None, 2, 3]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("aiomysql", "mariadb")}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1


async def test_an_unbuffered_cursor_stays_lazy(connection: Any, in_request: InRequest, only: Only) -> None:
    with in_request():
        async with connection.cursor(aiomysql.SSCursor) as cursor:
            await cursor.execute("SELECT * FROM t")
            assert len(await cursor.fetchmany(4)) == 4
            assert len([row async for row in cursor]) == 96
    assert only()["rowCount"] == 100
    with in_request():
        async with connection.cursor(aiomysql.SSDictCursor) as cursor:
            await cursor.execute("SELECT * FROM t")
            assert len(await cursor.fetchall()) == 100
    assert only()["rowCount"] == 100


async def test_failures_and_transactions(
    connection: Any, in_request: InRequest, events: Events, transactions: Transactions
) -> None:
    cursor = await connection.cursor()
    with in_request():
        with pytest.raises(aiomysql.ProgrammingError) as wrong:
            await cursor.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    (failed,) = events()
    assert failed["data"]["error"].startswith("ProgrammingError: (1146")
    assert failed["data"]["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    await connection.rollback()
    await cursor.execute("SELECT * FROM t")
    await connection.commit()
    there = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"], data["source"]) == ("COMMIT", there, "aiomysql")
    await connection.begin()
    await cursor.execute("SELECT * FROM t")
    await connection.commit()
    await connection.commit()
    await connection.autocommit(True)
    await cursor.execute("SELECT * FROM t")
    assert transactions() == ["begin 1", "SELECT 1", "commit 1", "SELECT -"]


async def test_a_cancelled_statement_is_recorded_once(connection: Any, in_request: InRequest, only: Only) -> None:
    cursor = await connection.cursor()
    with in_request(), pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(cursor.execute("SELECT SLEEP(20)"), 0.1)
    assert only()["error"].startswith("CancelledError")


async def test_a_pool_and_many_tasks(
    client: Client, in_request: InRequest, events: Events, reachable: Callable[[str, int], None]
) -> None:
    reachable("MariaDB", 3306)

    async def one(number: int) -> tuple[str, int]:
        with in_request() as owner:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("SELECT %s", (number,))
            return owner.id, number

    async with aiomysql.create_pool(**ADDRESS, minsize=1, maxsize=3) as pool:
        owners = dict(await asyncio.gather(*(one(number) for number in range(30))))
        seen = [record for record in client.buffer.take(1000) if record.kind == "db.query"]
        assert len(seen) == 30
        assert all(record.owner is not None and record.data["params"] == (owners[record.owner.id],) for record in seen)
        async with pool.acquire(), pool.acquire(), pool.acquire():
            events()
            with in_request(), pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(pool.acquire(), 0.02)
    (span,) = events()
    assert span["data"]["name"] == "wait for a connection"
    assert span["data"]["duration"] >= 15
    assert span["data"]["error"].startswith("CancelledError")


async def test_one_record_where_sqlalchemy_sits_on_it(
    client: Client, events: Events, reachable: Callable[[str, int], None]
) -> None:
    reachable("MariaDB", 3306)
    engine = sa_asyncio.create_async_engine("mysql+aiomysql://root@127.0.0.1:3306/test", pool_pre_ping=True)
    async with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    async with engine.begin() as on:
        assert (await on.execute(sa.text("SELECT 1"))).scalar() == 1
        raw: Any = (await on.get_raw_connection()).driver_connection
        async with raw.cursor() as cursor:
            await cursor.execute("SELECT 2")
    await engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if "transactionMark" not in data] == ["sqlalchemy", "aiomysql"]
    assert {data["source"] for data in found if "transactionMark" in data} <= {"sqlalchemy"}


async def test_shutdown_puts_every_original_back(client: Client, connection: Any, events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (aiomysql.cursors.Cursor, "execute"),
        (aiomysql.cursors.SSCursor, "fetchone"),
        (aiomysql.connection.Connection, "commit"),
    ]
    watched = [vars(holder)[name] for holder, name in places]
    assert all(inspect.iscoroutinefunction(wrapper) for wrapper in watched)
    client.shutdown(0.0)
    assert all(vars(holder)[name] is wrapper.__wrapped__ for (holder, name), wrapper in zip(places, watched, strict=True))
    await (await connection.cursor()).execute("SELECT 1")
    assert events() == []
