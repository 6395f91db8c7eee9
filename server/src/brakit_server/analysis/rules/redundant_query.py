"""Repeated queries: the same statement with the same parameters."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from brakit_server.analysis.finding import Finding, milliseconds, severity_by_cost
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import unified
from brakit_server.analysis.timeline import Timeline, by_site, site_of, took_ms
from brakit_server.records import Query
from brakit_server.sketch import median

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "OTHER"})

_CHANGES = re.compile(
    r"\bfor (?:update|share|no key update|key share)\b|\b(?:random|rand|uuid\w*|nextval|now|current_timestamp|clock_timestamp|"
    r"last_insert_rowid|last_insert_id|lastval|currval|changes|found_rows|pg_sleep|pg_\w*advisory\w*|get_lock|sleep)\b",
    re.IGNORECASE,
)
_ANYTHING = re.compile(r"\?")
_GROUPS = 50
"""Statements of one request that are looked at, the costliest."""

_PING = re.compile(r"\s*select\s+\?\s*;?\s*$", re.IGNORECASE)


class RedundantQuery(Rule):
    """*What it finds.* A SELECT that one request or job runs at least `min_count` times with the same parameters, while
    nothing of it wrote to any of its tables in between: the answer was known already.

    *Why it matters.* Each one is a round trip for nothing. It is mostly the current user, a setting or a permission that each
    layer looks up for itself. Severity follows the cost: see `severity_by_cost`; one that costs little is info.

    *Fix.* Look it up once and hand the result on, or keep it with the request (`flask.g`, `request.state`,
    `functools.cached_property`).

    *What it leaves alone.* Queries with different parameters (that is `n1`), repetition after a write to the same table,
    statements that failed or follow a failure (a retry), locks (`FOR UPDATE`), functions whose answer changes, `SELECT 1`,
    statements that overlap in time (meant to run side by side), polling (`poll_ms` or more from one to the next), background
    work after the response, and those of which the sender did not tell the parameters.
    """

    title = "Repeated query"
    category = "performance"
    aliases = ("repeated-query",)
    needs = ("queries",)

    min_count: int = 2
    """The second one is for nothing already."""
    max_distinct: int = 2
    """More sets of parameters than these from one line are a loop, of which some rows are alike: `n1` says so."""
    poll_ms: float = 1000.0
    """Whoever waits so long between two wants to see a change."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        # Most groups have one parameter set an execution: seen at once, before anything else is asked about them.
        groups = [group for group in timeline.by_shape.values() if len(group) >= self.min_count and _alike(group)]
        if not groups:
            return
        if len(groups) > _GROUPS:
            groups = sorted(groups, key=lambda group: sum(map(took_ms, group)), reverse=True)[:_GROUPS]
        writes: dict[str, list[float]] = {}
        for query in timeline.queries:
            if query.operation in _WRITES:
                writes.setdefault(_word(query.table), []).append(query.timestamp)
        for group in groups:
            if not _changes(group[0].sql or ""):
                same = max(self._runs(timeline, group, writes), key=len, default=[])
                if len(same) >= self.min_count:
                    yield self._finding(timeline, same)

    def _runs(self, timeline: Timeline, group: list[Query], writes: dict[str, list[float]]) -> Iterator[list[Query]]:
        """Executions with the same parameters and nothing between them that could change the answer."""
        groups: dict[str, list[Query]] = {}
        for query in group:
            known = _parameters(query)
            if known is not None and query.error is None and not timeline.afterwards(query):
                groups.setdefault(known, []).append(query)
        loops = {site for site, queries in by_site(group).items() if len({q.params_hash for q in queries}) > self.max_distinct}
        tables = writes.keys() & {"", *_words(group[0].sql or group[0].table)}
        failed = [query.timestamp for query in group if query.error]
        changes = sorted(chain(failed, *(writes[table] for table in tables)))
        for same in groups.values():
            if len(same) < self.min_count or all(site_of(query.call_site) in loops for query in same):
                continue
            current: list[Query] = []
            place = bisect_left(changes, same[0].timestamp)
            for query in same:
                while place < len(changes) and current and changes[place] < current[-1].timestamp:
                    place += 1
                changed = place < len(changes) and current and changes[place] < query.timestamp
                last = current[-1] if current else None
                apart = last is not None and query.timestamp - last.timestamp >= self.poll_ms
                beside = last is not None and query.timestamp < last.timestamp + last.duration_ms
                if changed or apart:
                    yield current
                    current = []
                if not beside:
                    current.append(query)
            yield current

    def _finding(self, timeline: Timeline, same: list[Query]) -> Finding:
        first, count = same[0], len(same)
        table = first.table or first.model or "a table"
        sites = {(s.file, s.line, s.function): s for query in same if (s := query.call_site) is not None}
        cost = (count - 1) * median([took_ms(query) for query in same])
        places = ", ".join(f"{file}:{line} in {function}" for file, line, function in list(sites)[:5])
        # Which line asks first depends on the path taken: the statement is what it is about.
        return self.finding(
            timeline,
            severity=severity_by_cost(cost, timeline.duration_ms),
            title=f"Repeated query on {table}",
            desc=f"{timeline.endpoint} runs the same SELECT on {table} with the same parameters {count} times in one {timeline.unit}:"
            f" {milliseconds(cost)} for what was known already.",
            hint="Look it up once and hand the result on, or keep it with the request (flask.g, request.state, cached_property).",
            detail=f"It is issued at {places}." if places else None,
            subject=first.shape_hash or table,
            call_site=same[-1].call_site,
            cost_ms=cost,
            sql=first.sql,
        )


def _alike(group: list[Query]) -> bool:
    """Whether some of its executions may have the same parameters."""
    if group[0].operation != "SELECT":
        return False
    hashes = {query.params_hash for query in group}
    return len(hashes) < len(group) or None in hashes


def _parameters(query: Query) -> str | None:
    """Equal for equal parameters; None where they are not known."""
    if query.params_hash:
        return query.params_hash
    return query.sql if query.sql and not _ANYTHING.search(unified(query.sql)) else None


@lru_cache(maxsize=2048)
def _changes(sql: str) -> bool:
    return bool(_CHANGES.search(sql[:20_000]) or _PING.match(sql[:200]))


@lru_cache(maxsize=2048)
def _word(table: str) -> str:
    """The table's name as it is among the words of a statement; empty where it is none, and may be any."""
    name = table.rpartition(".")[2].lower()
    return name if re.fullmatch(r"\w+", name) else ""


@lru_cache(maxsize=2048)
def _words(sql: str) -> frozenset[str]:
    """Every name in the statement: more than its tables, which errs on the side of silence."""
    return frozenset(re.findall(r"\w+", sql[:20_000].lower()))
