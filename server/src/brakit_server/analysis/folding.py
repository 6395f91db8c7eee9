"""`Folding`: adds judged requests and jobs to the rollups, each exactly once, whatever happens to the server in between.

The stored rollups are at any time the figures of all requests and jobs up to one `seq`, with those of their events up to it. Both are
saved in one transaction, so a server that starts knows what is missing and reads it again. What is not saved yet is added to answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from brakit_server.analysis.backlog import EVENTS_PER_OWNER
from brakit_server.analysis.point import Point, point_of
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Job, Request
from brakit_server.stores import Store, Stored
from brakit_server.stores.rollups import MINUTE_MS, Asked, Rollup, RollupKey, Told

AHEAD_MINUTES = 10
"""What a sender's clock says to be later than that counts as now."""

PAGE = 2_000
"""Events that are read again at a time."""

GAP = 500_000
"""Events that were not added up when the last server ended: in more than so many, those that came late are not looked for."""


class Share(NamedTuple):
    """What one request or job adds."""

    seq: int
    """Highest of its events."""
    timeline_kind: str
    service: str | None
    endpoint: str
    point: Point
    before: Point | None
    """Its figures as they were added before events of it came late."""


class Before:
    """Which requests and jobs may have events before a page: what belongs to one does not begin before it does."""

    def __init__(self, nothing: bool) -> None:
        self._nothing = nothing
        self._newest: dict[str | None, float] = {}
        """By process, the newest start of an event."""

    def add(self, page: Iterable[Stored]) -> None:
        """These events are before the next page."""
        for each in page:
            entry = each.entry
            if entry.timestamp > self._newest.get(entry.run, float("-inf")):
                self._newest[entry.run] = entry.timestamp

    def may_have(self, root: Request | Job) -> bool:
        """Whether events of it may be on an earlier page."""
        newest = self._newest.get(root.run)
        return not self._nothing if newest is None else newest >= root.timestamp


