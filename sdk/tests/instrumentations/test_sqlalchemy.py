"""SQLAlchemy under the SDK, on real SQLite, and on PostgreSQL and MariaDB where they are reachable on this machine."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import socket
import sqlite3
import sys
import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.base import Engine, RootTransaction
from sqlalchemy.engine.cursor import CursorFetchStrategy, CursorResult
from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext
from sqlalchemy.ext import asyncio as sa_asyncio

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

SYNC = (
    "sqlite://",
    "postgresql+psycopg://postgres@127.0.0.1:5432/test",
    "postgresql+psycopg2://postgres@127.0.0.1:5432/test",
    "mysql+pymysql://root@127.0.0.1:3306/test",
)
ASYNC = (
    "sqlite+aiosqlite://",
    "postgresql+asyncpg://postgres@127.0.0.1:5432/test",
    "postgresql+psycopg://postgres@127.0.0.1:5432/test",
    "mysql+aiomysql://root@127.0.0.1:3306/test",
)
SYSTEMS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql"}
RUN = uuid.uuid4().hex[:8]


class Model(orm.DeclarativeBase):
    pass


class Author(Model):
    __tablename__ = f"author_{RUN}"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(100), unique=True)
    books: orm.Mapped[list[Book]] = orm.relationship(order_by="Book.id")


class Book(Model):
    __tablename__ = f"book_{RUN}"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Author.id))
    title: orm.Mapped[str] = orm.mapped_column(sa.String(100))


AUTHOR = cast("sa.Table", Author.__table__)


def reachable(url: str) -> None:
    """Skip where there is no such server."""
    made = sa.make_url(url)
    if made.host is None:
        return
    try:
        socket.create_connection((made.host, made.port or 0), timeout=2).close()
    except OSError as error:
        pytest.skip(f"no {made.get_backend_name()} on {made.host}:{made.port} ({error})")


@contextlib.contextmanager
def request(client: Client) -> Iterator[Owner]:
    """What a framework's instrumentation does around a request."""
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    try:
        yield owner
    finally:
        release_all(owner, client.buffer)
        context.enter(before)


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def fill(connection: sa.Connection) -> None:
    Model.metadata.create_all(connection)
    connection.execute(sa.insert(Author), [{"id": n, "name": f"a{n}"} for n in range(1, 11)])
    connection.execute(sa.insert(Book), [{"id": n, "author_id": n % 10 + 1, "title": f"b{n}"} for n in range(1, 31)])


@pytest.fixture
def engine(client: Client) -> Iterator[sa.Engine]:
    """A filled SQLite database in memory; the client sees nothing of the filling."""
    made = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    with made.begin() as connection:
        fill(connection)
    client.buffer.records.clear()
    yield made
    made.dispose()


@pytest.fixture(params=SYNC, ids=lambda url: url.split(":")[0])
def any_engine(request: pytest.FixtureRequest, client: Client) -> Iterator[sa.Engine]:
    """A filled database of each kind."""
    reachable(request.param)
    made = sa.create_engine(request.param)
    with made.begin() as connection:
        fill(connection)
    client.buffer.records.clear()
    yield made
    with made.begin() as connection:
        Model.metadata.drop_all(connection)
    made.dispose()


@pytest.fixture(params=ASYNC, ids=lambda url: url.split(":")[0])
async def async_engine(request: pytest.FixtureRequest, client: Client) -> AsyncIterator[sa_asyncio.AsyncEngine]:
    """A filled database of each kind, asynchronous."""
    reachable(request.param)
    made = sa_asyncio.create_async_engine(request.param)
    async with made.begin() as connection:
        await connection.run_sync(fill)
    client.buffer.records.clear()
    yield made
    async with made.begin() as connection:
        await connection.run_sync(Model.metadata.drop_all)
    await made.dispose()


def only(events: list[Json]) -> Json:
    assert len(events) == 1, events
    data: Json = events[0]["data"]
    return data


