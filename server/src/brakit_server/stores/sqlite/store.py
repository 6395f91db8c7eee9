"""`SqliteStore`: the `Store` in one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from brakit_server.answers import ErrorGroup, QueryShape, Run, StatefulIssue
from brakit_server.records import Entry, Error, Fetch, Job, Log, Query, Request
from brakit_server.stores import Batch, Page, RequestPoint, Size, Stored, StoreUnavailable, Timeline, Where
from brakit_server.stores.rollups import Asked, Rollup, RollupKey, Told
from brakit_server.stores.sqlite import filtering, groups, lists, reader, retention, rollups, schema
from brakit_server.stores.sqlite.appending import Appender
from brakit_server.stores.sqlite.rows import ERROR, FETCH, JOB, LOG, QUERY, REQUEST, EndpointOf, readable, record
from brakit_server.stores.sqlite.writer import Writer

E = TypeVar("E", bound=Entry)
T = TypeVar("T")


def plain_endpoint(request: Request) -> str:
    """`METHOD route`, or `METHOD path` where no route is known."""
    return f"{request.method} {request.route or request.path}"


class SqliteStore:
    """One file, one writing thread, a few reading ones.

    `durability` is `normal` (a commit survives the process, not always the machine's power) or `full`. `endpoint_of` says to
    which endpoint a request belongs. Opening raises `StoreRefused` or `StoreUnavailable`.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: str = "normal",
        max_bytes: int = 1_000_000_000,
        max_age_days: float = 7.0,
        endpoint_of: EndpointOf = plain_endpoint,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_age_days = max_age_days
        self._clock = clock
        connection = schema.open_writer(path, durability)
        try:
            self._appender = Appender(connection, endpoint_of)
        except sqlite3.DatabaseError as error:
            # Files too large to be checked in full at each start show their damage here.
            connection.close()
            if not schema.is_corruption(error):
                raise StoreUnavailable(f"{path} cannot be read: {error}") from error
            schema.set_aside(path, str(error))
            connection = schema.open_writer(path, durability)
            self._appender = Appender(connection, endpoint_of)
        self._writer = Writer(connection, path, self._appender.begin, self._appender.undo)
        self._reader = reader.Reader(path)

    async def append(self, batch: Batch) -> list[Stored]:
        return await self._writer.submit(lambda connection: self._appender.append(connection, batch))

    async def requests(self, where: Where) -> Page[Request]:
        return await self._page(Request, REQUEST, where)

    async def queries(self, where: Where) -> Page[Query]:
        return await self._page(Query, QUERY, where)

    async def fetches(self, where: Where) -> Page[Fetch]:
        return await self._page(Fetch, FETCH, where)

    async def logs(self, where: Where) -> Page[Log]:
        return await self._page(Log, LOG, where)

    async def errors(self, where: Where) -> Page[Error]:
        return await self._page(Error, ERROR, where)

    async def jobs(self, where: Where) -> Page[Job]:
        return await self._page(Job, JOB, where)

    async def _page(self, kind: type[E], number: int, where: Where) -> Page[E]:
        def do(connection: sqlite3.Connection) -> Page[E]:
            if where.filter is not None:
                fit = filtering.search(connection, number, where)
                fits = [entry for entry in fit.entries if isinstance(entry, kind)]
                return Page(
                    total=fit.total, entries=fits, next=None if fit.next is None else str(fit.next), complete=fit.complete
                )
            found = lists.conditions(connection, number, where)
            total, rows = lists.page(connection, found, where, self._appender.counts.get(number, 0))
            entries = [entry for _, json in rows if isinstance(entry := record(number, json), kind)]
            more = str(rows[-1][0]) if rows and len(rows) == where.limit else None
            return Page(total=total, entries=entries, next=more)

        return await self._reader.read(do)

    async def timelines(self, request_ids: list[str]) -> dict[str, Timeline]:
        return await self._reader.read(lambda connection: reader.timelines(connection, request_ids))

    async def activity(self, owner_ids: list[str]) -> dict[str, list[Stored]]:
        return await self._reader.read(lambda connection: reader.activity(connection, owner_ids))

    async def owners(self, ids: list[str]) -> dict[str, Request | Job]:
        return await self._reader.read(lambda connection: reader.owners(connection, ids))

    async def children(self, owner_id: str) -> list[Request | Job]:
        return await self._reader.read(lambda connection: reader.children(connection, owner_id))

    async def since(self, seq: int, limit: int) -> list[Stored]:
        return await self._reader.read(lambda connection: reader.since(connection, seq, limit))

    async def last_seq(self) -> int:
        return self._appender.seq

    async def query_shapes(self, where: Where) -> list[QueryShape]:
        return await self._reader.read(lambda connection: groups.query_shapes(connection, where))

    async def error_groups(self, where: Where) -> list[ErrorGroup]:
        return await self._reader.read(lambda connection: groups.error_groups(connection, where))

    async def points(self, since: float, limit: int) -> list[RequestPoint]:
        return await self._reader.read(lambda connection: reader.points(connection, since, limit))

    async def counts(self, since: float) -> dict[str, int]:
        return await self._reader.read(lambda connection: reader.counts(connection, since, list(self._appender.counts)))

    async def runs(self) -> list[Run]:
        sql = "SELECT CAST(json AS BLOB) FROM run ORDER BY last DESC"
        return await self._reader.read(lambda connection: readable(connection.execute(sql), Run))

    async def issues(self) -> list[StatefulIssue]:
        sql = "SELECT CAST(json AS BLOB) FROM issue ORDER BY id"
        return await self._reader.read(lambda connection: readable(connection.execute(sql), StatefulIssue))

    async def save_issues(self, issues: list[StatefulIssue], removed: list[str]) -> None:
        rows = [(issue.issue_id, msgspec.json.encode(issue).decode()) for issue in issues]

        def do(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM issue WHERE id = ?", [(id,) for id in removed])
            connection.executemany("INSERT OR REPLACE INTO issue (id, json) VALUES (?, ?)", rows)

        await self._writer.submit(do)

    async def save_rollups(self, cells: list[tuple[RollupKey, Rollup]], upto: int) -> None:
        await self._writer.submit(lambda connection: rollups.save(connection, cells, upto))

    async def rollups(self, asked: Asked) -> Told:
        return await self._reader.read(lambda connection: rollups.tell(connection, asked, self._clock() * 1000))

    async def rollups_upto(self) -> int:
        return await self._reader.read(rollups.upto)

    async def size(self) -> Size:
        used = await self._reader.read(retention.bytes_used)
        return Size(bytes=used, events=self._appender.by_kind())

    async def expire(self) -> int:
        def step(connection: sqlite3.Connection) -> int:
            rollups.expire(connection, self._max_age_days, self._clock())
            gone = retention.expire_step(connection, self._max_bytes, self._max_age_days, self._clock())
            if gone:
                self._appender.expired(gone)
                retention.give_back(connection)
            return sum(gone.values())

        total = 0
        while deleted := await self._writer.submit(step, alone=True):
            total += deleted
        return total

    async def clear(self) -> None:
        def do(connection: sqlite3.Connection) -> None:
            retention.delete_all(connection)
            self._appender.after_clear()
            rollups.delete_all(connection, self._appender.seq)
            retention.shrink(connection)

        await self._writer.submit(do, alone=True)

    async def close(self) -> None:
        def stop() -> None:
            self._writer.close()
            self._reader.close()

        await asyncio.to_thread(stop)
