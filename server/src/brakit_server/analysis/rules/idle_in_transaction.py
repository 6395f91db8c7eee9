"""Transactions that stay open while nothing is asked of the database."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding, milliseconds, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.transactions import Transaction
from brakit_server.records import Fetch, Query

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})

_MOST = 20
"""Transactions of one request that are told, those that are idle for longest."""


class IdleInTransaction(Rule):
    """*What it finds.* A transaction that has written and then does nothing for `min_idle_ms` in one stretch before it is committed
    or rolled back, though the request or job goes on with other work.

    *Why it matters.* What it has written stays locked for everybody else, its connection is missing from the pool, and
    PostgreSQL cannot clean up behind it. The time is often that of a computation or a file that could come first.

    *Fix.* Write last: compute and read before the first write, and commit right after the last one.

    *What it leaves alone.* Transactions that only read, time spent in outgoing calls (that is `fetch-in-transaction`), and gaps below
    `min_idle_ms`.
    """

    title = "Idle in transaction"
    category = "reliability"
    needs = ("marks",)

    min_idle_ms: float = 200.0
    """Our choice: rendering a page takes less."""
    warning_ms: float = 1000.0
    """Others who wait for the rows notice by then."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        calls = _Calls(timeline.fetches)
        idle = [
            (transaction, *gap)
            for transaction in timeline.transactions
            if transaction.outcome != "open" and (gap := self._gap(transaction, calls)) is not None
        ]
        for each in sorted(idle, key=lambda each: each[1], reverse=True)[:_MOST]:
            yield self._finding(timeline, *each)

    def _gap(self, transaction: Transaction, calls: _Calls) -> tuple[float, Query, Query] | None:
        """The longest stretch after the first write: milliseconds, the statement before it and the one behind it."""
        steps = sorted((*transaction.queries, *transaction.marks), key=lambda each: each.timestamp)
        longest: tuple[float, Query, Query] | None = None
        written = False
        reached = 0.0
        last: Query | None = None
        for step in steps:
            if written and last is not None and step.timestamp - reached >= self.min_idle_ms:
                idle = step.timestamp - reached - calls.between(reached, step.timestamp)
                if idle >= self.min_idle_ms and (longest is None or idle > longest[0]):
                    longest = (idle, last, step)
            written = written or (step.operation in _WRITES and step.error is None)
            if step.timestamp + step.duration_ms + (step.fetch_ms or 0.0) >= reached:
                reached = step.timestamp + step.duration_ms + (step.fetch_ms or 0.0)
                last = step
        return longest

    def _finding(self, timeline: Timeline, transaction: Transaction, idle: float, before: Query, behind: Query) -> Finding:
        tables = sorted({query.table for query in transaction.queries if query.operation in _WRITES} - {""})
        site = before.call_site
        where = f" behind {site.file}:{site.line} in {site.function}" if site else ""
        then = behind.transaction_mark or f"{behind.operation} {behind.table}".strip()
        return self.finding(
            timeline,
            severity="warning" if idle >= self.warning_ms else "info",
            title=f"Transaction on {', '.join(tables) or 'a table'} stays open",
            desc=f"{timeline.endpoint} writes {', '.join(tables) or 'a table'} and then leaves the transaction open for"
            f" {milliseconds(idle)}{where} before {then} ({share(idle, transaction.duration_ms)} of the transaction).",
            hint="Do what takes time before the first write, or after the commit.",
            subject=f"{','.join(tables)} {site.file}:{site.function}" if site else ",".join(tables),
            call_site=site,
            cost_ms=idle,
            sql=before.sql,
        )


class _Calls:
    """How much of a stretch of time was spent in outgoing calls, those side by side counted once."""

    def __init__(self, fetches: list[Fetch]) -> None:
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.before = [0.0]
        """Milliseconds up to the end of each."""
        for fetch in fetches:
            over = fetch.timestamp + fetch.duration_ms
            if self.ends and fetch.timestamp <= self.ends[-1]:
                self.before[-1] += max(0.0, over - self.ends[-1])
                self.ends[-1] = max(over, self.ends[-1])
            else:
                self.starts.append(fetch.timestamp)
                self.ends.append(over)
                self.before.append(self.before[-1] + fetch.duration_ms)

    def between(self, start: float, end: float) -> float:
        """Milliseconds between the two."""
        return self._until(end) - self._until(start)

    def _until(self, moment: float) -> float:
        place = bisect_right(self.starts, moment)
        return self.before[place] - max(0.0, self.ends[place - 1] - moment) if place else 0.0
