"""Similar queries: the same statement for other values, from several lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from brakit_server.analysis.finding import Finding, milliseconds
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import list_length, of_catalogue, shape_key, unified
from brakit_server.analysis.timeline import Timeline, busy_ms, by_site
from brakit_server.records import Query

_LOCK = re.compile(r"\bfor (?:update|share|no key update|key share)\b", re.IGNORECASE)
_KEY = re.compile(r"(?<![<>!])=\s*\?")

_SHAPES = 20
"""Shapes of one request that are told, those with most executions."""


class SimilarQuery(Rule):
    """*What it finds.* A SELECT by a key that one request or job runs from at least `min_lines` lines of the app, at least
    `min_count` times, each time for other values.

    *Why it matters.* Each is a round trip, and one statement could bring the rows for all of them. It is no loop, and nobody
    sees it in one place of the code; so it is never more than info.

    *Fix.* Read the rows together (`WHERE … IN`) where the first one is needed, and hand them on.

    *What it leaves alone.* Loops (that is `n1`), the same values again (that is `redundant-query`), statements without a key, with a
    list, with a lock, of the database's catalogue, side by side, after a write to the same table, or of which the sender tells no
    parameters or lines.
    """

    title = "Similar queries"
    category = "performance"
    needs = ("queries",)

    min_count: int = 4
    """Three of a kind are mostly three different things: a customer, a seller, a clerk."""
    min_lines: int = 3
    """From two lines, one of which is often the other's special case, there is little to gain."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        groups = [queries for queries in timeline.by_shape.values() if len(queries) >= self.min_count]
        for queries in sorted(groups, key=len, reverse=True)[:_SHAPES]:
            found = self._several(timeline, queries)
            if found:
                yield self._finding(timeline, found)

    def _several(self, timeline: Timeline, queries: list[Query]) -> list[Query]:
        """One execution of each line, if they are what the rule is about."""
        first = queries[0]
        sql = first.sql or ""
        if first.operation != "SELECT" or not first.table or not _by_key(sql):
            return []
        lines = by_site(query for query in queries if not query.error and not timeline.afterwards(query))
        lines.pop(None, None)
        # A line with several is a loop, and told as one.
        single = sorted((group[0] for group in lines.values() if len(group) == 1), key=lambda query: query.timestamp)
        hashes = {query.params_hash for query in single}
        if len(single) < max(self.min_count, self.min_lines) or len(hashes) < len(single) or None in hashes:
            return []
        if any(query.timestamp < before.timestamp + before.duration_ms for before, query in pairwise(single)):
            return []
        writes = [
            query
            for query in timeline.queries
            if query.operation != "SELECT" and query.table == first.table and query.timestamp < single[-1].timestamp
        ]
        return [] if any(write.timestamp > single[0].timestamp for write in writes) else single

    def _finding(self, timeline: Timeline, queries: list[Query]) -> Finding:
        first, count = queries[0], len(queries)
        sites = [query.call_site for query in queries if query.call_site is not None]
        total = busy_ms(timeline, queries)
        return self.finding(
            timeline,
            severity="info",
            title=f"Similar queries on {first.table}",
            desc=f"{timeline.endpoint} runs the same SELECT on {first.table} for {count} different values from {len(sites)} lines in"
            f" one {timeline.unit}: {milliseconds(total)}.",
            hint="Read the rows together (WHERE … IN) where the first one is needed, and hand them on.",
            detail="It is issued at " + ", ".join(f"{site.file}:{site.line} in {site.function}" for site in sites[:5]) + ".",
            subject=shape_key(first),
            call_site=first.call_site,
            cost_ms=total * (count - 1) / count,
            sql=first.sql,
            confidence="possible",
        )


@lru_cache(maxsize=2048)
def _by_key(sql: str) -> bool:
    text = unified(sql)
    return bool(_KEY.search(text)) and not _LOCK.search(text) and not of_catalogue(text) and list_length(sql) < 2
