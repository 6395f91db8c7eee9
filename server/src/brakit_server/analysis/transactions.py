"""`Transaction`: a database transaction as a span of time, put together from what is known of its statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from brakit_server.records import Query

Outcome = Literal["commit", "rollback", "open"]

_ENDS: dict[str | None, Outcome] = {"commit": "commit", "rollback": "rollback"}


class Transaction(msgspec.Struct, kw_only=True):
    """Statements of one transaction. Times are epoch milliseconds."""

    id: str
    connection: str | None
    queries: list[Query]
    """Its statements, by start, without marks."""
    marks: list[Query]
    """`begin`, `commit`, `savepoint` and so on, by start."""
    started: float
    """When its first statement began: SDKs do not see every begin."""
    ended: float
    """When its last mark or statement was over."""
    outcome: Outcome
    """`open`: neither a commit nor a rollback was seen. Drivers that close a connection roll back without a word."""

    @property
    def duration_ms(self) -> float:
        return self.ended - self.started

    @property
    def busy_ms(self) -> float:
        """Milliseconds in statements and marks; the rest of its duration it was idle."""
        return sum(each.duration_ms + (each.fetch_ms or 0.0) for each in (*self.queries, *self.marks))


def transactions_of(queries: Sequence[Query], marks: Sequence[Query]) -> list[Transaction]:
    """The transactions of statements and marks (both by start), by start. Statements of which no transaction is told are left out."""
    found: dict[str, Transaction] = {}
    for query in sorted((*queries, *marks), key=lambda each: each.timestamp):
        id = query.transaction_id
        if id is None:
            continue
        end = query.timestamp + query.duration_ms + (query.fetch_ms or 0.0)
        one = found.get(id)
        if one is None:
            one = found[id] = Transaction(
                id=id,
                connection=query.connection_id,
                queries=[],
                marks=[],
                started=query.timestamp,
                ended=end,
                outcome="open",
            )
        (one.queries if query.transaction_mark is None else one.marks).append(query)
        one.ended = max(one.ended, end)
        one.outcome = _ENDS.get(query.transaction_mark, one.outcome)
    return list(found.values())
