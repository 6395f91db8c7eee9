"""N+1 queries: one statement for each row of a list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from brakit_server.analysis.finding import Finding, milliseconds, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import list_length, shape_key, unified, values_outside_lists
from brakit_server.analysis.timeline import Timeline, took_ms
from brakit_server.answers import Severity
from brakit_server.records import Query
from brakit_server.sketch import median

_ROWS = re.compile(r"\bvalues\s*\([^)]*\)\s*,\s*\(", re.IGNORECASE)
_WHOLE_LIST = re.compile(r"\bany\s*\(\s*\?|\bin \?", re.IGNORECASE)
_RANGE = re.compile(r"[<>]=?\s*\?")
_EQUAL = re.compile(r"(?<![<>!])=\s*\?")
_LIMIT = re.compile(r"\blimit\b", re.IGNORECASE)
_OFFSET = re.compile(r"\boffset\b", re.IGNORECASE)
_ORDER = re.compile(r"\border by\b", re.IGNORECASE)

_TITLES = {
    "SELECT": "N+1 queries on {table}",
    "INSERT": "Rows of {table} inserted one by one",
    "UPDATE": "Rows of {table} updated one by one",
    "DELETE": "Rows of {table} deleted one by one",
}

_HINTS = {
    "SELECT": "Fetch all rows with one statement before the loop: WHERE … IN over the collected keys, or a join.",
    "INSERT": "Insert all rows with one statement: a list of VALUES, or the driver's executemany.",
    "UPDATE": "Update all rows with one statement: WHERE … IN over the collected keys, or the driver's executemany.",
    "DELETE": "Delete all rows with one statement: WHERE … IN over the collected keys.",
}

_LIBRARY_HINTS = {
    (
        "sqlalchemy",
        "SELECT",
    ): "Load the relationship together with its parents: .options(selectinload(Parent.children)), or joinedload"
    " for a to-one relationship. Where there is no relationship, collect the keys and use one select with .in_(keys).",
    (
        "sqlalchemy",
        "INSERT",
    ): "Insert all rows with one execute: session.execute(insert(Model), [row, …]), or session.add_all before a single flush.",
    (
        "sqlalchemy",
        "UPDATE",
    ): "Update all rows with one execute: update(Model).where(Model.id.in_(keys)), or execute(update(Model), [row, …]).",
    ("sqlalchemy", "DELETE"): "Delete all rows with one execute: delete(Model).where(Model.id.in_(keys)).",
    (
        "django",
        "SELECT",
    ): "Load the relation together with its parents: select_related for a to-one relation, prefetch_related for the others.",
    ("django", "INSERT"): "Insert all rows with Model.objects.bulk_create(rows).",
    ("django", "UPDATE"): "Update all rows with a queryset's update(…), or bulk_update(rows, fields).",
    ("django", "DELETE"): "Delete all rows with one queryset: Model.objects.filter(id__in=keys).delete().",
}

_LAZY_HINTS = {
    "sqlalchemy": "Load it with the {owner} rows: .options(selectinload({path})), or joinedload({path}) for a to-one relationship; a"
    " deferred column with undefer({path}).",
    "django": 'Load it with the {owner} rows: .select_related("{name}") for a to-one relation, .prefetch_related("{name}") for the'
    ' others; a deferred field is one that .defer("{name}") or .only(…) left out.',
    "peewee": "Load it with the {owner} rows: join the related table and select its columns too, or prefetch(query, …).",
}
"""Where the sender tells which attribute of the ORM issued the statement."""


class N1(Rule):
    """*What it finds.* A statement that one request or job executes at least `min_count` times from the same line with at least
    `min_distinct` different sets of parameters: typically a related row that is loaded in a loop over its parents. The same for
    INSERT, UPDATE and DELETE. Senders that tell neither parameters nor lines need `min_count_unlocated` executions, and
    where nothing shows that the values differ, the finding says so and is never critical.

    *Why it matters.* Each execution is a round trip. With ten rows on a laptop nobody notices; with a thousand rows and a
    database on another machine the page takes seconds. Severity follows the cost: critical from `critical_share` of the request
    or `critical_count` executions, warning from `warning_share`, info below that or below `info_ms` in all.

    *Fix.* Load everything with one statement before the loop: an eager-loading option of the ORM (SQLAlchemy: `selectinload`,
    `joinedload`; Django: `prefetch_related`, `select_related`), or `WHERE … IN` over the collected keys. Where the ORM has told which
    attribute's first use issued the statement, the finding names the option with it. For writes: one statement with many rows, or
    `executemany`.

    *What it leaves alone.* Repetition with the same parameters (that is a duplicate, to be cached), executemany and statements
    with many rows, chunked `IN` lists, pagination, statements that failed and were tried again, the same shape from different
    lines, transaction control, health checks and static files. Other events between the executions change nothing.
    """

    title = "N+1 queries"
    category = "performance"
    needs = ("queries",)

    min_count: int = 3
    min_distinct: int = 3
    min_count_unlocated: int = 6
    critical_count: int = 20
    critical_share: float = 0.20
    warning_share: float = 0.05
    info_ms: float = 5.0

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        found: dict[str, Finding] = {}
        for queries in timeline.by_shape.values():
            for group in self._groups(queries):
                finding = self._judge(timeline, group)
                if finding is None:
                    continue
                other = found.get(finding.identity)
                if other is None or (other.cost_ms or 0.0) < (finding.cost_ms or 0.0):
                    found[finding.identity] = finding
        return found.values()

    def _groups(self, queries: list[Query]) -> Iterator[list[Query]]:
        """The executions that could be a loop, by the line that issued them."""
        if len(queries) < self.min_count:
            return
        lines: dict[tuple[str, int, str] | None, list[Query]] = {}
        for query in queries:
            if query.operation in _TITLES and not query.error and (query.batch_size or 1) <= 1:
                site = query.call_site
                lines.setdefault((site.file, site.line, site.function) if site else None, []).append(query)
        for group in lines.values():
            if len(group) >= self.min_count and not _in_batches(group):
                yield group

    def _judge(self, timeline: Timeline, group: list[Query]) -> Finding | None:
        first, count = group[0], len(group)
        hashes = {query.params_hash for query in group if query.params_hash}
        if hashes:
            distinct = len(hashes)
            if distinct < self.min_distinct or (first.call_site is None and count < self.min_count_unlocated):
                return None
        else:
            distinct = len({query.sql for query in group})
            if count < self.min_count_unlocated or (distinct == 1 and first.sql and "?" not in unified(first.sql)):
                return None
        certain = distinct > 1
        times = [took_ms(query) for query in group]
        total = sum(times)
        table = first.table or first.model or "a table"
        site = first.call_site
        title = _TITLES[first.operation].format(table=table)
        params = f"with {distinct} different sets of parameters" if certain else "(the sender did not tell the parameters)"
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        return self.finding(
            timeline,
            severity=self._severity(total, timeline.duration_ms, count, certain),
            title=title if certain else f"Possible: {title}",
            desc=f"{timeline.endpoint} runs {first.operation} on {table} {count} times in one {timeline.unit} {params}{where}:"
            f" {milliseconds(total)} of {milliseconds(timeline.duration_ms)} ({share(total, timeline.duration_ms)}).",
            hint=_lazy_hint(group) or _hint(first)
            if certain
            else f"If the values differ from one execution to the next: {_hint(first)}",
            detail=_what_for(timeline, group),
            subject=f"{shape_key(first)} {site.file}:{site.function}" if site else shape_key(first),
            call_site=site,
            cost_ms=(count - 1) * median(times),
            sql=first.sql,
            confidence="certain" if certain else "possible",
        )

    def _severity(self, total: float, duration: float, count: int, certain: bool) -> Severity:
        part = total / duration if duration > 0 else 0.0
        if count >= self.critical_count or (total >= self.info_ms and part >= self.critical_share):
            return "critical" if certain else "warning"
        return "warning" if total >= self.info_ms and part >= self.warning_share else "info"


def _in_batches(group: list[Query]) -> bool:
    """Whether each execution does the work of many rows on purpose: chunks of a list, or pages."""
    texts = [query.sql for query in group if query.sql]
    if not texts:
        return False
    text = unified(texts[0])
    if _ROWS.search(text) or _WHOLE_LIST.search(text):
        return True
    lengths = {list_length(sql) for sql in set(texts)}
    longest = max(lengths)
    if longest >= 2 and (longest >= 10 or len(lengths) > 1 or values_outside_lists(texts[0]) == 0):
        return True
    if not _LIMIT.search(text):
        return False
    keyset = _RANGE.search(text) and _ORDER.search(text)
    return bool(keyset or (_OFFSET.search(text) and not _EQUAL.search(text)))


def _hint(query: Query) -> str:
    source = (query.source or query.driver).lower().partition("-")[0]
    return _LIBRARY_HINTS.get((source, query.operation), _HINTS[query.operation])


def _lazy_hint(group: list[Query]) -> str | None:
    """The option to add, where all executions were issued by the first use of one attribute."""
    path = group[0].lazy_load
    if not path or any(query.lazy_load != path for query in group):
        return None
    owner, _, name = path.rpartition(".")
    text = _LAZY_HINTS.get((group[0].source or group[0].driver).lower().partition("-")[0])
    return text.format(owner=owner, path=path, name=name) if text and owner else None


def _what_for(timeline: Timeline, group: list[Query]) -> str | None:
    parts = [f"Each is issued by the first use of {group[0].lazy_load}."] if _lazy_hint(group) else []
    rows = _rows_from(timeline, group)
    return " ".join([*parts, *([rows] if rows else [])]) or None


def _rows_from(timeline: Timeline, group: list[Query]) -> str | None:
    """Names the statement whose rows the loop probably walks: the last one before it that read as many rows."""
    for query in reversed(timeline.queries[: timeline.queries.index(group[0])]):
        if query.row_count == len(group) and query.operation == "SELECT":
            site = query.call_site
            where = f" at {site.file}:{site.line}" if site else ""
            return f"The loop probably walks the {query.row_count} rows of the SELECT on {query.table}{where}."
    return None