def test_a_statement_is_recorded_once_with_all_that_is_known(any_engine: sa.Engine, client: Client, events: Events) -> None:
    with request(client) as owner, any_engine.connect() as connection:
        names = connection.execute(sa.select(AUTHOR.c.name).where(AUTHOR.c.id < 4)).scalars().all()
        here = line() - 1
    event = events()[-1]
    data = event["data"]
    assert sorted(names) == ["a1", "a2", "a3"]
    assert event["type"] == "db.query"
    assert event["requestId"] == owner.id
    assert event["parentId"] == owner.id
    assert data["sql"].startswith("SELECT ")
    assert (data["operation"], data["table"]) == ("SELECT", AUTHOR.name)
    assert data["source"] == "sqlalchemy"
    assert data["system"] == SYSTEMS[any_engine.dialect.name]
    assert data["rowCount"] == 3
    assert data["duration"] > 0
    assert data["fetchMs"] >= 0
    assert data["connectionId"]
    assert data["transactionId"]
    assert data["callsite"]["line"] == here
    assert data["callsite"]["file"] == "sdk/tests/instrumentations/test_sqlalchemy.py"
    assert "error" not in data


def test_equal_parameters_have_equal_hashes_and_others_do_not(any_engine: sa.Engine, client: Client, events: Events) -> None:
    with request(client), orm.Session(any_engine) as session:
        for id in (1, 2, 3, 1):
            session.scalars(sa.select(Author.name).where(Author.id == id)).all()
    selects = [event["data"] for event in events() if AUTHOR.name in event["data"]["sql"]]
    assert len(selects) == 4
    assert len({data["shapeHash"] for data in selects}) == 1
    hashes = [data["paramsHash"] for data in selects]
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[3]
    assert all("params" not in data for data in selects)


def test_lazy_loads_are_one_record_each(any_engine: sa.Engine, client: Client, events: Events) -> None:
    with request(client), orm.Session(any_engine) as session:
        authors = session.scalars(sa.select(Author).order_by(Author.id)).all()
        titles = [[book.title for book in author.books] for author in authors]
        here = line() - 1
    loads = [event["data"] for event in events() if Book.__tablename__ in event["data"]["sql"]]
    assert [len(some) for some in titles] == [3] * 10
    assert len(loads) == 10
    assert {data["rowCount"] for data in loads} == {3}
    assert len({data["paramsHash"] for data in loads}) == 10
    assert {data["callsite"]["line"] for data in loads} == {here}


def by_all(result: sa.CursorResult[Any]) -> int:
    return len(result.all())


def by_fetchone(result: sa.CursorResult[Any]) -> int:
    number = 0
    while result.fetchone() is not None:
        number += 1
    return number


def by_fetchmany(result: sa.CursorResult[Any]) -> int:
    number = 0
    while rows := result.fetchmany(4):
        number += len(rows)
    return number


def by_iteration(result: sa.CursorResult[Any]) -> int:
    return sum(1 for _ in result)


def by_scalars(result: sa.CursorResult[Any]) -> int:
    return len(list(result.scalars()))


def by_mappings(result: sa.CursorResult[Any]) -> int:
    return len(result.mappings().fetchall())


def by_partitions(result: sa.CursorResult[Any]) -> int:
    return sum(len(rows) for rows in result.partitions(3))


def by_unique(result: sa.CursorResult[Any]) -> int:
    return len(result.unique().all())


def by_first(result: sa.CursorResult[Any]) -> int:
    return 1 if result.first() is not None else 0


def by_freezing(result: sa.CursorResult[Any]) -> int:
    return len(result.freeze()().all())


def by_closing_early(result: sa.CursorResult[Any]) -> int:
    result.fetchone()
    result.fetchmany(2)
    result.close()
    return 3


def by_breaking(result: sa.CursorResult[Any]) -> int:
    for number, _ in enumerate(result, 1):
        if number == 4:
            break
    return 4


