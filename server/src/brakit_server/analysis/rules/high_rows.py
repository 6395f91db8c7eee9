"""Large results: one statement that brings very many rows."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import bounded as has_bound
from brakit_server.analysis.window import Window
from brakit_server.answers import Severity


class HighRows(Rule):
    """*What it finds.* A SELECT that brought `min_rows` rows or more, and that at least `min_requests` requests of the endpoint ran.

    *Why it matters.* Every row is read, sent, turned into objects and held in memory at the same time; a page shows fifty. And
    where nothing bounds the number it grows with the table: from `critical_rows` on a request may take the whole server with it.

    *Fix.* Bound it: a page (`LIMIT`, with a key to go on from), an aggregate in the database, or a stream (`yield_per`,
    `iterator()`) where all rows are really needed.

    *What it leaves alone.* Jobs (exports and migrations read everything on purpose), statements that bring fewer, and a single request.
    """

    title = "Large result"
    category = "performance"
    aliases = ("large-result",)
    kinds = ("request",)

    min_rows: int = 500
    """Ten pages of a usual length."""
    critical_rows: int = 10_000
    min_requests: int = 2

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        found = []
        for figures in window.statements():
            query, rows = figures.last, figures.most_rows or 0
            if rows < self.min_rows or figures.requests < self.min_requests or query.operation != "SELECT":
                continue
            site = query.call_site
            where = f" at {site.file}:{site.line} in {site.function}" if site else ""
            bounded = has_bound(query.shape or query.sql or "")
            severity: Severity = (
                "critical" if rows >= self.critical_rows and not bounded else "warning" if not bounded else "info"
            )
            table = query.table or "a table"
            found.append(
                self.finding(
                    window,
                    severity=severity,
                    title=f"{rows} rows of {table} at once",
                    desc=f"{window.endpoint} reads up to {rows} rows of {table} with one SELECT{where}."
                    + ("" if bounded else " Nothing bounds their number: it grows with the table."),
                    hint="Read a page (LIMIT, and a key to go on from), let the database add up, or stream the rows"
                    " (SQLAlchemy: yield_per; Django: iterator()).",
                    subject=query.shape_hash or table,
                    call_site=site,
                    evidence=tuple(dict.fromkeys(id for _, id in reversed(figures.recent)))[:10],
                    sql=query.sql,
                )
            )
        return found
