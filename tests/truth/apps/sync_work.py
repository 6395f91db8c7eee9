"""What a sync handler does: statements through each database library, calls through each HTTP client, a log record.

Each function has the name that stands in its tokens: the line that is captured must lie in it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from queue import LifoQueue
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import psycopg2
import psycopg_pool
import pymysql
import requests
import sqlalchemy as sa
import urllib3
from sqlalchemy.orm import Session

from tests.truth.apps.book import Broken, Part, log

STUB = os.environ["TRUTH_STUB"]
POSTGRES = os.environ["TRUTH_POSTGRES"]
MARIADB_PORT = int(os.environ["TRUTH_MARIADB_PORT"])
SIZE = 6
INSERT = "INSERT INTO truth_item (name) VALUES (%s) RETURNING id AS "

item = sa.Table("truth_item", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
_making = threading.Lock()


class Lent:
    """A few connections of a library without a pool, handed from thread to thread. Resets nothing."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.free: LifoQueue[Any] = LifoQueue()
        self.connect = connect
        for _ in range(SIZE):
            self.free.put(None)

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        connection = self.free.get() or self.connect()
        try:
            yield connection
        finally:
            self.free.put(connection)


class Tools:
    """What all threads of the process share."""

    def __init__(self) -> None:
        self.psycopg: psycopg_pool.ConnectionPool[Any] = psycopg_pool.ConnectionPool(
            POSTGRES, min_size=1, max_size=SIZE, open=True, timeout=60
        )
        self.psycopg2 = Lent(lambda: psycopg2.connect(POSTGRES))
        self.pymysql = Lent(lambda: pymysql.connect(host="127.0.0.1", port=MARIADB_PORT, user="root", database="truth"))
        self.engine = sa.create_engine(
            POSTGRES.replace("postgresql:", "postgresql+psycopg2:"), pool_size=SIZE, max_overflow=0, pool_timeout=60
        )
        self.orm_engine = sa.create_engine(
            POSTGRES.replace("postgresql:", "postgresql+psycopg:"), pool_size=SIZE, max_overflow=0, pool_timeout=60
        )
        self.urllib3 = urllib3.PoolManager()
        self.httpx = httpx.Client(timeout=60, trust_env=False)


@cache
def _tools() -> Tools:
    return Tools()


def tools() -> Tools:
    with _making:
        return _tools()


class Work(Part):
    """One part of a request's work, in sync code."""

    queries: tuple[str, ...] = ("psycopg", "psycopg2", "alchemy", "pymysql", "session", "copied")
    calls = ("requests", "httpx", "urllib", "urllib3", "http")

    def all(self) -> None:
        """Every library once."""
        with self:
            for name in (*self.queries, *self.calls):
                getattr(self, name)()
            self.log()
            self.caught()

    def some(self) -> None:
        """Two of the databases and one of the clients, other ones for each request."""
        with self:
            self._some()

    def _some(self) -> None:
        number = int(self.marker[1:])
        for name in (
            self.queries[number % len(self.queries)],
            self.calls[number % len(self.calls)],
            self.queries[(number + 1) % len(self.queries)],
        ):
            getattr(self, name)()
        self.log()

    def little(self) -> None:
        """One of the databases."""
        with self:
            getattr(self, self.queries[int(self.marker[1:]) % len(self.queries)])()
            self.log()

    def psycopg(self) -> None:
        with tools().psycopg.connection() as connection:
            connection.execute(f"SELECT %s::int AS {self.token('psycopg')}", (7,)).fetchone()
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(INSERT + self.token("psycopg", 2), [("a",), ("b",), ("c",)])
                with contextlib.suppress(psycopg.Error), connection.transaction():
                    cursor.execute(f"SELECT 1 / (0 * random())::int AS {self.token('psycopg', 3)}")

    def psycopg2(self) -> None:
        with tools().psycopg2.connection() as connection, connection.cursor() as cursor:
            cursor.execute(INSERT + self.token("psycopg2"), ("a",))
            connection.commit()
            try:
                cursor.execute(f"SELECT 1 / (0 * random())::int AS {self.token('psycopg2', 2)}")
            except psycopg2.Error:
                connection.rollback()

    def alchemy(self) -> None:
        with tools().engine.begin() as connection:
            token = self.token("alchemy")
            connection.execute(sa.text(f"SELECT :number AS {token}"), {"number": 7}).all()
            connection.execute(sa.insert(item).returning(item.c.id.label(self.token("alchemy", 2))), {"name": "a"}).all()

    def pymysql(self) -> None:
        with tools().pymysql.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT %s AS {self.token('pymysql')}", (7,))
            cursor.executemany(f"INSERT /* {self.token('pymysql', 2)} */ INTO truth_item (name) VALUES (%s)", [("a",), ("b",)])
            connection.commit()

    def session(self) -> None:
        with Session(tools().orm_engine) as session:
            session.execute(sa.select(item.c.id.label(self.token("session"))).limit(3)).all()
            with session.begin_nested():
                session.execute(
                    sa.insert(item).returning(item.c.id.label(self.token("session", 2))), [{"name": "a"}, {"name": "b"}]
                )
            session.commit()

    def copied(self) -> None:
        """COPY, a pipeline, a cursor of the server's."""
        with tools().psycopg.connection() as connection:
            with connection.cursor() as cursor, cursor.copy(f"COPY (SELECT 1 AS {self.token('copied')}) TO STDOUT") as copy:
                list(copy)
            with connection.pipeline():
                connection.execute(f"SELECT 1 AS {self.token('copied', 2)}")
                connection.execute(f"SELECT %s::int AS {self.token('copied', 3)}", (7,))
            with connection.cursor("named") as cursor:
                cursor.execute(f"SELECT generate_series(1, 5) AS {self.token('copied', 4)}")
                while cursor.fetchmany(2):
                    pass

    def requests(self) -> None:
        """By way of a redirect: one call."""
        requests.get(f"{STUB}/hop/{self.token('requests')}", timeout=60).raise_for_status()

    def httpx(self) -> None:
        tools().httpx.post(f"{STUB}/{self.token('httpx')}", json={"a": 1}).raise_for_status()

    def urllib(self) -> None:
        with urllib.request.urlopen(f"{STUB}/{self.token('urllib')}", timeout=60) as answer:
            answer.read()

    def urllib3(self) -> None:
        tools().urllib3.request("GET", f"{STUB}/{self.token('urllib3')}")

    def http(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(STUB).netloc, timeout=60)
        connection.request("GET", f"/{self.token('http')}")
        connection.getresponse().read()
        connection.close()

    def cut(self) -> None:
        """What takes too long, in all the ways to say so."""
        with self:
            with tools().psycopg.connection() as connection, contextlib.suppress(psycopg.Error), connection.transaction():
                connection.execute("SET LOCAL statement_timeout = 100")
                connection.execute(f"SELECT pg_sleep(20) AS {self.token('cut')}")
            with contextlib.suppress(requests.Timeout):
                requests.get(f"{STUB}/slow/{self.token('cut', 2)}", timeout=0.2)
            with contextlib.suppress(httpx.TimeoutException):
                tools().httpx.get(f"{STUB}/slow/{self.token('cut', 3)}", timeout=0.2)
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{STUB}/slow/{self.token('cut', 4)}", timeout=0.2)
            self.log()

    def log(self) -> None:
        log.info("%s", self.token("log"))

    def caught(self) -> None:
        """An exception that is only logged: an error all the same."""
        try:
            raise Broken(self.token("caught"))
        except Broken:
            log.exception("%s", self.token("caught", 2))