WAYS = (
    by_all, by_fetchone, by_fetchmany, by_iteration, by_scalars, by_mappings, by_partitions, by_unique, by_first, by_freezing,
    by_closing_early, by_breaking,
)  # fmt: skip


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("options", [{}, {"yield_per": 3}, {"stream_results": True}], ids=["plain", "yield_per", "stream"])
def test_the_rows_that_the_app_reads_are_counted(
    engine: sa.Engine, client: Client, events: Events, read: Callable[[Any], int], options: Json
) -> None:
    with request(client), engine.connect() as connection:
        read_by_app = read(connection.execution_options(**options).execute(sa.select(AUTHOR.c.id)))
    data = only(events())
    assert data["rowCount"] == read_by_app
    assert data["fetchMs"] > 0


def test_rows_are_counted_on_real_servers_and_server_side_cursors(any_engine: sa.Engine, client: Client, events: Events) -> None:
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        for read in WAYS:
            for options in ({"stream_results": False}, {"stream_results": True, "max_row_buffer": 4}):
                with request(client):
                    result = connection.execution_options(**options).execute(sa.select(AUTHOR.c.id))
                    number = read(result)
                    # An open cursor stands in the way of the next query of some drivers.
                    result.close()
                assert (read.__name__, only(events())["rowCount"]) == (read.__name__, number)


def test_an_unfinished_result_goes_out_with_its_request(engine: sa.Engine, client: Client, events: Events) -> None:
    with engine.connect() as connection:
        with request(client):
            result = connection.execute(sa.select(AUTHOR.c.id))
            result.fetchone()
            result.fetchone()
            assert events() == []
        assert only(events())["rowCount"] == 2
        assert len(result.all()) == 8
        assert events() == []


def test_an_empty_result_has_no_rows_and_an_unread_one_no_count(engine: sa.Engine, client: Client, events: Events) -> None:
    with request(client), engine.connect() as connection:
        assert connection.execute(sa.select(AUTHOR).where(AUTHOR.c.id == 99)).first() is None
        connection.execute(sa.select(AUTHOR)).close()
    empty, unread = events()
    assert empty["data"]["rowCount"] == 0
    assert "rowCount" not in unread["data"]


def test_rows_changed_are_counted(any_engine: sa.Engine, client: Client, events: Events) -> None:
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with request(client):
            updated = connection.execute(sa.update(AUTHOR).where(AUTHOR.c.id > 5).values(name=AUTHOR.c.name + "x"))
            assert updated.rowcount == 5
            connection.execute(sa.text(f"DELETE FROM {Book.__tablename__} WHERE id <= 7"))
            connection.execute(sa.insert(AUTHOR).values(id=100, name="new"))
    update, delete, insert = (event["data"] for event in events())
    assert (update["rowCount"], delete["rowCount"], insert["rowCount"]) == (5, 7, 1)
    assert "fetchMs" not in update


def test_orm_with_a_thousand_rows(engine: sa.Engine, client: Client, events: Events) -> None:
    with orm.Session(engine) as session:
        session.add_all([Author(name=f"n{n}") for n in range(1000)])
        with request(client):
            session.flush()
            inserts = [event["data"] for event in events()]
            assert sum(data["batchSize"] for data in inserts) == 1000
            assert [data["rowCount"] for data in inserts] == [data["batchSize"] for data in inserts]
            assert all("paramsHash" not in data for data in inserts)
            session.expunge_all()
            assert len(session.scalars(sa.select(Author)).all()) == 1010
            assert only(events())["rowCount"] == 1010
            assert len(list(session.scalars(sa.select(Author).execution_options(yield_per=100)))) == 1010
            assert only(events())["rowCount"] == 1010


def test_executemany_is_one_record_with_its_size(any_engine: sa.Engine, client: Client, events: Events) -> None:
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with request(client):
            rows = [{"key": n, "new": f"m{n}"} for n in range(1, 6)]
            connection.execute(sa.update(AUTHOR).where(AUTHOR.c.id == sa.bindparam("key")).values(name=sa.bindparam("new")), rows)
    data = only(events())
    assert data["batchSize"] == 5
    assert "paramsHash" not in data
    assert data.get("rowCount") in (5, None)


