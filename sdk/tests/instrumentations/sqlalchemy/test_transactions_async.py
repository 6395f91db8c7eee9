"""SQLAlchemy: what ends transactions, asynchronously and many at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

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


EARLY = hasattr(sys.modules.get("sqlalchemy.util._concurrency_py3k"), "_copy_context")
early = pytest.mark.skipif(EARLY, reason="early releases of 1.4 leave asynchronous statements to the driver")


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def words(events: list[Json]) -> list[str]:
    """The mark of each event, or the first word of its statement. Sorts: a statement goes out when nobody reads its rows any more."""
    events.sort(key=lambda event: float(event["timestamp"]))
    return [event["data"].get("transactionMark") or event["data"]["sql"].split()[0].lower() for event in events]


def names(events: list[Json]) -> list[str | None]:
    return [event["data"].get("transactionId") for event in events]


@early
async def test_async_transactions(async_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest, db: Any) -> None:
    with in_request() as owner:
        async with async_engine.begin() as connection:
            await connection.execute(sa.insert(db.table).values(id=100, name="new"))
        seen = events()
        assert words(seen) == ["insert", "commit"]
        assert seen[1]["parentId"] == owner.id
        assert seen[1]["data"]["callsite"]["line"] == line() - 5
    async with sa_asyncio.AsyncSession(async_engine) as session:
        with in_request():
            await session.execute(sa.update(db.Author).values(name="x").where(db.Author.id == 100))
            async with session.begin_nested():
                await session.execute(sa.text("SELECT 1"))
            await session.rollback()
            here = line() - 1
        seen = events()
        assert words(seen) == ["update", "savepoint", "select", "release", "rollback"]
        assert len(set(names(seen))) == 1
        assert seen[-1]["data"]["callsite"]["line"] == here
        await session.commit()
        await session.execute(sa.text("SELECT 1"))
    async with async_engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
    assert words(events()) == ["select", "select"]


@early
async def test_what_ends_in_a_task_of_sqlalchemys_has_the_line_that_is_left(
    async_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest, db: Any
) -> None:
    maker: Any = orm.sessionmaker(async_engine, class_=sa_asyncio.AsyncSession, future=True)  # type: ignore[call-overload]
    with in_request() as owner:
        async with maker.begin() as session:
            session.add(db.Author(id=100, name="new"))
        here = line() - 2
        _ = here
    seen = events()
    assert words(seen) == ["insert", "commit"]
    assert {event["data"]["callsite"]["line"] for event in seen} == {here}
    assert {event["parentId"] for event in seen} == {owner.id}


@early
async def test_a_commit_that_fails_asynchronously(
    asyncpg_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest
) -> None:
    name = f"deferred_{uuid.uuid4().hex[:8]}"
    async with asyncpg_engine.connect() as connection:
        unique = f"CREATE TEMPORARY TABLE {name} (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        await connection.execute(sa.text(unique))
        await connection.commit()
        events()
        with in_request():
            await connection.execute(sa.text(f"INSERT INTO {name} VALUES (1), (1)"))
            with pytest.raises(sa.exc.IntegrityError):
                await connection.commit()
            await connection.rollback()
    seen = events()
    assert words(seen) == ["insert", "commit"]
    assert "UniqueViolation" in seen[1]["data"]["error"]


def test_threads_have_transactions_of_their_own(client: Client, tmp_path: Path, in_request: InRequest) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db", future=True)

    def one(number: int) -> str:
        with in_request() as owner, engine.connect() as connection:
            for _ in range(3):
                connection.execute(sa.text("SELECT :x"), {"x": number}).all()
                connection.commit() if number % 2 else connection.rollback()
            return owner.id

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        owners = list(pool.map(one, range(50)))
    engine.dispose()
    check(client, owners)


@early
async def test_tasks_have_transactions_of_their_own(client: Client, tmp_path: Path, in_request: InRequest) -> None:
    engine = sa_asyncio.create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/db")

    async def one(number: int) -> str:
        with in_request() as owner:
            async with engine.connect() as connection:
                for _ in range(3):
                    await connection.execute(sa.text("SELECT :x"), {"x": number})
                    await (connection.commit() if number % 2 else connection.rollback())
            return owner.id

    owners = list(await asyncio.gather(*(one(number) for number in range(50))))
    await engine.dispose()
    check(client, owners)


def check(client: Client, owners: list[str]) -> None:
    """Of each owner, three times a statement and its end; the end says what its statement's number asks for."""
    by_owner: dict[str, list[Json]] = {id: [] for id in owners}
    by_transaction: dict[object, list[str]] = {}
    for record in client.buffer.take(10_000):
        if record.kind == "db.query":
            assert record.owner is not None
            by_owner[record.owner.id].append(record.data)
            by_transaction.setdefault(record.data["transaction_id"], []).append(str(record.data["sql"]).partition(" ")[0])
    for number, id in enumerate(owners):
        end = "COMMIT" if number % 2 else "ROLLBACK"
        assert sorted(data["sql"].partition(" ")[0] for data in by_owner[id]) == sorted([end, "SELECT"] * 3)
    assert len(by_transaction) == 3 * len(owners)
    assert {len(said) for said in by_transaction.values()} == {2}
