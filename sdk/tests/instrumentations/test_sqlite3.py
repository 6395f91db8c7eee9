"""sqlite3: statements of plain connections, which stay what they are."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
import sqlite3.dbapi2
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

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
def connection(client: Client) -> Iterator[sqlite3.Connection]:
    """A table `t` of ten numbers; its making is not among the events."""
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        made.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"n{n}") for n in range(10)])
        made.commit()
        client.buffer.records.clear()
        yield made


def test_one_event_for_each_way_to_execute(connection: sqlite3.Connection, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        assert cursor.execute("SELECT * FROM t WHERE id < ?", (3,)) is cursor
        here = line() - 1
        assert len(cursor.fetchall()) == 3
        assert len(connection.execute("SELECT * FROM t WHERE id < ?", (4,)).fetchall()) == 4
        there = line() - 1
        assert sum(1 for _ in connection.execute("SELECT id FROM t")) == 10
        connection.executescript("CREATE TABLE u (x); INSERT INTO u VALUES (1);")
        assert connection.execute("DELETE FROM t WHERE id > 7").rowcount == 2
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data.get("rowCount") for data in datas] == [3, 4, 10, None, 2]
    assert [data["callsite"]["line"] for data in datas[:2]] == [here, there]
    assert {data["source"] for data in datas} == {"sqlite3"}
    assert {data["system"] for data in datas} == {"sqlite"}
    assert len({data["connectionId"] for data in datas}) == 1
    assert (datas[0]["operation"], datas[0]["table"]) == ("SELECT", "t")
    assert datas[0]["shapeHash"] == datas[1]["shapeHash"]
    assert datas[0]["paramsHash"] != datas[1]["paramsHash"]
    assert datas[0]["fetchMs"] >= 0


def test_rows_are_counted_as_they_are_read(connection: sqlite3.Connection, in_request: InRequest, only: Only) -> None:
    with in_request():
        cursor = connection.execute("SELECT * FROM t")
        assert cursor.fetchone() == (0, "n0")
        assert len(cursor.fetchmany(4)) == 4
        assert next(cursor) == (5, "n5")
        cursor.close()
    assert only()["rowCount"] == 6
    with in_request():
        assert connection.execute("SELECT * FROM t").fetchone() == (0, "n0")
    assert only()["rowCount"] == 1
    with in_request():
        cursor.connection.execute("SELECT 1 WHERE 0").fetchone()
    assert only()["rowCount"] == 0


def test_a_row_that_cannot_be_made_fails_its_statement(connection: sqlite3.Connection, in_request: InRequest, only: Only) -> None:
    with in_request():
        cursor = connection.execute("SELECT abs(id - 9223372036854775807 - 1) FROM t ORDER BY id DESC")
        with pytest.raises(sqlite3.OperationalError, match="integer overflow"):
            cursor.fetchall()
    assert only()["error"] == "OperationalError: integer overflow"


def test_failures_are_recorded_and_stay_themselves(connection: sqlite3.Connection, in_request: InRequest, only: Only) -> None:
    with in_request():
        with pytest.raises(sqlite3.OperationalError) as wrong:
            connection.execute("SELECT nonsense FROM nowhere")
        here = line() - 1
    data = only()
    assert data["error"] == "OperationalError: no such table: nowhere"
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    with pytest.raises(sqlite3.IntegrityError):
        connection.executemany("INSERT INTO t VALUES (?, ?)", iter([(1, "again")]))
    assert "batchSize" not in only()
    with contextlib.closing(sqlite3.connect(":memory:")) as closed:
        cursor = closed.cursor()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        cursor.execute("SELECT 1")
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        closed.execute("SELECT 1")
    with pytest.raises(TypeError):
        connection.execute()  # type: ignore[call-arg]


def test_batches_and_transactions(connection: sqlite3.Connection, events: Events) -> None:
    connection.execute("SELECT 1").fetchall()
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(20, "a"), (21, "b")])
    connection.execute("SAVEPOINT inner")
    connection.execute("UPDATE t SET name = 'c' WHERE id = 20")
    connection.execute("RELEASE inner")
    connection.commit()
    here = line() - 1
    with connection:
        there = line() - 1
        connection.execute("UPDATE t SET name = 'd' WHERE id = 20")
    connection.execute("SELECT 1").fetchall()
    datas = [event["data"] for event in events()]
    assert (datas[1]["batchSize"], datas[1]["rowCount"]) == (2, 2)
    marks = [data.get("transactionMark") for data in datas]
    assert marks == [None, None, "savepoint", None, "release", "commit", None, "commit", None]
    names = [data.get("transactionId") for data in datas]
    assert names[0] is names[8] is None
    assert len(set(names[1:6])) == 1
    assert names[1] != names[6] == names[7] != None  # noqa: E711
    assert (datas[5]["sql"], datas[5]["callsite"]["line"], datas[5]["source"]) == ("COMMIT", here, "sqlite3")
    # Where the block is left: its first line, on 3.10 its last.
    assert datas[7]["callsite"]["line"] in (there, there + 2)


def test_marks(connection: sqlite3.Connection, transactions: Transactions) -> None:
    connection.execute("UPDATE t SET name = 'd' WHERE id = 1")
    connection.rollback()
    with pytest.raises(sqlite3.IntegrityError), connection:
        connection.execute("INSERT INTO t VALUES (1, 'again')")
    # Nothing is open.
    connection.execute("SELECT 1").fetchall()
    connection.commit()
    connection.rollback()
    with connection:
        pass
    connection.isolation_level = None
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("SELECT 1").fetchall()
    connection.commit()
    connection.isolation_level = "DEFERRED"
    connection.execute("UPDATE t SET name = 'd' WHERE id = 1")
    connection.close()
    assert transactions() == [
        *("UPDATE 1", "rollback 1", "INSERT 2 failed", "rollback 2"),
        *("SELECT -", "begin 3", "SELECT 3", "commit 3"),
        "UPDATE 4",
    ]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="connections have no `autocommit` before Python 3.12")
def test_modes_of_autocommit(client: Client, transactions: Transactions) -> None:
    connect: Any = sqlite3.connect
    with contextlib.closing(connect(":memory:", autocommit=False)) as manual:
        manual.execute("CREATE TABLE t (id INTEGER)")
        manual.commit()
        with manual:
            manual.execute("INSERT INTO t VALUES (1)")
        manual.execute("SELECT * FROM t").fetchall()
        manual.rollback()
        manual.rollback()
    assert transactions() == ["OTHER 1", "commit 1", "INSERT 2", "commit 2", "SELECT 3", "rollback 3"]
    with contextlib.closing(connect(":memory:", autocommit=True)) as auto:
        auto.execute("CREATE TABLE t (id INTEGER)")
        auto.commit()
        auto.execute("BEGIN")
        # Does nothing.
        auto.commit()
        with auto:
            auto.execute("INSERT INTO t VALUES (1)")
        auto.execute("COMMIT")
    assert transactions() == ["OTHER -", "begin 1", "INSERT 1", "commit 1"]


def test_a_commit_may_fail(connection: sqlite3.Connection, transactions: Transactions, events: Events) -> None:
    connection.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE u (t INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);"
    )
    connection.execute("INSERT INTO u VALUES (-1)")
    events()
    with pytest.raises(sqlite3.IntegrityError) as wrong:
        connection.commit()
    assert wrong.value.__context__ is None
    (failed,) = events()
    assert failed["data"]["error"] == "IntegrityError: FOREIGN KEY constraint failed"
    # With SQLite the transaction is still open.
    connection.execute("UPDATE u SET t = 1")
    connection.commit()
    with pytest.raises(sqlite3.IntegrityError), connection:
        connection.execute("INSERT INTO u VALUES (-1)")
    assert transactions() == ["UPDATE 1", "commit 1", "INSERT 2", "commit 2 failed"]


def test_the_library_is_what_it_was(connection: sqlite3.Connection, tmp_path: Path) -> None:
    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(connection.cursor(), sqlite3.Cursor)
    assert type(connection).__name__ == "Connection"
    assert repr(connection).startswith("<sqlite3.Connection object")
    connection.row_factory = sqlite3.Row
    assert connection.execute("SELECT name FROM t").fetchone()["name"] == "n0"
    connection.row_factory = None
    with contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy:
        connection.backup(copy)
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (10,)
        assert any(text.startswith('INSERT INTO "t"') for text in copy.iterdump())
    connection.create_function("double", 1, lambda x: x * 2)
    assert connection.execute("SELECT double(id) FROM t WHERE id = 4").fetchone() == (8,)
    other = connection.cursor()
    iterator = iter(other)
    assert iterator is other


class OwnConnection(sqlite3.Connection):
    pass


class OwnCursor(sqlite3.Cursor):
    pass


def test_what_the_app_makes_is_left_alone(client: Client, connection: sqlite3.Connection, events: Events) -> None:
    with contextlib.closing(sqlite3.connect(":memory:", factory=OwnConnection)) as own:
        assert type(own) is OwnConnection
        assert type(own.execute("SELECT 1")) is sqlite3.Cursor
    assert type(connection.cursor(OwnCursor)) is OwnCursor
    assert type(connection.cursor(factory=OwnCursor)) is OwnCursor
    assert events() == []
    with contextlib.closing(sqlite3.dbapi2.connect(":memory:")) as other:
        other.execute("SELECT 1").fetchall()
    assert len(events()) == 1


def test_one_record_where_sqlalchemy_sits_on_it(client: Client, events: Events) -> None:
    sa: Any = pytest.importorskip("sqlalchemy")
    engine = sa.create_engine("sqlite://")
    with engine.begin() as on:
        on.execute(sa.text("SELECT 1")).all()
        assert type(on.connection.dbapi_connection) is sqlite3.Connection
    engine.dispose()
    assert {event["data"]["source"] for event in events()} == {"sqlalchemy"}


@pytest.mark.failures
def test_what_fails_on_our_side_is_not_the_apps(
    client: Client, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("brakit.callsite.find", broken)
    assert len(connection.execute("SELECT * FROM t").fetchall()) == 10
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT nonsense FROM nowhere")
    assert client.failures.counts == {"sqlite3:Cursor.execute": 2}
    assert not client.buffer.records
    monkeypatch.undo()
    connection.execute("DELETE FROM t")
    client.buffer.records.clear()
    monkeypatch.setattr("brakit.callsite.find", broken)
    connection.commit()
    assert not connection.in_transaction
    assert client.failures.counts["sqlite3:Connection.commit"] == 1
    assert not client.buffer.records
    monkeypatch.undo()
    connection.execute("SELECT 1")
    assert len(client.buffer.records) == 1


def test_nothing_is_kept_alive(in_request: InRequest, only: Only) -> None:
    def work() -> list[weakref.ref[Any]]:
        with contextlib.closing(sqlite3.connect(":memory:")) as made:
            cursor = made.execute("SELECT 1 UNION SELECT 2")
            cursor.fetchone()
            return [weakref.ref(made), weakref.ref(cursor)]

    with in_request():
        refs = work()
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
        assert only()["rowCount"] == 1


def test_shutdown_puts_the_originals_back(client: Client, connection: sqlite3.Connection, events: Events) -> None:
    original = sqlite3.connect.__wrapped__  # type: ignore[attr-defined]
    client.shutdown(0.0)
    assert sqlite3.connect is sqlite3.dbapi2.connect is original
    assert len(connection.execute("SELECT * FROM t").fetchall()) == 10
    with contextlib.closing(sqlite3.connect(":memory:")) as plain:
        assert type(plain) is sqlite3.Connection
    assert events() == []


def test_importing_brakit_first_is_all_it_takes(py: Any) -> None:
    ran = py(
        """
import brakit
import sys

assert "sqlite3" not in sys.modules
import sqlite3

connection = sqlite3.connect(":memory:")
connection.execute("SELECT 1").fetchall()
connection.close()
client = brakit.client.current()
print([record.data["sql"] for record in client.buffer.records], client.failures.first, "sqlite3" in client.patches.versions)
""",
        BRAKIT_PORT="9",
    )
    assert (ran.stdout, ran.stderr) == ("['SELECT 1'] {} True\n", "")