def test_batches_of_insertmanyvalues_are_one_record_each(any_engine: sa.Engine, client: Client, events: Events) -> None:
    rows = [{"id": 1000 + n, "name": f"i{n}"} for n in range(25)]
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with request(client):
            connection = connection.execution_options(insertmanyvalues_page_size=10)
            if any_engine.dialect.insert_executemany_returning:
                ids = connection.execute(sa.insert(AUTHOR).returning(AUTHOR.c.id), rows).scalars().all()
                assert sorted(ids) == [row["id"] for row in rows]
            else:
                connection.execute(sa.insert(AUTHOR), rows)
    batches = [event["data"] for event in events()]
    assert sum(data["batchSize"] for data in batches) == 25
    assert sum(data["rowCount"] for data in batches) == 25


def test_raw_driver_sql_and_statements_without_parameters(engine: sa.Engine, client: Client, events: Events) -> None:
    with request(client), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT ? + 1", (4,)).scalar_one() == 5
        assert connection.execution_options(no_parameters=True).exec_driver_sql("SELECT 7").scalar() == 7
        assert connection.execute(sa.text("SELECT :x"), {"x": "y"}).scalar() == "y"
    first, bare, text = (event["data"] for event in events())
    assert [data["rowCount"] for data in (first, bare, text)] == [1, 1, 1]
    assert bare["sql"].startswith("SELECT")
    assert len({data["callsite"]["line"] for data in (first, bare, text)}) == 3


def test_a_failing_statement_is_recorded_once_and_its_exception_stays_itself(
    any_engine: sa.Engine, client: Client, events: Events
) -> None:
    seen: list[BaseException] = []
    sa.event.listen(any_engine, "handle_error", lambda failure: seen.append(failure.original_exception))
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with request(client):
            with pytest.raises(sa.exc.DBAPIError) as wrong:
                connection.execute(sa.text("SELECT nonsense FROM nowhere"))
            here = line() - 1
            assert wrong.value.orig is seen[-1]
            data = only(events())
            assert data["error"].startswith(type(seen[-1]).__name__)
            assert "nowhere" in data["error"]
            assert data["callsite"]["line"] == here
            connection.rollback()
            with pytest.raises(sa.exc.IntegrityError) as twice:
                connection.execute(sa.insert(AUTHOR).values(id=1, name="again"))
            assert twice.value.orig is seen[-1]
            assert only(events())["error"].startswith(type(seen[-1]).__name__)
            connection.rollback()
            assert connection.execute(sa.select(sa.func.count()).select_from(AUTHOR)).scalar() == 10
    assert only(events())["rowCount"] == 1


@pytest.mark.parametrize("url", SYNC[1:3], ids=lambda url: url.split(":")[0])
def test_a_lost_connection_is_a_failed_statement(url: str, client: Client, events: Events) -> None:
    reachable(url)
    engine = sa.create_engine(url)
    with engine.connect() as connection, engine.connect() as other:
        pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        before = events()[-1]["data"]["connectionId"]
        with request(client), pytest.raises(sa.exc.DBAPIError) as lost:
            connection.execute(sa.text("SELECT 1"))
        assert lost.value.connection_invalidated
        failed = only(events())
        assert failed["error"]
        connection.rollback()
        connection.execute(sa.text("SELECT 1")).all()
        after = events()[-1]["data"]["connectionId"]
        assert len({before, failed["connectionId"], after}) == 3
    engine.dispose()


def test_an_error_that_shows_while_rows_are_read_is_recorded(engine: sa.Engine, client: Client, events: Events) -> None:
    # SQLite steps from row to row: abs() of the smallest integer overflows in the second one.
    overflow = "SELECT abs(column1) FROM (VALUES (1), (-9223372036854775807 - 1))"
    with request(client), engine.connect() as connection:
        for read in (by_all, by_iteration, by_fetchone):
            with pytest.raises(sa.exc.DBAPIError) as wrong:
                read(connection.exec_driver_sql(overflow))
            assert isinstance(wrong.value.orig, sqlite3.DatabaseError)
            data = only(events())
            assert "integer overflow" in data["error"]
            assert data["rowCount"] in (0, 1)


