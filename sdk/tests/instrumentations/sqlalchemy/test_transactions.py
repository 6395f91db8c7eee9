"""SQLAlchemy: what ends a transaction is a record of its own, once, where the app has done something in it."""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

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


LEGACY = sa.__version__.startswith("1.")


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def words(events: list[Json]) -> list[str]:
    """The mark of each event, or the first word of its statement. Sorts: a statement goes out when nobody reads its rows any more."""
    events.sort(key=lambda event: float(event["timestamp"]))
    return [event["data"].get("transactionMark") or event["data"]["sql"].split()[0].lower() for event in events]


def names(events: list[Json]) -> list[str | None]:
    return [event["data"].get("transactionId") for event in events]


def test_a_commit_and_a_rollback_are_one_record_each(any_engine: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    with in_request() as owner, any_engine.connect() as connection:
        connection.execute(sa.text("SELECT 1")).all()
        connection.execute(sa.text("SELECT 2")).all()
        connection.commit()
        here = line() - 1
        connection.execute(sa.text("SELECT 3")).all()
        connection.rollback()
        there = line() - 1
    seen = events()
    assert words(seen) == ["select", "select", "commit", "select", "rollback"]
    first, again, committed, second, rolled_back = names(seen)
    assert first == again == committed != second == rolled_back
    assert first is not None
    assert second is not None
    for event, number in ((seen[2], here), (seen[4], there)):
        data = event["data"]
        assert event["parentId"] == owner.id
        assert data["source"] == "sqlalchemy"
        assert data["system"] == seen[0]["data"]["system"]
        assert data["connectionId"] == seen[0]["data"]["connectionId"]
        assert data["callsite"]["line"] == number
        assert data["duration"] > 0
        assert not {"error", "rowCount", "fetchMs", "batchSize"} & data.keys()


def test_what_has_done_nothing_leaves_no_mark(any_engine: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    with in_request():
        with any_engine.connect() as connection:
            connection.commit()
            connection.rollback()
            with connection.begin():
                pass
            connection.begin().rollback()
        with any_engine.begin():
            pass
        with orm.Session(any_engine, future=True) as session:
            session.commit()
            session.rollback()
    assert events() == []


def test_what_is_closed_without_a_word_is_the_pools_to_reset(
    any_engine: sa.engine.Engine, events: Events, in_request: InRequest
) -> None:
    with in_request():
        with any_engine.connect() as connection:
            connection.execute(sa.text("SELECT 1")).all()
        with orm.Session(any_engine, future=True) as session:
            session.execute(sa.text("SELECT 2")).all()
        any_engine.connect().execute(sa.text("SELECT 3")).connection.close()
    assert words(events()) == ["select"] * 3


def test_autocommit_has_neither_transactions_nor_marks(any_engine: sa.engine.Engine, events: Events) -> None:
    with any_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SELECT 1")).all()
        connection.commit()
        connection.execute(sa.text("SELECT 1")).all()
        connection.rollback()
    seen = events()
    assert words(seen) == ["select", "select"]
    assert names(seen) == [None, None]


def test_sessions_and_blocks(any_engine: sa.engine.Engine, events: Events, in_request: InRequest, db: Any) -> None:
    with in_request(), orm.Session(any_engine, future=True) as session:
        session.add(db.Author(id=100, name="new"))
        session.commit()
        here = line() - 1
        seen = events()
        assert words(seen) == ["insert", "commit"]
        assert [event["data"]["callsite"]["line"] for event in seen] == [here, here]
        with contextlib.suppress(ZeroDivisionError), session.begin():
            session.execute(sa.update(db.Author).values(name="x").where(db.Author.id == 100))
            raise ZeroDivisionError
        assert words(events()) == ["update", "rollback"]
        with session.begin():
            session.execute(sa.delete(db.Author).where(db.Author.id == 100))
        assert words(events()) == ["delete", "commit"]
        with any_engine.begin() as connection:
            connection.execute(sa.text("SELECT 1")).all()
        start = line() - 2
        seen = events()
        assert words(seen) == ["select", "commit"]
        assert seen[1]["data"]["callsite"]["line"] == start
        with contextlib.suppress(ZeroDivisionError), any_engine.begin() as connection:
            connection.execute(sa.text("SELECT 1")).all()
            raise ZeroDivisionError
        assert words(events()) == ["select", "rollback"]


def test_savepoints_are_statements_of_their_transaction(
    any_engine: sa.engine.Engine, events: Events, in_request: InRequest
) -> None:
    with in_request(), any_engine.connect() as connection:
        with connection.begin_nested():
            connection.execute(sa.text("SELECT 1")).all()
        nested = connection.begin_nested()
        connection.execute(sa.text("SELECT 2")).all()
        nested.rollback()
        connection.commit()
        with orm.Session(any_engine, future=True) as session:
            with session.begin_nested():
                session.execute(sa.text("SELECT 3")).all()
            session.rollback()
    seen = events()
    assert words(seen) == [
        *("savepoint", "select", "release", "savepoint", "select", "rollback_to", "commit"),
        *("savepoint", "select", "release", "rollback"),
    ]
    assert len(set(names(seen))) == 2
    assert seen[0]["data"]["sql"].startswith("SAVEPOINT sa_savepoint_")
    assert len({event["data"]["callsite"]["line"] for event in seen}) >= 9


@pytest.fixture
def deferred(postgres: sa.engine.Engine) -> Iterator[sa.Table]:
    """A table whose constraint is checked at the commit."""
    table = sa.Table(
        f"deferred_{uuid.uuid4().hex[:8]}",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent", sa.Integer),
    )
    table.append_constraint(sa.ForeignKeyConstraint(["parent"], [table.c.id], deferrable=True, initially="DEFERRED"))
    with postgres.begin() as connection:
        table.create(connection)
    yield table
    with postgres.begin() as connection:
        table.drop(connection)


def test_a_commit_that_fails_says_why_and_nothing_is_rolled_back_again(
    postgres: sa.engine.Engine, deferred: sa.Table, events: Events, in_request: InRequest
) -> None:
    raised: list[BaseException] = []
    sa.event.listen(postgres, "handle_error", lambda failure: raised.append(failure.original_exception))
    events()
    with in_request():
        with pytest.raises(sa.exc.IntegrityError) as wrong, postgres.begin() as connection:
            connection.execute(sa.insert(deferred).values(id=1, parent=2))
        assert wrong.value.orig is raised[0]
        assert len(raised) == 1
        seen = events()
        assert words(seen) == ["insert", "commit"]
        assert "error" not in seen[0]["data"]
        assert "foreign key" in seen[1]["data"]["error"]
        with orm.Session(postgres, future=True) as session:
            session.execute(sa.insert(deferred).values(id=1, parent=2))
            with pytest.raises(sa.exc.IntegrityError):
                session.commit()
            here = line() - 1
            session.rollback()
            seen = events()
            assert words(seen) == ["insert", "commit"]
            assert seen[1]["data"]["callsite"]["line"] == here
            assert session.execute(sa.select(sa.func.count()).select_from(deferred)).scalar() == 0
    assert words(events()) == ["select"]


def test_a_lost_connection_has_nothing_to_roll_back(postgres: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    with in_request(), postgres.connect() as connection, postgres.connect() as other:
        pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}).all()
        with pytest.raises(sa.exc.DBAPIError):
            connection.commit()
        seen = events()
        assert words(seen) == ["select", "select", "commit"]
        assert seen[2]["data"]["error"]
        connection.rollback()
        connection.execute(sa.text("SELECT 1")).all()
        connection.commit()
    assert words(events()) == ["select", "commit"]


def test_two_phases(any_engine: sa.engine.Engine, events: Events, in_request: InRequest, db: Any) -> None:
    if any_engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no two-phase commit")
    with any_engine.connect() as connection:
        if (
            any_engine.dialect.name == "postgresql"
            and connection.execute(sa.text("SHOW max_prepared_transactions")).scalar() == "0"
        ):
            pytest.skip("this PostgreSQL prepares no transactions (max_prepared_transactions)")
    xid = f"h1_{uuid.uuid4().hex}"
    events()
    with in_request():
        with any_engine.connect() as connection:
            for prepared in (True, False):
                for end in ("commit", "rollback"):
                    transaction = connection.begin_twophase()
                    connection.execute(sa.text("SELECT 1")).all()
                    if prepared:
                        transaction.prepare()
                    getattr(transaction, end)()
                    seen = events()
                    assert words(seen) == ["select", "prepare", end] if prepared else ["select", end]
                    assert len(set(names(seen))) == 1
                    assert seen[-1]["data"]["sql"] == end.upper() + (" PREPARED" if prepared else "")
            transaction = connection.begin_twophase(xid)
            connection.execute(sa.update(db.table).values(name="x").where(db.table.c.id == 1))
            transaction.prepare()
            connection.invalidate()
        events()
        with any_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.rollback_prepared(xid, recover=True)
        (data,) = (event["data"] for event in events())
        assert (data["transactionMark"], data["sql"]) == ("rollback", "ROLLBACK PREPARED")


def test_it_is_committed_once(client: Client, tmp_path: Path, events: Events) -> None:
    said: list[str] = []
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db", future=True)
    sa.event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(said.append))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (x)"))
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    with engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (2)"))
        connection.rollback()
        assert connection.execute(sa.text("SELECT x FROM t")).scalars().all() == [1]
    engine.dispose()
    assert [text for text in said if text in ("COMMIT", "ROLLBACK")] == ["COMMIT", "ROLLBACK"]
    assert words(events()) == ["create", "insert", "commit", "insert", "rollback", "select"]


