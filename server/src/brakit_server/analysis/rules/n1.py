"""N+1 queries: one statement for each row of a list."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice

from brakit_server.analysis.finding import Finding, milliseconds, severity_by_cost, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import list_length, shape_key, unified, values_outside_lists
from brakit_server.analysis.timeline import Site, Timeline, ended, site_of, took_ms
from brakit_server.records import Query
from brakit_server.sketch import median

_ROWS = re.compile(r"\bvalues\s*\([^)]*\)\s*,\s*\(", re.IGNORECASE)
_WHOLE_LIST = re.compile(r"\bany\s*\(\s*\?|\bin \?", re.IGNORECASE)
_RANGE = re.compile(r"[<>]=?\s*\?")
_EQUAL = re.compile(r"(?<![<>!])=\s*\?")
_LIMIT = re.compile(r"\blimit\b", re.IGNORECASE)
_OFFSET = re.compile(r"\boffset\b", re.IGNORECASE)
_ORDER = re.compile(r"\border by\b", re.IGNORECASE)
_CURSOR = re.compile(r"(?:fetch|declare)\b", re.IGNORECASE)

_PAGE = 10
"""Rows of the shortest page."""

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
    "sqlalchemy": "Load it with the {owner} rows: .options(selectinload({path})){at}, or joinedload({path}) for a to-one relationship;"
    " a deferred column with undefer({path}).",
    "django": 'Load it with the {owner} rows: .select_related("{name}"){at} for a to-one relation, .prefetch_related("{name}") for the'
    ' others; a deferred field is one that .defer("{name}") or .only(…) left out.',
    "peewee": "Load it with the {owner} rows{at}: join the related table and select its columns too, or prefetch(query, …).",
}
"""Where the sender tells which attribute of the ORM issued the statement."""

_LAZY_LISTS = {
    "sqlalchemy": "Load it with the {owner} rows: .options(selectinload({path})){at}.",
    "django": 'Load it with the {owner} rows: .prefetch_related("{name}"){at}.',
}
"""The same, where an execution brought several rows: the relation is to many."""

_SETUP = frozenset({"migrate", "loaddata", "createcachetable", "createsuperuser", "seed"})
"""Jobs that fill a database once."""

_TEXTS = 8
"""Texts of one group that are looked at: lists of values differ in length at once, or not at all."""

_BEFORE = 100
"""Statements before a loop among which the one whose rows it walks is sought."""

_GROUPS = 50
"""Loops of one request that are told, the costliest."""


class N1(Rule):
    """*What it finds.* A statement that one request or job executes at least `min_count` times from the same line with at least
    `min_distinct` different sets of parameters: typically a related row that is loaded in a loop over its parents. Where the ORM
    tells that the first use of an attribute has issued it, `min_lazy` executions are enough, if a statement before has brought several
    parents. The same for INSERT, UPDATE and DELETE. Senders that tell neither parameters nor lines need `min_count_unlocated`
    executions, and where nothing shows that the values differ, the finding says so and is never critical.

    *Why it matters.* Each execution is a round trip. With ten rows on a laptop nobody notices; with a thousand rows and a
    database on another machine the page takes seconds. Severity follows the cost, a round trip counted as `round_trip_ms` at least:
    critical from `critical_share` of the request, warning from `warning_share`, info below that or below `info_ms`.

    *Fix.* Load everything with one statement before the loop: an eager-loading option of the ORM (SQLAlchemy: `selectinload`,
    `joinedload`; Django: `prefetch_related`, `select_related`), or `WHERE … IN` over the collected keys. Where the ORM has told which
    attribute's first use issued the statement, the finding names the option with it, and the line of the query that needs it. For
    writes: one statement with many rows, or `executemany`.

    *What it leaves alone.* Repetition with the same parameters (that is `redundant-query`), executemany and statements
    with many rows, chunked `IN` lists, pages of a list, the reading of a server-side cursor, statements that failed and were tried
    again, executions `pause_ms` or more apart (polling), the same shape from different lines (`similar-query`), two objects loaded
    each by itself, transaction control, migrations and fixtures, health checks and static files. Other events between the executions
    change nothing.
    """

    title = "N+1 queries"
    category = "performance"
    aliases = ("n-plus-one",)
    needs = ("queries",)

    min_count: int = 3
    """Two may be the two sides of something; three different ones from one line are a loop."""
    min_distinct: int = 3
    min_lazy: int = 2
    """As many as django-zeal and queryspy need, which know the attribute too."""
    min_count_unlocated: int = 6
    """As many as the reference needs, which knows neither."""
    pause_ms: float = 1000.0
    """Whoever waits so long between two is no loop over rows."""
    round_trip_ms: float = 0.5
    """To a database on another machine of the same network; one on the same machine answers sooner."""
    critical_share: float = 0.20
    warning_share: float = 0.05
    info_ms: float = 5.0

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        job = timeline.job
        if job is not None and job.name in _SETUP:
            return []
        found: dict[str, Finding] = {}
        groups = [group for queries in timeline.by_shape.values() for group in self._groups(queries)]
        if job is not None and job.source == "pytest":
            groups = [group for group in groups if group[0].operation != "INSERT"]
        if len(groups) > _GROUPS:
            groups = sorted(groups, key=lambda group: sum(map(took_ms, group)), reverse=True)[:_GROUPS]
        for group in groups:
            finding = None if _in_batches(group) else self._judge(timeline, group)
            if finding is None:
                continue
            other = found.get(finding.identity)
            if other is None or (other.cost_ms or 0.0) < (finding.cost_ms or 0.0):
                found[finding.identity] = finding
        return found.values()

    def _groups(self, queries: list[Query]) -> Iterator[list[Query]]:
        """The executions that could be a loop, by the line that issued them and the attribute whose first use did."""
        if len(queries) < min(self.min_count, self.min_lazy):
            return
        lines: dict[tuple[Site | None, str | None], list[Query]] = {}
        for query in queries:
            if query.operation in _TITLES and not query.error and (query.batch_size or 1) <= 1:
                lines.setdefault((site_of(query.call_site), query.lazy_load), []).append(query)
        for (_, path), group in lines.items():
            least = self.min_lazy if path else self.min_count
            if len(group) >= least:
                stretch = self._stretch(group)
                if len(stretch) >= least:
                    yield stretch

    def _stretch(self, group: list[Query]) -> list[Query]:
        """The longest part of it without a pause."""
        longest: list[Query] = []
        first = 0
        for n in range(1, len(group) + 1):
            if n == len(group) or group[n].timestamp - ended(group[n - 1]) >= self.pause_ms:
                if n - first > len(longest):
                    longest = group[first:n]
                first = n
        return longest

    def _judge(self, timeline: Timeline, group: list[Query]) -> Finding | None:
        first, count = group[0], len(group)
        path = first.lazy_load
        hashes = {query.params_hash for query in group if query.params_hash}
        if hashes:
            distinct = len(hashes)
            if distinct < (self.min_lazy if path else self.min_distinct):
                return None
            if first.call_site is None and not path and count < self.min_count_unlocated:
                return None
        else:
            distinct = len({query.sql for query in group})
            if count < self.min_count_unlocated or (distinct == 1 and first.sql and "?" not in unified(first.sql)):
                return None
        parents = _parents(timeline, group)
        if path and parents is None and min(count, distinct) < self.min_count:
            return None
        certain = distinct > 1
        total = _busy_ms(group)
        whole = max(timeline.duration_ms, total)
        cost = total * (count - 1) / count
        farther = (count - 1) * max(0.0, self.round_trip_ms - median([took_ms(query) for query in group]))
        severity = severity_by_cost(
            cost + farther,
            whole + farther,
            critical_share=self.critical_share,
            warning_share=self.warning_share,
            info_ms=self.info_ms,
        )
        table = first.table or first.model or "a table"
        site = first.call_site
        title = _TITLES[first.operation].format(table=table)
        params = f"with {distinct} different sets of parameters" if certain else "(the sender did not tell the parameters)"
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        hint = _lazy_hint(group, parents) or _hint(first)
        return self.finding(
            timeline,
            severity="warning" if severity == "critical" and not certain else severity,
            title=title if certain else f"Possible: {title}",
            desc=f"{timeline.endpoint} runs {first.operation} on {table} {count} times in one {timeline.unit} {params}{where}:"
            f" {milliseconds(total)} of {milliseconds(whole)} ({share(total, whole)}).",
            hint=hint if certain else f"If the values differ from one execution to the next: {hint}",
            detail=_detail(group, parents, cost + farther if farther >= self.info_ms else None),
            subject=" ".join(filter(None, (shape_key(first), f"{site.file}:{site.function}" if site else None, path))),
            call_site=site,
            cost_ms=cost,
            sql=first.sql,
            confidence="certain" if certain else "possible",
            fix=_option(group, parents),
        )


def _in_batches(group: list[Query]) -> bool:
    """Whether each execution does the work of many rows on purpose: chunks of a list, or pages."""
    texts = list(islice(dict.fromkeys(query.sql for query in group if query.sql), _TEXTS))
    if not texts:
        return False
    text = unified(texts[0])
    if _ROWS.search(text) or _WHOLE_LIST.search(text) or _CURSOR.match(text):
        return True
    lengths = {list_length(sql) for sql in texts}
    longest = max(lengths)
    if longest >= 2 and (longest >= 10 or len(lengths) > 1 or values_outside_lists(texts[0]) == 0):
        return True
    if longest >= 2 and group[0].operation in ("UPDATE", "DELETE"):
        # Beside the list stand the new values: of each of its rows, in a bulk update.
        return True
    if not _LIMIT.search(text):
        return False
    keyset = _RANGE.search(text) and _ORDER.search(text)
    return bool(keyset or (_OFFSET.search(text) and not _EQUAL.search(text))) or _full_pages(group)


def _full_pages(group: list[Query]) -> bool:
    """Whether all but the last brought the same number of rows, a page of them."""
    rows = {query.row_count for query in group[:-1]}
    size = rows.pop() if len(rows) == 1 else None
    return size is not None and size >= _PAGE and (group[-1].row_count or 0) <= size


def _busy_ms(group: list[Query]) -> float:
    """Milliseconds in which at least one of them was under way, those after the response included."""
    total, reached = 0.0, float("-inf")
    for query in group:
        over = ended(query)
        if over > reached:
            total += over - max(query.timestamp, reached)
            reached = over
    return total


def _library(query: Query) -> str:
    return (query.source or query.driver).lower().partition("-")[0]


def _hint(query: Query) -> str:
    return _LIBRARY_HINTS.get((_library(query), query.operation), _HINTS[query.operation])


def _owner_and_name(group: list[Query]) -> tuple[str, str] | None:
    owner, _, name = (group[0].lazy_load or "").rpartition(".")
    return (owner, name) if owner else None


def _to_many(group: list[Query]) -> bool:
    return any((query.row_count or 0) > 1 for query in group)


def _at(parents: Query | None) -> str:
    site = parents.call_site if parents is not None else None
    return f" on the query at {site.file}:{site.line}" if site else ""


def _lazy_hint(group: list[Query], parents: Query | None) -> str | None:
    """The option to add, where the executions were issued by the first use of one attribute."""
    attribute, library = _owner_and_name(group), _library(group[0])
    if attribute is None or library not in _LAZY_HINTS:
        return None
    texts = _LAZY_LISTS if _to_many(group) and library in _LAZY_LISTS else _LAZY_HINTS
    owner, name = attribute
    return texts[library].format(owner=owner, name=name, path=f"{owner}.{name}", at=_at(parents))


def _option(group: list[Query], parents: Query | None) -> str | None:
    """The change to the letter, where it is certain: the relation is to many, and the query of the parents is known."""
    attribute = _owner_and_name(group)
    site = parents.call_site if parents is not None else None
    if attribute is None or site is None or not _to_many(group):
        return None
    owner, name = attribute
    options = {"sqlalchemy": f".options(selectinload({owner}.{name}))", "django": f'.prefetch_related("{name}")'}
    option = options.get(_library(group[0]))
    return f"{site.file}:{site.line}: add {option}" if option else None


def _detail(group: list[Query], parents: Query | None, farther_ms: float | None) -> str | None:
    parts = [f"Each is issued by the first use of {group[0].lazy_load}."] if _owner_and_name(group) else []
    if parents is not None:
        where = f" at {parents.call_site.file}:{parents.call_site.line}" if parents.call_site else ""
        parts.append(f"The loop probably walks the {parents.row_count} rows of the SELECT on {parents.table}{where}.")
    if farther_ms is not None:
        parts.append(f"With the database on another machine it costs {milliseconds(farther_ms)} or more.")
    return " ".join(parts) or None


def _parents(timeline: Timeline, group: list[Query]) -> Query | None:
    """The statement whose rows the loop probably walks: the last one before it that brought the attribute's owners, or as many rows."""
    attribute = _owner_and_name(group)
    queries = timeline.queries
    place = bisect_left(queries, group[0].timestamp, key=lambda query: query.timestamp)
    for query in reversed(queries[max(0, place - _BEFORE) : place]):
        rows = query.row_count or 0
        if query.operation != "SELECT" or rows < 2:
            continue
        if attribute is not None and query.model == attribute[0]:
            return query
        # Two rows may be two rows of anything.
        if rows == len(group) and (rows > 2 or attribute is None or query.model is None):
            return query
    return None
