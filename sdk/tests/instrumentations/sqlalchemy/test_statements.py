"""SQLAlchemy: each statement once, with what is known of it, and nothing of the app's changed."""

from __future__ import annotations

import concurrent.futures
import gc
import sqlite3
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.base import Connection, Engine, RootTransaction, TwoPhaseTransaction
from sqlalchemy.engine.cursor import CursorFetchStrategy, CursorResult
from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]


SYSTEMS = {"sqlite": {"sqlite"}, "postgresql": {"postgresql"}, "mysql": {"mysql", "mariadb"}}
"""What is reported for a dialect; one dialect is for two databases."""


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def test_a_statement_is_recorded_once_with_all_that_is_known(
    any_engine: sa.Engine, events: Events, in_request: InRequest, db: Any
) -> None:
    with in_request() as owner, any_engine.connect() as connection:
        names = connection.execute(sa.select(db.table.c.name).where(db.table.c.id < 4)).scalars().all()
        here = line() - 1
    event = events()[-1]
    data = event["data"]
    assert sorted(names) == ["a1", "a2", "a3"]
    assert event["type"] == "db.query"
    assert event["requestId"] == owner.id
    assert event["parentId"] == owner.id
    assert data["sql"].startswith("SELECT ")
    assert (data["operation"], data["table"]) == ("SELECT", db.table.name)
    assert data["source"] == "sqlalchemy"
    assert data["system"] in SYSTEMS[any_engine.dialect.name]
    assert (data["system"] == "mariadb") is getattr(any_engine.dialect, "is_mariadb", False)
    assert data["rowCount"] == 3
    assert data["duration"] > 0
    assert data["fetchMs"] >= 0
    assert data["connectionId"]
    assert data["transactionId"]
    assert data["callsite"]["line"] == here
    assert data["callsite"]["file"] == "sdk/tests/instrumentations/sqlalchemy/test_statements.py"
    assert "error" not in data


def test_equal_parameters_have_equal_hashes_and_others_do_not(
    any_engine: sa.Engine, events: Events, in_request: InRequest, db: Any
) -> None:
    with in_request(), orm.Session(any_engine, future=True) as session:
        for id in (1, 2, 3, 1):
            session.execute(sa.select(db.Author.name).where(db.Author.id == id)).scalars().all()
    selects = [event["data"] for event in events() if db.table.name in event["data"]["sql"]]
    assert len(selects) == 4
    assert len({data["shapeHash"] for data in selects}) == 1
    hashes = [data["paramsHash"] for data in selects]
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[3]
    assert all("params" not in data for data in selects)


def test_lazy_loads_are_one_record_each(any_engine: sa.Engine, events: Events, in_request: InRequest, db: Any) -> None:
    with in_request(), orm.Session(any_engine, future=True) as session:
        authors = session.execute(sa.select(db.Author).order_by(db.Author.id)).scalars().all()
        titles = [[book.title for book in author.books] for author in authors]
        here = line() - 1
    loads = [event["data"] for event in events() if db.Book.__tablename__ in event["data"]["sql"]]
    assert [len(some) for some in titles] == [3] * 10
    assert len(loads) == 10
    assert {data["rowCount"] for data in loads} == {3}
    assert len({data["paramsHash"] for data in loads}) == 10
    assert {data["callsite"]["line"] for data in loads} == {here}


def test_raw_driver_sql_and_statements_without_parameters(engine: sa.Engine, events: Events, in_request: InRequest) -> None:
    with in_request(), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT ? + 1", (4,)).scalar_one() == 5
        assert connection.execution_options(no_parameters=True).exec_driver_sql("SELECT 7").scalar() == 7
        assert connection.execute(sa.text("SELECT :x"), {"x": "y"}).scalar() == "y"
    first, bare, text = (event["data"] for event in events())
    assert [data["rowCount"] for data in (first, bare, text)] == [1, 1, 1]
    assert bare["sql"].startswith("SELECT")
    assert len({data["callsite"]["line"] for data in (first, bare, text)}) == 3


