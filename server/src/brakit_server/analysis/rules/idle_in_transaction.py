"""Transactions that stay open while nothing is asked of the database."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding, milliseconds, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.transactions import Transaction
from brakit_server.records import Query

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})


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
        for transaction in timeline.transactions:
            if transaction.outcome == "open":
                continue
            gap = self._gap(timeline, transaction)
            if gap is not None:
                yield self._finding(timeline, transaction, *gap)

    def _gap(self, timeline: Timeline, transaction: Transaction) -> tuple[float, Query, Query] | None:
        """The longest stretch after the first write: milliseconds, the statement before it and the one behind it."""
        steps = sorted((*transaction.queries, *transaction.marks), key=lambda each: each.timestamp)
        longest: tuple[float, Query, Query] | None = None
        written = False
        reached = 0.0
        last: Query | None = None
        for step in steps:
            if written and last is not None:
                idle = step.timestamp - reached - _called(timeline, reached, step.timestamp)
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


def _called(timeline: Timeline, start: float, end: float) -> float:
    """Milliseconds of outgoing calls between the two."""
    total, reached = 0.0, start
    for fetch in timeline.fetches:
        if fetch.timestamp >= end:
            break
        begun, over = max(fetch.timestamp, reached), min(fetch.timestamp + fetch.duration_ms, end)
        if over > begun:
            total += over - begun
            reached = over
    return total
