"""`SELECT *`: all columns, whatever is needed of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import of_catalogue
from brakit_server.analysis.window import Window
from brakit_server.answers import Severity
from brakit_server.records import Query

_STAR = re.compile(
    r"^\s*(?:/\*[^*]{0,2000}\*/\s*)?(?:with\b.{0,8000}?\)\s*)?select\s+(?:all\s+|distinct\s+)?(?:[\w\"`\[\].]{1,200}\.)?\*\s*(?:,|\bfrom\b)",
    re.IGNORECASE | re.DOTALL,
)


class SelectStar(Rule):
    """*What it finds.* `SELECT *` or `SELECT t.*` as the outermost list of columns, run at least `min_count` times.

    *Why it matters.* Columns that nobody reads are read from the disk, sent and turned into objects, and a column that
    somebody adds tomorrow (a document, a picture, a password hash) comes along by itself. An index alone cannot answer it. It
    is info, and a warning from `warning_rows` rows on.

    *Fix.* Name the columns that are used.

    *What it leaves alone.* `count(*)`, `EXISTS (SELECT * …)`, stars of inner queries under a list of names, the database's own
    catalogue, and a single execution.
    """

    title = "SELECT *"
    category = "performance"

    min_count: int = 2
    warning_rows: int = 1000
    """Rows of one execution from which the width of a row shows."""

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        found: dict[str, Finding] = {}
        for figures in window.statements():
            query = figures.last
            if figures.count < self.min_count or query.operation != "SELECT" or not _all_columns(query.shape or query.sql or ""):
                continue
            finding = self._finding(window, query, figures.count, figures.most_rows or 0, [id for _, id in figures.recent])
            found.setdefault(finding.identity, finding)
        return list(found.values())

    def _finding(self, window: Window, query: Query, count: int, rows: int, evidence: list[str]) -> Finding:
        site = query.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        table = query.table or "a table"
        many: Severity = "warning" if rows >= self.warning_rows else "info"
        return self.finding(
            window,
            severity=many,
            title=f"SELECT * on {table}",
            desc=f"{window.endpoint} reads all columns of {table}{where}, {count} times so far"
            + (f", up to {rows} rows at once." if rows else "."),
            hint="Name the columns that are used.",
            subject=query.shape_hash or table,
            call_site=site,
            evidence=tuple(dict.fromkeys(reversed(evidence)))[:10],
            sql=query.sql,
        )


@lru_cache(maxsize=2048)
def _all_columns(sql: str) -> bool:
    text = sql[:20_000]
    return bool(_STAR.match(text)) and not of_catalogue(text)
