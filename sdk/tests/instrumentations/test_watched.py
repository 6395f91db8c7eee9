"""Any DB-API driver: a connection that the app has asked to be watched, of a driver without and of one with an instrumentation."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pg8000.dbapi  # type: ignore[import-untyped]
import pytest

import brakit
from brakit.instrumentations._watched import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Only = Callable[[], Json]
    Events = Callable[..., list[Json]]
    InRequest = Callable[[], AbstractContextManager[Owner]]


class Unwatched(sqlite3.Connection):
    """A connection that the instrumentation of sqlite3 leaves alone."""


@pytest.fixture
def connection(client: Client) -> Iterator[Any]:
    with contextlib.closing(sqlite3.connect(":memory:", factory=Unwatched)) as plain:
        plain.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        plain.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
        yield watch(client, plain, "sqlite", "any")


def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        assert cursor.execute("SELECT * FROM t WHERE id < ?", (3,)) is cursor
        here = sys._getframe().f_lineno - 1
        assert cursor.fetchall() == [(0,), (1,), (2,)]
        assert cursor.connection is connection
        assert [row[0] for row in cursor.execute("SELECT * FROM t")] == list(range(10))
        assert len(connection.execute("SELECT * FROM t").fetchmany(4)) == 4
        connection.commit()
        connection.commit()
        cursor.executemany("INSERT INTO t VALUES (?)", [(20,), (21,)])
        with connection:
            assert connection.execute("DELETE FROM t WHERE id > 15").rowcount == 2
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    committed = datas.pop(3)
    assert (committed["transactionMark"], committed["callsite"]["line"]) == ("commit", here + 6)
    assert [data["rowCount"] for data in datas] == [3, 10, 4, 2, 2]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("any", "sqlite")}
    assert len({data["connectionId"] for data in datas}) == 1
    assert datas[3]["batchSize"] == 2


def test_rows_are_counted_however_they_are_read(connection: Any, only: Only, in_request: InRequest) -> None:
    cursor = connection.cursor()
    with in_request():
        cursor.execute("SELECT id FROM t ORDER BY id")
        for row in cursor:
            if row[0] == 2:
                break
        assert next(cursor) == (3,)
        assert cursor.fetchone() == (4,)
        assert len(cursor.fetchmany(2)) == 2
        assert [row[0] for row in cursor] == [7, 8, 9]
        assert list(cursor) == []
    data = only()
    assert data["rowCount"] == 10
    assert data["fetchMs"] > 0
    with in_request():
        cursor.execute("SELECT id FROM t")
        next(iter(cursor))
    assert only()["rowCount"] == 1


def test_failures_are_recorded_and_stay_themselves(connection: Any, events: Events) -> None:
    with pytest.raises(sqlite3.OperationalError) as wrong:
        connection.cursor().execute("SELECT nonsense FROM nowhere")
    assert wrong.value.__context__ is None
    (event,) = events()
    assert event["data"]["error"] == "OperationalError: no such table: nowhere"


def test_the_rest_is_the_drivers(client: Client, connection: Any, events: Events) -> None:
    connection.row_factory = sqlite3.Row
    assert connection.row_factory is sqlite3.Row
    assert connection.total_changes == 10
    assert repr(connection).startswith("<")
    with pytest.raises(AttributeError):
        connection.nothing  # noqa: B018
    cursor = connection.cursor()
    cursor.arraysize = 7
    assert cursor.arraysize == 7
    cursor.close()
    events()
    client.shutdown(0.0)
    assert len(connection.execute("SELECT * FROM t").fetchall()) == 10
    assert events() == []


@pytest.fixture
def server(client: Client, reachable: Callable[[str, int], None]) -> Iterator[Any]:
    """A connection to PostgreSQL through pg8000, with a temporary table `t` of ten numbers; its making is not among the events."""
    reachable("PostgreSQL", 5432)
    plain = pg8000.dbapi.connect(user="postgres", host="127.0.0.1", database="test")
    cursor = plain.cursor()
    cursor.execute("CREATE TEMPORARY TABLE t AS SELECT generate_series(0, 9) AS id")
    plain.commit()
    client.buffer.records.clear()
    yield brakit.dbapi(plain, "postgresql")
    plain.close()


def test_a_driver_that_is_not_known(server: Any, events: Events, in_request: InRequest) -> None:
    assert isinstance(server, pg8000.dbapi.Connection)
    with in_request() as owner:
        cursor = server.cursor()
        assert isinstance(cursor, pg8000.dbapi.Cursor)
        cursor.execute("SELECT id FROM t WHERE id < %s ORDER BY id", (3,))
        here = sys._getframe().f_lineno - 1
        assert list(cursor.fetchall()) == [[0], [1], [2]]
        cursor.execute("SELECT id FROM t ORDER BY id")
        assert [row[0] for row in cursor] == list(range(10))
        cursor.executemany("INSERT INTO t VALUES (%s)", [(20,), (21,)])
        server.commit()
        server.rollback()
        with pytest.raises(pg8000.dbapi.DatabaseError) as wrong:
            cursor.execute("SELECT nonsense")
        server.rollback()
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas[:3]] == [3, 10, 2]
    assert [data.get("transactionMark") for data in datas] == [None, None, None, "commit", None, "rollback"]
    assert {(data["source"], data["system"]) for data in datas} == {("pg8000", "postgresql")}
    assert datas[0]["callsite"]["line"] == here
    assert datas[4]["error"].startswith("DatabaseError")
    assert "nonsense" in str(wrong.value)


def test_every_statement_reaches_the_server_once(server: Any, events: Events) -> None:
    cursor = server.cursor()
    cursor.execute("CREATE TEMPORARY SEQUENCE watched")
    events()
    for number in range(1, 6):
        cursor.execute("SELECT nextval('watched')")
        assert cursor.fetchone() == [number]
    assert len(events()) == 5


def test_one_record_where_the_driver_is_known(client: Client, events: Events) -> None:
    with contextlib.closing(brakit.dbapi(sqlite3.connect(":memory:"), "sqlite", "mine")) as connection:
        assert isinstance(connection, sqlite3.Connection)
        assert connection.execute("SELECT 1 UNION SELECT 2").fetchall() == [(1,), (2,)]
        cursor = connection.cursor()
        assert [row[0] for row in cursor.execute("SELECT 1 UNION SELECT 2")] == [1, 2]
        assert cursor.execute("SELECT 1").fetchall() == [(1,)]
        connection.commit()
        assert brakit.dbapi(connection) is connection
    datas = [event["data"] for event in events()]
    assert [data["source"] for data in datas] == ["mine"] * 4
    assert [data.get("rowCount") for data in datas] == [2, 2, 1, None]
    assert [data["sql"] for data in datas] == ["SELECT ? UNION SELECT ?"] * 2 + ["SELECT ?", "COMMIT"]


class Shortcuts:
    """A driver whose connection is its own cursor, as that of DuckDB; it counts how often it is asked."""

    description = None
    rowcount = -1

    def __init__(self) -> None:
        self.calls = 0

    def cursor(self) -> Shortcuts:
        return Shortcuts()

    def execute(self, statement: str) -> Shortcuts:
        self.calls += 1
        return self

    def fetchall(self) -> list[tuple[int]]:
        return [(1,)]


def test_a_connection_that_is_its_own_cursor(client: Client, only: Only) -> None:
    plain = Shortcuts()
    connection = brakit.dbapi(plain)
    assert connection.execute("SELECT 1") is connection
    assert connection.fetchall() == [(1,)]
    assert plain.calls == 1
    assert only()["sql"] == "SELECT ?"
    assert not hasattr(connection, "executemany")
    assert not hasattr(connection, "commit")
    assert not hasattr(connection.cursor(), "callproc")


def test_what_is_no_connection_comes_back_as_it_is(client: Client) -> None:
    for thing in (None, 1, "text", object()):
        assert brakit.dbapi(thing) is thing


def test_switched_off_it_is_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brakit.client._client", None)
    with contextlib.closing(sqlite3.connect(":memory:")) as plain:
        assert brakit.dbapi(plain, "sqlite") is plain
