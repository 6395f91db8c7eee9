"""What an async handler does: statements through each async database library, calls through each async HTTP client, a log record.

A loop that lives as long as the process has pools; one that is made for a single request has connections of its own (`brief`).
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp
import aiomysql
import asyncpg
import httpx
import psycopg
import psycopg_pool
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from tests.truth.apps.book import Broken, Part, log
from tests.truth.apps.sync_work import MARIADB_PORT, POSTGRES, SIZE, STUB, item

PATIENCE_S = 0.25


class Tools:
    """Pools and clients of one event loop, each made when it is first asked for."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.made: dict[str, Any] = {}

    async def get(self, name: str) -> Any:
        async with self.lock:
            if name not in self.made:
                self.made[name] = await getattr(self, name)()
            return self.made[name]

    async def asyncpg(self) -> Any:
        return await asyncpg.create_pool(POSTGRES, min_size=1, max_size=SIZE)

    async def psycopg(self) -> Any:
        pool: Any = psycopg_pool.AsyncConnectionPool(POSTGRES, min_size=1, max_size=SIZE, open=False, timeout=60)
        await pool.open()
        return pool

    async def engine(self) -> Any:
        address = POSTGRES.replace("postgresql:", "postgresql+asyncpg:")
        return create_async_engine(address, pool_size=SIZE, max_overflow=0, pool_timeout=60)

    async def orm_engine(self) -> Any:
        address = POSTGRES.replace("postgresql:", "postgresql+psycopg:")
        return create_async_engine(address, pool_size=SIZE, max_overflow=0, pool_timeout=60)

    async def aiomysql(self) -> Any:
        return await aiomysql.create_pool(
            host="127.0.0.1", port=MARIADB_PORT, user="root", db="truth", minsize=1, maxsize=SIZE, autocommit=False
        )

    async def httpx(self) -> Any:
        return httpx.AsyncClient(timeout=60, trust_env=False)

    async def aiohttp(self) -> Any:
        return aiohttp.ClientSession()


class Brief(Tools):
    """For a loop that ends with the request: connections, and an end to all of it."""

    async def asyncpg(self) -> Any:
        return Single(await asyncpg.connect(POSTGRES))

    async def psycopg(self) -> Any:
        return Single(await psycopg.AsyncConnection.connect(POSTGRES))

    async def aiomysql(self) -> Any:
        return Single(await aiomysql.connect(host="127.0.0.1", port=MARIADB_PORT, user="root", db="truth"))

    async def engine(self) -> Any:
        return create_async_engine(POSTGRES.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool)

    async def orm_engine(self) -> Any:
        return create_async_engine(POSTGRES.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)

    async def close(self) -> None:
        for name, tool in self.made.items():
            if "engine" in name:
                await tool.dispose()
            elif name == "httpx":
                await tool.aclose()
            else:
                await tool.close()


class Single:
    """One connection in the place of a pool."""

    def __init__(self, one: Any) -> None:
        self.one = one
        self.lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def acquire(self) -> Any:
        async with self.lock:
            yield self.one

    connection = acquire

    async def close(self) -> None:
        closing = self.one.close()
        if closing is not None:
            await closing


_of_loop: dict[asyncio.AbstractEventLoop, Tools] = {}


