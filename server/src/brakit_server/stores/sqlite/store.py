"""`SqliteStore`: the `Store` in one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from brakit_server.answers import ErrorGroup, QueryShape, Run, StatefulIssue
from brakit_server.records import Entry, Error, Fetch, Job, Log, Query, Request
from brakit_server.stores import Batch, Page, RequestPoint, Size, Stored, StoreUnavailable, Timeline, Where
from brakit_server.stores.matching import EndpointOf, plain_endpoint
from brakit_server.stores.rollups import Asked, Rollup, RollupKey, Told
from brakit_server.stores.sqlite import groups, lists, moving, reader, retention, rollups, schema
from brakit_server.stores.sqlite.keeping import Housekeeper
from brakit_server.stores.sqlite.kinds import ERROR, FETCH, JOB, LOG, QUERY, REQUEST, readable
from brakit_server.stores.sqlite.view import State, View
from brakit_server.stores.sqlite.words import Keys
from brakit_server.stores.sqlite.writer import Writer

E = TypeVar("E", bound=Entry)
T = TypeVar("T")


class SqliteStore:
    """One file, one writing thread, a few reading ones.

    `durability` is `normal` (a commit survives the process, not always the machine's power) or `full`. `endpoint_of` says to
    which endpoint a request belongs. Opening raises `StoreRefused` or `StoreUnavailable`. A file that a newer version wrote is
    shown and not written: then `read_only` says why, and so does `StoreUnavailable` where something would be written.
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
        self._endpoint_of = endpoint_of
        self._clock = clock
        self.read_only: str | None = None

        def keeper(connection: sqlite3.Connection) -> Housekeeper:
            salt = connection.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()[0]
            return Housekeeper(connection, endpoint_of, Keys(salt), max_bytes, max_age_days, clock)

        def move(connection: sqlite3.Connection) -> None:
            moving.to_segments(connection, endpoint_of)

        self._writer: Writer | None = None
        try:
            connection = schema.open_writer(path, durability, move)
        except schema.Newer as newer:
            self.read_only = str(newer)
            print(f"brakit: {newer}", file=sys.stderr)  # noqa: T201
            connection = schema.open_reader(path)
            self._keeper = keeper(connection)
            connection.close()
        else:
            try:
                self._keeper = keeper(connection)
            except sqlite3.DatabaseError as error:
                # Files too large to be checked in full at each start show their damage here.
                connection.close()
                if schema.is_passing(error):
                    raise StoreUnavailable(f"{path} cannot be read: {error}") from error
                schema.set_aside(path, str(error))
                connection = schema.open_writer(path, durability, move)
                self._keeper = keeper(connection)
            self._writer = Writer(connection, path, self._keeper)
        self._keys = self._keeper.keys
        self._reader = reader.Reader(path)

    async def append(self, batch: Batch) -> list[Stored]:
        return await self._write(lambda connection: self._keeper.append(connection, batch))

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
        return await self.view(lambda view: lists.page(view, number, kind, where))

    async def timelines(self, request_ids: list[str]) -> dict[str, Timeline]:
        return await self.view(lambda view: reader.timelines(view, request_ids))

    async def activity(self, owner_ids: list[str]) -> dict[str, list[Stored]]:
        return await self.view(lambda view: view.owned(owner_ids))

    async def owners(self, ids: list[str]) -> dict[str, Request | Job]:
        return await self.view(lambda view: view.roots(ids))

    async def children(self, owner_id: str) -> list[Request | Job]:
        return await self.view(lambda view: view.caused(owner_id))

    async def since(self, seq: int, limit: int) -> list[Stored]:
        return await self.view(lambda view: view.since(seq, limit))

    async def last_seq(self) -> int:
        return self._keeper.seq

    async def query_shapes(self, where: Where) -> list[QueryShape]:
        return await self.view(lambda view: groups.query_shapes(view, where))

    async def error_groups(self, where: Where) -> list[ErrorGroup]:
        return await self.view(lambda view: groups.error_groups(view, where))

    async def points(self, since: float, limit: int) -> list[RequestPoint]:
        return await self.view(lambda view: reader.points(view, since, limit))

    async def counts(self, since: float) -> dict[str, int]:
        return await self.view(lambda view: reader.counts(view, since))

    async def runs(self) -> list[Run]:
        return sorted(self._keeper.runs.values(), key=lambda run: -run.last_seen_at)

    async def issues(self) -> list[StatefulIssue]:
        sql = "SELECT CAST(json AS BLOB) FROM issue ORDER BY id"
        return await self._reader.read(lambda connection: readable(connection.execute(sql), StatefulIssue))

    async def save_issues(self, issues: list[StatefulIssue], removed: list[str]) -> None:
        rows = [(issue.issue_id, msgspec.json.encode(issue).decode()) for issue in issues]

        def do(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM issue WHERE id = ?", [(id,) for id in removed])
            connection.executemany("INSERT OR REPLACE INTO issue (id, json) VALUES (?, ?)", rows)

        await self._write(do)

    async def save_rollups(self, cells: list[tuple[RollupKey, Rollup]], upto: int) -> None:
        await self._write(lambda connection: rollups.save(connection, cells, upto))

    async def rollups(self, asked: Asked) -> Told:
        return await self._reader.read(lambda connection: rollups.tell(connection, asked, self._clock() * 1000))

    async def rollups_upto(self) -> int:
        return await self._reader.read(rollups.upto)

    async def size(self) -> Size:
        used = await self._reader.read(retention.bytes_used)
        return Size(bytes=used, events=self._keeper.by_kind())

    async def expire(self) -> int:
        total = 0
        if self.read_only is None:
            while deleted := await self._write(self._keeper.expire, alone=True):
                total += deleted
        return total

    async def settle(self) -> None:
        """Do now what would wait for a quiet moment: the search index then knows every segment."""
        while self.read_only is None and await self._write(self._keeper.idle, alone=True):
            continue

    async def clear(self) -> None:
        def do(connection: sqlite3.Connection) -> None:
            retention.delete_all(connection, self._keeper.seq)
            self._keeper.after_clear()
            retention.shrink(connection)

        await self._write(do, alone=True)

    async def close(self) -> None:
        def stop() -> None:
            if self._writer is not None:
                self._writer.close()
            self._reader.close()

        await asyncio.to_thread(stop)

    async def view(self, do: Callable[[View], T]) -> T:
        """The result of `do`, which sees one consistent state of all that is stored. Raises `StoreUnavailable`."""
        taken: list[State] = []

        def before() -> None:
            # Before the transaction begins: what is folded meanwhile stands in both, and is then left out of the segments.
            tail = self._keeper.tail
            taken.append(State(tail, len(tail.stored), self._keeper.counts, self._keeper.runs))

        def read(connection: sqlite3.Connection) -> T:
            view = View(connection, taken[0], self._keys, self._endpoint_of, self._clock())
            result = do(view)
            if view.damaged:
                self._reader.suspect()
            return result

        return await self._reader.read(read, before)

    async def _write(self, do: Callable[[sqlite3.Connection], T], *, alone: bool = False) -> T:
        if self._writer is None:
            raise StoreUnavailable(self.read_only or "the store is closed")
        return await self._writer.submit(do, alone=alone)
