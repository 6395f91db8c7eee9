"""PyMySQL: statements of every kind of cursor, on a real MariaDB."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.connections
import pymysql.cursors
import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
def connection(client: Client, reachable: Callable[[str, int], None]) -> Iterator[Any]:
    """A temporary table `t` of a hundred rows; its making is not among the events."""
    reachable("MariaDB", 3306)
    made = pymysql.connect(host="127.0.0.1", user="root", database="test")
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
        dicts = connection.cursor(pymysql.cursors.DictCursor)
        dicts.execute(query="SELECT * FROM t WHERE id = %(id)s", args={"id": 4})
        assert dicts.fetchone() == {"id": 4, "name": "n4"}
        assert cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(200, "a"), (201, "b")]) == 2
        assert cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("c", 1), ("d", 2), ("e", 3)]) == 3
        assert cursor.executemany("INSERT INTO t VALUES (%s, %s)", []) is None
        cursor.execute("DELETE FROM t WHERE id < 10")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["rowCount"] for data in datas] == [3, 1, 2, 3, 10]
    assert [data.get("batchSize") for data in datas] == [None, None, 2, 3, None]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("pymysql", "mariadb")}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1
    assert datas[0]["paramsHash"] != datas[1]["paramsHash"]


def test_an_unbuffered_cursor_stays_lazy(connection: Any, in_request: InRequest, only: Only) -> None:
    for cursor_class in (pymysql.cursors.SSCursor, pymysql.cursors.SSDictCursor):
        with in_request(), connection.cursor(cursor_class) as cursor:
            cursor.execute("SELECT * FROM t")
            assert len(cursor.fetchmany(4)) == 4
            assert len(list(cursor)) == 96
        assert only()["rowCount"] == 100
        with in_request(), connection.cursor(cursor_class) as cursor:
            cursor.execute("SELECT * FROM t")
            assert len(cursor.fetchall()) == 100
        assert only()["rowCount"] == 100


def test_failures_are_recorded_and_stay_themselves(connection: Any, in_request: InRequest, only: Only) -> None:
    cursor = connection.cursor()
    with in_request():
        with pytest.raises(pymysql.ProgrammingError) as wrong:
            cursor.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"].startswith("ProgrammingError: (1146")
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    with pytest.raises(pymysql.OperationalError):
        cursor.callproc("nowhere", (1,))
    data = only()
    assert data["error"].startswith("OperationalError")
    assert data["sql"] == "CALL nowhere"
    connection.close()
    with pytest.raises(pymysql.InterfaceError):
        cursor.execute("SELECT 1")
    assert only()["error"].startswith("InterfaceError")


def test_transactions_have_a_name_and_marks_each(connection: Any, events: Events, transactions: Transactions) -> None:
    cursor = connection.cursor()
    cursor.execute("UPDATE t SET name = 'a' WHERE id = 1")
    cursor.execute("SAVEPOINT one")
    connection.commit()
    here = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"], data["source"]) == ("COMMIT", here, "pymysql")
    # No statement has run since.
    connection.commit()
    connection.rollback()
    connection.begin()
    cursor.execute("UPDATE t SET name = 'b' WHERE id = 1")
    connection.rollback()
    cursor.execute("SELECT * FROM t")
    connection.autocommit(True)
    cursor.execute("SELECT * FROM t")
    connection.commit()
    connection.begin()
    cursor.execute("SELECT * FROM t")
    connection.commit()
    cursor.execute("SELECT * FROM t")
    assert transactions() == [
        *("begin 1", "UPDATE 1", "rollback 1"),
        *("SELECT 2", "SELECT -"),
        *("begin 3", "SELECT 3", "commit 3"),
        "SELECT -",
    ]


COUNTED = ("begin", "commit", "rollback", "savepoint", "release_savepoint", "rollback_to_savepoint")


def test_each_mark_is_what_the_server_has_counted(connection: Any, events: Events, in_request: InRequest) -> None:
    def counts() -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Com\\_%'")
            return {name[4:].lower(): int(number) for name, number in cursor.fetchall()}

    before = counts()
    cursor = connection.cursor()
    with in_request() as owner:
        for number in range(12):
            connection.begin()
            cursor.execute("SAVEPOINT one")
            cursor.execute("UPDATE t SET name = 'a' WHERE id = 1")
            cursor.execute("RELEASE SAVEPOINT one" if number % 2 else "ROLLBACK TO SAVEPOINT one")
            if number % 3:
                connection.commit()
            else:
                connection.rollback()
        cursor.execute("SELECT 1")
        connection.commit()
    after = counts()
    marks = [
        event["data"]["transactionMark"]
        for event in events()
        if event.get("parentId") == owner.id and "transactionMark" in event["data"]
    ]
    names = {"release_savepoint": "release", "rollback_to_savepoint": "rollback_to"}
    assert {name: marks.count(names.get(name, name)) for name in COUNTED} == {
        name: after[name] - before[name] for name in COUNTED
    }
    assert len(marks) == 12 * 4 + 1


def test_a_commit_may_fail(connection: Any, transactions: Transactions) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    killer: Any = pymysql.connect(host="127.0.0.1", user="root", database="test")
    killer.kill(connection.thread_id())
    killer.close()
    with pytest.raises(pymysql.OperationalError) as wrong:
        connection.commit()
    assert sum("<brakit.guard>" in str(frame.path) for frame in wrong.traceback) == 1
    assert transactions() == ["SELECT 1", "commit 1 failed"]


def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events, reachable: Callable[[str, int], None]) -> None:
    reachable("MariaDB", 3306)
    engine = sa.create_engine("mysql+pymysql://root@127.0.0.1:3306/test", pool_pre_ping=True)
    with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    with engine.begin() as on:
        assert on.execute(sa.text("SELECT 1")).scalar() == 1
    raw: Any = engine.raw_connection()
    raw.cursor().execute("SELECT 2")
    raw.close()
    engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if "transactionMark" not in data] == ["sqlalchemy", "pymysql"]
    assert {data["source"] for data in found if "transactionMark" in data} <= {"sqlalchemy"}


def test_shutdown_puts_every_original_back(client: Client, connection: Any, events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (pymysql.cursors.Cursor, "execute"),
        (pymysql.cursors.Cursor, "executemany"),
        (pymysql.cursors.SSCursor, "fetchone"),
        (pymysql.connections.Connection, "commit"),
    ]
    originals = [vars(holder)[name].__wrapped__ for holder, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
    connection.cursor().execute("SELECT 1")
    assert events() == []
