"""Reading: a few threads, each with a connection that cannot write."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from brakit_server.records import Request
from brakit_server.stores import RequestPoint, StoreUnavailable, Timeline
from brakit_server.stores.sqlite import schema
from brakit_server.stores.sqlite.kinds import KIND_BITS, MARK, REQUEST, kind_of
from brakit_server.stores.sqlite.view import View

T = TypeVar("T")

THREADS = 3

STRADDLING = 16
"""Segments that are read to find out which of their events are young enough; of more, all count."""


class Reader:
    """Runs functions of a connection off the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._closed = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="brakit-reader")

    async def read(self, do: Callable[[sqlite3.Connection], T], before: Callable[[], None] | None = None) -> T:
        """The result of `do`, which sees one consistent state of the file; `before` runs just before that state is taken. Raises
        `StoreUnavailable`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._do, do, before)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        for connection in self._open:
            connection.close()

    def suspect(self) -> None:
        """Something could not be read: the next start looks at the whole file."""
        schema.suspect(self._path).touch(mode=0o600)

    def _do(self, do: Callable[[sqlite3.Connection], T], before: Callable[[], None] | None) -> T:
        try:
            connection = self._connection()
            if before is not None:
                before()
            connection.execute("BEGIN")
            try:
                return do(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if schema.is_corruption(error):
                self.suspect()
            raise StoreUnavailable(str(error)) from error

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None:
            known = schema.open_reader(self._path)
            self._local.connection = known
            self._open.append(known)
        return known


def timelines(view: View, ids: list[str]) -> dict[str, Timeline]:
    """The requests that are there, with their events."""
    requests = {id: root for id, root in view.roots(ids).items() if isinstance(root, Request)}
    owned = view.owned(requests)
    return {id: Timeline(request=requests[id], entries=owned[id]) for id in ids if id in requests}


def points(view: View, start: float, limit: int) -> list[RequestPoint]:
    """Figures of the newest requests, newest first."""
    result: list[RequestPoint] = []
    for each in view.newest(REQUEST, ("segment.at_max >= ?", [start])):
        entry = each.entry
        if isinstance(entry, Request) and entry.timestamp >= start:
            result.append(
                RequestPoint(entry.timestamp, entry.duration_ms, entry.status_code, view.endpoint_of(entry), entry.service)
            )
            if len(result) >= limit:
                break
    return result


def counts(view: View, start: float) -> dict[str, int]:
    """Events by kind, by arrival; in a segment that came around `start`, by their own."""
    found = [0] * (1 << KIND_BITS)
    second = start / 1000
    for received, number in zip(view.received, view.numbers, strict=True):
        found[number] += received >= second
    rows = view.connection.execute(
        "SELECT id, received_first, counts FROM segment WHERE received_last >= ? AND id < ? ORDER BY id", (second, view.end)
    ).fetchall()
    read = 0
    for first, received_first, counted in rows:
        numbers = array("H", counted)
        if received_first < second and read < STRADDLING:
            read += 1
            for number, count in enumerate(numbers):
                if count:
                    found[number] += view.younger(first, number, start)
            continue
        for number, count in enumerate(numbers):
            found[number] += count
    return {kind_of(number): count for number, count in enumerate(found) if count and number <= MARK}
