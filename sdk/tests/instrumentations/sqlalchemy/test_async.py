"""SQLAlchemy's asynchronous engines, and many requests at once."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
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


OLD = hasattr(sys.modules.get("sqlalchemy.util._concurrency_py3k"), "_copy_context")
pytestmark = pytest.mark.skipif(OLD, reason="early releases of 1.4 leave asynchronous statements to the driver")

SYSTEMS = {"sqlite": {"sqlite"}, "postgresql": {"postgresql"}, "mysql": {"mysql", "mariadb"}}
"""What is reported for a dialect; one dialect is for two databases."""


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


async def test_async_statements_and_streams(
    async_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest, only: Only, db: Any
) -> None:
    async with async_engine.connect() as connection:
        await connection.execute(sa.select(1))
        events()
        with in_request() as owner:
            rows = (await connection.execute(sa.select(db.table.c.id))).all()
            here = line() - 1
            event = events()[0]
            assert len(rows) == event["data"]["rowCount"] == 10
            assert event["data"]["system"] in SYSTEMS[async_engine.dialect.name]
            assert event["data"]["callsite"]["line"] == here
            assert event["parentId"] == owner.id
            stream = await connection.stream(sa.select(db.table.c.id))
            assert len([row async for row in stream]) == 10
            assert only()["rowCount"] == 10
            stream = await connection.stream(sa.select(db.table.c.id))
            async for some in stream.partitions(4):
                assert some
            assert only()["rowCount"] == 10
            with pytest.raises(sa.exc.DBAPIError) as wrong:
                await connection.execute(sa.text("SELECT nonsense FROM nowhere"))
            failed = only()
            assert type(wrong.value.orig).__name__ in failed["error"] or "nowhere" in failed["error"]
            assert failed["callsite"]["line"] == line() - 3
            await connection.rollback()


async def test_async_orm_names_the_line_of_the_coroutine(
    async_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest, db: Any
) -> None:
    async with sa_asyncio.AsyncSession(async_engine) as session:
        await session.execute(sa.select(1))
        events()
        with in_request():
            author = (await session.execute(sa.select(db.Author).where(db.Author.id == 3))).scalars().one()
            books = await session.run_sync(lambda _: author.books)
            here = line() - 1
        assert len(books) == 3
    first, *loads = (event["data"] for event in events())
    assert first["callsite"]["line"] == here - 1
    assert first["callsite"]["function"].endswith("test_async_orm_names_the_line_of_the_coroutine")
    assert {data["callsite"]["line"] for data in loads} == {here}
    assert loads[-1]["rowCount"] == 3


async def test_a_cancelled_statement_is_recorded_once(
    asyncpg_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest, only: Only
) -> None:
    async with asyncpg_engine.connect() as connection:
        await connection.execute(sa.select(1))
        events()
        with in_request(), pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.execute(sa.text("SELECT pg_sleep(20)")), 0.1)
        assert only()["error"].startswith("CancelledError")


async def test_two_hundred_concurrent_requests_never_cross(client: Client, tmp_path: Path, in_request: InRequest) -> None:
    engine = sa_asyncio.create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path}/db", poolclass=sa.pool.AsyncAdaptedQueuePool, pool_size=10, max_overflow=0
    )

    async def one(number: int) -> tuple[str, int]:
        with in_request() as owner:
            async with engine.connect() as connection:
                for part in range(3):
                    assert (await connection.execute(sa.text(f"SELECT {number} + :x"), {"x": part})).scalar() == number + part
                    await asyncio.sleep(0)
                result = await connection.execute(sa.text("SELECT :x"), {"x": number})
                assert result.scalar() == number
            return owner.id, number

    owners = dict(await asyncio.gather(*(one(number) for number in range(200))))
    await engine.dispose()
    seen = [record for record in client.buffer.take(10_000) if record.kind == "db.query"]
    assert len(seen) == 800
    for record in seen:
        assert record.owner is not None
        number = owners[record.owner.id]
        assert record.data["sql"].startswith(f"SELECT {number} + ") or record.data["params"] == (number,)  # type: ignore[attr-defined]
        assert record.data["row_count"] == 1
    assert all(not owner.held for owner in {record.owner for record in seen if record.owner is not None})


async def test_thousands_of_short_tasks_keep_their_queries(client: Client, tmp_path: Path, in_request: InRequest) -> None:
    engine = sa_asyncio.create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/db")

    async def one() -> str:
        with in_request() as owner:
            async with engine.connect() as connection:
                await connection.execute(sa.text("SELECT :x"), {"x": owner.id})
            return owner.id

    ids = [await asyncio.create_task(one()) for _ in range(2000)]
    await engine.dispose()
    seen = client.buffer.take(10_000)
    assert [record.owner.id for record in seen if record.owner is not None] == ids
    assert [record.data["params"] for record in seen] == [(id,) for id in ids]
