"""mysqlclient: statements of every kind of cursor, on a real MariaDB."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
import sqlalchemy as sa

MySQLdb: Any = pytest.importorskip(
    "MySQLdb", reason="mysqlclient is not installed: it needs libmariadb-dev and pkg-config", exc_type=ImportError
)
cursors: Any = pytest.importorskip("MySQLdb.cursors")
connections: Any = pytest.importorskip("MySQLdb.connections")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def connect(**settings: Any) -> Any:
    return MySQLdb.connect(host="127.0.0.1", user="root", database="test", **settings)


def queries(events: Events) -> list[Json]:
    """What was recorded, without the marks of transactions."""
    return [event["data"] for event in events("db.query") if "transactionMark" not in event["data"]]


@pytest.fixture
def connection(client: Client, reachable: Callable[[str, int], None]) -> Iterator[Any]:
    """A temporary table `t` of a hundred rows; its making is not among the events."""
    reachable("MariaDB", 3306)
    made = connect()
    cursor = made.cursor()
    cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name TEXT) ENGINE=InnoDB")
    cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(n, f"n{n}") for n in range(100)])
    made.commit()
    client.buffer.records.clear()
    yield made
    if made.open:
        made.close()


def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        assert cursor.execute("SELECT * FROM t WHERE id < %s", (3,)) == 3
        here = line() - 1
        assert len(cursor.fetchall()) == 3
        dicts = connection.cursor(cursors.DictCursor)
        dicts.execute(query="SELECT * FROM t WHERE id = %(id)s", args={"id": 4})
        assert dicts.fetchone() == {"id": 4, "name": "n4"}
        assert cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(200, "a"), (201, "b")]) == 2
        assert cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("c", 1), ("d", 2), ("e", 3)]) == 3
        assert cursor.executemany("INSERT INTO t VALUES (%s, %s)", []) is None
        cursor.execute(b"DELETE FROM t WHERE id < 10")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["rowCount"] for data in datas] == [3, 1, 2, 3, 10]
    assert [data.get("batchSize") for data in datas] == [None, None, 2, 3, None]
    assert datas[0]["callsite"]["line"] == here
    assert {data["source"] for data in datas} == {"MySQLdb"}
    assert {data["system"] for data in datas} == {"mariadb"}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1
    assert datas[0]["paramsHash"] != datas[1]["paramsHash"]


def test_an_unbuffered_cursor_stays_lazy(connection: Any, in_request: InRequest, only: Only) -> None:
    for cursor_class in (cursors.SSCursor, cursors.SSDictCursor):
        with in_request(), connection.cursor(cursor_class) as cursor:
            cursor.execute("SELECT * FROM t")
            assert len(cursor.fetchmany(4)) == 4
            assert len(list(cursor)) == 96
        assert only()["rowCount"] == 100
        with in_request(), connection.cursor(cursor_class) as cursor:
            cursor.execute("SELECT * FROM t")
            assert len(cursor.fetchall()) == 100
        assert only()["rowCount"] == 100
        with in_request(), connection.cursor(cursor_class) as cursor:
            cursor.execute("SELECT * FROM t")
            assert cursor.fetchone() is not None
        assert only()["rowCount"] == 1


def test_failures_are_recorded_and_stay_themselves(connection: Any, in_request: InRequest, only: Only) -> None:
    cursor = connection.cursor()
    with in_request():
        with pytest.raises(MySQLdb.ProgrammingError) as wrong:
            cursor.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"].startswith("ProgrammingError: (1146")
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    with pytest.raises(MySQLdb.OperationalError):
        cursor.callproc("nowhere", (1,))
    data = only()
    assert data["error"].startswith("OperationalError")
    assert data["sql"] == "CALL nowhere"
    connection.close()
    with pytest.raises(MySQLdb.OperationalError):
        cursor.execute("SELECT 1")
    assert only()["error"].startswith("OperationalError")


def test_transactions_have_a_name_each(connection: Any, events: Events) -> None:
    cursor = connection.cursor()
    cursor.execute("UPDATE t SET name = 'a' WHERE id = 1")
    cursor.execute("UPDATE t SET name = 'b' WHERE id = 1")
    connection.commit()
    cursor.execute("UPDATE t SET name = 'c' WHERE id = 1")
    connection.rollback()
    connection.autocommit(True)
    cursor.execute("SELECT * FROM t")
    connection.begin()
    cursor.execute("SELECT * FROM t")
    connection.commit()
    cursor.execute("SELECT * FROM t")
    connection.commit()
    datas = [event["data"] for event in events()]
    marks = [data.get("transactionMark") for data in datas]
    assert marks == [None, None, "commit", None, "rollback", None, "begin", None, "commit", None]
    names = [data.get("transactionId") for data in datas]
    assert len(set(names[:3])) == len(set(names[3:5])) == len(set(names[6:9])) == 1
    assert len({names[0], names[3], names[6]}) == 3
    assert [number for number, name in enumerate(names) if name is None] == [5, 9]


def test_a_transaction_that_statements_begin_and_end_under_autocommit(connection: Any, events: Events) -> None:
    connection.commit()
    connection.autocommit(True)
    cursor = connection.cursor()
    events()
    for statement in (
        "start transaction",
        "SAVEPOINT one",
        "ROLLBACK TO SAVEPOINT one",
        "SELECT * FROM t",
        "ROLLBACK",
        "SELECT * FROM t",
        "BEGIN",
        "COMMIT",
        "SELECT 1",
    ):
        cursor.execute(statement)
    datas = [event["data"] for event in events()]
    names = [data.get("transactionId") for data in datas]
    assert len(set(names[:5])) == 1
    assert [name is None for name in names] == [False] * 5 + [True, False, False, True]
    assert names[6] == names[7] != names[0]
    assert [data.get("transactionMark") for data in datas][:5] == ["begin", "savepoint", "rollback_to", None, "rollback"]


def test_every_statement_reaches_the_server_once(connection: Any, events: Events) -> None:
    cursor = connection.cursor()

    def selects() -> int:
        cursor.execute("SHOW SESSION STATUS LIKE 'Com_select'")
        return int(cursor.fetchone()[1])

    before = selects()
    events()
    for number in range(20):
        cursor.execute("SELECT %s", (number,))
        cursor.fetchall()
    assert len(queries(events)) == 20
    assert selects() == before + 20


async def test_statements_belong_to_the_request_whose_thread_sends_them(
    connection: Any, client: Client, events: Events, in_request: InRequest
) -> None:
    owners: dict[str, str] = {}
    mine: list[str] = []

    def work(number: int, *, own: bool) -> None:
        made = connect()
        if own:
            with in_request() as owner:
                owners[f"t{number}"] = owner.id
                made.cursor().execute(f"SELECT 1 AS t{number}")
        else:
            made.cursor().execute(f"SELECT 1 AS t{number}")
        made.close()

    threads = [threading.Thread(target=work, args=(number,), kwargs={"own": True}) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with in_request() as owner:
        await asyncio.gather(*(asyncio.to_thread(work, number, own=False) for number in range(5, 10)))
        mine.append(owner.id)
    found = {event["data"]["sql"].split()[-1]: event["parentId"] for event in events("db.query")}
    assert found == {**owners, **{f"t{number}": mine[0] for number in range(5, 10)}}


def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events, reachable: Callable[[str, int], None]) -> None:
    reachable("MariaDB", 3306)
    engine = sa.create_engine("mysql+mysqldb://root@127.0.0.1:3306/test", pool_pre_ping=True)
    with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    with engine.begin() as on:
        assert on.execute(sa.text("SELECT 1")).scalar() == 1
    raw: Any = engine.raw_connection()
    raw.cursor().execute("SELECT 2")
    raw.close()
    engine.dispose()
    assert [data["source"] for data in queries(events)] == ["sqlalchemy", "MySQLdb"]


def test_what_pymysql_installs_under_the_name_is_pymysqls(
    client: Client, monkeypatch: pytest.MonkeyPatch, events: Events, reachable: Callable[[str, int], None]
) -> None:
    reachable("MariaDB", 3306)
    client.patches.restore()
    monkeypatch.setitem(sys.modules, "MySQLdb", pymysql)
    client.patches.arm()
    with pymysql.connect(host="127.0.0.1", user="root", database="test") as made, made.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert [data["source"] for data in queries(events)] == ["pymysql"]


def test_shutdown_puts_every_original_back(client: Client, connection: Any, events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (cursors.BaseCursor, "execute"),
        (cursors.BaseCursor, "executemany"),
        (connections.Connection, "query"),
        (connections.Connection, "begin"),
    ]
    originals = [vars(holder)[name].__wrapped__ for holder, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
    assert "commit" not in vars(connections.Connection)
    assert "fetchone" not in vars(cursors.SSCursor)
    connection.cursor().execute("SELECT 1")
    connection.commit()
    assert events() == []