def test_a_slow_commit_and_what_its_listeners_say(engine: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    @sa.event.listens_for(engine, "commit")
    def committing(connection: Any) -> None:
        connection.execute(sa.text("SELECT 'before the commit'")).all()
        time.sleep(0.05)

    with in_request(), engine.begin() as connection:
        connection.execute(sa.text("SELECT 1")).all()
    seen = events()
    assert sorted(words(seen)) == ["commit", "select", "select"]
    assert len(set(names(seen))) == 1
    assert [event["data"]["duration"] >= 50 for event in seen if event["data"].get("transactionMark")] == [True]


@pytest.mark.failures
def test_what_fails_on_our_side_is_not_the_apps(
    engine: sa.engine.Engine, client: Client, monkeypatch: pytest.MonkeyPatch, db: Any
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    with engine.connect() as connection:
        connection.execute(sa.delete(db.table).where(db.table.c.id == 1))
        with monkeypatch.context() as patched:
            patched.setattr("brakit.callsite.find", broken)
            connection.commit()
        connection.rollback()
        assert connection.execute(sa.select(sa.func.count()).select_from(db.table)).scalar() == 9
    assert client.failures.counts == {"sqlalchemy:RootTransaction._do_commit": 1}


@pytest.mark.skipif(not LEGACY, reason="2.0 commits nothing by itself")
def test_the_legacy_style_of_1_4(
    monkeypatch: pytest.MonkeyPatch, client: Client, tmp_path: Path, events: Events, in_request: InRequest
) -> None:
    engine: Any = sa.create_engine(f"sqlite:///{tmp_path}/db")
    monkeypatch.setenv("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
    with in_request(), engine.connect() as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
        connection.execute(sa.text("SELECT x FROM t")).fetchall()
        seen = events()
        assert words(seen) == ["create", "commit", "insert", "commit", "select"]
        assert names(seen) == [None] * 5
        with connection.begin():
            connection.execute(sa.text("INSERT INTO t VALUES (2)"))
            with connection.begin():
                connection.execute(sa.text("INSERT INTO t VALUES (3)"))
        seen = events()
        assert words(seen) == ["insert", "insert", "commit"]
        assert len(set(names(seen))) == 1
        outer = connection.begin()
        inner = connection.begin()
        connection.execute(sa.text("INSERT INTO t VALUES (4)"))
        inner.rollback()
        outer.rollback()
        assert words(events()) == ["insert", "rollback"]
        connection.execute(sa.text("SELECT x FROM t")).fetchall()
        assert names(events()) == [None]
        closed = connection.begin()
        connection.execute(sa.text("INSERT INTO t VALUES (6)"))
        closed.close()
        connection.execute(sa.text("SELECT x FROM t")).fetchall()
        seen = events()
        assert words(seen) == ["insert", "select"]
        assert [name is None for name in names(seen)] == [False, True]
        engine.execute("INSERT INTO t VALUES (5)")
        assert words(events()) == ["insert", "commit"]
    engine.dispose()
