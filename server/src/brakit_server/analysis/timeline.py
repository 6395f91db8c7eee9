"""`Timeline`: what a rule sees of one request or job and its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Literal, TypeVar

from brakit_server.analysis.body import Body
from brakit_server.analysis.endpoint import key_of, target_of
from brakit_server.analysis.shape import shape_key
from brakit_server.analysis.transactions import Transaction, transactions_of
from brakit_server.records import AuthCheck, Callsite, Entry, Error, Fetch, Job, Log, Query, Request, Span

Root = Request | Job
"""What owns events."""

Kind = Literal["request", "job", "none"]
"""What a timeline is of; `none`: of events that nothing owns."""

Place = tuple[str | None, str | None]
"""Service and endpoint."""

Site = tuple[str, int, str]
"""File, line and function."""

SiteOf = TypeVar("SiteOf", Query, Fetch, Log)

_START = attrgetter("timestamp")
_START_AND_ID = attrgetter("timestamp", "id")


class Timeline:
    """One request or job with its events by start time; or, with `root` None, events that nothing owns.

    Neither the order in which the events arrived nor an event that arrived twice shows anywhere. Lists and dictionaries are made once
    and seen by every rule: they are not to be changed. Times are epoch milliseconds, durations milliseconds.
    """

    request: Request | None
    """The root, where it is a request."""
    job: Job | None
    """The root, where it is a job."""
    endpoint: str | None
    """`METHOD route-template` of a request, the name of a job; None where there is no root."""

    def __init__(self, root: Root | None, entries: Iterable[Entry], revision: str | None = None) -> None:
        self.root = root
        self.revision = revision
        """Git revision of the app's code, where it is known."""
        self.request = root if isinstance(root, Request) else None
        self.job = root if isinstance(root, Job) else None
        self.kind: Kind = "request" if self.request is not None else "job" if self.job is not None else "none"
        self.endpoint = key_of(self.request) if self.request is not None else self.job.name if self.job is not None else None
        self.duration_ms = root.duration_ms if root is not None else 0.0
        """Of the root; 0 where there is none."""
        self.started = root.timestamp if root is not None else 0.0
        self.ended = self.started + self.duration_ms if root is not None else float("inf")
        """When the response was out, or the job done; what begins later is work behind the client's back."""
        self.noise = self.request is not None and (self.request.is_health_check or self.request.is_static)
        """A health check or a static file: rules are not asked unless they want it."""
        self.entries = _in_order(list(entries))
        self.queries: list[Query] = []
        """Statements of the app's; what begins and ends a transaction is none."""
        self.marks: list[Query] = []
        """What begins and ends transactions and their savepoints."""
        self.fetches: list[Fetch] = []
        self.logs: list[Log] = []
        self.errors: list[Error] = []
        self.auth_checks: list[AuthCheck] = []
        self.spans: list[Span] = []
        others: dict[type, list[Entry]] = {}
        queries, marks = self.queries, self.marks
        for entry in self.entries:
            if isinstance(entry, Query):
                (queries if entry.transaction_mark is None else marks).append(entry)
            else:
                others.setdefault(type(entry), []).append(entry)
        if others:
            self.fetches = others.get(Fetch, self.fetches)  # type: ignore[assignment]
            self.logs = others.get(Log, self.logs)  # type: ignore[assignment]
            self.errors = others.get(Error, self.errors)  # type: ignore[assignment]
            self.auth_checks = others.get(AuthCheck, self.auth_checks)  # type: ignore[assignment]
            self.spans = others.get(Span, self.spans)  # type: ignore[assignment]

    @property
    def service(self) -> str | None:
        """The service that answered or ran; where nothing owns the events, that of the first."""
        if self.root is not None:
            return self.root.service
        return self.entries[0].service if self.entries else None

    @property
    def run(self) -> str | None:
        """The process."""
        if self.root is not None:
            return self.root.run
        return self.entries[0].run if self.entries else None

    @property
    def place(self) -> Place:
        return self.service, self.endpoint

    @property
    def unit(self) -> str:
        """What to call it in a text: `in one request`, `in one run`."""
        return "run" if self.job is not None else "request"

    @cached_property
    def by_shape(self) -> dict[str, list[Query]]:
        """Queries by shape, in the order of their first appearance."""
        groups: dict[str, list[Query]] = {}
        for query in self.queries:
            key = query.shape_hash or shape_key(query)
            group = groups.get(key)
            if group is None:
                groups[key] = [query]
            else:
                group.append(query)
        return groups

    @cached_property
    def costs(self) -> dict[str, tuple[float, Query]]:
        """By shape: milliseconds of all its executions, and the slowest of them."""
        found: dict[str, tuple[float, Query]] = {}
        for key, group in self.by_shape.items():
            times = [query.duration_ms + (query.fetch_ms or 0.0) for query in group]
            found[key] = (sum(times), group[times.index(max(times))]) if len(group) > 1 else (times[0], group[0])
        return found

    @cached_property
    def by_target(self) -> dict[str, list[Fetch]]:
        """Outgoing calls by `METHOD host/path` with ids in the path replaced, in the order of their first appearance."""
        groups: dict[str, list[Fetch]] = {}
        for fetch in self.fetches:
            groups.setdefault(target_of(fetch), []).append(fetch)
        return groups

    @cached_property
    def io(self) -> list[Query | Fetch]:
        """Queries and outgoing calls together, by start."""
        return [entry for entry in self.entries if isinstance(entry, Fetch | Query) and not is_mark(entry)]

    @cached_property
    def transactions(self) -> list[Transaction]:
        """The database transactions that can be told, by start, as spans of time."""
        return transactions_of(self.queries, self.marks)

    @cached_property
    def inside(self) -> dict[str, list[Entry]]:
        """Entries by the id of the span right around them (`Span.span_id`); those outside any span are in none."""
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.parent_id:
                groups.setdefault(entry.parent_id, []).append(entry)
        return groups

    @cached_property
    def request_body(self) -> Body:
        """What came in, read once for all rules."""
        return Body(self.request.request_body, self.request.headers) if self.request is not None else Body(None, {})

    @cached_property
    def response_body(self) -> Body:
        """What was answered, read once for all rules."""
        return Body(self.request.response_body, self.request.response_headers) if self.request is not None else Body(None, {})

    def during(self, start: float, end: float) -> list[Entry]:
        """Entries that were going on at some time between the two."""
        return [entry for entry in self.entries if entry.timestamp < end and ended(entry) > start]

    def afterwards(self, entry: Entry) -> bool:
        """Whether it began when the response was out: a background task's."""
        return entry.timestamp > self.ended

    def evidence(self) -> tuple[str, ...]:
        """The id of the root; where there is none, those of the events, newest first."""
        if self.root is not None:
            return (self.root.id,)
        return tuple(entry.id for entry in reversed(self.entries))