class Folding:
    """Of one engine. `clock`: epoch milliseconds."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._pending: list[Share] = []
        self._saving = asyncio.Lock()
        self.caught_up = asyncio.Event()
        """Set when all that was stored before the start is added."""
        self._cleared = 0
        self._live: set[str] = set()
        """Requests and jobs that came while the gap was read."""

    @property
    def waiting(self) -> bool:
        """Whether something is to be saved."""
        return bool(self._pending)

    def seen(self, stored: Iterable[Stored]) -> None:
        """Events arrive."""
        if not self.caught_up.is_set():
            self._live.update(each.entry.id for each in stored if isinstance(each.entry, Request | Job))

    def add(self, timeline: Timeline, point: Point, before: Point | None, seq: int) -> None:
        """A request or job was judged, or (`before`) again with events that came late; `seq` is the highest of its events."""
        if timeline.endpoint is not None:
            self._pending.append(Share(seq, _kind(timeline), timeline.service, timeline.endpoint, point, before))

    async def save(self, upto: int) -> None:
        """Save what is known; all events up to `upto` are among it. Raises `StoreUnavailable`: then it is still to be saved."""
        if not self.caught_up.is_set() or not self._pending:
            return
        async with self._saving:
            cleared = self._cleared
            taken = [share for share in self._pending if share.seq <= upto]
            if not taken:
                return
            await self._store.save_rollups(list(folded(taken, self._clock()).items()), upto)
            if cleared == self._cleared:
                self._pending = [share for share in self._pending if share.seq > upto]

    async def tell(self, asked: Asked) -> Told:
        """What is asked for, with what is not saved yet. Raises `StoreUnavailable`."""
        pending = list(self._pending)
        told = await self._store.rollups(asked)
        # What was saved while the store was asked is among its answer.
        left = [share for share in pending if share.seq > told.upto]
        if left:
            _merge(told, asked, folded(left, self._clock()))
        return told

    def clear(self) -> None:
        """Forget what is not saved."""
        self._cleared += 1
        self._pending.clear()
        self._live.clear()

    async def catch_up(self, last: int, revisions: Mapping[str, str]) -> None:
        """Add what was stored and not added when the last server ended, up to the `seq` that was the newest then.

        Raises `StoreUnavailable`: call it again then.
        """
        cleared = self._cleared
        start = await self._store.rollups_upto()
        # Events of requests from before the gap are differences; of requests that come later in it they are part of those.
        roots = await self._roots(start, last) if last - start <= GAP else None
        begin = start
        before = Before(start == 0)
        while begin < last and cleared == self._cleared:
            page = [each for each in await self._store.since(begin, PAGE) if each.seq <= last]
            end = page[-1].seq if page else last
            shares = await self._shares(page, start, begin, end, roots, before, revisions)
            before.add(page)
            if cleared == self._cleared:
                await self._store.save_rollups(list(folded(shares, self._clock()).items()), end)
            begin = end
        self.caught_up.set()
        self._live.clear()

    async def _roots(self, start: int, last: int) -> dict[str, int]:
        found: dict[str, int] = {}
        while start < last:
            page = [each for each in await self._store.since(start, PAGE) if each.seq <= last]
            found.update((each.entry.id, each.seq) for each in page if isinstance(each.entry, Request | Job))
            start = page[-1].seq if page else last
        return found

    async def _shares(
        self,
        page: list[Stored],
        start: int,
        begin: int,
        end: int,
        roots: dict[str, int] | None,
        before: Before,
        revisions: Mapping[str, str],
    ) -> list[Share]:
        """What the events of `page`, after `begin` up to `end`, add."""
        new = {each.entry.id: each.entry for each in page if isinstance(each.entry, Request | Job)}
        late: dict[str, Request | Job] = {}
        if roots is not None:
            owners = {each.entry.parent_request_id for each in page if not isinstance(each.entry, Request | Job)}
            asked = [id for id in owners if id and id not in new and id not in self._live and roots.get(id, start) <= begin]
            late = await self._store.owners(asked) if asked else {}
        shares = []
        events: dict[str, list[Stored]] = {}
        for each in page:
            if each.entry.parent_request_id in new and not isinstance(each.entry, Request | Job):
                events.setdefault(each.entry.parent_request_id, []).append(each)
        elsewhere = [*late, *(id for id, root in new.items() if before.may_have(root))]
        events |= await self._store.activity(elsewhere) if elsewhere else {}
        for id, root in (new | late).items():
            own = [each for each in events.get(id, []) if each.seq <= end][:EVENTS_PER_OWNER]
            timeline = Timeline(root, [each.entry for each in own], revisions.get(root.run or ""))
            if timeline.endpoint is None:
                continue
            known = None
            if id in late:
                known = point_of(Timeline(root, [each.entry for each in own if each.seq <= begin]))
            shares.append(Share(end, _kind(timeline), timeline.service, timeline.endpoint, point_of(timeline), known))
        return shares


def folded(shares: Iterable[Share], now: float) -> dict[RollupKey, Rollup]:
    """The figures of all of them by place and minute. `now`: epoch milliseconds."""
    cells: dict[RollupKey, Rollup] = {}
    latest = int(now // MINUTE_MS) + AHEAD_MINUTES
    for _, kind, service, endpoint, point, before in shares:
        minute = int(point.started // MINUTE_MS)
        if not 0 <= minute <= latest:
            minute = latest - AHEAD_MINUTES
        key = RollupKey(kind, service, endpoint, point.run, point.revision, minute)
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Rollup()
        _count(cell, point, 1)
        if before is not None:
            _count(cell, before, -1)
            continue
        cell.count += 1
        cell.errors += point.failed
        cell.refused += 400 <= point.status < 500
        cell.size_bytes += point.size_bytes
        if not point.stream:
            cell.durations.add(point.duration_ms)
    return cells


def _count(cell: Rollup, point: Point, sign: int) -> None:
    cell.queries += sign * point.queries
    cell.query_ms += sign * point.query_ms
    cell.fetches += sign * point.fetches
    cell.fetch_ms += sign * point.fetch_ms
    if not point.stream:
        cell.app_ms += sign * point.app_ms


def _kind(timeline: Timeline) -> str:
    return "noise" if timeline.noise else timeline.kind


def _merge(told: Told, asked: Asked, cells: Mapping[RollupKey, Rollup]) -> None:
    rows = dict(told.rows)
    first, last = told.since // MINUTE_MS, asked.until // MINUTE_MS
    for key, cell in cells.items():
        if first <= key.minute <= last and asked.matches(key):
            place = asked.place(key)
            known = rows.get(place)
            if known is None:
                rows[place] = cell
            else:
                known.add(cell)
    told.rows = list(rows.items())
