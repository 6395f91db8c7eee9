"""SQLAlchemy: the wait for a connection, and what is nobody's business: a connection's first words, what others record already."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

from brakit import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]


EARLY = hasattr(sys.modules.get("sqlalchemy.util._concurrency_py3k"), "_copy_context")
early = pytest.mark.skipif(EARLY, reason="early releases of 1.4 leave asynchronous statements to the driver")


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture
def narrow(client: Client, tmp_path: Path) -> Iterator[sa.engine.Engine]:
    """An engine with a single connection."""
    engine = sa.create_engine(
        f"sqlite:///{tmp_path}/db",
        future=True,
        poolclass=sa.pool.QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"check_same_thread": False},
    )
    yield engine
    engine.dispose()


def test_the_wait_for_a_connection_is_a_span(narrow: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    lines: list[int] = []
    owners: list[str] = []
    asking, got = threading.Event(), threading.Event()

    def work() -> None:
        with in_request() as owner:
            asking.set()
            narrow.connect().close()
            lines.append(line() - 1)
            owners.append(owner.id)
        got.set()

    first = narrow.connect()
    thread = threading.Thread(target=work)
    thread.start()
    assert asking.wait(10)
    assert not got.wait(0.2)
    first.close()
    thread.join()
    (event,) = events()
    data = event["data"]
    assert (event["type"], data["name"]) == ("span", "wait for a connection")
    assert data["attributes"] == {"source": "sqlalchemy", "system": "sqlite"}
    assert event["parentId"] == owners[0]
    assert data["callsite"]["line"] == lines[0]
    assert 100 <= data["duration"] < 5000
    assert "error" not in data


def test_waiting_in_vain(narrow: sa.engine.Engine, events: Events, in_request: InRequest, only: Only) -> None:
    narrow.pool._timeout = 0.05  # type: ignore[attr-defined]
    with narrow.connect(), in_request():
        with pytest.raises(sa.exc.TimeoutError):
            narrow.connect()
        here = line() - 1
    data = only()
    assert data["error"].startswith("TimeoutError: QueuePool limit")
    assert data["callsite"]["line"] == here
    assert 50 <= data["duration"] < 5000
    with narrow.connect():
        pass
    assert events() == []


def test_opening_a_connection_is_no_wait(client: Client, tmp_path: Path, events: Events, in_request: InRequest) -> None:
    for pool in (sa.pool.QueuePool, sa.pool.NullPool, sa.pool.StaticPool, sa.pool.SingletonThreadPool):
        engine = sa.create_engine(f"sqlite:///{tmp_path}/db", future=True, poolclass=pool)
        sa.event.listen(engine, "connect", lambda *_: time.sleep(0.01))
        with in_request():
            for _ in range(3):
                engine.connect().close()
        engine.dispose()
    assert events() == []


def test_a_pool_without_a_dialect(client: Client, only: Only) -> None:
    make: Any = Raw
    pool: Any = sa.pool.QueuePool(make, pool_size=1, max_overflow=0, timeout=0.01)
    kept = pool.connect()
    with pytest.raises(sa.exc.TimeoutError):
        pool.connect()
    kept.close()
    assert only()["attributes"] == {"source": "sqlalchemy", "system": "other_sql"}
    pool.dispose()


class Raw:
    """A connection of a driver's that nobody knows."""

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
async def narrow_async(client: Client, tmp_path: Path) -> AsyncIterator[sa_asyncio.AsyncEngine]:
    """An asynchronous engine with a single connection."""
    engine = sa_asyncio.create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path}/db", poolclass=sa.pool.AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
    )
    yield engine
    await engine.dispose()


@early
async def test_the_wait_of_tasks(narrow_async: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest) -> None:
    async def one() -> str:
        with in_request() as owner:
            async with narrow_async.connect():
                await asyncio.sleep(0.05)
        return owner.id

    owners = await asyncio.gather(one(), one(), one())
    waits = events()
    assert [event["data"]["name"] for event in waits] == ["wait for a connection"] * 2
    assert {event["parentId"] for event in waits} < set(owners)
    assert [
        duration >= least for duration, least in zip(sorted(event["data"]["duration"] for event in waits), (45, 90), strict=True)
    ] == [True, True]
    assert {event["data"]["callsite"]["function"].rpartition(".")[2] for event in waits} == {"one"}
    async with narrow_async.connect():
        # The last one's may have been on its way back.
        events()
        with in_request(), pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(narrow_async.connect().start(), 0.05)
        (wait,) = events()
    assert wait["data"]["error"].startswith("CancelledError")


def test_a_connections_first_words_are_not_the_apps(any_engine: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    fresh = sa.create_engine(any_engine.url, future=True, pool_pre_ping=True)
    with in_request():
        for _ in range(2):
            with fresh.connect() as connection:
                assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    fresh.dispose()
    assert [event["data"]["sql"].split()[0] for event in events()] == ["SELECT"] * 2


def test_what_another_instrumentation_records_is_not_recorded_again(
    any_engine: sa.engine.Engine, narrow: sa.engine.Engine, events: Events, in_request: InRequest, db: Any
) -> None:
    def work() -> list[Any]:
        with any_engine.begin() as connection:
            connection.execute(sa.insert(db.table).values(id=100, name="new"))
            connection.execute(sa.delete(db.table).where(db.table.c.id == 100))
        with any_engine.connect() as connection:
            with connection.begin_nested():
                ids = list(connection.execute(sa.select(db.table.c.id)).scalars())
            with pytest.raises(sa.exc.DBAPIError):
                connection.execute(sa.text("SELECT nonsense FROM nowhere"))
            connection.rollback()
        narrow.pool._timeout = 0.01  # type: ignore[attr-defined]
        with narrow.connect(), pytest.raises(sa.exc.TimeoutError):
            narrow.connect()
        return ids

    with in_request():
        context.covered.set("db.query")
        try:
            assert len(work()) == 10
            assert context.covered.get() == "db.query"
        finally:
            context.covered.set(None)
        assert events() == []
        work()
        assert context.covered.get() is None
    assert [
        event["data"].get("transactionMark") or event["type"]
        for event in sorted(events(), key=lambda event: float(event["timestamp"]))
    ] == [
        *("db.query", "db.query", "commit"),
        *("savepoint", "db.query", "release", "db.query", "rollback"),
        "span",
    ]


def test_a_commit_that_another_instrumentation_records(engine: sa.engine.Engine, events: Events) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1")).all()
        context.covered.set("db.query")
        try:
            connection.commit()
        finally:
            context.covered.set(None)
        connection.execute(sa.text("SELECT 2")).all()
        connection.commit()
    assert [event["data"].get("transactionMark") for event in events()] == [None, None, "commit"]


async def test_asynchronous_statements_are_recorded_once(
    async_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest
) -> None:
    """By whom depends: early releases of 1.4 leave them to the driver."""
    with in_request() as owner:
        async with async_engine.begin() as connection:
            events()
            await connection.execute(sa.text("SELECT 12345"))
        said = [event for event in events() if "SELECT" in event["data"]["sql"]]
    said += [event for event in events() if "SELECT" in event["data"]["sql"]]
    assert len(said) == 1
    assert said[0]["parentId"] == owner.id
    assert (said[0]["data"]["source"] == "sqlalchemy") is not EARLY
    assert said[0]["data"]["callsite"]["file"].endswith("test_pool.py")
