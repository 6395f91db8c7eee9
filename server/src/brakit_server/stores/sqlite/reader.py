"""Reading: a few threads, each with a connection that cannot write."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from brakit_server.records import Job, Request
from brakit_server.stores import RequestPoint, Stored, StoreUnavailable, Timeline
from brakit_server.stores.sqlite import schema
from brakit_server.stores.sqlite.lists import folded_in, seq_at
from brakit_server.stores.sqlite.rows import JOB, REQUEST, kind_of, owner_id, record, stored

T = TypeVar("T")

THREADS = 3

_STORED = (
    "SELECT event.seq, event.kind, word.text, CAST(body.json AS BLOB) "
    "FROM event JOIN body USING (seq) LEFT JOIN word ON word.id = event.name "
)


class Reader:
    """Runs functions of a connection off the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._closed = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="brakit-reader")

    async def read(self, do: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `do`, which sees one consistent state of the file. Raises `StoreUnavailable`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._do, do)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        for connection in self._open:
            connection.close()

    def _do(self, do: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                return do(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if schema.is_corruption(error):
                schema.suspect(self._path).touch(mode=0o600)
            raise StoreUnavailable(str(error)) from error

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None:
            known = schema.open_reader(self._path)
            known.create_function("folded_in", 2, folded_in, deterministic=True)
            self._local.connection = known
            self._open.append(known)
        return known


def activity(connection: sqlite3.Connection, owners: list[str]) -> dict[str, list[Stored]]:
    """Everything but requests and jobs by owner, by start."""
    result: dict[str, list[Stored]] = {}
    for text in owners:
        owner = owner_id(connection, text)
        rows = connection.execute(
            _STORED + "WHERE event.owner = ? AND +event.kind NOT IN (?, ?) ORDER BY event.at, event.seq", (owner, REQUEST, JOB)
        )
        result[text] = [one for row in rows if (one := stored(*row)) is not None]
    return result


def timelines(connection: sqlite3.Connection, request_ids: list[str]) -> dict[str, Timeline]:
    """The requests that are there, with their events."""
    result: dict[str, Timeline] = {}
    for text in request_ids:
        owner = owner_id(connection, text)
        rows = connection.execute(_STORED + "WHERE event.owner = ? ORDER BY event.at, event.seq", (owner,)).fetchall()
        request: Request | None = None
        entries = []
        for row in rows:
            one = stored(*row)
            if one is not None and isinstance(one.entry, Request):
                request = one.entry
            elif one is not None:
                entries.append(one)
        if request is not None:
            result[text] = Timeline(request=request, entries=entries)
    return result


def owners(connection: sqlite3.Connection, ids: list[str]) -> dict[str, Request | Job]:
    """The requests and jobs that are there."""
    result: dict[str, Request | Job] = {}
    for text in ids:
        rows = connection.execute(
            "SELECT event.kind, CAST(body.json AS BLOB) FROM event JOIN body USING (seq) "
            "WHERE event.owner = ? AND +event.kind IN (?, ?)",
            (owner_id(connection, text), REQUEST, JOB),
        )
        result.update((text, entry) for row in rows if isinstance(entry := record(*row), Request | Job))
    return result


def children(connection: sqlite3.Connection, parent: str) -> list[Request | Job]:
    """Requests and jobs that this one caused, by start."""
    rows = connection.execute(
        "SELECT event.kind, CAST(body.json AS BLOB) FROM event JOIN body USING (seq) "
        "WHERE event.parent = ? ORDER BY event.at, event.seq LIMIT 500",
        (owner_id(connection, parent),),
    )
    return [entry for row in rows if isinstance(entry := record(*row), Request | Job)]


def since(connection: sqlite3.Connection, seq: int, limit: int) -> list[Stored]:
    """Entries after `seq`, in order."""
    rows = connection.execute(_STORED + "WHERE event.seq > ? ORDER BY event.seq LIMIT ?", (seq, limit))
    return [one for row in rows if (one := stored(*row)) is not None]


def points(connection: sqlite3.Connection, start: float, limit: int) -> list[RequestPoint]:
    """Figures of the newest requests, newest first."""
    rows = connection.execute(
        "SELECT event.at, event.ms, event.status, endpoint.text, service.text FROM event "
        "LEFT JOIN word AS endpoint ON endpoint.id = event.endpoint LEFT JOIN word AS service ON service.id = event.service "
        "WHERE event.kind = 1 AND event.seq >= ? AND event.at >= ? ORDER BY event.seq DESC LIMIT ?",
        (seq_at(connection, start), start, limit),
    )
    return [RequestPoint(at, ms or 0.0, status or 0, endpoint or "", service) for at, ms, status, endpoint, service in rows]


def counts(connection: sqlite3.Connection, start: float, numbers: list[int]) -> dict[str, int]:
    """Events of the kinds `numbers`, by arrival."""
    first = seq_at(connection, start)
    result: dict[str, int] = {}
    # One range of the kind's index each: the rows are not touched.
    for number in numbers:
        found = connection.execute("SELECT count(*) FROM event WHERE kind = ? AND seq >= ?", (number, first)).fetchone()[0]
        if found:
            result[kind_of(number)] = found
    return result
