"""psycopg2: statements of its C types, which stay what its functions insist on, on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool
import pytest
import sqlalchemy as sa
from psycopg2 import sql

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

ADDRESS = "host=127.0.0.1 dbname=test user=postgres"


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
def connection(client: Client, reachable: Callable[[str, int], None]) -> Iterator[Any]:
    """A temporary table `t` of a thousand rows; its making is not among the events."""
    reachable("PostgreSQL", 5432)
    with contextlib.closing(psycopg2.connect(ADDRESS)) as made:
        with made, made.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE t AS SELECT n AS id, 'n' || n AS name FROM generate_series(0, 999) AS n")
        client.buffer.records.clear()
        yield made


def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM t WHERE id < %s", (3,))
        here = line() - 1
        assert len(cursor.fetchall()) == 3
        cursor.execute(query="SELECT * FROM t WHERE id = %(id)s", vars={"id": 4})
        assert [row[1] for row in cursor] == ["n4"]
        cursor.execute(sql.SQL("SELECT id FROM {} WHERE name = %s").format(sql.Identifier("t")), ("n5",))
        cursor.executemany("UPDATE t SET name = %s WHERE id = %s", [("a", 1), ("b", 2)])
        psycopg2.extras.execute_values(cursor, "INSERT INTO t VALUES %s", [(2000, "x"), (2001, "y")])
        cursor.copy_from(io.StringIO("2002\tz\n"), "t")
        cursor.copy_expert("COPY t TO STDOUT", io.StringIO())
        cursor.callproc("upper", ["x"])
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["rowCount"] for data in datas] == [3, 1, 1, 2, 2, 1, 1003, 1]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("psycopg2", "postgresql")}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1
    assert datas[2]["sql"].startswith('SELECT id FROM "t" WHERE name = ')
    assert "n5" not in datas[2]["sql"]
    assert datas[3]["batchSize"] == 2


def test_a_named_cursor_stays_lazy(connection: Any, in_request: InRequest, only: Only) -> None:
    with in_request(), connection.cursor("some") as cursor:
        cursor.itersize = 10
        cursor.execute("SELECT * FROM t")
        assert next(cursor) == (0, "n0")
        assert len(cursor.fetchmany(14)) == 14
    assert only()["rowCount"] == 15
    with in_request(), connection.cursor("other", cursor_factory=psycopg2.extras.DictCursor) as cursor:
        cursor.execute("SELECT * FROM t")
        assert len(cursor.fetchall()) == 1000
    assert only()["rowCount"] == 1000


def test_types_are_what_the_library_insists_on(connection: Any) -> None:
    assert isinstance(connection, psycopg2.extensions.connection)
    cursor = connection.cursor()
    assert isinstance(cursor, psycopg2.extensions.cursor)
    assert psycopg2.extensions.quote_ident("a b", connection) == '"a b"'
    assert psycopg2.extensions.quote_ident("a b", cursor) == '"a b"'
    psycopg2.extras.register_default_jsonb(connection)
    extras: Any = psycopg2.extras
    extras.register_uuid(None, connection)
    cursor.execute("SELECT '{\"a\": 1}'::jsonb")
    assert cursor.fetchone() == ({"a": 1},)
    assert sql.SQL("SELECT {}").format(sql.Literal("x")).as_string(connection) == "SELECT 'x'"
    assert repr(cursor).startswith("<cursor object")


class OwnConnection(psycopg2.extensions.connection):
    pass


class OwnCursor(psycopg2.extensions.cursor):
    def execute(self, query: Any, vars: Any = None) -> None:
        super().execute(query, vars)


def test_factories_of_the_app_are_its_own_and_seen_once(client: Client, connection: Any, events: Events) -> None:
    extras: Any = psycopg2.extras
    for cursor_class in (extras.DictCursor, extras.RealDictCursor, extras.NamedTupleCursor, OwnCursor):
        with connection.cursor(cursor_factory=cursor_class) as cursor:
            assert isinstance(cursor, cursor_class)
            assert type(cursor).__name__ == cursor_class.__name__
            cursor.execute("SELECT 1 AS one")
            assert len(cursor.fetchall()) == 1
        assert len(events()) == 1
    with contextlib.closing(psycopg2.connect(ADDRESS, connection_factory=OwnConnection, cursor_factory=OwnCursor)) as own:
        assert isinstance(own, OwnConnection)
        cursor = own.cursor()
        assert isinstance(cursor, OwnCursor)
        cursor.execute("SELECT 1")
        assert len(events()) == 1
    with contextlib.closing(psycopg2.connect(ADDRESS, connection_factory=extras.LoggingConnection)) as logging:
        log = io.StringIO()
        logging.initialize(log)
        cursor = logging.cursor()
        assert isinstance(cursor, extras.LoggingCursor)
        cursor.execute("SELECT 1")
        assert "SELECT 1" in log.getvalue()
        assert len(events()) == 1
    with contextlib.closing(psycopg2.connect(ADDRESS, connection_factory=extras.RealDictConnection)) as dicts:
        cursor = dicts.cursor()
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchone()["one"] == 1
        assert len(events()) == 1


def test_failures_are_recorded_and_stay_themselves(connection: Any, in_request: InRequest, only: Only) -> None:
    cursor = connection.cursor()
    with in_request():
        with pytest.raises(psycopg2.errors.UndefinedTable) as wrong:
            cursor.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"].startswith('UndefinedTable: relation "nowhere"')
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    connection.rollback()
    assert only()["transactionMark"] == "rollback"
    with pytest.raises(psycopg2.errors.BadCopyFileFormat):
        cursor.copy_from(io.StringIO("1\t2\t3\n"), "t")
    assert only()["error"].startswith("BadCopyFileFormat")
    connection.close()
    with pytest.raises(psycopg2.InterfaceError):
        cursor.execute("SELECT 1")
    assert only()["error"].startswith("InterfaceError")


def test_transactions_have_a_name_and_marks_each(connection: Any, events: Events, transactions: Transactions) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    cursor.execute("SAVEPOINT one")
    connection.commit()
    here = line() - 1
    data = events()[-1]["data"]
    assert (data["sql"], data["callsite"]["line"], data["source"]) == ("COMMIT", here, "psycopg2")
    with connection:
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.errors.DivisionByZero), connection:
        cursor.execute("SELECT 1 / 0")
    cursor.execute("SELECT 1")
    connection.rollback()
    # Nothing is open: nothing is sent.
    connection.commit()
    connection.rollback()
    with connection:
        pass
    connection.autocommit = True
    cursor.execute("SELECT 1")
    connection.commit()
    cursor.execute("BEGIN")
    # Does nothing.
    connection.commit()
    cursor.execute("SELECT 1")
    cursor.execute("COMMIT")
    assert transactions() == [
        *("SELECT 1", "commit 1"),
        *("SELECT 2 failed", "rollback 2"),
        *("SELECT 3", "rollback 3"),
        "SELECT -",
        *("begin 4", "SELECT 4", "commit 4"),
    ]
    cursor.execute("SELECT 1")
    connection.close()
    assert transactions() == ["SELECT -"]


def test_a_commit_may_fail(connection: Any, transactions: Transactions) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    connection.commit()
    transactions()
    cursor.execute("INSERT INTO d VALUES (1), (1)")
    with pytest.raises(psycopg2.errors.UniqueViolation) as wrong:
        connection.commit()
    assert wrong.value.__context__ is None
    connection.rollback()
    with pytest.raises(psycopg2.errors.UniqueViolation), connection:
        cursor.execute("INSERT INTO d VALUES (1), (1)")
    assert transactions() == ["INSERT 1", "commit 1 failed", "INSERT 2", "commit 2 failed"]


def test_a_pool(client: Client, events: Events, transactions: Transactions, reachable: Callable[[str, int], None]) -> None:
    reachable("PostgreSQL", 5432)
    pools: Any = psycopg2.pool
    for kind in (pools.SimpleConnectionPool, pools.ThreadedConnectionPool):
        pool = kind(1, 1, ADDRESS)
        connection = pool.getconn()
        connection.cursor().execute("SELECT 1")
        with pytest.raises(pools.PoolError):
            pool.getconn()
        here = line() - 1
        # What it rolls back, it rolls back for itself.
        pool.putconn(connection)
        query, span = events()
        assert query["data"]["operation"] == "SELECT"
        data = span["data"]
        assert (data["name"], data["callsite"]["line"]) == ("wait for a connection", here)
        assert data["error"] == "PoolError: connection pool exhausted"
        connection = pool.getconn()
        connection.cursor().execute("SELECT 1")
        connection.commit()
        assert transactions() == ["SELECT 1", "commit 1"]
        pool.closeall()


def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events, reachable: Callable[[str, int], None]) -> None:
    reachable("PostgreSQL", 5432)
    engine = sa.create_engine("postgresql+psycopg2://postgres@127.0.0.1:5432/test", pool_pre_ping=True)
    with engine.begin():
        assert {event["data"]["source"] for event in events()} <= {"sqlalchemy"}
    with engine.begin() as on:
        assert on.execute(sa.text("SELECT 1")).scalar() == 1
    raw: Any = engine.raw_connection()
    raw.cursor().execute("SELECT 2")
    raw.close()
    engine.dispose()
    found = [event["data"] for event in events()]
    assert [data["source"] for data in found if "transactionMark" not in data] == ["sqlalchemy", "psycopg2"]
    assert {data["source"] for data in found if "transactionMark" in data} <= {"sqlalchemy"}


@pytest.mark.failures
def test_what_fails_on_our_side_is_not_the_apps(client: Client, connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("brakit.callsite.find", broken)
    cursor = connection.cursor()
    cursor.execute("SELECT * FROM t")
    assert len(cursor.fetchall()) == 1000
    with pytest.raises(psycopg2.errors.UndefinedTable):
        cursor.execute("SELECT nonsense FROM nowhere")
    assert client.failures.counts == {"psycopg2:cursor.execute": 2}
    monkeypatch.setattr("brakit.instrumentations.psycopg2.ordinary", broken)
    assert type(connection.cursor()) is psycopg2.extensions.cursor
    with contextlib.closing(psycopg2.connect(ADDRESS)) as plain:
        assert type(plain) is psycopg2.extensions.connection
    assert not client.buffer.records


def test_shutdown_puts_the_original_back(client: Client, connection: Any, events: Events) -> None:
    original: Any = psycopg2.connect.__wrapped__  # type: ignore[attr-defined]
    client.shutdown(0.0)
    assert psycopg2.connect is original
    cursor = connection.cursor()
    assert type(cursor) is psycopg2.extensions.cursor
    cursor.execute("SELECT 1")
    assert events() == []
