"""Outgoing calls inside an open transaction: locks are held as long as somebody else's server takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from brakit_server.analysis.endpoint import target_of
from brakit_server.analysis.finding import Finding, milliseconds
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline, ended
from brakit_server.analysis.transactions import Transaction
from brakit_server.answers import Severity
from brakit_server.records import Fetch, Query

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})

_MOST = 20
"""Calls of one request that are told, the longest."""


class FetchInTransaction(Rule):
    """*What it finds.* An HTTP call that begins after the first statement of a database transaction and is over before its
    last one or its end: the transaction waits for another server, from `min_ms` on.

    *Why it matters.* All the while the connection is taken from the pool, and rows that were written stay locked for
    everybody else. When the other server is slow, so is every request that needs those rows. And a rollback does not undo the call.

    *Fix.* Make the call before the transaction begins, or after its commit; hand it to a job where it need not be waited for.

    *What it leaves alone.* Calls outside of transactions or after the last statement of one that has only read, calls shorter
    than `min_ms`, and statements of which the sender did not tell the transaction.
    """

    title = "Call inside a transaction"
    category = "reliability"
    needs = ("fetches",)

    min_ms: float = 10.0
    """A call to the same machine takes less."""
    warning_ms: float = 100.0
    """Of a transaction that has written: about where people notice a wait (https://www.nngroup.com/articles/response-times-3-important-limits/)."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        transactions = sorted((each for each in timeline.transactions if each.queries), key=_begun)
        if not transactions:
            return
        # When the latest of the first n was seen to live on: the first of them that outlives a call is found without asking all.
        reached = list(accumulate(map(_alive, transactions), max))
        longest: dict[tuple[object, ...], tuple[Fetch, Transaction]] = {}
        for fetch in timeline.fetches:
            if fetch.duration_ms < self.min_ms:
                continue
            place = bisect_left(reached, ended(fetch))
            if place == len(transactions) or _begun(transactions[place]) >= fetch.timestamp:
                continue
            site = fetch.call_site
            key = (target_of(fetch), site and site.file, site and site.function)
            known = longest.get(key)
            if known is None or known[0].duration_ms < fetch.duration_ms:
                longest[key] = (fetch, transactions[place])
        for fetch, around in sorted(longest.values(), key=lambda each: each[0].duration_ms, reverse=True)[:_MOST]:
            yield self._finding(timeline, around, fetch)

    def _finding(self, timeline: Timeline, transaction: Transaction, fetch: Fetch) -> Finding:
        written = sorted(
            {query.table for query in transaction.queries if query.operation in _WRITES and _before(query, fetch)} - {""}
        )
        site = fetch.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        locked = f" Rows of {', '.join(written)} are locked meanwhile." if written else ""
        severity: Severity = "warning" if written and fetch.duration_ms >= self.warning_ms else "info"
        return self.finding(
            timeline,
            severity=severity,
            title=f"Call inside a transaction: {target_of(fetch)}",
            desc=f"{timeline.endpoint} calls {target_of(fetch)}{where} for {milliseconds(fetch.duration_ms)} while a transaction of"
            f" {milliseconds(transaction.duration_ms)} is open.{locked}",
            hint="Make the call before the transaction begins or after its commit. Where the answer decides what is written, read"
            " first, call, and write in a short transaction of its own.",
            detail=_opened(transaction),
            subject=f"{target_of(fetch)} {site.file}:{site.function}" if site else target_of(fetch),
            call_site=site,
            cost_ms=fetch.duration_ms,
            confidence="certain" if transaction.marks else "likely",
        )


def _before(query: Query, fetch: Fetch) -> bool:
    return query.timestamp < fetch.timestamp


def _begun(transaction: Transaction) -> float:
    return transaction.queries[0].timestamp


def _alive(transaction: Transaction) -> float:
    """When it was last seen to live on: at the start of its last statement, or of its commit or rollback.

    What reads only and is never ended is often nobody's intention: then a later statement of its own must show that it was open.
    """
    ends = [mark.timestamp for mark in transaction.marks if mark.transaction_mark in ("commit", "rollback")]
    return max([transaction.queries[-1].timestamp, *ends])


def _opened(transaction: Transaction) -> str | None:
    first = transaction.queries[0]
    if first.call_site is None:
        return None
    site = first.call_site
    return f"The transaction began with {first.operation} {first.table} at {site.file}:{site.line} in {site.function}."
