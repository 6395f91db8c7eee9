"""`MemoryStore`: the `Store` in the memory of a process, for tests and for programs that want to look at what they captured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from brakit_server.answers import ErrorGroup, QueryShape, Run, StatefulIssue
from brakit_server.records import KINDS, Entry, Error, Fetch, Job, Log, Query, Request
from brakit_server.stores import Batch, Page, RequestPoint, Size, Stored, StoreUnavailable, Timeline, Where, totals
from brakit_server.stores.matching import EndpointOf, matcher, plain_endpoint, position
from brakit_server.stores.rollups import MINUTE_MS, Asked, Rollup, RollupKey, Told
from brakit_server.stores.runs import seen_again
from brakit_server.stores.sqlite.rollups import whole

E = TypeVar("E", bound=Entry)


class MemoryStore:
    """Keeps the newest `max_events` events for `max_age_days`. Use it from one event loop; nothing outlives the process."""

    def __init__(
        self,
        *,
        max_events: int = 100_000,
        max_age_days: float = 7.0,
        endpoint_of: EndpointOf = plain_endpoint,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.read_only: str | None = None
        self._max_events = max_events
        self._max_age_days = max_age_days
        self._endpoint_of = endpoint_of
        self._clock = clock
        self._stored: list[Stored] = []
        self._received: list[float] = []
        self._seq = 0
        self._batches: set[str] = set()
        self._runs: dict[str, Run] = {}
        self._issues: dict[str, StatefulIssue] = {}
        self._rollups: dict[RollupKey, Rollup] = {}
        self._rolled_up = 0
        self._closed = False

    async def append(self, batch: Batch) -> list[Stored]:
        self._check()
        if batch.batch_id is not None:
            if batch.batch_id in self._batches:
                return []
            self._batches.add(batch.batch_id)
        stored = [Stored(self._seq + 1 + place, kind, entry) for place, (kind, entry) in enumerate(batch.entries)]
        self._stored += stored
        self._received += [batch.received_at] * len(stored)
        self._seq += len(stored)
        run = batch.resource.run
        self._runs[run] = seen_again(self._runs.get(run), batch.resource, len(stored), batch.dropped, batch.received_at)
        self._bound()
        return stored

    async def requests(self, where: Where) -> Page[Request]:
        return self._page(Request, where)

    async def queries(self, where: Where) -> Page[Query]:
        return self._page(Query, where)

    async def fetches(self, where: Where) -> Page[Fetch]:
        return self._page(Fetch, where)

    async def logs(self, where: Where) -> Page[Log]:
        return self._page(Log, where)

    async def errors(self, where: Where) -> Page[Error]:
        return self._page(Error, where)

    async def jobs(self, where: Where) -> Page[Job]:
        return self._page(Job, where)

    async def timelines(self, request_ids: list[str]) -> dict[str, Timeline]:
        found = await self.owners(request_ids)
        requests = {id: root for id, root in found.items() if isinstance(root, Request)}
        owned = await self.activity(list(requests))
        return {id: Timeline(request=request, entries=owned[id]) for id, request in requests.items()}

    async def activity(self, owner_ids: list[str]) -> dict[str, list[Stored]]:
        self._check()
        found: dict[str, list[Stored]] = {id: [] for id in owner_ids}
        for each in self._stored:
            if each.entry.parent_request_id in found and not isinstance(each.entry, Request | Job):
                found[each.entry.parent_request_id].append(each)
        return {id: sorted(entries, key=_start) for id, entries in found.items()}

    async def owners(self, ids: list[str]) -> dict[str, Request | Job]:
        self._check()
        return {id: root for id, root in self._roots().items() if id in set(ids)}

    async def children(self, owner_id: str) -> list[Request | Job]:
        self._check()
        found = [
            each for each in self._stored if isinstance(each.entry, Request | Job) and each.entry.parent_request_id == owner_id
        ]
        return [each.entry for each in sorted(found, key=_start)[:500] if isinstance(each.entry, Request | Job)]

    async def since(self, seq: int, limit: int) -> list[Stored]:
        self._check()
        return [each for each in self._stored if each.seq > seq][:limit]

    async def last_seq(self) -> int:
        return self._seq

    async def query_shapes(self, where: Where) -> list[QueryShape]:
        found = ((each.seq, each.entry) for each in self._matching(Query, where) if isinstance(each.entry, Query))
        return totals.query_shapes(totals.shapes(found, self._owner_endpoint()).values(), where.limit)

    async def error_groups(self, where: Where) -> list[ErrorGroup]:
        found = ((each.seq, each.entry) for each in self._matching(Error, where) if isinstance(each.entry, Error))
        roots = self._roots()
        groups = totals.errors(found, self._owner_endpoint()).values()
        return totals.error_groups(groups, lambda owner: isinstance(roots.get(owner), Job), where.limit)

    async def points(self, since: float, limit: int) -> list[RequestPoint]:
        self._check()
        newest = (each.entry for each in reversed(self._stored) if isinstance(each.entry, Request))
        found = [entry for entry in newest if entry.timestamp >= since][:limit]
        return [
            RequestPoint(entry.timestamp, entry.duration_ms, entry.status_code, self._endpoint_of(entry), entry.service)
            for entry in found
        ]

    async def counts(self, since: float) -> dict[str, int]:
        self._check()
        return _counted(each for each, received in zip(self._stored, self._received, strict=True) if received >= since)

    async def runs(self) -> list[Run]:
        self._check()
        return sorted(self._runs.values(), key=lambda run: -run.last_seen_at)

    async def issues(self) -> list[StatefulIssue]:
        self._check()
        return [self._issues[id] for id in sorted(self._issues)]

    async def save_issues(self, issues: list[StatefulIssue], removed: list[str]) -> None:
        self._check()
        for id in removed:
            self._issues.pop(id, None)
        self._issues.update((issue.issue_id, issue) for issue in issues)

    async def save_rollups(self, cells: list[tuple[RollupKey, Rollup]], upto: int) -> None:
        self._check()
        for key, rollup in cells:
            self._rollups.setdefault(key, Rollup()).add(rollup)
        self._rolled_up = upto

    async def rollups(self, asked: Asked) -> Told:
        self._check()
        first, end = whole(asked, self._clock() * 1000)
        rows: dict[RollupKey, Rollup] = {}
        for key, rollup in self._rollups.items():
            if first <= key.minute < end and asked.matches(key):
                rows.setdefault(asked.place(key), Rollup()).add(rollup)
        return Told(since=first * MINUTE_MS, upto=self._rolled_up, rows=list(rows.items()))

    async def rollups_upto(self) -> int:
        self._check()
        return self._rolled_up

    async def size(self) -> Size:
        self._check()
        return Size(bytes=0, events=_counted(self._stored))

    async def expire(self) -> int:
        self._check()
        oldest = (self._clock() - self._max_age_days * 86_400) * 1000
        gone = next((place for place, received in enumerate(self._received) if received >= oldest), len(self._received))
        self._drop(gone)
        minute = oldest / MINUTE_MS
        self._rollups = {key: rollup for key, rollup in self._rollups.items() if key.minute >= minute}
        return gone

    async def clear(self) -> None:
        self._check()
        self._stored, self._received = [], []
        self._batches, self._runs, self._issues = set(), {}, {}
        self._rollups, self._rolled_up = {}, self._seq

    async def close(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _bound(self) -> None:
        self._drop(len(self._stored) - self._max_events)

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._stored[:count], self._received[:count]

    def _page(self, kind: type[E], where: Where) -> Page[E]:
        found = list(self._matching(kind, where))
        before = position(where.before)
        below = [each for each in reversed(found) if before is None or each.seq < before]
        shown = below[max(0, where.offset) : max(0, where.offset) + max(0, where.limit)]
        entries = [each.entry for each in shown if isinstance(each.entry, kind)]
        more = str(shown[-1].seq) if shown and len(shown) == where.limit else None
        return Page(total=len(found), entries=entries, next=more)

    def _matching(self, kind: type[Entry], where: Where) -> Iterator[Stored]:
        self._check()
        runs = self._runs
        matches = matcher(kind, where, self._endpoint_of, self._owner_endpoint(), lambda run: runs.get(run or ""), self._clock())
        for each in self._stored:
            if isinstance(each.entry, kind) and not _is_mark(each.entry) and matches(each.entry):
                yield each

    def _roots(self) -> dict[str, Request | Job]:
        return {each.entry.id: each.entry for each in self._stored if isinstance(each.entry, Request | Job)}

    def _owner_endpoint(self) -> Callable[[str], str | None]:
        roots = self._roots()

        def endpoint(id: str) -> str | None:
            root = roots.get(id)
            return None if root is None else root.name if isinstance(root, Job) else self._endpoint_of(root)

        return endpoint


def _start(each: Stored) -> tuple[float, int]:
    return each.entry.timestamp, each.seq


def _is_mark(entry: Entry) -> bool:
    return isinstance(entry, Query) and entry.transaction_mark is not None


def _counted(stored: Iterable[Stored]) -> dict[str, int]:
    """Events by kind; marks as `mark`, unknown kinds together as `other`."""
    counts: dict[str, int] = {}
    for each in stored:
        kind = "mark" if _is_mark(each.entry) else each.kind if each.kind in KINDS else "other"
        counts[kind] = counts.get(kind, 0) + 1
    return counts
