"""The `Store` protocol: what the server needs of a place that keeps events. One folder a store; one contract test over all."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from brakit_server.answers import ErrorGroup, QueryShape, Run, StatefulIssue
from brakit_server.filters import Node
from brakit_server.records import Entry, Error, Fetch, Job, Log, Query, Request
from brakit_server.stores.rollups import Asked, Rollup, RollupKey, Told

T = TypeVar("T")


class Resource(msgspec.Struct, kw_only=True):
    """The process that sent a batch."""

    run: str
    """Identity of the process: host, process id and start in one string."""
    service: str
    host: str | None = None
    pid: int | None = None
    started: float | None = None
    runtime: str | None = None
    framework: str | None = None
    sdk: str | None = None
    root: str | None = None
    revision: str | None = None
    """Of the project, where it is a git checkout."""
    instrumentations: dict[str, str] = {}
    failures: dict[str, str] = {}


class Opaque(Entry, kw_only=True):
    """An event of a kind that this version does not know: kept as it came."""

    data: msgspec.Raw


class Batch(msgspec.Struct, kw_only=True):
    """What one POST brought, validated: the entries that are good, in the order of the payload."""

    batch_id: str | None
    resource: Resource
    entries: list[tuple[str, Entry]]
    """Kind and record."""
    dropped: dict[str, int]
    received_at: float


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An entry with its place in the store: `seq` grows by one with every stored entry and never repeats."""

    seq: int
    kind: str
    entry: Entry
    json: bytes | None = None
    """Of the record, one line, where a store has just made it anyway. Of an unknown kind it is the store's own."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and (self.seq, self.kind, self.entry) == (other.seq, other.kind, other.entry)


class Timeline(msgspec.Struct, kw_only=True):
    """One request with its events, by time."""

    request: Request
    entries: list[Stored]
    """Everything but requests."""


class Where(msgspec.Struct, kw_only=True, frozen=True):
    """Which events: every condition that is set must hold."""

    request_id: str | None = None
    """Owner of the event; for requests, the request itself; for jobs, the job itself or what enqueued it."""
    service: str | None = None
    method: str | None = None
    status: str | None = None
    """`404`, or a class: `4xx`; of fetches, `0` for no answer; of jobs, how they ended. Anything else matches nothing."""
    search: str | None = None
    """Case-insensitive substring of the kind's main texts (requests: url and bodies, or the whole id; queries: sql; fetches: url;
    logs: message, logger; errors: name, message)."""
    level: str | None = None
    endpoint: str | None = None
    shape_hash: str | None = None
    since: float | None = None
    """Start at or after, epoch milliseconds."""
    filter: Node | None = None
    """What `filters.parse` read: a record must fit it."""
    before: str | None = None
    """Cursor: older than the last entry of the page before."""
    limit: int = 500
    offset: int = 0


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page, newest first."""

    total: int
    """All that match, not just this page."""
    entries: list[T]
    next: str | None = None
    at_least: bool = False
    """Whether counting stopped at `total`: there may be more."""
    complete: bool = True
    """False where time ran out: `total` is of what was looked at, and `next` goes on from there."""


class RequestPoint(msgspec.Struct, frozen=True):
    """The figures of one request that the overview needs."""

    timestamp: float
    duration_ms: float
    status_code: int
    endpoint: str
    service: str | None


class Size(msgspec.Struct, kw_only=True):
    """What the store holds: bytes on the disk, events by kind (unknown kinds together as `other`)."""

    bytes: int
    events: dict[str, int]


class StoreUnavailable(Exception):
    """The store cannot take or give data now (disk full, locked, closed); the same call may work later."""


class StoreRefused(Exception):
    """The store's file cannot be used at all (written by a newer version, a link, another user's); the text says what to do."""


class Store(Protocol):
    """Keeps events durably. Every method raises `StoreUnavailable` when the storage cannot be used."""

    read_only: str | None
    """Why nothing can be stored, where that is so; what is there can be read."""

    async def append(self, batch: Batch) -> list[Stored]:
        """Store a batch; return when it is durable. A `batch_id` seen before stores nothing and returns an empty list.

        Concurrent calls return in the order of the `seq` that they got.
        """
        ...

    async def requests(self, where: Where) -> Page[Request]: ...
    async def queries(self, where: Where) -> Page[Query]: ...
    async def fetches(self, where: Where) -> Page[Fetch]: ...
    async def logs(self, where: Where) -> Page[Log]: ...
    async def errors(self, where: Where) -> Page[Error]: ...
    async def jobs(self, where: Where) -> Page[Job]: ...

    async def timelines(self, request_ids: list[str]) -> dict[str, Timeline]:
        """The requests among `request_ids` that are stored, with their events."""
        ...

    async def activity(self, owner_ids: list[str]) -> dict[str, list[Stored]]:
        """Events by owner, by time, whether or not the owner itself has arrived. Every id asked for has an entry."""
        ...

    async def owners(self, ids: list[str]) -> dict[str, Request | Job]:
        """The requests and jobs among `ids` that are stored."""
        ...

    async def children(self, owner_id: str) -> list[Request | Job]:
        """Requests and jobs of any service that this request or job caused, oldest first."""
        ...

    async def since(self, seq: int, limit: int) -> list[Stored]:
        """Entries after `seq` in order, at most `limit`."""
        ...

    async def last_seq(self) -> int:
        """The newest `seq` ever given, 0 when there was none."""
        ...

    async def query_shapes(self, where: Where) -> list[QueryShape]:
        """Queries by shape, most total time first; percentiles within 2 %.

        By shape and service, of all that is stored; where anything else is asked for, of the newest 20 000 that match.
        """
        ...

    async def error_groups(self, where: Where) -> list[ErrorGroup]:
        """Errors by class and innermost own frame, newest first.

        By service, of all that is stored; where anything else is asked for, of the newest 20 000 that match.
        """
        ...

    async def points(self, since: float, limit: int) -> list[RequestPoint]:
        """Figures of the newest requests that started at or after `since`, newest first."""
        ...

    async def counts(self, since: float) -> dict[str, int]:
        """Events by kind received at or after `since`; where many were stored together around it, as far as can be told."""
        ...

    async def runs(self) -> list[Run]:
        """Every process known, the newest first."""
        ...

    async def issues(self) -> list[StatefulIssue]: ...

    async def save_issues(self, issues: list[StatefulIssue], removed: list[str]) -> None:
        """Insert or replace by `issue_id`; delete `removed`."""
        ...

    async def save_rollups(self, cells: list[tuple[RollupKey, Rollup]], upto: int) -> None:
        """Add figures to those that are stored, and remember that all events up to that `seq` are now among them; both or neither.

        They are kept as long as events would be by age.
        """
        ...

    async def rollups(self, asked: Asked) -> Told:
        """Figures added up as asked."""
        ...

    async def rollups_upto(self) -> int:
        """The `seq` that was saved last; 0 before the first time. After `clear`, the newest that was ever given."""
        ...

    async def size(self) -> Size: ...

    async def expire(self) -> int:
        """Delete what is over the age or size cap, oldest first; return how many events."""
        ...

    async def clear(self) -> None:
        """Delete all events and issues; nothing of them stays in the file. `seq` goes on."""
        ...

    async def close(self) -> None: ...
