"""Queries by shape and errors by place: sums over all that match, lists and percentiles over the newest of them."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict

from brakit_server.answers import ErrorGroup, QueryShape
from brakit_server.records import Callsite, Error, Query
from brakit_server.stores import Where
from brakit_server.stores.sqlite.filtering import narrowed
from brakit_server.stores.sqlite.rows import ERROR, JOB, QUERY, REQUEST, own_frame, owner_id, record

SAMPLE = 20_000
"""Newest events that percentiles, endpoints and services are taken from."""

READ = 10
"""Newest records of a group that are read for its call sites."""


class Sample:
    """The newest events of each group: durations, newest numbers, where they ran."""

    def __init__(self, connection: sqlite3.Connection, kind: int, where: Where) -> None:
        found = narrowed(connection, kind, where, SAMPLE)
        rows = connection.execute(
            "SELECT event.shape, event.ms, event.seq, event.service, event.owner FROM "
            + found.tables
            + " WHERE event.shape IS NOT NULL AND "
            + found.sql()
            + " ORDER BY event.seq DESC LIMIT ?",
            (*found.parameters, SAMPLE),
        ).fetchall()
        self.ms: dict[int, list[float]] = defaultdict(list)
        self.newest: dict[int, list[int]] = defaultdict(list)
        services: dict[int, Counter[int]] = defaultdict(Counter)
        owners: dict[int, Counter[int]] = defaultdict(Counter)
        for shape, ms, seq, service, owner in rows:
            self.ms[shape].append(ms or 0.0)
            if len(self.newest[shape]) < READ:
                self.newest[shape].append(seq)
            if service is not None:
                services[shape][service] += 1
            if owner is not None:
                owners[shape][owner] += 1
        endpoint_of = _endpoints(connection, {owner for counter in owners.values() for owner in counter})
        endpoints: dict[int, Counter[int]] = defaultdict(Counter)
        for shape, counter in owners.items():
            for owner, times in counter.items():
                if owner in endpoint_of:
                    endpoints[shape][endpoint_of[owner]] += times
        self._services, self._endpoints = services, endpoints
        named = {id for groups in (services, endpoints) for counter in groups.values() for id in counter}
        self._words = {id: text for id in named if (text := _text(connection, id)) is not None}

    def services(self, shape: int) -> list[str]:
        return [self._words[service] for service, _ in self._services[shape].most_common() if service in self._words]

    def endpoints(self, shape: int) -> list[str]:
        return [self._words[endpoint] for endpoint, _ in self._endpoints[shape].most_common(10) if endpoint in self._words]


def query_shapes(connection: sqlite3.Connection, where: Where) -> list[QueryShape]:
    """Most total time first, at most `where.limit`."""
    found = narrowed(connection, QUERY, where, SAMPLE)
    totals = connection.execute(
        "SELECT event.shape, count(*), sum(event.status), sum(event.ms), max(event.ms), sum(event.rows), count(DISTINCT event.owner), "
        "max(event.at), max(event.seq) FROM "
        + found.tables
        + " WHERE event.shape IS NOT NULL AND "
        + found.sql()
        + " GROUP BY event.shape ORDER BY sum(event.ms) DESC LIMIT ?",
        (*found.parameters, where.limit),
    ).fetchall()
    sample = Sample(connection, QUERY, where)
    result = []
    for shape, count, errors, total_ms, max_ms, rows, requests, last_at, last_seq in totals:
        queries = [query for query in _records(connection, sample.newest[shape] or [last_seq]) if isinstance(query, Query)]
        if not queries:
            continue
        newest = queries[0]
        times = sorted(sample.ms[shape])
        result.append(
            QueryShape(
                shape_hash=newest.shape_hash or "",
                shape=newest.shape or newest.sql or "",
                operation=newest.operation,
                table=newest.table,
                system=newest.system,
                services=sample.services(shape),
                count=count,
                errors=errors or 0,
                total_ms=total_ms or 0.0,
                p50_ms=percentile(times, 0.5),
                p95_ms=percentile(times, 0.95),
                max_ms=max_ms or 0.0,
                rows=rows,
                requests=requests,
                endpoints=sample.endpoints(shape),
                call_sites=_call_sites(queries),
                last_seen_at=last_at,
                last_request_id=newest.parent_request_id,
            )
        )
    return result


def error_groups(connection: sqlite3.Connection, where: Where) -> list[ErrorGroup]:
    """Newest first, at most `where.limit`."""
    found = narrowed(connection, ERROR, where, SAMPLE)
    totals = connection.execute(
        "SELECT event.shape, count(*), min(event.at), max(event.at), max(event.seq), word.text "
        "FROM "
        + found.tables
        + " JOIN word ON word.id = event.shape WHERE "
        + found.sql()
        + " GROUP BY event.shape ORDER BY max(event.seq) DESC LIMIT ?",
        (*found.parameters, where.limit),
    ).fetchall()
    sample = Sample(connection, ERROR, where)
    result = []
    for shape, count, first_at, last_at, last_seq, key in totals:
        errors = [error for error in _records(connection, [last_seq]) if isinstance(error, Error)]
        if not errors:
            continue
        last = errors[0]
        result.append(
            ErrorGroup(
                key=key,
                name=last.name,
                message=last.message,
                count=count,
                first_seen_at=first_at,
                last_seen_at=last_at,
                handled=bool(last.handled),
                services=sample.services(shape),
                endpoints=sample.endpoints(shape),
                frame=own_frame(last),
                last=last,
                last_request_id=last.parent_request_id,
                last_job_id=last.parent_request_id if _in_job(connection, last.parent_request_id) else None,
            )
        )
    return result


def _in_job(connection: sqlite3.Connection, owner: str | None) -> bool:
    found = connection.execute(
        "SELECT 1 FROM event WHERE owner = ? AND +kind = ? LIMIT 1", (owner_id(connection, owner) if owner else None, JOB)
    ).fetchone()
    return found is not None


def percentile(ordered: list[float], q: float) -> float:
    """Nearest rank of ascending values; 0 when there are none."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else 0.0


def _call_sites(queries: list[Query]) -> list[Callsite]:
    sites: dict[tuple[str, int, str], Callsite] = {}
    counts: Counter[tuple[str, int, str]] = Counter()
    for query in queries:
        if query.call_site is not None:
            key = (query.call_site.file, query.call_site.line, query.call_site.function)
            sites[key] = query.call_site
            counts[key] += 1
    return [sites[key] for key, _ in counts.most_common(5)]


def _records(connection: sqlite3.Connection, numbers: list[int]) -> list[object]:
    result: list[object] = []
    for seq in numbers:
        found = connection.execute(
            "SELECT event.kind, CAST(body.json AS BLOB) FROM event JOIN body USING (seq) WHERE seq = ?", (seq,)
        ).fetchone()
        if found is not None:
            result.append(record(found[0], found[1]))
    return result


def _endpoints(connection: sqlite3.Connection, owners: set[int]) -> dict[int, int]:
    result: dict[int, int] = {}
    for owner in owners:
        found = connection.execute(
            "SELECT endpoint FROM event WHERE owner = ? AND +kind IN (?, ?) AND endpoint IS NOT NULL LIMIT 1",
            (owner, REQUEST, JOB),
        ).fetchone()
        if found is not None:
            result[owner] = found[0]
    return result


def _text(connection: sqlite3.Connection, id: int) -> str | None:
    found = connection.execute("SELECT text FROM word WHERE id = ?", (id,)).fetchone()
    return found[0] if found else None