def test_nothing_of_the_result_changes(engine: sa.Engine, client: Client) -> None:
    def facts() -> tuple[object, ...]:
        with engine.connect() as connection:
            result = connection.execute(sa.select(AUTHOR))
            cursor, raw = result.cursor, connection.connection.dbapi_connection
            rows = result.fetchmany(2)
            inserted = connection.execute(sa.insert(AUTHOR).values(id=77, name="x"))
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
    old = sa.create_engine("sqlite://")
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


def test_transactions_have_a_name_each_and_autocommit_has_none(engine: sa.Engine, client: Client, events: Events) -> None:
    with engine.connect() as connection:
        for _ in range(2):
            connection.execute(sa.text("SELECT 1")).all()
            connection.execute(sa.text("SELECT 1")).all()
            connection.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SELECT 1")).all()
    first, again, second, third, auto = (event["data"].get("transactionId") for event in events())
    assert first == again
    assert second == third
    assert first != second
    assert auto is None


class LateDialect(SQLiteDialect_pysqlite):
    """A third party's dialect, with overrides that call up the line."""

    name = "late"
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        cursor.executemany(statement, parameters)


def test_a_dialect_with_overrides_that_is_loaded_later(client: Client, events: Events) -> None:
    class Latest(LateDialect):
        supports_statement_cache = True

        def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
            super().do_execute(cursor, statement, parameters, context)

    own = vars(Latest)["do_execute"]
    sa.dialects.registry.impls["late"] = lambda: Latest
    try:
        engine = sa.create_engine("late://")
    finally:
        del sa.dialects.registry.impls["late"]
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
        assert only(events())["system"] == "late"
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", [(1,), (2,)])
    engine.dispose()
    create, insert = (event["data"] for event in events())
    assert "rowCount" not in create
    assert (insert["batchSize"], insert["rowCount"]) == (2, 2)
    client.shutdown(0.0)
    assert vars(Latest)["do_execute"] is own


def test_work_outside_of_requests_and_in_threads(engine: sa.Engine, client: Client, events: Events) -> None:
    def work() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1")).all()

    with request(client):
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


def test_outside_of_requests_half_a_count_never_goes_out(engine: sa.Engine, events: Events) -> None:
    with engine.connect() as connection:
        result = connection.execute(sa.select(AUTHOR))
        result.fetchone()
        assert "rowCount" not in only(events())
        assert len(result.all()) == 9
    assert events() == []


async def test_async_statements_and_streams(async_engine: sa_asyncio.AsyncEngine, client: Client, events: Events) -> None:
    async with async_engine.connect() as connection:
        await connection.execute(sa.select(1))
        events()
        with request(client) as owner:
            rows = (await connection.execute(sa.select(AUTHOR.c.id))).all()
            here = line() - 1
            event = events()[0]
            assert len(rows) == event["data"]["rowCount"] == 10
            assert event["data"]["system"] == SYSTEMS[async_engine.dialect.name]
            assert event["data"]["callsite"]["line"] == here
            assert event["parentId"] == owner.id
            async with connection.stream(sa.select(AUTHOR.c.id)) as stream:
                assert len([row async for row in stream]) == 10
            assert only(events())["rowCount"] == 10
            async with connection.stream(sa.select(AUTHOR.c.id)) as stream:
                async for some in stream.partitions(4):
                    assert some
            assert only(events())["rowCount"] == 10
            with pytest.raises(sa.exc.DBAPIError) as wrong:
                await connection.execute(sa.text("SELECT nonsense FROM nowhere"))
            failed = only(events())
            assert type(wrong.value.orig).__name__ in failed["error"] or "nowhere" in failed["error"]
            assert failed["callsite"]["line"] == line() - 3
            await connection.rollback()


async def test_async_orm_names_the_line_of_the_coroutine(
    async_engine: sa_asyncio.AsyncEngine, client: Client, events: Events
) -> None:
    async with sa_asyncio.AsyncSession(async_engine) as session:
        await session.scalars(sa.select(1))
        events()
        with request(client):
            author = (await session.scalars(sa.select(Author).where(Author.id == 3))).one()
            await session.refresh(author, ["books"])
            here = line() - 1
        assert len(author.books) == 3
    first, *loads = (event["data"] for event in events())
    assert first["callsite"]["line"] == here - 1
    assert first["callsite"]["function"].endswith("test_async_orm_names_the_line_of_the_coroutine")
    assert {data["callsite"]["line"] for data in loads} == {here}
    assert loads[-1]["rowCount"] == 3


