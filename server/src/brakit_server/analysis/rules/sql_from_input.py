"""Statements that are put together from what the client sends."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Query


class SqlFromInput(Rule):
    """*What it finds.* Statements with literals in their text that are values of the request (path, query string, body),
    where the same place of the same statement, from the same line, held another value in another request, that came with it
    as well. The sender compares, before it masks the literals, and tells no more than that it was so.

    *Why it matters.* A value that becomes part of the statement can become any part of it: that is SQL injection.

    *Fix.* Leave a placeholder in the text and pass the value beside it.

    *What it leaves alone.* Bound parameters; literals that are the same in each request; a first sight, which may be a
    coincidence; LIMIT and OFFSET; statements of an ORM's models. A value that was checked before it was put in (a number, one
    of a list) cannot be told from one that was not: it says "likely".
    """

    title = "SQL built from input"
    category = "security"
    needs = ("queries",)

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        found: dict[str, Finding] = {}
        for query in timeline.queries:
            if query.literals_from_request:
                finding = self._finding(timeline, query)
                found.setdefault(finding.identity, finding)
        return found.values()

    def _finding(self, timeline: Timeline, query: Query) -> Finding:
        site = query.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        table = query.table or "the database"
        return self.finding(
            timeline,
            severity="critical",
            confidence="likely",
            title=f"{query.operation} on {table} is built from input",
            desc=f"{timeline.endpoint} puts values of the request into the text of a statement on {table}{where}.",
            hint="Leave a placeholder in the text and pass the value beside it: it then stays a value, whatever it says.",
            fix=_FIXES.get(query.source or "", _FIXES[""]),
            subject=query.shape_hash or table,
            call_site=site,
            sql=query.sql,
        )


_FIXES = {
    "": 'cursor.execute("… WHERE id = ?", (value,))',
    "sqlalchemy": 'session.execute(text("… WHERE id = :id"), {"id": value})',
    "asyncpg": 'await connection.fetch("… WHERE id = $1", value)',
    **dict.fromkeys(
        ("psycopg", "psycopg2", "pymysql", "MySQLdb", "mysql", "aiomysql", "asyncmy", "django"),
        'cursor.execute("… WHERE id = %s", [value])',
    ),
}
