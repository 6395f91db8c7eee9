"""Drivers of databases, each with a real server; the work is done in a request."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from tests.faults.bench import InLoop, InRequest
from tests.faults.observing import Run, See
from tests.faults.sweep import App

POSTGRES = "host=127.0.0.1 dbname=test user=postgres"
MARIADB: dict[str, Any] = {"host": "127.0.0.1", "user": "root"}
TABLE = f"faults{os.getpid()}"
Making = contextlib.AbstractContextManager[Run]


def statements(connection: Any, mark: str, many: bool = True) -> Callable[[See], None]:
    """What is done with a DB-API connection whose table is there and empty."""

    def work(see: See) -> None:
        cursor = connection.cursor()
        cursor.execute(f"INSERT INTO {TABLE} VALUES ({mark}, {mark})", (1, "ann"))
        see(cursor.rowcount)
        cursor.executemany(f"INSERT INTO {TABLE} VALUES ({mark}, {mark})", [(2, "bob"), (3, "eve")])
        connection.commit()
        cursor.execute(f"SELECT id, name FROM {TABLE} ORDER BY id")
        see([tuple(one) for one in [cursor.fetchone(), *cursor.fetchmany(1), *cursor.fetchall()]])
        see(cursor.fetchone() if many else None)
        cursor.execute(f"SELECT id FROM {TABLE} WHERE id > {mark} ORDER BY id", (1,))
        see([tuple(row) for row in cursor])
        with see.error():
            cursor.execute("SELECT nothing FROM nowhere")
        connection.rollback()
        cursor.execute(f"DELETE FROM {TABLE} WHERE id = {mark}", (3,))
        connection.rollback()
        cursor.execute(f"SELECT count(*) FROM {TABLE}")
        see.did("rows", cursor.fetchone()[0])
        cursor.execute(f"DELETE FROM {TABLE}")
        cursor.close()
        connection.commit()

    return work


@contextlib.contextmanager
def doing(connection: Any, mark: str, **options: Any) -> Iterator[Run]:
    """A table for the time of an app, and its run."""
    cursor = connection.cursor()
    cursor.execute(f"CREATE TEMPORARY TABLE {TABLE} (id INTEGER, name VARCHAR(20))")
    connection.commit()
    inside, work = InRequest(), statements(connection, mark, **options)
    try:
        yield lambda see: inside(see, work)
    finally:
        cursor.close()
        connection.close()


def sqlite() -> Making:
    return doing(sqlite3.connect(":memory:"), "?")


def psycopg2() -> Making:
    import psycopg2

    return doing(psycopg2.connect(POSTGRES), "%s")


def psycopg() -> Making:
    import psycopg

    return doing(psycopg.connect(POSTGRES), "%s")


def pymysql() -> Making:
    import pymysql

    return doing(pymysql.connect(**MARIADB, database="test"), "%s")


def mysqldb() -> Making:
    import MySQLdb

    return doing(MySQLdb.connect(**MARIADB, database="test"), "%s")


def mysql() -> Making:
    import mysql.connector

    return doing(mysql.connector.connect(**MARIADB, database="test", collation="utf8mb4_general_ci"), "%s")


def pyodbc() -> Making:
    import pyodbc

    if "SQLite3" not in pyodbc.drivers():
        raise ImportError("no ODBC driver SQLite3 is installed")
    return doing(pyodbc.connect("DRIVER={SQLite3};DATABASE=:memory:"), "?", many=False)


def watched() -> Making:
    """A driver that is not known, made known by `brakit.dbapi`."""
    import pg8000.dbapi

    import brakit

    return doing(brakit.dbapi(pg8000.dbapi.connect("postgres", "127.0.0.1", "test"), "postgresql"), "%s")


@contextlib.contextmanager
def pool() -> Iterator[Run]:
    import psycopg_pool

    with psycopg_pool.ConnectionPool(POSTGRES, min_size=1, max_size=1, open=True) as made:
        made.wait()
        inside = InRequest()

        def work(see: See) -> None:
            with made.connection() as connection:
                see(connection.execute("SELECT 1").fetchall())
            with see.error(), made.connection() as connection:
                connection.execute("SELECT nothing")
            held = made.getconn()
            with see.error():
                made.getconn(timeout=0.02)
            made.putconn(held)

        yield lambda see: inside(see, work)


Work = Callable[[See], Any]


@contextlib.contextmanager
def looped(begin: Callable[[], AsyncIterator[Work]]) -> Iterator[Run]:
    """`begin` is an async generator: what comes before, the work, what comes after."""
    inside = InLoop()
    generator = begin()
    work: Any = inside.do(anext(generator))
    try:
        yield lambda see: inside(see, work)
    finally:
        with contextlib.suppress(StopAsyncIteration):
            inside.do(anext(generator))
        inside.close()


async def async_statements(see: See, connection: Any, cursor: Any, mark: str) -> None:
    """The same as `statements`, for the drivers that have DB-API in coroutines."""
    await cursor.execute(f"INSERT INTO {TABLE} VALUES ({mark}, {mark})", (1, "ann"))
    await cursor.executemany(f"INSERT INTO {TABLE} VALUES ({mark}, {mark})", [(2, "bob"), (3, "eve")])
    await connection.commit()
    await cursor.execute(f"SELECT id, name FROM {TABLE} ORDER BY id")
    see([tuple(one) for one in [await cursor.fetchone(), *await cursor.fetchmany(1), *await cursor.fetchall()]])
    await cursor.execute(f"SELECT id FROM {TABLE} WHERE id > {mark} ORDER BY id", (1,))
    # MySQL Connector's cursors are not made for `async for`.
    connector = type(cursor).__module__.startswith("mysql.")
    see([tuple(row) for row in await cursor.fetchall()] if connector else [tuple(row) async for row in cursor])
    with see.error():
        await cursor.execute("SELECT nothing FROM nowhere")
    await connection.rollback()
    await cursor.execute(f"SELECT count(*) FROM {TABLE}")
    see.did("rows", (await cursor.fetchall())[0][0])
    await cursor.execute(f"DELETE FROM {TABLE}")
    await connection.commit()


CREATE = f"CREATE TEMPORARY TABLE {TABLE} (id INTEGER, name VARCHAR(20))"


async def psycopg_async() -> AsyncIterator[Work]:
    import psycopg

    connection = await psycopg.AsyncConnection.connect(POSTGRES)
    await connection.execute(CREATE)
    await connection.commit()

    async def work(see: See) -> None:
        async with connection.cursor() as cursor:
            await async_statements(see, connection, cursor, "%s")

    yield work
    await connection.close()


async def aiosqlite() -> AsyncIterator[Work]:
    import aiosqlite

    connection = await aiosqlite.connect(":memory:")
    await connection.execute(CREATE)

    async def work(see: See) -> None:
        async with connection.cursor() as cursor:
            await async_statements(see, connection, cursor, "?")

    yield work
    await connection.close()


async def aiomysql() -> AsyncIterator[Work]:
    import aiomysql

    connection = await aiomysql.connect(**MARIADB, db="test")
    async with connection.cursor() as cursor:
        await cursor.execute(CREATE)

    async def work(see: See) -> None:
        async with connection.cursor() as cursor:
            await async_statements(see, connection, cursor, "%s")

    yield work
    await connection.ensure_closed()


async def asyncmy() -> AsyncIterator[Work]:
    import asyncmy

    connection = await asyncmy.connect(**MARIADB, database="test")
    async with connection.cursor() as cursor:
        await cursor.execute(CREATE)

    async def work(see: See) -> None:
        async with connection.cursor() as cursor:
            await async_statements(see, connection, cursor, "%s")

    yield work
    await connection.ensure_closed()


async def mysql_aio() -> AsyncIterator[Work]:
    import mysql.connector.aio

    connection: Any = await mysql.connector.aio.connect(
        **MARIADB, database="test", collation="utf8mb4_general_ci", ssl_disabled=True
    )
    cursor = await connection.cursor(buffered=True)
    await cursor.execute(CREATE)

    async def work(see: See) -> None:
        await async_statements(see, connection, cursor, "%s")

    yield work
    await cursor.close()
    await connection.close()


async def asyncpg() -> AsyncIterator[Work]:
    import asyncpg

    pool = await asyncpg.create_pool(host="127.0.0.1", database="test", user="postgres", min_size=1, max_size=1)
    connection = await pool.acquire()
    await connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER, name VARCHAR(20))")
    await pool.release(connection)

    async def work(see: See) -> None:
        async with pool.acquire() as connection:
            see(await connection.execute(f"INSERT INTO {TABLE} VALUES ($1, $2)", 1, "ann"))
            await connection.executemany(f"INSERT INTO {TABLE} VALUES ($1, $2)", [(2, "bob"), (3, "eve")])
            see([tuple(row) for row in await connection.fetch(f"SELECT * FROM {TABLE} ORDER BY id")])
            see(await connection.fetchval("SELECT 1"), await connection.fetchrow("SELECT 1 WHERE false"))
            with see.error():
                async with connection.transaction():
                    await connection.execute(f"DELETE FROM {TABLE}")
                    await connection.fetch("SELECT nothing FROM nowhere")
            async with connection.transaction():
                statement = await connection.prepare(f"SELECT id FROM {TABLE} WHERE id > $1 ORDER BY id")
                see([tuple(row) async for row in statement.cursor(1, prefetch=1)])
                cursor = await connection.cursor(f"SELECT id FROM {TABLE} ORDER BY id")
                see([tuple(row) for row in await cursor.fetch(2)])
            see.did("rows", await connection.fetchval(f"SELECT count(*) FROM {TABLE}"))
            await connection.execute(f"DELETE FROM {TABLE}")

    yield work
    await pool.execute(f"DROP TABLE {TABLE}")
    await pool.close()


SHARED = ("_driver.py", "_dbapi.py", "_marks.py")
APPS = [
    App("sqlite3", sqlite, ("sqlite3.py",), (*SHARED, "callsite.py")),
    App("psycopg2", psycopg2, ("psycopg2.py",)),
    App("psycopg", psycopg, ("psycopg.py",), SHARED),
    App("psycopg async", lambda: looped(psycopg_async), ("psycopg.py",)),
    App("psycopg_pool", pool, ("psycopg_pool.py", "_pools.py")),
    App("asyncpg", lambda: looped(asyncpg), ("asyncpg.py",)),
    App("aiosqlite", lambda: looped(aiosqlite), ("aiosqlite.py",)),
    App("pymysql", pymysql, ("pymysql.py", "_mysql.py")),
    App("aiomysql", lambda: looped(aiomysql), ("aiomysql.py", "_mysql.py")),
    App("asyncmy", lambda: looped(asyncmy), ("asyncmy.py", "_mysql.py")),
    App("mysql", mysql, ("mysql.py", "_mysql.py")),
    App("mysql async", lambda: looped(mysql_aio), ("mysql.py",)),
    App("MySQLdb", mysqldb, ("MySQLdb.py",)),
    App("pyodbc", pyodbc, ("pyodbc.py", "_watched.py")),
    App("dbapi", watched, ("_watched.py",)),
]
