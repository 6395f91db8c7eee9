"""asyncmy: statements below its compiled cursors, on a real MariaDB."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import asyncmy
import asyncmy.connection
import asyncmy.cursors
import asyncmy.errors
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
    InRequest = Callable[[], AbstractContextManager[Owner]]
    Transactions = Callable[[], list[str]]

ADDRESS: Any = {"host": "127.0.0.1", "user": "root", "database": "test"}


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
async def connection(client: Client, reachable: Callable[[str, int], None]) -> AsyncIterator[Any]:
    """A temporary table `t` of a hundred rows; its making is not among the events."""
    reachable("MariaDB", 3306)
    made: Any = await asyncmy.connect(**ADDRESS)
    async with made.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name TEXT) ENGINE=InnoDB")
        await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(n, f"n{n}") for n in range(100)])
    await made.commit()
    client.buffer.records.clear()
    yield made
    await made.ensure_closed()


async def test_one_event_for_each_statement(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        async with connection.cursor() as cursor:
            assert await cursor.execute("SELECT * FROM t WHERE name < %s", ("n2",)) == 12
            here = line() - 1
            assert len(await cursor.fetchall()) == 12
            await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(200, "a"), (201, "b")])
        async with connection.cursor(asyncmy.cursors.SSCursor) as cursor:
            await cursor.execute("SELECT * FROM t")
            assert len(await cursor.fetchall()) == 102
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas] == [12, 2, None]
    assert datas[0]["callsite"]["line"] == here
    assert "n2" not in datas[0]["sql"]
    assert {(data["source"], data["system"]) for data in datas} == {("asyncmy", "mariadb")}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1


async def test_failures_and_transactions(connection: Any, events: Events, transactions: Transactions) -> None:
    async with connection.cursor() as cursor:
        with pytest.raises(asyncmy.errors.ProgrammingError):
            await cursor.execute("SELECT nonsense FROM nowhere")
        (failed,) = events()
        assert "nowhere" in failed["data"]["error"]
        await connection.rollback()
        await cursor.execute("SELECT * FROM t")
        await connection.commit()
        here = line() - 1
        data = events()[-1]["data"]
        assert (data["sql"], data["callsite"]["line"], data["source"]) == ("COMMIT", here, "asyncmy")
        await connection.commit()
        await connection.begin()
        await cursor.execute("SELECT * FROM t")
        await connection.commit()
        await cursor.execute("SELECT * FROM t")
    assert transactions() == ["begin 1", "SELECT 1", "commit 1", "SELECT 2"]


async def test_the_wait_for_a_pool(
    client: Client, in_request: InRequest, events: Events, reachable: Callable[[str, int], None]
) -> None:
    reachable("MariaDB", 3306)
    pool: Any
    async with asyncmy.create_pool(**ADDRESS, minsize=1, maxsize=1) as pool, pool.acquire():
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
    engine = sa_asyncio.create_async_engine("mysql+asyncmy://root@127.0.0.1:3306/test")
    async with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    async with engine.begin() as on:
        assert (await on.execute(sa.text("SELECT 1"))).scalar() == 1
    await engine.dispose()
    assert {event["data"]["source"] for event in events()} == {"sqlalchemy"}


async def test_shutdown_puts_every_original_back(client: Client, connection: Any, events: Events) -> None:
    holder = asyncmy.connection.Connection
    originals = {name: vars(holder)[name].__wrapped__ for name in ("query", "commit")}
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for name, original in originals.items())
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT 1")
    assert events() == []