def test_a_failing_statement_is_recorded_once_and_its_exception_stays_itself(
    any_engine: sa.Engine, events: Events, in_request: InRequest, only: Only, db: Any
) -> None:
    seen: list[BaseException] = []
    sa.event.listen(any_engine, "handle_error", lambda failure: seen.append(failure.original_exception))
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with in_request():
            with pytest.raises(sa.exc.DBAPIError) as wrong:
                connection.execute(sa.text("SELECT nonsense FROM nowhere"))
            here = line() - 1
            assert wrong.value.orig is seen[-1]
            data = only()
            assert data["error"].startswith(type(seen[-1]).__name__)
            assert "nowhere" in data["error"]
            assert data["callsite"]["line"] == here
            connection.rollback()
            assert only()["transactionMark"] == "rollback"
            with pytest.raises(sa.exc.IntegrityError) as twice:
                connection.execute(sa.insert(db.table).values(id=1, name="again"))
            assert twice.value.orig is seen[-1]
            assert only()["error"].startswith(type(seen[-1]).__name__)
            connection.rollback()
            assert only()["transactionMark"] == "rollback"
            assert connection.execute(sa.select(sa.func.count()).select_from(db.table)).scalar() == 10
    assert only()["rowCount"] == 1


def test_a_lost_connection_is_a_failed_statement(postgres: sa.Engine, events: Events, in_request: InRequest, only: Only) -> None:
    with postgres.connect() as connection, postgres.connect() as other:
        pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        before = events()[-1]["data"]["connectionId"]
        with in_request(), pytest.raises(sa.exc.DBAPIError) as lost:
            connection.execute(sa.text("SELECT 1"))
        assert lost.value.connection_invalidated
        failed = only()
        assert failed["error"]
        connection.rollback()
        connection.execute(sa.text("SELECT 1")).all()
        after = events()[-1]["data"]["connectionId"]
        assert len({before, failed["connectionId"], after}) == 3


@pytest.mark.failures
def test_what_fails_on_our_side_is_not_the_apps(
    engine: sa.Engine, client: Client, monkeypatch: pytest.MonkeyPatch, in_request: InRequest, db: Any
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("brakit.callsite.find", broken)
    with in_request(), engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(db.table)).scalar() == 10
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT nonsense FROM nowhere"))
    assert client.failures.counts == {"sqlalchemy:DefaultDialect.do_execute": 2}
    assert not client.buffer.records


def test_nothing_of_the_result_changes(engine: sa.Engine, client: Client, db: Any) -> None:
    def facts() -> tuple[object, ...]:
        with engine.connect() as connection:
            result = connection.execute(sa.select(db.table))
            cursor, pooled = result.cursor, connection.connection
            raw = getattr(pooled, "dbapi_connection", None) or pooled.connection
            rows = result.fetchmany(2)
            inserted = connection.execute(sa.insert(db.table).values(id=77, name="x"))
            key = inserted.inserted_primary_key
            connection.rollback()
            return type(result), type(cursor), type(raw), rows, result.keys(), inserted.rowcount, inserted.lastrowid, key

    watched = facts()
    client.shutdown(0.0)
    assert facts() == watched
    assert watched[1] is sqlite3.Cursor
    assert watched[2] is sqlite3.Connection


def test_an_engine_from_before_and_several_engines(engine: sa.Engine, client: Client, events: Events) -> None:
    client.shutdown(0.0)
    old = sa.create_engine("sqlite://", future=True)
    with old.connect() as connection:
        connection.execute(sa.text("SELECT 'unseen'")).all()
    assert events() == []
    client.open = True
    client.patches.arm()
    with old.connect() as connection, engine.connect() as second:
        connection.execute(sa.text("SELECT 'one'")).all()
        second.execute(sa.text("SELECT 'two'")).all()
        second.execute(sa.text("SELECT 'three'")).all()
    old.dispose()
    first, *others = (event["data"] for event in events())
    assert [data["rowCount"] for data in (first, *others)] == [1, 1, 1]
    assert len({data["connectionId"] for data in others}) == 1
    assert first["connectionId"] != others[0]["connectionId"]


class LateDialect(SQLiteDialect_pysqlite):
    """A third party's dialect, with overrides that call up the line."""

    name = "late"
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        cursor.executemany(statement, parameters)


def test_a_dialect_with_overrides_that_is_loaded_later(client: Client, events: Events, only: Only) -> None:
    class Latest(LateDialect):
        supports_statement_cache = True

        def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
            super().do_execute(cursor, statement, parameters, context)

    own = vars(Latest)["do_execute"]
    sa.dialects.registry.impls["late"] = lambda: Latest
    try:
        engine = sa.create_engine("late://", future=True)
    finally:
        del sa.dialects.registry.impls["late"]
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
        assert only()["system"] == "late"
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", [(1,), (2,)])
    engine.dispose()
    create, insert = (event["data"] for event in events())
    assert "rowCount" not in create
    assert (insert["batchSize"], insert["rowCount"]) == (2, 2)
    client.shutdown(0.0)
    assert vars(Latest)["do_execute"] is own


