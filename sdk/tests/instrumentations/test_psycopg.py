"""psycopg 3: every kind of cursor, sync and async, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    Transactions = Callable[[], list[str]]
    InRequest = Callable[[], AbstractContextManager[Owner]]

ADDRESS = "host=127.0.0.1 dbname=test user=postgres"
TABLE = "CREATE TEMPORARY TABLE t AS SELECT n AS id, 'n' || n AS name FROM generate_series(0, 999) AS n"
DEFERRED = "CREATE TEMPORARY TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
def connection(client: Client, reachable: Callable[[str, int], None]) -> Iterator[psycopg.Connection[Any]]:
    """A temporary table `t` of a thousand rows, and an empty `d`; their making is not among the events."""
    reachable("PostgreSQL", 5432)
    with psycopg.connect(ADDRESS) as made:
        made.execute(TABLE)
        made.execute(DEFERRED)
        made.commit()
        client.buffer.records.clear()
        yield made
        made.rollback()


@pytest.fixture
async def aconnection(client: Client, reachable: Callable[[str, int], None]) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """The same, asynchronous."""
    reachable("PostgreSQL", 5432)
    async with await psycopg.AsyncConnection.connect(ADDRESS) as made:
        await made.execute(TABLE)
        await made.execute(DEFERRED)
        await made.commit()
        client.buffer.records.clear()
        yield made
        if made.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
            # Before 3.2 a cancelled statement goes on at the server.
            await made.close()
        else:
            await made.rollback()


def test_one_event_for_each_way_to_execute(connection: psycopg.Connection[Any], events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        assert len(connection.execute("SELECT * FROM t WHERE id < %s", (3,)).fetchall()) == 3
        here = line() - 1
        cursor = connection.cursor(row_factory=dict_row)
        assert cursor.execute("SELECT * FROM t WHERE id = %(id)s", {"id": 4}) is cursor
        assert cursor.fetchone() == {"id": 4, "name": "n4"}
        composed = sql.SQL("SELECT id FROM {} WHERE name = %s").format(sql.Identifier("t"))
        psycopg.ClientCursor(connection).execute(composed, ("n5",))
        # From 3.2 on.
        getattr(psycopg, "RawCursor", psycopg.Cursor)(connection).execute("SELECT id FROM t WHERE id > 5")
        cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("a", 1), ("b", 2)])
        cursor.execute(b"DELETE FROM t WHERE id < 10")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["rowCount"] for data in datas] == [3, 1, 1, 994, 2, 10]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("psycopg", "postgresql")}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1
    assert datas[2]["sql"].startswith('SELECT id FROM "t" WHERE name = ')
    assert "n5" not in datas[2]["sql"]
    assert datas[4]["batchSize"] == 2
    assert datas[5]["operation"] == "DELETE"
    assert datas[0]["paramsHash"] != datas[1]["paramsHash"]


def test_a_server_side_cursor_stays_lazy(connection: psycopg.Connection[Any], in_request: InRequest, only: Only) -> None:
    with in_request(), connection.cursor("some") as cursor:
        cursor.itersize = 10
        cursor.execute("SELECT * FROM t WHERE id >= %s", (0,))
        here = line() - 1
        assert next(iter(cursor))[0] == 0
        assert len(cursor.fetchmany(20)) == 20
    data = only()
    assert data["rowCount"] in (21, 30)
    assert data["sql"] == "SELECT * FROM t WHERE id >= %s"
    assert data["callsite"]["line"] == here
    with in_request(), connection.cursor("other") as cursor:
        assert len(cursor.execute("SELECT * FROM t").fetchall()) == 1000
    assert only()["rowCount"] == 1000


def test_streams_and_copies(connection: psycopg.Connection[Any], events: Events, in_request: InRequest) -> None:
    cursor = connection.cursor()
    with in_request():
        assert sum(1 for _ in cursor.stream("SELECT * FROM t")) == 1000
        with cursor.copy("COPY t FROM STDIN") as copy:
            copy.write_row((2000, "z"))
            copy.write_row((2001, "y"))
        assert cursor.rowcount == 2
        with cursor.copy("COPY t (name) TO STDOUT") as copy:
            assert len(b"".join(copy).splitlines()) == 1002
        with pytest.raises(psycopg.errors.InvalidTextRepresentation), cursor.copy("COPY t FROM STDIN") as copy:
            copy.write("junk\n")
    stream, into, out, failed = (event["data"] for event in events())
    assert [data["rowCount"] for data in (stream, into, out)] == [1000, 2, 1002]
    assert failed["error"].startswith("InvalidTextRepresentation")


def test_failures_are_recorded_and_stay_themselves(
    connection: psycopg.Connection[Any], in_request: InRequest, only: Only
) -> None:
    connection.execute("SELECT 1")
    only()
    with in_request():
        with pytest.raises(psycopg.errors.UndefinedTable) as wrong:
            connection.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"].startswith('UndefinedTable: relation "nowhere"')
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    assert sum("<brakit.guard>" in str(frame.path) for frame in wrong.traceback) == 0
    connection.rollback()
    assert only()["transactionMark"] == "rollback"
    with pytest.raises(psycopg.ProgrammingError, match="placeholders"):
        connection.execute("SELECT %s, %s", (1,))
    assert only()["error"].startswith("ProgrammingError")
    with connection.cursor() as cursor, pytest.raises(psycopg.errors.UndefinedTable), cursor.copy("COPY nowhere FROM STDIN"):
        pass
    assert only()["error"].startswith("UndefinedTable")


def test_a_lost_connection_fails_its_statement(connection: psycopg.Connection[Any], events: Events) -> None:
    with psycopg.connect(ADDRESS) as lost:
        pid = lost.info.backend_pid
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")
    assert events()[-1]["data"]["error"]


def three(connection: psycopg.Connection[Any]) -> None:
    with connection.pipeline():
        connection.execute("SELECT 1")
        connection.execute("SELECT nonsense")
        connection.execute("SELECT 3")


def test_a_pipeline(connection: psycopg.Connection[Any], events: Events, in_request: InRequest) -> None:
    with in_request():
        with connection.pipeline():
            first = connection.execute("SELECT 1")
            second = connection.execute("SELECT generate_series(1, 5)")
            assert len(second.fetchall()) == 5
            assert first.fetchone() == (1,)
        with pytest.raises(psycopg.errors.UndefinedColumn):
            three(connection)
    # psycopg may log that it gives up the rest.
    datas = [event["data"] for event in events("db.query")]
    # The error may come back before the last statement is sent, and then its result may never come.
    assert [data.get("rowCount") for data in datas] in ([1, 5, 1, None], [1, 5, 1, None, None])
    errors = [data.get("error", "").partition(":")[0] for data in datas]
    assert errors[:4] == ["", "", "", "UndefinedColumn"]
    assert errors[4:] in ([], [""], ["PipelineAborted"])
    assert all(data["duration"] >= 0 for data in datas)


def test_transactions_have_a_name_and_marks_each(
    connection: psycopg.Connection[Any], transactions: Transactions, events: Events
) -> None:
    with connection.transaction():
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute("SELECT 1 / 0")
        with connection.transaction("inner"):
            connection.execute("SELECT 1")
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT 1")
    assert transactions() == [
        *("begin 1", "SELECT 1"),
        *("savepoint 1", "SELECT 1 failed", "rollback_to 1", "release 1"),
        *("savepoint 1", "SELECT 1", "release 1", "commit 1"),
        *("begin 2", "SELECT 2", "rollback 2"),
    ]
    connection.execute("SELECT 1")
    connection.commit()
    here = line() - 1
    (committed,) = (event["data"] for event in events() if "transactionMark" in event["data"])
    assert (committed["sql"], committed["callsite"]["line"], committed["source"]) == ("COMMIT", here, "psycopg")
    # Nothing is open: nothing is sent.
    connection.commit()
    connection.rollback()
    connection.autocommit = True
    connection.execute("SELECT 1")
    connection.execute("BEGIN")
    connection.execute("SELECT 1")
    connection.execute("COMMIT")
    with connection.transaction():
        connection.execute("SELECT 1")
    connection.execute("SELECT 1")
    assert transactions() == [
        *("SELECT -", "begin 1", "SELECT 1", "commit 1"),
        *("begin 2", "SELECT 2", "commit 2"),
        "SELECT -",
    ]


def test_two_phases(client: Client, reachable: Callable[[str, int], None], transactions: Transactions) -> None:
    reachable("PostgreSQL", 5432)
    with contextlib.closing(psycopg.connect(ADDRESS)) as connection:
        connection.tpc_begin("brakit_drivers")
        connection.execute("SELECT 1")
        try:
            connection.tpc_prepare()
        except psycopg.NotSupportedError:
            # The server's `max_prepared_transactions` is 0, as it is by default.
            assert transactions() == ["begin 1", "SELECT 1", "prepare 1 failed"]
        else:
            connection.tpc_commit()
            assert transactions() == ["begin 1", "SELECT 1", "prepare 1", "commit -"]


def test_with_connection(client: Client, transactions: Transactions, reachable: Callable[[str, int], None]) -> None:
    reachable("PostgreSQL", 5432)
    with psycopg.connect(ADDRESS) as made:
        made.execute("SELECT 1")
    with pytest.raises(psycopg.errors.DivisionByZero), psycopg.connect(ADDRESS) as made:
        made.execute("SELECT 1 / 0")
    closed = psycopg.connect(ADDRESS)
    closed.execute("SELECT 1")
    closed.close()
    assert transactions() == ["SELECT 1", "commit 1", "SELECT 2 failed", "rollback 2", "SELECT 3"]


def test_a_commit_may_fail(connection: psycopg.Connection[Any], events: Events, transactions: Transactions) -> None:
    connection.execute("INSERT INTO d VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation) as wrong:
        connection.commit()
    assert wrong.value.__context__ is None
    _, failed = events()
    assert failed["data"]["error"].startswith("UniqueViolation")
    connection.rollback()
    with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
        connection.execute("INSERT INTO d VALUES (1), (1)")
    connection.execute("SELECT 1")
    assert transactions() == ["begin 1", "INSERT 1", "commit 1 failed", "SELECT 2"]


def test_a_commit_on_a_lost_connection(connection: psycopg.Connection[Any], transactions: Transactions) -> None:
    lost = psycopg.connect(ADDRESS)
    lost.execute("SELECT 1")
    connection.execute("SELECT pg_terminate_backend(%s)", (lost.info.backend_pid,))
    transactions()
    # The second one sends nothing.
    for expected in (["commit 1 failed"], []):
        with pytest.raises(psycopg.OperationalError):
            lost.commit()
        assert transactions() == expected
    lost.close()


def test_marks_in_a_pipeline(connection: psycopg.Connection[Any], transactions: Transactions) -> None:
    with connection.pipeline():
        connection.execute("SELECT 1")
        connection.commit()
        connection.execute("INSERT INTO d VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.commit()
    assert transactions() == ["SELECT 1", "commit 1", "INSERT 2", "commit 2 failed"]
    for autocommit in (False, True):
        connection.autocommit = autocommit
        with connection.pipeline(), connection.transaction():
            connection.execute("SELECT 1")
            with connection.transaction():
                connection.execute("SELECT 1")
        assert transactions() == ["begin 1", "SELECT 1", "savepoint 1", "SELECT 1", "release 1", "commit 1"]


async def test_async_marks(aconnection: psycopg.AsyncConnection[Any], events: Events, transactions: Transactions) -> None:
    async with aconnection.transaction():
        await aconnection.execute("SELECT 1")
        async with aconnection.transaction():
            await aconnection.execute("SELECT 1")
    await aconnection.execute("SELECT 1")
    await aconnection.rollback()
    assert transactions() == [
        *("begin 1", "SELECT 1", "savepoint 1", "SELECT 1", "release 1", "commit 1"),
        *("SELECT 2", "rollback 2"),
    ]
    await aconnection.execute("INSERT INTO d VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await aconnection.commit()
    here = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"]) == ("COMMIT", here)
    assert data["error"].startswith("UniqueViolation")


def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events, reachable: Callable[[str, int], None]) -> None:
    reachable("PostgreSQL", 5432)
    engine = sa.create_engine("postgresql+psycopg://postgres@127.0.0.1:5432/test", pool_pre_ping=True)
    with engine.begin():
        # What SQLAlchemy asks a server that it sees for the first time.
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    for _ in range(2):
        with engine.begin() as on:
            assert on.execute(sa.text("SELECT 1")).scalar() == 1
    raw: Any = engine.raw_connection()
    raw.cursor().execute("SELECT 2")
    raw.close()
    engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if "transactionMark" not in data] == ["sqlalchemy", "sqlalchemy", "psycopg"]
    assert {data["source"] for data in found if "transactionMark" in data} <= {"sqlalchemy"}


async def test_async(aconnection: psycopg.AsyncConnection[Any], events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        assert len(await (await aconnection.execute("SELECT * FROM t")).fetchall()) == 1000
        here = line() - 1
        cursor = aconnection.cursor()
        await cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("a", 1), ("b", 2)])
        there = line() - 1
        async with aconnection.cursor("some") as server:
            await server.execute("SELECT * FROM t")
            assert len(await server.fetchmany(7)) == 7
        assert len([row async for row in cursor.stream("SELECT * FROM t")]) == 1000
        async with cursor.copy("COPY t TO STDOUT") as copy:
            assert len(b"".join([bytes(part) async for part in copy]).splitlines()) == 1000
        async with aconnection.pipeline():
            await aconnection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await aconnection.execute("SELECT nonsense FROM nowhere")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas] == [1000, 2, 7, 1000, 1000, 1, None]
    assert [data["callsite"]["line"] for data in datas[:2]] == [here, there]
    assert datas[-1]["error"].startswith("UndefinedTable")


async def test_a_cancelled_statement_is_recorded_once(
    aconnection: psycopg.AsyncConnection[Any], in_request: InRequest, only: Only
) -> None:
    with in_request(), pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(aconnection.execute("SELECT pg_sleep(20)"), 0.1)
    assert only()["error"]


@pytest.mark.failures
def test_what_fails_on_our_side_is_not_the_apps(
    client: Client, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("brakit.instrumentations._driver.row_count", broken)
    monkeypatch.setattr("brakit.instrumentations._driver.callsite.find", broken)
    assert len(connection.execute("SELECT * FROM t").fetchall()) == 1000
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT nonsense FROM nowhere")
    assert client.failures.counts == {"psycopg:BaseCursor._execute_gen": 2}
    assert not client.buffer.records


def test_shutdown_puts_every_original_back(client: Client, connection: psycopg.Connection[Any], events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (next(line for line in psycopg.Cursor.__mro__ if "_execute_gen" in vars(line)), "_execute_gen"),
        (psycopg.Cursor, "executemany"),
        (psycopg.AsyncCursor, "executemany"),
        (psycopg.Copy, "finish"),
    ]
    originals = [vars(holder)[name].__wrapped__ for holder, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
    connection.execute("SELECT 1")
    assert events() == []