def by_site(entries: Iterable[SiteOf]) -> dict[Site | None, list[SiteOf]]:
    """Entries by the line of the app that caused them; None for those of which it is unknown."""
    groups: dict[Site | None, list[SiteOf]] = {}
    for entry in entries:
        groups.setdefault(site_of(entry.call_site), []).append(entry)
    return groups


def site_of(call_site: Callsite | None) -> Site | None:
    """The line as something to compare by."""
    return (call_site.file, call_site.line, call_site.function) if call_site is not None else None


def is_mark(entry: Query | Fetch) -> bool:
    """Whether it begins or ends a transaction."""
    return isinstance(entry, Query) and entry.transaction_mark is not None


def took_ms(event: Query | Fetch) -> float:
    """Milliseconds of a query, the reading of its rows included, or of a fetch."""
    return event.duration_ms + ((event.fetch_ms or 0.0) if isinstance(event, Query) else 0.0)


def ended(entry: Entry) -> float:
    """When it was over; what has no duration, when it began."""
    if isinstance(entry, Query | Fetch):
        return entry.timestamp + took_ms(entry)
    return entry.timestamp + entry.duration_ms if isinstance(entry, Span) else entry.timestamp


def busy_ms(timeline: Timeline, events: Sequence[Query] | Sequence[Fetch]) -> float:
    """Milliseconds of the root in which at least one of `events` (sorted by start) was in flight.

    Concurrent events count once; events that began after the response was out (background tasks) do not count.
    """
    end, total, reached = timeline.ended, 0.0, float("-inf")
    for event in events:
        start = event.timestamp
        if start > end:
            break
        over = start + event.duration_ms
        if isinstance(event, Query) and event.fetch_ms:
            over += event.fetch_ms
        if over > reached:
            total += over - max(start, reached)
            reached = over
    return min(total, timeline.duration_ms) if timeline.root is not None else total


def _in_order(entries: list[Entry]) -> list[Entry]:
    # One event twice has one start: where no two starts are equal there is nothing to be told apart.
    if len({entry.timestamp for entry in entries}) == len(entries):
        entries.sort(key=_START)
        return entries
    once = {(type(entry), entry.id): entry for entry in entries}
    return sorted(once.values(), key=_START_AND_ID)
