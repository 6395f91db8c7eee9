"""Commits in a loop: one transaction for each row of a list."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding, milliseconds, severity_by_cost, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import shape_key
from brakit_server.analysis.timeline import Timeline, site_of
from brakit_server.analysis.transactions import Transaction
from brakit_server.records import Query
from brakit_server.sketch import median

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})

_HINTS = {
    "sqlalchemy": "Commit once behind the loop: move session.commit() out of it, or put the loop inside `with session.begin():`. A row"
    " that may fail on its own gets a savepoint: `with session.begin_nested():`.",
    "django": "Put the loop inside `with transaction.atomic():`: outside of one, each save is a transaction of its own. A row that may"
    " fail on its own gets an inner atomic block.",
}
_HINT = "Commit once behind the loop. A row that may fail on its own gets a savepoint."


class CommitInLoop(Rule):
    """*What it finds.* A request or job that commits at least `min_commits` transactions, one after the other, that write the
    same things from the same lines: a commit for each row of a list.

    *Why it matters.* A commit waits until the disk has the change, a round trip and a flush each time. And when the loop
    fails half way, half of the rows are in the database and the other half is not.

    *Fix.* One transaction around the loop; savepoints where single rows may fail.

    *What it leaves alone.* Transactions that only read, that were rolled back, that write different things, work between whose
    commits lies a call to another service or a wait of `pause_ms` (a worker that takes one task after the other), and fewer than
    `min_commits`.
    """

    title = "Commit in a loop"
    category = "performance"
    needs = ("marks",)

    min_commits: int = 5
    """Fewer are steps of a workflow more often than rows of a list."""
    pause_ms: float = 250.0
    """Between two commits of a loop lies less."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        groups: dict[tuple[object, ...], list[tuple[Transaction, Query]]] = {}
        for transaction in timeline.transactions:
            commit = next((mark for mark in transaction.marks if mark.transaction_mark == "commit"), None)
            writes = [query for query in transaction.queries if query.operation in _WRITES and query.error is None]
            if commit is None or not writes or transaction.outcome != "commit":
                continue
            what = frozenset((shape_key(write), site_of(write.call_site)) for write in writes)
            groups.setdefault((site_of(commit.call_site), what), []).append((transaction, commit))
        for group in groups.values():
            for loop in self._loops(timeline, group):
                yield self._finding(timeline, loop)

    def _loops(self, timeline: Timeline, group: list[tuple[Transaction, Query]]) -> Iterable[list[tuple[Transaction, Query]]]:
        """The longest stretch of transactions that follow each other closely, if it is long enough."""
        if len(group) < self.min_commits:
            return
        calls = [fetch.timestamp for fetch in timeline.fetches]
        longest: list[tuple[Transaction, Query]] = []
        current: list[tuple[Transaction, Query]] = []
        place = 0
        for transaction, commit in group:
            before = current[-1][0].ended if current else transaction.started
            while place < len(calls) and calls[place] < before:
                place += 1
            called = place < len(calls) and calls[place] < transaction.started
            if called or transaction.started - before > self.pause_ms or transaction.started < before:
                current = []
            current.append((transaction, commit))
            longest = max(longest, current, key=len)
        if len(longest) >= self.min_commits:
            yield longest

    def _finding(self, timeline: Timeline, loop: list[tuple[Transaction, Query]]) -> Finding:
        first = next(query for query in loop[0][0].queries if query.operation in _WRITES)
        commit = loop[0][1]
        site = commit.call_site or first.call_site
        waits = [mark.duration_ms for _, mark in loop]
        cost = (len(loop) - 1) * median(waits)
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        table = first.table or "a table"
        return self.finding(
            timeline,
            severity="critical" if severity_by_cost(cost, timeline.duration_ms) == "critical" else "warning",
            title=f"Commit for each row of {table}",
            desc=f"{timeline.endpoint} commits {len(loop)} transactions of the same kind in one {timeline.unit}{where};"
            f" the commits take {milliseconds(sum(waits))} ({share(sum(waits), timeline.duration_ms)}).",
            hint=_HINTS.get(first.source or "", _HINT),
            detail=f"Each writes {table}: {first.operation}. If the loop stops half way, what came before stays.",
            subject=f"{first.operation} {table} {site.file}:{site.function}" if site else f"{first.operation} {table}",
            call_site=site,
            cost_ms=cost,
            sql=first.sql,
            confidence="certain" if commit.call_site is not None else "likely",
        )
