"""psycopg and asyncpg against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg

from tests.corpus.cases import Family
from tests.corpus.hosts import AsyncJob, Job

HOST, PORT = "127.0.0.1", 5432
ADDRESS = f"postgresql://postgres@{HOST}:{PORT}/test"
SCHEMA = f"corpus_{os.getpid()}"
TABLES = f"""
    DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
    CREATE SCHEMA {SCHEMA};
    SET search_path TO {SCHEMA};
    CREATE TABLE books (id serial PRIMARY KEY, author_id int, title text, price numeric, fresh boolean DEFAULT true);
    CREATE TABLE authors (id serial PRIMARY KEY, name text);
    INSERT INTO authors (name) SELECT 'author ' || n FROM generate_series(1, 20) n;
    INSERT INTO books (author_id, title, price) SELECT n % 20 + 1, 'book ' || n, n FROM generate_series(1, 900) n;
"""


def available() -> bool:
    """Whether there is a PostgreSQL here."""
    with suppress(OSError), socket.create_connection((HOST, PORT), 1):
        return True
    return False


@contextmanager
def connection() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(ADDRESS, autocommit=True) as opened:
        opened.execute(TABLES)
        try:
            yield opened
        finally:
            opened.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@asynccontextmanager
async def pool() -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(ADDRESS, min_size=6, max_size=6, server_settings={"search_path": SCHEMA}) as opened:
        await opened.execute(TABLES)
        try:
            yield opened
        finally:
            await opened.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


psycopg_case = Family("psycopg", Job(connection))
asyncpg_case = Family("asyncpg", AsyncJob(pool))
FAMILIES = [psycopg_case, asyncpg_case] if available() else []

BY_AUTHOR = "SELECT title FROM books WHERE author_id = %s"
BY_AUTHOR_NATIVE = "SELECT title FROM books WHERE author_id = $1"


@psycopg_case(expect={"n1": "books"})
def a_loop(db: psycopg.Connection[Any]) -> None:
    for (number,) in db.execute("SELECT id FROM authors").fetchall():
        db.execute(BY_AUTHOR, (number,)).fetchall()  # here: n1


@psycopg_case(expect={"n1": "books"}, trap="named parameters")
def a_loop_by_name(db: psycopg.Connection[Any]) -> None:
    with db.cursor() as cursor:
        for number in range(1, 9):
            cursor.execute("SELECT title FROM books WHERE author_id = %(author)s", {"author": number})  # here: n1


@psycopg_case(expect={"n1": "books"}, trap="a transaction around it")
def writes_in_a_transaction(db: psycopg.Connection[Any]) -> None:
    with db.transaction():
        for number in range(1, 9):
            db.execute("UPDATE books SET price = price + 1 WHERE id = %s", (number,))  # here: n1


@psycopg_case(expect={"redundant-query": "authors"})
def the_same_again(db: psycopg.Connection[Any]) -> None:
    for _ in range(3):
        db.execute("SELECT name FROM authors WHERE id = %s", (1,)).fetchone()  # here: redundant-query


@psycopg_case(trap="a server-side cursor: many FETCH for one SELECT")
def server_side_cursor(db: psycopg.Connection[Any]) -> None:
    with db.transaction(), db.cursor(name="all_books") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT title FROM books")
        for _ in cursor:
            pass


@psycopg_case(trap="a server-side cursor read in portions by hand")
def server_side_portions(db: psycopg.Connection[Any]) -> None:
    with db.transaction(), db.cursor(name="all_books") as cursor:
        cursor.execute("SELECT title FROM books")
        while cursor.fetchmany(100):
            pass


@psycopg_case(trap="cursors by hand: DECLARE and FETCH as statements")
def declared_by_hand(db: psycopg.Connection[Any]) -> None:
    with db.transaction():
        db.execute("DECLARE walk CURSOR FOR SELECT title FROM books")
        while db.execute("FETCH 100 FROM walk").fetchall():
            pass


@psycopg_case(trap="executemany")
def many_psycopg(db: psycopg.Connection[Any]) -> None:
    with db.cursor() as cursor:
        cursor.executemany("INSERT INTO authors (name) VALUES (%s)", [(f"n{number}",) for number in range(100)])


@psycopg_case(trap="COPY")
def copied(db: psycopg.Connection[Any]) -> None:
    with db.cursor().copy("COPY authors (name) FROM STDIN") as copy:
        for number in range(100):
            copy.write_row((f"n{number}",))


@psycopg_case(trap="ANY over an array: a list in one parameter, in chunks")
def any_in_chunks(db: psycopg.Connection[Any]) -> None:
    for first in range(1, 900, 200):
        db.execute("SELECT title FROM books WHERE id = ANY(%s)", (list(range(first, first + 200)),)).fetchall()


@psycopg_case(trap="savepoints that are rolled back, until one holds")
def savepoints(db: psycopg.Connection[Any]) -> None:
    with db.transaction():
        for number in (1, 2, 3, 5000):
            with suppress(psycopg.errors.UniqueViolation), db.transaction():
                db.execute("INSERT INTO authors (id, name) VALUES (%s, 'x')", (number,))


@psycopg_case(trap="a lock, asked for until it is free")
def a_lock(db: psycopg.Connection[Any]) -> None:
    for _ in range(4):
        db.execute("SELECT pg_try_advisory_lock(%s)", (7,)).fetchone()
    db.execute("SELECT pg_advisory_unlock_all()")


@psycopg_case(trap="the next row of a queue, locked, until there is none")
def a_queue(db: psycopg.Connection[Any]) -> None:
    take = "SELECT id FROM books WHERE fresh AND id < 4 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    with db.transaction():
        while row := db.execute(take).fetchone():
            db.execute("UPDATE books SET fresh = false WHERE id >= %s AND id < 4", row)


@asyncpg_case(expect={"n1": "books"})
async def awaited_in_a_loop(db: asyncpg.Pool) -> None:
    for number in range(1, 9):
        await db.fetch(BY_AUTHOR_NATIVE, number)  # here: n1


@asyncpg_case(expect={"n1": "books"}, trap="one connection, other things awaited in between")
async def awaited_with_sleeps(db: asyncpg.Pool) -> None:
    async with db.acquire() as connection:
        for number in range(1, 9):
            await asyncio.sleep(0.001)
            await connection.fetchval(BY_AUTHOR_NATIVE, number)  # here: n1


@asyncpg_case(expect={"n1": "books"}, trap="a prepared statement: no text goes along")
async def prepared(db: asyncpg.Pool) -> None:
    async with db.acquire() as connection:
        statement = await connection.prepare(BY_AUTHOR_NATIVE)
        for number in range(1, 9):
            await statement.fetch(number)  # here: n1


@asyncpg_case(expect={"n1": "books"}, trap="side by side: as many round trips, in as many connections")
async def gathered_loop(db: asyncpg.Pool) -> None:
    async def titles(number: int) -> list[Any]:
        found: list[Any] = await db.fetch(BY_AUTHOR_NATIVE, number)  # here: n1
        return found

    await asyncio.gather(*(titles(number) for number in range(1, 7)))


@asyncpg_case(expect={"redundant-query": "authors"})
async def the_same_again_awaited(db: asyncpg.Pool) -> None:
    async with db.acquire() as connection:
        await connection.fetchval("SELECT name FROM authors WHERE id = $1", 1)
        await connection.fetch(BY_AUTHOR_NATIVE, 1)
        await connection.fetchval("SELECT name FROM authors WHERE id = $1", 1)


@asyncpg_case(trap="three different things side by side")
async def gathered(db: asyncpg.Pool) -> None:
    await asyncio.gather(
        db.fetchval("SELECT count(*) FROM books"),
        db.fetch(BY_AUTHOR_NATIVE, 3),
        db.fetchrow("SELECT name FROM authors WHERE id = $1", 3),
    )


@asyncpg_case(trap="executemany")
async def many_asyncpg(db: asyncpg.Pool) -> None:
    await db.executemany("INSERT INTO authors (name) VALUES ($1)", [(f"n{number}",) for number in range(100)])


@asyncpg_case(trap="a cursor with a small prefetch")
async def cursor(db: asyncpg.Pool) -> None:
    async with db.acquire() as connection, connection.transaction():
        async for _ in connection.cursor("SELECT title FROM books WHERE price > $1", 1, prefetch=50):
            pass


@asyncpg_case(trap="portions of a cursor")
async def cursor_portions(db: asyncpg.Pool) -> None:
    async with db.acquire() as connection, connection.transaction():
        opened = await connection.cursor("SELECT title FROM books")
        while await opened.fetch(200):
            pass


@asyncpg_case(trap="arrays in chunks")
async def arrays(db: asyncpg.Pool) -> None:
    for first in range(1, 900, 200):
        await db.fetch("SELECT title FROM books WHERE id = ANY($1::int[])", list(range(first, first + 200)))
