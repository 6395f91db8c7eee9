"""Prosopite's definition of N+1 queries, over the statements that were recorded here: https://github.com/charkost/prosopite."""

from __future__ import annotations

from collections import Counter

from bench.comparison.seen import Hit, Seen, Stack

MIN_QUERIES = 2
PRELOADING = frozenset(("prefetch_related_objects", "_load_via_parent", "_load_via_child"))
"""Functions of Django and SQLAlchemy that do what those which it allows do in Rails: preload associations in batches."""


class Prosopite:
    """SELECTs of one fingerprint from one call stack, twice or more. What Rails' query cache would answer is none."""

    def find(self, seen: Seen) -> set[Hit]:
        """What it says of a case."""
        found: set[Hit] = set()
        for timeline in seen.timelines:
            groups: Counter[tuple[str | None, Stack, str]] = Counter()
            cached: set[tuple[str, object]] = set()
            for query in timeline.queries:
                if query.operation != "SELECT":
                    cached.clear()
                    continue
                original = seen.originals[query.id]
                asked = (original.sql, repr(original.params))
                if asked in cached or not PRELOADING.isdisjoint(function for _, _, function in original.stack):
                    continue
                cached.add(asked)
                groups[(query.shape_hash, original.stack, query.table)] += 1
            found.update(Hit("n1", table) for (_, _, table), count in groups.items() if count >= MIN_QUERIES)
        return found
