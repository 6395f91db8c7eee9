"""Running totals of query shapes and of groups of errors: what is added up once and never read again."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from brakit_server.answers import ErrorGroup, QueryShape
from brakit_server.records import Callsite, Error, Frame, Query
from brakit_server.sketch import Sketch, buckets

OwnerEndpoint = Callable[[str], str | None]
Missing = dict[str, list[tuple[tuple[str, str], int]]]
"""Owner whose endpoint is not known yet → the groups it had events in, and how many."""

ENDPOINTS = 32
SITES = 16
"""Endpoints and call sites counted for one group; the rarest go first."""

SAMPLE = 32
"""Newest queries of a shape in a segment whose call sites are counted."""

LARGEST = 2**53
"""What sums of counts from outside stop at."""

SHOWN_ENDPOINTS = 10
SHOWN_SITES = 5


class ShapeTotal(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All queries of one shape in one service."""

    shape_hash: str
    service: str | None
    shape: str = ""
    operation: str = "OTHER"
    table: str = ""
    system: str | None = None
    count: int = 0
    errors: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0
    rows: int | None = None
    requests: int = 0
    buckets: dict[int, int] = {}
    """Of durations: `sketch.buckets`."""
    endpoints: dict[str, int] = {}
    sites: dict[str, int] = {}
    """File, line and function, a line each → how often."""
    last_seq: int = 0
    last_at: float = 0.0
    last_owner: str | None = None

    def merge(self, other: ShapeTotal) -> None:
        """Add what came after."""
        self.count += other.count
        self.errors += other.errors
        self.total_ms += other.total_ms
        self.max_ms = max(self.max_ms, other.max_ms)
        self.requests += other.requests
        if other.rows is not None:
            self.rows = min((self.rows or 0) + other.rows, LARGEST)
        counted = self.buckets
        for bucket, count in other.buckets.items():
            counted[bucket] = counted.get(bucket, 0) + count
        self.endpoints = _most(self.endpoints, other.endpoints, ENDPOINTS)
        self.sites = _most(self.sites, other.sites, SITES)
        if other.last_seq >= self.last_seq:
            self.shape, self.operation, self.table, self.system = other.shape, other.operation, other.table, other.system
            self.last_seq, self.last_owner = other.last_seq, other.last_owner
        self.last_at = max(self.last_at, other.last_at)

    def ran_at(self, endpoint: str, times: int) -> None:
        """Where queries ran that are counted already."""
        self.endpoints = _most(self.endpoints, {endpoint: times}, ENDPOINTS)

    def durations(self) -> Sketch:
        return Sketch.of(self.buckets, self.total_ms, self.max_ms)

    def remove(self, other: ShapeTotal) -> None:
        """Take away what is no longer kept."""
        self.count = max(0, self.count - other.count)
        self.errors = max(0, self.errors - other.errors)
        self.total_ms = max(0.0, self.total_ms - other.total_ms)
        self.requests = min(self.count, max(0, self.requests - other.requests))
        if self.rows is not None:
            self.rows = max(0, self.rows - (other.rows or 0))
        self.buckets = {
            bucket: left for bucket, count in self.buckets.items() if (left := count - other.buckets.get(bucket, 0)) > 0
        }
        if other.max_ms >= self.max_ms:
            self.max_ms = min(self.max_ms, self.durations().quantile(1.0))
        self.endpoints = _less(self.endpoints, other.endpoints)
        self.sites = _less(self.sites, other.sites)


