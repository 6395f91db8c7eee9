"""aiosqlite: statements that a thread runs belong to the coroutine that awaits them."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import aiosqlite
import aiosqlite.core
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


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
async def connection(client: Client) -> AsyncIterator[aiosqlite.Connection]:
    """A table `t` of ten numbers; its making is not among the events."""
    async with aiosqlite.connect(":memory:") as made:
        await made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        await made.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"n{n}") for n in range(10)])
        await made.commit()
        client.buffer.records.clear()
        yield made


async def test_one_event_for_each_way_to_execute(connection: aiosqlite.Connection, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        async with connection.execute("SELECT * FROM t WHERE id < ?", (3,)) as cursor:
            here = line() - 1
            assert len(list(await cursor.fetchall())) == 3
        cursor = await connection.cursor()
        await cursor.execute("SELECT * FROM t")
        there = line() - 1
        assert [row[0] async for row in cursor] == list(range(10))
        assert len(list(await connection.execute_fetchall("SELECT * FROM t"))) == 10
        assert await connection.execute_insert("INSERT INTO t VALUES (11, 'x')") == (11,)
        await connection.executescript("CREATE TABLE u (x); INSERT INTO u VALUES (1);")
        await connection.executemany("UPDATE t SET name = ? WHERE id = ?", [("a", 1), ("b", 2)])
        await cursor.execute("DELETE FROM t WHERE id > 7")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas] == [3, 10, 10, None, None, 2, 3]
    assert [data["callsite"]["line"] for data in datas[:2]] == [here, there]
    assert {(data["source"], data["system"]) for data in datas} == {("aiosqlite", "sqlite")}
    assert len({data["connectionId"] for data in datas}) == 1
    assert datas[5]["batchSize"] == 2
    assert datas[0]["fetchMs"] >= 0
    assert datas[5]["transactionId"] == datas[6]["transactionId"]
    assert "transactionId" not in datas[0]


async def test_failures_and_cancelled_statements(connection: aiosqlite.Connection, in_request: InRequest, only: Only) -> None:
    with in_request():
        with pytest.raises(sqlite3.OperationalError) as wrong:
            await connection.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"] == "OperationalError: no such table: nowhere"
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) SELECT max(x) FROM n"
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(connection.execute_fetchall(slow), 0.001)
    assert only()["error"].startswith("CancelledError")


async def test_marks(connection: aiosqlite.Connection, events: Events, transactions: Transactions) -> None:
    await connection.execute("UPDATE t SET name = 'd' WHERE id = 1")
    await connection.commit()
    here = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"], data["source"]) == ("COMMIT", here, "aiosqlite")
    await connection.execute("UPDATE t SET name = 'd' WHERE id = 1")
    await connection.rollback()
    # Nothing is open.
    await connection.commit()
    await connection.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE u (t INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);"
    )
    await connection.execute("INSERT INTO u VALUES (-1)")
    with pytest.raises(sqlite3.IntegrityError):
        await connection.commit()
    await connection.execute("UPDATE u SET t = 1")
    await connection.commit()
    await connection.execute("UPDATE u SET t = 1")
    assert transactions() == [
        *("UPDATE 1", "rollback 1", "OTHER -"),
        *("INSERT 2", "commit 2 failed", "UPDATE 2", "commit 2"),
        "UPDATE 3",
    ]


async def test_tasks_keep_their_queries(connection: aiosqlite.Connection, client: Client, in_request: InRequest) -> None:
    async def one(number: int) -> tuple[str, int]:
        with in_request() as owner:
            for _ in range(3):
                await connection.execute_fetchall("SELECT ?", (number,))
            async with connection.execute("SELECT ?", (number,)) as cursor:
                await cursor.fetchone()
            return owner.id, number

    owners = dict(await asyncio.gather(*(one(number) for number in range(50))))
    seen = client.buffer.take(1000)
    assert len(seen) == 200
    assert all(record.owner is not None and record.data["params"] == (owners[record.owner.id],) for record in seen)
    assert all(record.data["row_count"] == 1 for record in seen)


async def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events) -> None:
    engine = sa_asyncio.create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.execute(sa.text("SELECT 1"))
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.execute_fetchall("SELECT 2")
    await engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if "transactionMark" not in data] == ["sqlalchemy", "aiosqlite"]
    assert {data["source"] for data in found if "transactionMark" in data} <= {"sqlalchemy"}


async def test_shutdown_puts_the_original_back(client: Client, connection: aiosqlite.Connection, events: Events) -> None:
    watched: Any = vars(aiosqlite.core.Connection)["_execute"]
    client.shutdown(0.0)
    assert vars(aiosqlite.core.Connection)["_execute"] is watched.__wrapped__
    await connection.execute_fetchall("SELECT 1")
    assert events() == []
