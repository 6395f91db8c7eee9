"""asyncpg: every way to send a statement, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]
import asyncpg.connection  # type: ignore[import-untyped]
import asyncpg.cursor  # type: ignore[import-untyped]
import asyncpg.prepared_stmt  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

from brakit import context

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

ADDRESS = "postgresql://postgres@127.0.0.1:5432/test"


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
async def connection(client: Client, reachable: Callable[[str, int], None]) -> AsyncIterator[Any]:
    """A temporary table `t` of a thousand rows; its making is not among the events."""
    reachable("PostgreSQL", 5432)
    made = await asyncpg.connect(ADDRESS)
    await made.execute("CREATE TEMPORARY TABLE t AS SELECT n AS id, 'n' || n AS name FROM generate_series(0, 999) AS n")
    client.buffer.records.clear()
    yield made
    await made.close()


async def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        assert len(await connection.fetch("SELECT * FROM t WHERE id < $1", 3)) == 3
        here = line() - 1
        assert await connection.fetchval("SELECT name FROM t WHERE id = $1", 4) == "n4"
        assert (await connection.fetchrow("SELECT * FROM t ORDER BY id"))["id"] == 0
        assert await connection.fetchrow("SELECT * FROM t WHERE id < 0") is None
        assert await connection.execute("UPDATE t SET name = 'x' WHERE id < 5") == "UPDATE 5"
        assert await connection.execute("UPDATE t SET name = $1 WHERE id < 6", "y") == "UPDATE 6"
        await connection.executemany("UPDATE t SET name = $1 WHERE id = $2", [("a", 1), ("b", 2)])
        statement = await connection.prepare("SELECT * FROM t WHERE id > $1")
        assert len(await statement.fetch(990)) == 9
        there = line() - 1
        assert await statement.fetchval(990) == 991
        assert len(await statement.fetchrow(990)) == 2
        await (await connection.prepare("UPDATE t SET name = $1 WHERE id = $2")).executemany([("c", 1), ("d", 2), ("e", 3)])
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas] == [3, 1, 1, 0, 5, 6, None, 9, 1, 1, None]
    assert (datas[0]["callsite"]["line"], datas[7]["callsite"]["line"]) == (here, there)
    assert {(data["source"], data["system"]) for data in datas} == {("asyncpg", "postgresql")}
    assert len({data["connectionId"] for data in datas}) == 1
    assert all("transactionId" not in data for data in datas)
    assert [data.get("batchSize") for data in datas] == [*[None] * 6, 2, *[None] * 3, 3]
    assert datas[7]["sql"] == "SELECT * FROM t WHERE id > $1"
    assert datas[7]["paramsHash"] == datas[8]["paramsHash"] != datas[0]["paramsHash"]


async def test_cursors_stay_lazy(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request():
        async with connection.transaction():
            async for row in connection.cursor("SELECT * FROM t WHERE id >= $1", 0, prefetch=10):
                if row["id"] == 14:
                    break
            cursor = await connection.cursor("SELECT * FROM t")
            assert len(await cursor.fetch(7)) == 7
            assert await cursor.fetchrow() is not None
            assert await cursor.forward(2) == 2
            assert len(await (await connection.prepare("SELECT * FROM t WHERE id < 4")).fetch()) == 4
            statement = await connection.prepare("SELECT * FROM t WHERE id < $1")
            assert len([row async for row in statement.cursor(5)]) == 5
    datas = [event["data"] for event in events() if event["data"]["operation"] == "SELECT"]
    assert sorted(data["rowCount"] for data in datas) == [4, 5, 8, 20]
    assert len({data["transactionId"] for data in datas}) == 1


async def test_copies(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request():
        assert await connection.copy_records_to_table("t", records=[(2000, "z"), (2001, "y")]) == "COPY 2"
        assert await connection.copy_to_table("t", source=io.BytesIO(b"2002\tw\n")) == "COPY 1"
        out = io.BytesIO()
        assert await connection.copy_from_table("t", output=out) == "COPY 1003"
        assert await connection.copy_from_query("SELECT id FROM t WHERE id < $1", 10, output=out) == "COPY 10"
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.copy_from_table("nowhere", output=out)
    datas = [event["data"] for event in events()]
    assert [data.get("rowCount") for data in datas] == [2, 1, 1003, 10, None]
    assert all(data["sql"].startswith("COPY") for data in datas)
    assert datas[-1]["error"].startswith("UndefinedTableError")


async def test_failures_are_recorded_and_stay_themselves(connection: Any, in_request: InRequest, only: Only) -> None:
    with in_request():
        with pytest.raises(asyncpg.UndefinedTableError) as wrong:
            await connection.fetch("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"].startswith('UndefinedTableError: relation "nowhere"')
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    with pytest.raises(asyncpg.UndefinedTableError):
        await connection.prepare("SELECT nonsense FROM nowhere")
    assert only()["error"].startswith("UndefinedTableError")
    with pytest.raises(asyncpg.DataError):
        await connection.fetch("SELECT $1::int", "no number")
    assert only()["error"].startswith("DataError")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await connection.execute("SELEC 1; SELECT 2")
    assert only()["error"].startswith("PostgresSyntaxError")
    await connection.close()
    with pytest.raises(asyncpg.InterfaceError):
        await connection.fetch("SELECT 1")


async def test_a_cancelled_statement_is_recorded_once(connection: Any, in_request: InRequest, only: Only) -> None:
    with in_request(), pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(connection.fetch("SELECT pg_sleep(20)"), 0.1)
    assert only()["error"].startswith("CancelledError")
    with in_request(), pytest.raises(asyncio.TimeoutError):
        await connection.fetch("SELECT pg_sleep(20)", timeout=0.1)
    assert only()["error"].startswith("TimeoutError")


async def test_transactions_have_a_name_and_marks_each(connection: Any, events: Events, transactions: Transactions) -> None:
    async with connection.transaction(isolation="serializable"):
        here = line() - 1
        await connection.fetch("SELECT 1")
        inner = connection.transaction()
        await inner.start()
        await connection.fetch("SELECT 1")
        await inner.rollback()
        async with connection.transaction():
            await connection.fetch("SELECT 1")
    found = [event["data"] for event in events()]
    assert (found[0]["sql"], found[0]["callsite"]["line"]) == ("BEGIN ISOLATION LEVEL SERIALIZABLE;", here)
    assert (found[-1]["sql"], found[-1]["callsite"]["line"]) == ("COMMIT;", here)
    marks = [data.get("transactionMark") for data in found]
    assert marks == ["begin", None, "savepoint", None, "rollback_to", "savepoint", None, "release", "commit"]
    assert len({data["transactionId"] for data in found}) == 1
    transaction = connection.transaction()
    await transaction.start()
    await connection.fetch("SELECT 1")
    await transaction.rollback()
    await connection.fetch("SELECT 1")
    await connection.execute("BEGIN")
    await connection.fetch("SELECT 1")
    await connection.execute("COMMIT")
    assert transactions() == [
        *("begin 1", "SELECT 1", "rollback 1"),
        "SELECT -",
        *("begin 2", "SELECT 2", "commit 2"),
    ]


async def test_a_commit_may_fail(connection: Any, transactions: Transactions) -> None:
    await connection.execute("CREATE TEMPORARY TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    transactions()
    with pytest.raises(asyncpg.UniqueViolationError) as wrong:
        async with connection.transaction():
            await connection.execute("INSERT INTO d VALUES (1), (1)")
    assert wrong.value.__context__ is None
    assert transactions() == ["begin 1", "INSERT 1", "commit 1 failed"]


async def test_what_a_pool_resets_is_not_the_apps(
    client: Client, transactions: Transactions, reachable: Callable[[str, int], None]
) -> None:
    reachable("PostgreSQL", 5432)
    async with asyncpg.create_pool(ADDRESS, min_size=1, max_size=1) as pool:
        async with pool.acquire() as connection:
            await connection.transaction().start()
            await connection.fetch("SELECT 1")
        async with pool.acquire() as connection:
            assert not connection.is_in_transaction()
    assert transactions() == ["begin 1", "SELECT 1"]


async def test_a_pool_records_once_and_its_wait(
    client: Client, events: Events, in_request: InRequest, reachable: Callable[[str, int], None]
) -> None:
    reachable("PostgreSQL", 5432)

    async def one(number: int) -> tuple[str, int]:
        with in_request() as owner:
            assert await pool.fetchval("SELECT $1::int", number) == number
            async with pool.acquire() as connection:
                await connection.fetch("SELECT $1::int", number)
        return owner.id, number

    async with asyncpg.create_pool(ADDRESS, min_size=1, max_size=2) as pool:
        owners = dict(await asyncio.gather(*(one(number) for number in range(30))))
        await pool.execute("SELECT 1")
        records = [record for record in client.buffer.records if record.owner is not None]
        queries = [record for record in records if record.kind == "db.query"]
        assert len(queries) == 60
        assert all(record.data["params"] == (owners[record.owner.id],) for record in queries if record.owner is not None)
        client.buffer.records.clear()
        async with pool.acquire(), pool.acquire():
            with in_request(), pytest.raises(asyncio.TimeoutError):
                await pool.acquire(timeout=0.02)
    spans = events("span")
    assert len(spans) == 1
    assert spans[0]["data"]["name"] == "wait for a connection"
    assert spans[0]["data"]["duration"] >= 15
    assert spans[0]["data"]["error"].startswith("TimeoutError")


async def test_one_record_where_sqlalchemy_sits_on_it(
    client: Client, events: Events, reachable: Callable[[str, int], None]
) -> None:
    reachable("PostgreSQL", 5432)
    engine = sa_asyncio.create_async_engine(ADDRESS.replace("postgresql:", "postgresql+asyncpg:"), pool_pre_ping=True)
    async with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    for _ in range(2):
        async with engine.begin() as on:
            assert (await on.execute(sa.text("SELECT 1"))).scalar() == 1
            async with on.begin_nested():
                await on.execute(sa.text("SELECT 1"))
    async with engine.connect() as on:
        raw: Any = (await on.get_raw_connection()).driver_connection
        await raw.fetch("SELECT 2")
    await engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if data["operation"] == "SELECT"] == [*["sqlalchemy"] * 4, "asyncpg"]
    assert [data["source"] for data in found].count("asyncpg") == 1


@pytest.mark.failures
async def test_what_fails_on_our_side_is_not_the_apps(client: Client, connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("brakit.callsite.find", broken)
    assert len(await connection.fetch("SELECT * FROM t")) == 1000
    with pytest.raises(asyncpg.UndefinedTableError):
        await connection.fetch("SELECT nonsense FROM nowhere")
    assert client.failures.counts == {"asyncpg:Connection._execute": 2}
    assert not client.buffer.records


async def test_shutdown_puts_every_original_back(client: Client, connection: Any, events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (asyncpg.connection.Connection, "_execute"),
        (asyncpg.connection.Connection, "execute"),
        (asyncpg.prepared_stmt.PreparedStatement, "executemany"),
        (asyncpg.cursor.BaseCursor, "__del__"),
        (asyncpg.Pool, "_acquire"),
    ]
    originals = [vars(holder)[name].__wrapped__ for holder, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
    await connection.fetch("SELECT 1")
    assert events() == []


async def test_what_listeners_do_belongs_to_nobody(
    connection: Any, client: Client, events: Events, in_request: InRequest
) -> None:
    heard: list[tuple[str | None, Owner | None]] = []
    done = asyncio.Event()

    def plain(*_: Any) -> None:
        heard.append((context.covered.get(), context.current()))

    async def query(*_: Any) -> None:
        other = await asyncpg.connect(ADDRESS)
        await other.execute("SELECT 1 AS from_the_listener")
        await other.close()
        done.set()

    with in_request():
        # As SQLAlchemy opens one: in a request, under its cover.
        context.covered.set("db.query")
        listening = await asyncpg.connect(ADDRESS)
        context.covered.set(None)
        await listening.add_listener("brakit_notes", plain)
        await listening.add_listener("brakit_notes", query)
    await connection.execute("NOTIFY brakit_notes")
    await asyncio.wait_for(done.wait(), 5)
    await listening.close()
    assert heard == [(None, None)]
    [found] = [event for event in events("db.query") if "from_the_listener" in event["data"]["sql"]]
    assert "parentId" not in found