async def test_two_hundred_concurrent_requests_never_cross(client: Client, events: Events, tmp_path: Path) -> None:
    engine = sa_asyncio.create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/db", pool_size=10, max_overflow=0)

    async def one(number: int) -> tuple[str, int]:
        with request(client) as owner:
            async with engine.connect() as connection:
                for part in range(3):
                    assert (await connection.execute(sa.text(f"SELECT {number} + :x"), {"x": part})).scalar() == number + part
                    await asyncio.sleep(0)
                result = await connection.execute(sa.text("SELECT :x"), {"x": number})
                assert result.scalar() == number
            return owner.id, number

    owners = dict(await asyncio.gather(*(one(number) for number in range(200))))
    await engine.dispose()
    seen = client.buffer.take(10_000)
    assert len(seen) == 800
    for record in seen:
        assert record.owner is not None
        number = owners[record.owner.id]
        assert record.data["sql"].startswith(f"SELECT {number} + ") or record.data["params"] == (number,)  # type: ignore[attr-defined]
        assert record.data["row_count"] == 1
    assert all(not owner.held for owner in {record.owner for record in seen if record.owner is not None})


async def test_thousands_of_short_tasks_keep_their_queries(client: Client, tmp_path: Path) -> None:
    engine = sa_asyncio.create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/db")

    async def one() -> str:
        with request(client) as owner:
            async with engine.connect() as connection:
                await connection.execute(sa.text("SELECT :x"), {"x": owner.id})
            return owner.id

    ids = [await asyncio.create_task(one()) for _ in range(2000)]
    await engine.dispose()
    seen = client.buffer.take(10_000)
    assert [record.owner.id for record in seen if record.owner is not None] == ids
    assert [record.data["params"] for record in seen] == [(id,) for id in ids]


def test_sessions_in_a_thread_pool_stay_apart(client: Client, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db")

    def one(number: int) -> tuple[str, int]:
        with request(client) as owner, engine.connect() as connection:
            for _ in range(5):
                connection.execute(sa.text("SELECT :x"), {"x": number}).all()
            return owner.id, number

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        owners = dict(pool.map(one, range(100)))
    engine.dispose()
    seen = client.buffer.take(10_000)
    assert len(seen) == 500
    assert all(record.owner is not None and record.data["params"] == (owners[record.owner.id],) for record in seen)


def test_nothing_is_kept_alive(client: Client, events: Events) -> None:
    class Value(str):
        """A parameter of the app's own class; a weak reference to it is possible."""

    def work() -> list[weakref.ref[Any]]:
        engine = sa.create_engine("sqlite://")
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

    with request(client):
        refs = work()
        gc.collect()
        assert [ref() for ref in refs] == [None] * 4
    assert only(events())["rowCount"] == 1


def test_shutdown_puts_every_original_back(client: Client) -> None:
    places: list[tuple[type, str]] = [
        (DefaultDialect, "do_execute"),
        (DefaultDialect, "do_executemany"),
        (DefaultDialect, "do_execute_no_params"),
        (Engine, "__init__"),
        (RootTransaction, "__init__"),
        (CursorResult, "_fetchone_impl"),
        (CursorResult, "_fetchmany_impl"),
        (CursorResult, "_fetchall_impl"),
        (CursorResult, "_fetchiter_impl"),
        (CursorResult, "_soft_close"),
        (CursorFetchStrategy, "handle_exception"),
        (DefaultExecutionContext, "fetchall_for_returning"),
    ]
    watched = [vars(holder)[name] for holder, name in places]
    originals = [wrapper.__wrapped__ for wrapper in watched]
    assert [wrapper.__name__ for wrapper in watched] == [name for _, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
    assert not hasattr(DefaultExecutionContext, "_brakit_query")
    assert not hasattr(sa.Connection, "_brakit_transaction")