class ErrorTotal(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All errors of one group."""

    key: str
    service: str | None
    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    endpoints: dict[str, int] = {}
    last_seq: int = 0
    last: Error | None = None

    def merge(self, other: ErrorTotal) -> None:
        """Add what came after."""
        self.first_at = min(self.first_at, other.first_at) if self.count else other.first_at
        self.count += other.count
        self.last_at = max(self.last_at, other.last_at)
        self.endpoints = _most(self.endpoints, other.endpoints, ENDPOINTS)
        if other.last_seq >= self.last_seq:
            self.last_seq, self.last = other.last_seq, other.last

    def ran_at(self, endpoint: str, times: int) -> None:
        """Where errors happened that are counted already."""
        self.endpoints = _most(self.endpoints, {endpoint: times}, ENDPOINTS)

    def remove(self, other: ErrorTotal) -> None:
        """Take away what is no longer kept."""
        self.count = max(0, self.count - other.count)
        self.endpoints = _less(self.endpoints, other.endpoints)


def finite(value: float) -> float:
    """The value, or 0 where it is none that can be compared and added up."""
    return value if -1e300 < value < 1e300 else 0.0


def shapes(
    queries: Iterable[tuple[int, Query]], owner_endpoint: OwnerEndpoint, missing: Missing | None = None
) -> dict[tuple[str, str], ShapeTotal]:
    """Totals of some queries with their `seq`, in ascending order, by shape and service; notes the owners that are `missing`."""
    groups: dict[tuple[str | None, str | None], tuple[int, list[Query]]] = {}
    for seq, query in queries:
        key = (query.shape_hash, query.service)
        _, group = groups.get(key) or (0, [])
        group.append(query)
        groups[key] = (seq, group)
    return shapes_of(groups, owner_endpoint, missing)


def shapes_of(
    groups: Mapping[tuple[str | None, str | None], tuple[int, list[Query]]],
    owner_endpoint: OwnerEndpoint,
    missing: Missing | None,
) -> dict[tuple[str, str], ShapeTotal]:
    """The same where the queries are grouped already: by shape and service, with the last one's `seq`."""
    return {
        (shape, service or ""): _shape((shape, service or ""), last_seq, group, owner_endpoint, missing)
        for (shape, service), (last_seq, group) in groups.items()
        if shape is not None
    }


def _shape(
    key: tuple[str, str], last_seq: int, queries: list[Query], owner_endpoint: OwnerEndpoint, missing: Missing | None
) -> ShapeTotal:
    last = queries[-1]
    times = [query.duration_ms for query in queries]
    owners = Counter([query.parent_request_id for query in queries])
    rows = [query.row_count for query in queries if query.row_count is not None]
    return ShapeTotal(
        shape_hash=key[0],
        service=last.service,
        shape=last.shape or last.sql or "",
        operation=last.operation,
        table=last.table,
        system=last.system,
        count=len(queries),
        errors=len([1 for query in queries if query.error is not None]),
        total_ms=finite(sum(times)),
        max_ms=finite(max(times)),
        rows=max(0, min(sum(rows), LARGEST)) if rows else None,
        requests=len(owners) - (None in owners),
        buckets=buckets(times),
        endpoints=_endpoints(key, owners, owner_endpoint, missing),
        sites=_sites(queries[-SAMPLE:]),
        last_seq=last_seq,
        last_at=max([query.timestamp for query in queries]),
        last_owner=last.parent_request_id,
    )


def _sites(queries: list[Query]) -> dict[str, int]:
    sites = [query.call_site for query in queries if query.call_site is not None]
    counted = Counter([(site.file, site.line, site.function) for site in sites])
    return _first(
        {"\n".join((_line(file), str(line), _line(function))): n for (file, line, function), n in counted.items()}, SITES
    )


def _line(text: str) -> str:
    return text.replace("\n", " ")


def errors(
    found: Iterable[tuple[int, Error]], owner_endpoint: OwnerEndpoint, missing: Missing | None = None
) -> dict[tuple[str, str], ErrorTotal]:
    """Totals of some errors with their `seq`, in ascending order, by group and service; notes the owners that are `missing`."""
    groups: dict[str, list[tuple[int, Error]]] = defaultdict(list)
    for each in found:
        groups[group_key(each[1])].append(each)
    result = {}
    for key, group in groups.items():
        last_seq, last = group[-1]
        times = [error.timestamp for _, error in group]
        owners = Counter([error.parent_request_id for _, error in group])
        result[key, last.service or ""] = ErrorTotal(
            key=key,
            service=last.service,
            count=len(group),
            first_at=min(times),
            last_at=max(times),
            endpoints=_endpoints((key, last.service or ""), owners, owner_endpoint, missing),
            last_seq=last_seq,
            last=last,
        )
    return result


def query_shapes(totals: Iterable[ShapeTotal], limit: int) -> list[QueryShape]:
    """Most total time first; one entry a shape, whatever the services."""
    groups: dict[str, list[ShapeTotal]] = defaultdict(list)
    for total in totals:
        if total.count:
            groups[total.shape_hash].append(total)
    busiest = sorted(groups.values(), key=lambda group: -sum(total.total_ms for total in group))
    return [_query_shape(group) for group in busiest[:limit]]


def _query_shape(group: list[ShapeTotal]) -> QueryShape:
    services = [total.service for total in sorted(group, key=lambda total: -total.count) if total.service]
    whole = msgspec.structs.replace(group[0], buckets=dict(group[0].buckets))
    for total in group[1:]:
        whole.merge(total)
    sketch = whole.durations()
    return QueryShape(
        shape_hash=whole.shape_hash,
        shape=whole.shape,
        operation=whole.operation,
        table=whole.table,
        system=whole.system,
        services=services,
        count=whole.count,
        errors=whole.errors,
        total_ms=whole.total_ms,
        p50_ms=sketch.quantile(0.5),
        p95_ms=sketch.quantile(0.95),
        max_ms=whole.max_ms,
        rows=whole.rows,
        requests=whole.requests,
        endpoints=_ordered(whole.endpoints)[:SHOWN_ENDPOINTS],
        call_sites=[_site(text) for text in _ordered(whole.sites)[:SHOWN_SITES]],
        last_seen_at=whole.last_at,
        last_request_id=whole.last_owner,
    )


def error_groups(totals: Iterable[ErrorTotal], is_job: Callable[[str], bool], limit: int) -> list[ErrorGroup]:
    """Newest first."""
    newest = sorted((total for total in totals if total.count), key=lambda total: -total.last_seq)[:limit]
    return [_error_group(total, total.last, is_job) for total in newest if total.last is not None]


def _error_group(total: ErrorTotal, last: Error, is_job: Callable[[str], bool]) -> ErrorGroup:
    owner = last.parent_request_id
    return ErrorGroup(
        key=total.key,
        name=last.name,
        message=last.message,
        count=total.count,
        first_seen_at=total.first_at,
        last_seen_at=total.last_at,
        handled=bool(last.handled),
        services=[total.service] if total.service else [],
        endpoints=_ordered(total.endpoints)[:SHOWN_ENDPOINTS],
        frame=own_frame(last),
        last=last,
        last_request_id=owner,
        last_job_id=owner if owner is not None and is_job(owner) else None,
    )


def own_frame(error: Error) -> Frame | None:
    """The innermost frame of the app's own code, with its source where the sender gave it."""
    for frame in reversed(error.frames or []):
        if frame.own:
            return frame
    site = error.call_site
    if site is not None:
        return Frame(file=site.file, line=site.line, function=site.function, own=True)
    return error.frames[-1] if error.frames else None


def group_key(error: Error) -> str:
    """16 hex digits: equal for errors of one class from one line of one service."""
    frame = own_frame(error)
    place = f"{frame.file}\0{frame.function}\0{frame.line}" if frame else ""
    text = f"{error.service or ''}\0{error.name}\0{place}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _endpoints(
    key: tuple[str, str], owners: Counter[str | None], owner_endpoint: OwnerEndpoint, missing: Missing | None
) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for owner, times in owners.items():
        if owner is None:
            continue
        endpoint = owner_endpoint(owner)
        if endpoint is not None:
            counted[endpoint] += times
        elif missing is not None:
            missing.setdefault(owner, []).append((key, times))
    return _first(counted, ENDPOINTS)


def _most(one: dict[str, int], other: dict[str, int], limit: int) -> dict[str, int]:
    if not other:
        return one
    both = Counter(one)
    both.update(other)
    return _first(both, limit)


def _first(counts: dict[str, int], limit: int) -> dict[str, int]:
    # Few need it, and picking the largest costs more than all the counting.
    return {name: counts[name] for name in _ordered(counts)[:limit]} if len(counts) > limit else dict(counts)


def _less(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: left for name, count in one.items() if (left := count - other.get(name, 0)) > 0}


def _ordered(counts: dict[str, int]) -> list[str]:
    return [name for name, _ in sorted(counts.items(), key=lambda item: -item[1])]


def _site(text: str) -> Callsite:
    file, line, function = text.split("\n", 2)
    return Callsite(file=file, line=int(line), function=function)