class AsyncWork(Part):
    """One part of a request's work, in async code."""

    queries: tuple[str, ...] = ("asyncpg", "psycopg", "alchemy", "aiomysql", "session", "prepared")
    calls = ("httpx", "aiohttp")

    def __init__(self, marker: str, name: str, tools: Tools | None = None) -> None:
        super().__init__(marker, name)
        self._tools = tools

    async def tool(self, name: str) -> Any:
        tools = self._tools
        if tools is None:
            loop = asyncio.get_running_loop()
            tools = _of_loop.get(loop)
            if tools is None:
                tools = _of_loop[loop] = Tools()
        return await tools.get(name)

    async def all(self) -> None:
        """Every library once."""
        with self:
            for name in (*self.queries, *self.calls):
                await getattr(self, name)()
            self.log()
            self.caught()

    async def some(self) -> None:
        """Two of the databases and one of the clients, other ones for each request."""
        with self:
            number = int(self.marker[1:])
            await getattr(self, self.queries[number % len(self.queries)])()
            await getattr(self, self.calls[number % len(self.calls)])()
            await getattr(self, self.queries[(number + 1) % len(self.queries)])()
            self.log()

    async def little(self) -> None:
        """One of the databases."""
        with self:
            await getattr(self, self.queries[int(self.marker[1:]) % len(self.queries)])()
            self.log()

    async def asyncpg(self) -> None:
        pool = await self.tool("asyncpg")
        async with pool.acquire() as connection:
            await connection.fetchval(f"SELECT $1::int AS {self.token('asyncpg')}", 7)
            async with connection.transaction():
                insert = f"INSERT INTO truth_item (name) VALUES ($1) RETURNING id AS {self.token('asyncpg', 2)}"
                await connection.executemany(insert, [("a",), ("b",), ("c",)])
                with contextlib.suppress(asyncpg.PostgresError):
                    async with connection.transaction():
                        await connection.execute(f"SELECT 1 / (0 * random())::int AS {self.token('asyncpg', 3)}")

    async def psycopg(self) -> None:
        pool = await self.tool("psycopg")
        async with pool.connection() as connection:
            cursor = await connection.execute(f"SELECT %s::int AS {self.token('psycopg')}", (7,))
            await cursor.fetchone()
            async with connection.transaction():
                await connection.execute(f"INSERT INTO truth_item (name) VALUES ('a') RETURNING id AS {self.token('psycopg', 2)}")
            await connection.commit()

    async def alchemy(self) -> None:
        engine = await self.tool("engine")
        async with engine.begin() as connection:
            await connection.execute(sa.text(f"SELECT :number ::int AS {self.token('alchemy')}"), {"number": 7})
            await connection.execute(sa.insert(item).returning(item.c.id.label(self.token("alchemy", 2))), {"name": "a"})

    async def aiomysql(self) -> None:
        pool = await self.tool("aiomysql")
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(f"SELECT %s AS {self.token('aiomysql')}", (7,))
            await cursor.execute(f"INSERT INTO truth_item (name) VALUES (%s) /* {self.token('aiomysql', 2)} */", ("a",))
            await connection.commit()

    async def session(self) -> None:
        async with AsyncSession(await self.tool("orm_engine")) as session:
            await session.execute(sa.select(item.c.id.label(self.token("session"))).limit(3))
            async for _ in await session.stream(sa.text(f"SELECT generate_series(1, 5) AS {self.token('session', 2)}")):
                pass
            await session.commit()

    async def prepared(self) -> None:
        """A prepared statement that is executed twice, COPY, a cursor."""
        pool = await self.tool("asyncpg")
        async with pool.acquire() as connection:
            statement = await connection.prepare(f"SELECT $1::int AS {self.token('prepared')}")
            await statement.fetchval(1)
            await statement.fetchval(2)
            await connection.copy_from_query(f"SELECT 1 AS {self.token('prepared', 2)}", output=throw_away)
            async with connection.transaction():
                async for _ in connection.cursor(f"SELECT generate_series(1, 5) AS {self.token('prepared', 3)}", prefetch=2):
                    pass

    async def cut(self) -> None:
        """What takes too long, and is cancelled or times out."""
        with self:
            async with (await self.tool("asyncpg")).acquire() as connection:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(connection.fetchval(f"SELECT pg_sleep(20) AS {self.token('cut')}"), PATIENCE_S)
            async with (await self.tool("psycopg")).connection() as connection:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(connection.execute(f"SELECT pg_sleep(20) AS {self.token('cut', 2)}"), PATIENCE_S)
                await connection.rollback()
            with contextlib.suppress(httpx.TimeoutException):
                await (await self.tool("httpx")).get(f"{STUB}/slow/{self.token('cut', 3)}", timeout=PATIENCE_S)
            with contextlib.suppress(asyncio.TimeoutError):
                call = (await self.tool("aiohttp")).get(f"{STUB}/slow/{self.token('cut', 4)}")
                await asyncio.wait_for(call, PATIENCE_S)
            self.log()

    async def httpx(self) -> None:
        client = await self.tool("httpx")
        (await client.post(f"{STUB}/{self.token('httpx')}", json={"a": 1})).raise_for_status()

    async def aiohttp(self) -> None:
        client = await self.tool("aiohttp")
        async with client.get(f"{STUB}/{self.token('aiohttp')}") as answer:
            await answer.read()

    def log(self) -> None:
        log.info("%s", self.token("log"))

    def caught(self) -> None:
        try:
            raise Broken(self.token("caught"))
        except Broken:
            log.exception("%s", self.token("caught", 2))


async def throw_away(data: bytes) -> None:
    return
