"""Bullet's definition of N+1 queries, over the lazy loads that were recorded here: https://github.com/flyerhzm/bullet."""

from __future__ import annotations

from bench.comparison.seen import Hit, Seen


class Bullet:
    """An association that is loaded lazily by an object that came out of a result of several. It knows nothing but the ORM.

    Which result an object came from is not recorded: that of several rows before the load is taken for it, and one of a single row
    makes the object an impossible one, as theirs does.
    """

    def find(self, seen: Seen) -> set[Hit]:
        """What it says of a case."""
        found: set[Hit] = set()
        for timeline in seen.timelines:
            several = False
            for query in timeline.queries:
                if query.lazy_load:
                    if several:
                        found.add(Hit("n1", query.table))
                elif query.operation == "SELECT" and query.row_count is not None:
                    several = several or query.row_count > 1
        return found