def test_work_outside_of_requests_and_in_threads(engine: sa.Engine, events: Events, in_request: InRequest) -> None:
    def work() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1")).all()

    with in_request():
        thread = threading.Thread(target=work)
        work()
    (inside,) = events()
    assert "parentId" in inside
    work()
    thread.start()
    thread.join()
    outside = events()
    assert len(outside) == 2
    assert all("parentId" not in event and "requestId" not in event for event in outside)
    assert all(event["data"]["rowCount"] == 1 for event in outside)


def test_sessions_in_a_thread_pool_stay_apart(client: Client, tmp_path: Path, in_request: InRequest) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db", future=True)

    def one(number: int) -> tuple[str, int]:
        with in_request() as owner, engine.connect() as connection:
            for _ in range(5):
                connection.execute(sa.text("SELECT :x"), {"x": number}).all()
            return owner.id, number

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        owners = dict(pool.map(one, range(100)))
    engine.dispose()
    seen = [record for record in client.buffer.take(10_000) if record.kind == "db.query"]
    assert len(seen) == 500
    assert all(record.owner is not None and record.data["params"] == (owners[record.owner.id],) for record in seen)


def test_nothing_is_kept_alive(in_request: InRequest, only: Only) -> None:
    class Value(str):
        """A parameter of the app's own class; a weak reference to it is possible."""

    def work() -> list[weakref.ref[Any]]:
        engine = sa.create_engine("sqlite://", future=True)
        connection = engine.connect()
        value = Value("v")
        result = connection.exec_driver_sql("SELECT ? UNION SELECT 'w'", (value,))
        result.fetchone()
        refs: list[weakref.ref[Any]] = [weakref.ref(engine), weakref.ref(connection), weakref.ref(value)]
        refs.append(weakref.ref(result.context))
        result.close()
        connection.close()
        engine.dispose()
        return refs

    with in_request():
        refs = work()
        gc.collect()
        assert [ref() for ref in refs] == [None] * 4
    assert only()["rowCount"] == 1


def test_shutdown_puts_every_original_back(client: Client) -> None:
    attributes: Any = orm.attributes
    attribute = vars(attributes).get("_AttributeImpl") or attributes.AttributeImpl
    places: list[tuple[type, str]] = [
        (DefaultDialect, "do_execute"),
        (DefaultDialect, "do_executemany"),
        (DefaultDialect, "do_execute_no_params"),
        (DefaultDialect, "do_commit"),
        (Engine, "__init__"),
        (RootTransaction, "__init__"),
        (RootTransaction, "_do_commit"),
        (RootTransaction, "_do_rollback"),
        (TwoPhaseTransaction, "prepare"),
        (Connection, "commit_prepared"),
        (CursorResult, "_fetchone_impl"),
        (CursorResult, "_fetchmany_impl"),
        (CursorResult, "_fetchall_impl"),
        (CursorResult, "_fetchiter_impl"),
        (CursorFetchStrategy, "handle_exception"),
        (sa.pool.QueuePool, "_do_get"),
        (attribute, "_fire_loader_callables" if hasattr(attribute, "_fire_loader_callables") else "get"),
    ]
    if hasattr(DefaultExecutionContext, "fetchall_for_returning"):
        places.append((DefaultExecutionContext, "fetchall_for_returning"))
    watched = [vars(holder)[name] for holder, name in places]
    originals = [wrapper.__wrapped__ for wrapper in watched]
    assert [wrapper.__name__ for wrapper in watched] == [name for _, name in places]
    client.shutdown(0.0)
    back = [vars(holder).get(name, original) for (holder, name), original in zip(places, originals, strict=True)]
    assert all(found is original for found, original in zip(back, originals, strict=True))
    assert not hasattr(DefaultExecutionContext, "_brakit_query")
    assert not hasattr(Connection, "_brakit_transaction")


def test_importing_brakit_first_is_all_it_takes(py: Any) -> None:
    ran = py(
        """
import brakit
import sys

assert "sqlalchemy" not in sys.modules
from sqlalchemy import create_engine, text

engine = create_engine("sqlite://")
with engine.connect() as connection:
    connection.execute(text("SELECT 1")).all()
client = brakit.client.current()
print([record.data["sql"] for record in client.buffer.records], client.failures.first, "sqlalchemy" in client.patches.versions)
""",
        BRAKIT_PORT="9",
    )
    assert (ran.stdout, ran.stderr) == ("['SELECT 1'] {} True\n", "")
