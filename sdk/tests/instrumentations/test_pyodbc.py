"""pyodbc: statements of connections that stay pyodbc's own for the app, through real ODBC drivers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

pyodbc: Any = pytest.importorskip("pyodbc", reason="pyodbc is not installed", exc_type=ImportError)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]

DATABASES = {
    "sqlite": ("SQLite3", "DATABASE=:memory:", 0),
    "postgresql": ("PostgreSQL Unicode", "SERVER=127.0.0.1;UID=postgres;DATABASE=test", 5432),
    "mariadb": ("MariaDB Unicode", "SERVER=127.0.0.1;UID=root;DATABASE=test", 3306),
}


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture(params=DATABASES)
def system(request: pytest.FixtureRequest, reachable: Callable[[str, int], None]) -> str:
    name: str = request.param
    driver, _, port = DATABASES[name]
    if driver not in pyodbc.drivers():
        pytest.skip(f"no ODBC driver {driver!r} is installed")
    if port:
        reachable(driver.partition(" ")[0], port)
    return name


@pytest.fixture
def connect(client: Client, system: str) -> Callable[..., Any]:
    def connect(**settings: Any) -> Any:
        driver, where, _ = DATABASES[system]
        return pyodbc.connect(f"DRIVER={{{driver}}};{where}", **settings)

    return connect


@pytest.fixture
def connection(connect: Callable[..., Any], client: Client) -> Iterator[Any]:
    """A temporary table `t` of ten rows; its making is not among the events."""
    made = connect()
    cursor = made.cursor()
    cursor.execute("CREATE TEMPORARY TABLE t (id INTEGER, name VARCHAR(20))")
    cursor.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"n{n}") for n in range(10)])
    made.commit()
    client.buffer.records.clear()
    yield made
    if not made.closed:
        made.close()


def test_it_stays_pyodbcs_own(connection: Any) -> None:
    assert isinstance(connection, pyodbc.Connection)
    cursor = connection.cursor()
    assert isinstance(cursor, pyodbc.Cursor)
    assert cursor.connection is connection
    connection.maxwrite = 1000
    assert connection.maxwrite == 1000
    cursor.fast_executemany = False
    assert cursor.arraysize == 1
    assert not hasattr(cursor, "callproc")
    with pytest.raises(AttributeError):
        connection.nothing  # noqa: B018
    assert repr(connection).startswith("<pyodbc.Connection")
    with connection as same:
        assert same is connection
    row = cursor.execute("SELECT id, name FROM t WHERE id = 3").fetchone()
    assert (row.id, row.name) == (3, "n3")
    assert cursor.execute("SELECT 1") is cursor


def test_one_event_for_each_way_to_execute(connection: Any, system: str, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        here = line() + 1
        assert len(cursor.execute("SELECT * FROM t WHERE id < ?", 3).fetchall()) == 3
        assert [row[0] for row in cursor.execute("SELECT id FROM t WHERE id < ? ORDER BY id", (4,))] == [0, 1, 2, 3]
        assert connection.execute("SELECT id FROM t WHERE id > ? AND id < ?", 3, 6).fetchone() is not None
        assert cursor.execute("SELECT COUNT(*) FROM t").fetchval() == 10
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(20, "a"), (21, "b")])
        cursor.execute("DELETE FROM t WHERE id > 10")
        cursor.execute("UPDATE t SET name = 'x' WHERE id < 5")
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["callsite"]["line"] for data in datas] == list(range(here, here + 7))
    # Some drivers have all rows at once and say how many; of the others those are counted that the app reads.
    assert [data.get("rowCount") for data in datas] == [3, 4, 1 if system == "sqlite" else 2, 1, None, 2, 5]
    assert datas[4]["batchSize"] == 2
    assert {(data["source"], data["system"]) for data in datas} == {("pyodbc", system)}
    assert len({data["connectionId"] for data in datas}) == len({data["transactionId"] for data in datas}) == 1
    assert datas[0]["paramsHash"] != datas[1]["paramsHash"]


def test_failures_are_recorded_and_stay_themselves(connection: Any, only: Only) -> None:
    cursor = connection.cursor()
    with pytest.raises(pyodbc.Error) as wrong:
        cursor.execute("SELECT nonsense FROM nowhere")
    here = line() - 1
    data = only()
    assert "nowhere" in data["error"]
    assert data["callsite"]["line"] == here
    assert wrong.value.__context__ is None
    connection.rollback()
    connection.close()
    only()
    with pytest.raises(pyodbc.ProgrammingError):
        cursor.execute("SELECT 1")
    assert only()["error"].startswith("ProgrammingError")


def test_transactions_have_a_name_each(connection: Any, events: Events) -> None:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (30, 'a')")
    cursor.execute("INSERT INTO t VALUES (31, 'b')")
    connection.commit()
    connection.commit()
    connection.rollback()
    cursor.execute("INSERT INTO t VALUES (32, 'c')")
    cursor.rollback()
    with connection:
        cursor.execute("INSERT INTO t VALUES (33, 'd')")
    with contextlib.suppress(KeyError), connection:
        cursor.execute("INSERT INTO t VALUES (34, 'e')")
        raise KeyError
    with connection.cursor() as other:
        other.execute("INSERT INTO t VALUES (35, 'f')")
    connection.autocommit = True
    cursor.execute("INSERT INTO t VALUES (36, 'g')")
    connection.commit()
    datas = [event["data"] for event in events()]
    marks = [data.get("transactionMark") for data in datas]
    assert marks == [None, None, "commit", None, "rollback", None, "commit", None, "rollback", None, "commit", None]
    names = [data.get("transactionId") for data in datas]
    assert len(set(names[:3])) == 1
    assert all(names[n] == names[n + 1] for n in (3, 5, 7, 9))
    assert len(set(names)) == 6
    assert names[11] is None
    assert [row[0] for row in cursor.execute("SELECT id FROM t WHERE id >= 30 ORDER BY id")] == [30, 31, 33, 35, 36]


@pytest.mark.parametrize("system", ["mariadb"], indirect=True)
def test_every_statement_reaches_the_server_once(connection: Any, events: Events) -> None:
    def selects() -> int:
        return int(connection.execute("SHOW SESSION STATUS LIKE 'Com_select'").fetchone()[1])

    before = selects()
    events()
    for number in range(20):
        assert connection.execute(f"SELECT {number}").fetchval() == number
    assert len(events()) == 20
    assert selects() == before + 20


async def test_statements_belong_to_the_request_whose_thread_sends_them(
    connect: Callable[..., Any], events: Events, in_request: InRequest
) -> None:
    owners: dict[str, str] = {}

    def work(name: str) -> None:
        with in_request() as owner:
            owners[name] = owner.id
            ask(name)

    def ask(name: str) -> None:
        made = connect()
        made.cursor().execute(f"SELECT 1 AS {name}").fetchall()
        made.close()

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with in_request() as owner:
        await asyncio.gather(*(asyncio.to_thread(ask, f"t{number}") for number in range(4, 8)))
    found = {event["data"]["sql"].split()[-1]: event["parentId"] for event in events("db.query")}
    assert found == {**owners, **{f"t{number}": owner.id for number in range(4, 8)}}


@pytest.mark.parametrize("system", ["mariadb"], indirect=True)
def test_sqlalchemys_connections_are_left_to_it(client: Client, system: str, events: Events) -> None:
    driver, where, _ = DATABASES[system]
    engine = sa.create_engine(f"mysql+pyodbc:///?odbc_connect=DRIVER={{{driver}}};{where}")
    with engine.begin() as on:
        assert on.execute(sa.text("SELECT 1")).scalar() == 1
        assert type(on.connection.dbapi_connection) is pyodbc.Connection
    engine.dispose()
    assert {event["data"]["source"] for event in events("db.query")} == {"sqlalchemy"}


def test_shutdown_leaves_open_connections_to_the_app(client: Client, connect: Callable[..., Any], events: Events) -> None:
    connection = connect()
    client.shutdown(0.0)
    assert connection.execute("SELECT 1").fetchval() == 1
    assert type(connect()) is pyodbc.Connection
    assert events() == []
