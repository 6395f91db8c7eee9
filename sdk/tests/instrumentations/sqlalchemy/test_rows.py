"""SQLAlchemy: rows read and changed, counted without reading any."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.engine.default import DefaultExecutionContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]


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


TELLS_BATCHES = hasattr(DefaultExecutionContext, "fetchall_for_returning")
"""Before 2.0.10 SQLAlchemy does not say how many rows a batch of an insert has, and 1.4 has no batches."""

WAYS = (
    by_all, by_fetchone, by_fetchmany, by_iteration, by_scalars, by_mappings, by_partitions, by_unique, by_first, by_freezing,
    by_closing_early, by_breaking,
)  # fmt: skip


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("options", [{}, {"yield_per": 3}, {"stream_results": True}], ids=["plain", "yield_per", "stream"])
def test_the_rows_that_the_app_reads_are_counted(
    engine: sa.Engine, read: Callable[[Any], int], options: Json, in_request: InRequest, only: Only, db: Any
) -> None:
    with in_request(), engine.connect() as connection:
        read_by_app = read(connection.execution_options(**options).execute(sa.select(db.table.c.id)))
    data = only()
    assert data["rowCount"] == read_by_app
    assert data["fetchMs"] > 0


def test_rows_are_counted_on_real_servers_and_server_side_cursors(
    any_engine: sa.Engine, events: Events, in_request: InRequest, only: Only, db: Any
) -> None:
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        for read in WAYS:
            for options in ({"stream_results": False}, {"stream_results": True, "max_row_buffer": 4}):
                with in_request():
                    result = connection.execution_options(**options).execute(sa.select(db.table.c.id))
                    number = read(result)
                    # An open cursor stands in the way of the next query of some drivers.
                    result.close()
                assert (read.__name__, only()["rowCount"]) == (read.__name__, number)


def test_an_unfinished_result_goes_out_with_its_request(
    engine: sa.Engine, events: Events, in_request: InRequest, only: Only, db: Any
) -> None:
    with engine.connect() as connection:
        with in_request():
            result = connection.execute(sa.select(db.table.c.id))
            result.fetchone()
            result.fetchone()
            assert events() == []
        assert only()["rowCount"] == 2
        assert len(result.all()) == 8
        assert events() == []


def test_an_empty_result_has_no_rows_and_an_unread_one_no_count(
    engine: sa.Engine, events: Events, in_request: InRequest, db: Any
) -> None:
    with in_request(), engine.connect() as connection:
        assert connection.execute(sa.select(db.table).where(db.table.c.id == 99)).first() is None
        connection.execute(sa.select(db.table)).close()
    empty, unread = events()
    assert empty["data"]["rowCount"] == 0
    assert "rowCount" not in unread["data"]


def test_rows_changed_are_counted(any_engine: sa.Engine, events: Events, in_request: InRequest, db: Any) -> None:
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with in_request():
            updated = connection.execute(sa.update(db.table).where(db.table.c.id > 5).values(name=db.table.c.name + "x"))
            assert updated.rowcount == 5
            connection.execute(sa.text(f"DELETE FROM {db.Book.__tablename__} WHERE id <= 7"))
            connection.execute(sa.insert(db.table).values(id=100, name="new"))
    update, delete, insert = (event["data"] for event in events())
    assert (update["rowCount"], delete["rowCount"], insert["rowCount"]) == (5, 7, 1)
    assert "fetchMs" not in update


def test_orm_with_a_thousand_rows(engine: sa.Engine, events: Events, in_request: InRequest, only: Only, db: Any) -> None:
    with orm.Session(engine, future=True) as session:
        session.add_all([db.Author(name=f"n{n}") for n in range(1000)])
        with in_request():
            session.flush()
            inserts = [event["data"] for event in events()]
            if TELLS_BATCHES:
                assert sum(data["batchSize"] for data in inserts) == 1000
                assert [data["rowCount"] for data in inserts] == [data["batchSize"] for data in inserts]
            assert all("paramsHash" not in data for data in inserts if "batchSize" in data)
            session.expunge_all()
            assert len(session.execute(sa.select(db.Author)).scalars().all()) == 1010
            assert only()["rowCount"] == 1010
            assert len(list(session.execute(sa.select(db.Author).execution_options(yield_per=100)).scalars())) == 1010
            assert only()["rowCount"] == 1010


def test_executemany_is_one_record_with_its_size(
    any_engine: sa.Engine, events: Events, in_request: InRequest, only: Only, db: Any
) -> None:
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with in_request():
            rows = [{"key": n, "new": f"m{n}"} for n in range(1, 6)]
            connection.execute(
                sa.update(db.table).where(db.table.c.id == sa.bindparam("key")).values(name=sa.bindparam("new")), rows
            )
    data = only()
    assert data["batchSize"] == 5
    assert "paramsHash" not in data
    assert data.get("rowCount") in (5, None)


@pytest.mark.skipif(sa.__version__.startswith("1."), reason="SQLAlchemy 1.4 has no insertmanyvalues")
def test_batches_of_insertmanyvalues_are_one_record_each(
    any_engine: sa.Engine, events: Events, in_request: InRequest, db: Any
) -> None:
    rows = [{"id": 1000 + n, "name": f"i{n}"} for n in range(25)]
    with any_engine.connect() as connection:
        connection.execute(sa.select(1)).all()
        events()
        with in_request():
            connection = connection.execution_options(insertmanyvalues_page_size=10)
            if any_engine.dialect.insert_executemany_returning:
                ids = connection.execute(sa.insert(db.table).returning(db.table.c.id), rows).scalars().all()
                assert sorted(ids) == [row["id"] for row in rows]
            else:
                connection.execute(sa.insert(db.table), rows)
    batches = [event["data"] for event in events()]
    assert len(batches) == 3
    if TELLS_BATCHES:
        assert [data["batchSize"] for data in batches] == [10, 10, 5]
        assert [data["rowCount"] for data in batches] == [10, 10, 5]


def test_an_error_that_shows_while_rows_are_read_is_recorded(engine: sa.Engine, in_request: InRequest, only: Only) -> None:
    # SQLite steps from row to row: abs() of the smallest integer overflows in the second one.
    overflow = "SELECT abs(column1) FROM (VALUES (1), (-9223372036854775807 - 1))"
    with in_request(), engine.connect() as connection:
        for read in (by_all, by_iteration, by_fetchone):
            with pytest.raises(sa.exc.DBAPIError) as wrong:
                read(connection.exec_driver_sql(overflow))
            assert isinstance(wrong.value.orig, sqlite3.DatabaseError)
            data = only()
            assert "integer overflow" in data["error"]
            assert data["rowCount"] in (0, 1)


def test_a_server_side_cursor_stays_lazy(postgres: sa.Engine, events: Events, in_request: InRequest) -> None:
    with in_request(), postgres.connect() as connection:
        # Reading all of it would take the rest of the day, and the server does not let us.
        connection.execute(sa.text("SET statement_timeout = 5000"))
        lazy = connection.execution_options(stream_results=True, max_row_buffer=10)
        result = lazy.execute(sa.text("SELECT generate_series(1, 1000000000000)"))
        assert result.scalars().fetchmany(10) == list(range(1, 11))
        result.close()
    assert events()[-1]["data"]["rowCount"] == 10


def test_outside_of_requests_half_a_count_never_goes_out(engine: sa.Engine, events: Events, only: Only, db: Any) -> None:
    with engine.connect() as connection:
        result = connection.execute(sa.select(db.table))
        result.fetchone()
        assert "rowCount" not in only()
        assert len(result.all()) == 9
    assert events() == []
