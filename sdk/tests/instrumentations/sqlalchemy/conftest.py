"""Databases to run statements on: real SQLite, and PostgreSQL and MariaDB where they are reachable on this machine.

All of it runs with 1.4 as well, in its 2.0 style (`future=True`).
"""

from __future__ import annotations

import importlib.util
import socket
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from brakit.client import Client

    Json = dict[str, Any]

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
RUN = uuid.uuid4().hex[:8]
"""Part of the names of the tables: several runs may use one server at the same time."""


registry = orm.registry()


@registry.mapped
class Author:
    __tablename__ = f"author_{RUN}"

    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(100), unique=True)
    books = orm.relationship("Book", order_by="Book.id", back_populates="author")
    by_title = orm.relationship("Book", lazy="dynamic", viewonly=True)
    note = orm.deferred(sa.Column(sa.String(100)))


@registry.mapped
class Book:
    __tablename__ = f"book_{RUN}"

    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.Integer, sa.ForeignKey(f"author_{RUN}.id"))
    title = sa.Column(sa.String(100))
    author = orm.relationship("Author", back_populates="books")


class Tables(NamedTuple):
    """Ten authors with three books each."""

    Author: Any
    Book: Any
    table: Any
    """That of `Author`."""


def short(url: str) -> str:
    return url.split(":")[0]


def reachable(url: str) -> str:
    """`url`; skips where there is no such driver or server."""
    made = sa.engine.make_url(url)
    driver = made.drivername.partition("+")[2]
    if driver and importlib.util.find_spec(driver) is None:
        pytest.skip(f"{driver} is not installed")
    try:
        made.get_dialect()
    except sa.exc.NoSuchModuleError:
        pytest.skip(f"SQLAlchemy {sa.__version__} has no dialect for {driver}")
    if made.host is not None:
        try:
            socket.create_connection((made.host, made.port or 0), timeout=2).close()
        except OSError as error:
            pytest.skip(f"no {made.get_backend_name()} on {made.host}:{made.port} ({error})")
    return url


def fill(connection: sa.Connection) -> None:
    registry.metadata.create_all(connection)
    connection.execute(sa.insert(Author), [{"id": n, "name": f"a{n}"} for n in range(1, 11)])
    connection.execute(sa.insert(Book), [{"id": n, "author_id": n % 10 + 1, "title": f"b{n}"} for n in range(1, 31)])


@pytest.fixture
def db() -> Tables:
    """The tables that `engine`, `any_engine` and `async_engine` have."""
    return Tables(Author, Book, Author.__table__)  # type: ignore[attr-defined]


@pytest.fixture
def engine(client: Client) -> Iterator[sa.Engine]:
    """A filled SQLite database in memory; the filling is not among the events."""
    made = sa.create_engine("sqlite://", future=True, poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False})
    with made.begin() as connection:
        fill(connection)
    client.buffer.records.clear()
    yield made
    made.dispose()


@pytest.fixture(params=SYNC, ids=short)
def any_engine(request: pytest.FixtureRequest, client: Client) -> Iterator[sa.Engine]:
    """A filled database of each kind."""
    made = sa.create_engine(reachable(request.param), future=True)
    with made.begin() as connection:
        fill(connection)
    client.buffer.records.clear()
    yield made
    with made.begin() as connection:
        registry.metadata.drop_all(connection)
    made.dispose()


@pytest.fixture(params=ASYNC, ids=short)
async def async_engine(request: pytest.FixtureRequest, client: Client) -> AsyncIterator[sa_asyncio.AsyncEngine]:
    """A filled database of each kind, asynchronous."""
    made = sa_asyncio.create_async_engine(reachable(request.param))
    async with made.begin() as connection:
        await connection.run_sync(fill)
    client.buffer.records.clear()
    yield made
    async with made.begin() as connection:
        await connection.run_sync(registry.metadata.drop_all)
    await made.dispose()


@pytest.fixture(params=SYNC[1:3], ids=short)
def postgres(request: pytest.FixtureRequest, client: Client) -> Iterator[sa.Engine]:
    """PostgreSQL through both drivers, without tables."""
    made = sa.create_engine(reachable(request.param), future=True)
    yield made
    made.dispose()


@pytest.fixture
async def asyncpg_engine(client: Client) -> AsyncIterator[sa_asyncio.AsyncEngine]:
    """PostgreSQL through asyncpg, without tables."""
    made = sa_asyncio.create_async_engine(reachable(ASYNC[1]))
    yield made
    await made.dispose()
