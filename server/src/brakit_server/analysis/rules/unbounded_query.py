"""Unbounded queries: results that grow with their table."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import bounded, list_length, of_catalogue
from brakit_server.analysis.shapes import Growth, ShapeFigures
from brakit_server.analysis.window import Window
from brakit_server.records import Query


class UnboundedQuery(Rule):
    """*What it finds.* A SELECT without LIMIT that brought `min_rows` rows or more, and more each time: with the same parameters
    as before its result has grown at least `min_growths` times, and never become smaller.

    *Why it matters.* It is a list without pages. In development it has a hundred rows; in a year of production every request
    reads ten thousand. Seen growing, it is certain that nothing bounds it but the table.

    *Fix.* Read a page: `LIMIT`, and the key of the last row to go on from. Or let the database add up what the rows are read for.

    *What it leaves alone.* Results that keep their size (countries, settings), that shrink again (queues), those bounded in the text
    or by a list of values, jobs (exports), and from `max_rows` on, where `high-rows` says it.
    """

    title = "Unbounded query"
    category = "performance"
    kinds = ("request",)

    min_rows: int = 100
    """Two pages of a usual length: below, it may be all there will ever be."""
    max_rows: int = 500
    """The same as `min_rows` of `high-rows`."""
    min_growths: int = 3
    """One may be a test that leaves something behind."""

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        found = []
        for figures in window.statements():
            query = figures.last
            if query.operation != "SELECT" or figures.most_rows >= self.max_rows or not figures.growth:
                continue
            growing = [each for each in figures.growth.items() if self._grows(query, *each)]
            if growing and not _has_bound(query):
                found.append(self._finding(window, figures, max((each for _, each in growing), key=lambda each: each.last)))
        return found

    def _grows(self, query: Query, parameters: str, growth: Growth) -> bool:
        if growth.last < self.min_rows or growth.down or growth.up < self.min_growths:
            return False
        # Without parameters it was the same question only if there are none in the text.
        return bool(parameters) or "?" not in (query.shape or query.sql or "?")

    def _finding(self, window: Window, figures: ShapeFigures, growth: Growth) -> Finding:
        query = figures.last
        site = query.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        table = query.table or "a table"
        return self.finding(
            window,
            severity="info",
            title=f"Unbounded query on {table}",
            desc=f"{window.endpoint} reads all rows of {table} that fit{where}, without a LIMIT: with the same parameters they were"
            f" {growth.first} at first and are {growth.last} now.",
            hint="Read a page (LIMIT, and a key to go on from), or let the database add up what the rows are read for.",
            subject=query.shape_hash or table,
            call_site=site,
            evidence=tuple(dict.fromkeys(id for _, id in reversed(figures.recent)))[:EVIDENCE_LIMIT],
            sql=query.sql,
        )


def _has_bound(query: Query) -> bool:
    text = query.shape or query.sql or ""
    return bounded(text) or of_catalogue(text) or list_length(query.sql or "") >= 2
