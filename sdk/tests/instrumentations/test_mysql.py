"""MySQL Connector/Python, sync and async, on a real MariaDB."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import mysql.connector
import mysql.connector.cursor
import mysql.connector.pooling
import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]
    Transactions = Callable[[], list[str]]

ADDRESS: Any = {"host": "127.0.0.1", "user": "root", "database": "test", "collation": "utf8mb4_general_ci"}


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
def connection(client: Client, reachable: Callable[[str, int], None]) -> Iterator[Any]:
    """A temporary table `t` of a hundred rows; its making is not among the events."""
    reachable("MariaDB", 3306)
    made: Any = mysql.connector.connect(**ADDRESS)
    cursor = made.cursor()
    cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name TEXT) ENGINE=InnoDB")
    cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(n, f"n{n}") for n in range(100)])
    made.commit()
    client.buffer.records.clear()
    yield made
    made.close()


@pytest.fixture
async def aconnection(client: Client, reachable: Callable[[str, int], None]) -> AsyncIterator[Any]:
    """The same, asynchronous."""
    reachable("MariaDB", 3306)
    # From 8.1 on.
    aio: Any = pytest.importorskip("mysql.connector.aio")
    made: Any = await aio.connect(**ADDRESS, ssl_disabled=True)
    cursor = await made.cursor()
    await cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name TEXT) ENGINE=InnoDB")
    await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(n, f"n{n}") for n in range(100)])
    await made.commit()
    client.buffer.records.clear()
    yield made
    await made.close()


def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM t WHERE id < %s", (3,))
        here = line() - 1
        assert len(cursor.fetchall()) == 3
        dicts = connection.cursor(dictionary=True)
        dicts.execute(operation="SELECT * FROM t WHERE id = %(id)s", params={"id": 4})
        assert dicts.fetchone() == {"id": 4, "name": "n4"}
        assert dicts.fetchone() is None
        buffered = connection.cursor(buffered=True)
        buffered.execute("SELECT * FROM t")
        assert len(buffered.fetchmany(5)) == 5
        prepared = connection.cursor(prepared=True)
        prepared.execute("SELECT * FROM t WHERE id = ?", (5,))
        assert len(prepared.fetchall()) == 1
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(200, "a"), (201, "b")])
        cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("c", 1), ("d", 2), ("e", 3)])
        cursor.execute("SELECT * FROM t ORDER BY id")
        assert sum(1 for _ in cursor) == 102
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["rowCount"] for data in datas] == [3, 1, 100, 1, 2, 3, 102]
    assert [data.get("batchSize") for data in datas] == [None, None, None, None, 2, 3, None]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("mysql.connector", "mariadb")}
    assert len({data["connectionId"] for data in datas}) == 1
    assert datas[4]["transactionId"] == datas[5]["transactionId"]


def test_failures_are_recorded_and_stay_themselves(connection: Any, in_request: InRequest, only: Only) -> None:
    cursor = connection.cursor()
    with in_request():
        with pytest.raises(mysql.connector.ProgrammingError) as wrong:
            cursor.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"].startswith("ProgrammingError: 1146")
    assert data["callsite"]["line"] == here
    with pytest.raises(mysql.connector.Error):
        cursor.callproc("nowhere", (1,))
    assert only()["sql"] == "CALL nowhere"
    assert "brakit" not in str(wrong.value)
    connection.close()
    with pytest.raises(mysql.connector.Error):
        cursor.execute("SELECT 1")
    assert only()["error"]


@pytest.mark.parametrize("pure", [False, True])
def test_transactions_have_a_name_and_marks_each(
    client: Client, reachable: Callable[[str, int], None], events: Events, transactions: Transactions, pure: bool
) -> None:
    reachable("MariaDB", 3306)
    if not pure and not mysql.connector.HAVE_CEXT:
        pytest.skip("mysql-connector-python is installed without its C extension")
    connection: Any
    try:
        connection = mysql.connector.connect(**ADDRESS, use_pure=pure)
    except mysql.connector.ProgrammingError as error:
        # The pure one of some older releases does not know the names of this MariaDB's character sets.
        pytest.skip(f"this release cannot talk to this server ({error})")
    cursor = connection.cursor(buffered=True)
    cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name TEXT) ENGINE=InnoDB")
    events()
    cursor.execute("UPDATE t SET name = 'a' WHERE id = 1")
    cursor.execute("SAVEPOINT one")
    connection.commit()
    here = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"], data["source"]) == ("COMMIT", here, "mysql.connector")
    assert data["system"] == "mariadb"
    connection.commit()
    connection.rollback()
    connection.start_transaction(isolation_level="SERIALIZABLE")
    cursor.execute("UPDATE t SET name = 'b' WHERE id = 1")
    connection.rollback()
    connection.autocommit = True
    assert transactions()[:3] == ["begin 1", "UPDATE 1", "rollback 1"]
    cursor.execute("SELECT 1")
    connection.commit()
    assert transactions() == ["SELECT -"]
    connection.close()


async def test_async_marks(aconnection: Any, events: Events, transactions: Transactions) -> None:
    cursor = await aconnection.cursor(buffered=True)
    await cursor.execute("UPDATE t SET name = 'a' WHERE id = 1")
    await aconnection.commit()
    here = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"]) == ("COMMIT", here)
    await aconnection.commit()
    await aconnection.start_transaction()
    await cursor.execute("UPDATE t SET name = 'b' WHERE id = 1")
    await aconnection.rollback()
    assert transactions() == ["begin 1", "UPDATE 1", "rollback 1"]


def test_a_pool_that_is_exhausted(client: Client, events: Events, reachable: Callable[[str, int], None]) -> None:
    reachable("MariaDB", 3306)
    pooling: Any = mysql.connector.pooling
    pool = pooling.MySQLConnectionPool(pool_name="brakit", pool_size=1, pool_reset_session=False, **ADDRESS)
    connection = pool.get_connection()
    cursor = connection.cursor(buffered=True)
    cursor.execute("SELECT 1")
    events()
    with pytest.raises(mysql.connector.errors.PoolError):
        pool.get_connection()
    here = line() - 1
    connection.close()
    pool.get_connection().close()
    (span,) = events()
    data = span["data"]
    assert (data["name"], data["callsite"]["line"]) == ("wait for a connection", here)
    assert data["error"] == "PoolError: Failed getting connection; pool exhausted"
    pool._remove_connections()


async def test_async(aconnection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = await aconnection.cursor()
        await cursor.execute("SELECT * FROM t WHERE id < %s", (3,))
        here = line() - 1
        assert len(await cursor.fetchall()) == 3
        await cursor.execute("SELECT * FROM t")
        assert len(await cursor.fetchall()) == 100
        await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(200, "a"), (201, "b")])
        with pytest.raises(mysql.connector.Error):
            await cursor.execute("SELECT nonsense FROM nowhere")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas] == [3, 100, 2, None]
    assert datas[0]["callsite"]["line"] == here
    assert datas[2]["batchSize"] == 2
    assert datas[3]["error"].startswith("ProgrammingError: 1146")


def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events, reachable: Callable[[str, int], None]) -> None:
    reachable("MariaDB", 3306)
    engine = sa.create_engine("mysql+mysqlconnector://root@127.0.0.1:3306/test?collation=utf8mb4_general_ci")
    with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    with engine.begin() as on:
        assert on.execute(sa.text("SELECT 1")).scalar() == 1
    raw: Any = engine.raw_connection()
    cursor = raw.cursor(buffered=True)
    cursor.execute("SELECT 2")
    raw.close()
    engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if "transactionMark" not in data] == ["sqlalchemy", "mysql.connector"]
    assert {data["source"] for data in found if "transactionMark" in data} <= {"sqlalchemy"}


def test_shutdown_puts_every_original_back(client: Client, connection: Any, events: Events) -> None:
    holder: Any = mysql.connector.cursor.MySQLCursor
    originals = {name: vars(holder)[name].__wrapped__ for name in ("execute", "executemany", "fetchone", "close")}
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for name, original in originals.items())
    connection.cursor(buffered=True).execute("SELECT 1")
    assert events() == []
