"""The rules of the existing implementation (its definitions, on statements as the driver got them), over the events recorded here.

It compares sessions for `slow` and `regression`, which one run has none of, and its rules about secrets read what is masked here.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from bench.comparison.seen import Hit, Seen
from brakit_server.analysis.timeline import Timeline

N1_COUNT = 5
ROWS = 100
QUERIES = 5
BYTES = 51_200
ERROR_SHARE = 20
FIELDS, MANY_FIELDS, IDS, NULL_SHARE = 8, 12, 2, 0.3

_TABLE = re.compile(r'(?:from|into|update)\s+(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)
_STAR = re.compile(r"select[ \t]\*|.*\.\* from", re.IGNORECASE | re.DOTALL)


class Statement:
    """A statement with the operation, the table and the shape that its patterns find."""

    def __init__(self, sql: str, rows: int | None) -> None:
        self.sql = sql
        self.rows = rows
        word = sql.split(None, 1)[0].upper() if sql.strip() else ""
        self.operation = word if word in ("SELECT", "INSERT", "UPDATE", "DELETE") else "OTHER"
        found = _TABLE.search(sql)
        self.table = found[1] if found else ""
        self.shape = re.sub(r"\b\d+(?:\.\d+)?\b", "?", re.sub(r"'[^']*'", "?", re.sub(r"\$\d+", "?", sql)))


class Reference:
    """Its rules but those about secrets, sessions and the calls of a browser."""

    def find(self, seen: Seen) -> set[Hit]:
        """What they say of a case."""
        owned = [timeline for timeline in seen.timelines if timeline.root is not None]
        statements = {id(timeline): _statements(timeline, seen) for timeline in owned}
        found = {hit for timeline in owned for hit in _repeated(statements[id(timeline)])}
        every = [statement for timeline in owned for statement in statements[id(timeline)]]
        stars = Counter(statement.table for statement in every if _STAR.match(statement.sql.strip()))
        found.update(Hit("select-star", table) for table, count in stars.items() if count >= 2)
        rows = Counter((statement.operation, statement.table) for statement in every if (statement.rows or 0) > ROWS)
        found.update(Hit("high-rows", table) for (_, table), count in rows.items() if count >= 2)
        if any(timeline.errors for timeline in seen.timelines):
            found.add(Hit("error", ""))
        by_endpoint: dict[str | None, list[Timeline]] = defaultdict(list)
        for timeline in owned:
            if timeline.request is not None and not timeline.noise:
                by_endpoint[timeline.endpoint].append(timeline)
        for timelines in by_endpoint.values():
            found.update(_of_endpoint(timelines, sum(len(statements[id(timeline)]) for timeline in timelines)))
        return found


def _statements(timeline: Timeline, seen: Seen) -> list[Statement]:
    return [
        Statement(seen.originals[query.id].sql, query.row_count)
        for query in sorted([*timeline.queries, *timeline.marks], key=lambda query: query.timestamp)
    ]


def _repeated(statements: list[Statement]) -> Iterator[Hit]:
    shapes: dict[str, list[Statement]] = defaultdict(list)
    texts: dict[str, list[Statement]] = defaultdict(list)
    for statement in statements:
        shapes[statement.shape].append(statement)
        texts[statement.sql].append(statement)
    for group in shapes.values():
        if len(group) > N1_COUNT and len({statement.sql for statement in group}) > 1:
            yield Hit("n1", group[0].table)
    for group in texts.values():
        if len(group) >= 2:
            yield Hit("redundant-query", group[0].table)


def _of_endpoint(timelines: list[Timeline], queries: int) -> Iterator[Hit]:
    requests = [timeline.request for timeline in timelines if timeline.request is not None]
    for request in requests:
        if request.status_code < 400 and request.response_body and _overfetches(request.response_body):
            yield Hit("response-overfetch", "")
            break
    if len(requests) < 2:
        return
    if round(100 * sum(request.status_code >= 400 for request in requests) / len(requests)) >= ERROR_SHARE:
        yield Hit("error-hotspot", "")
    if round(queries / len(requests)) > QUERIES:
        yield Hit("query-heavy", "")
    if sum(request.response_size for request in requests) / len(requests) > BYTES:
        yield Hit("large-response", "")


def _overfetches(body: str) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return False
    if isinstance(value, dict) and 0 < len(value) <= 3:
        biggest = max(value.values(), key=lambda child: len(child) if isinstance(child, list | dict) else 0)
        value = biggest if isinstance(biggest, list | dict) and len(biggest) >= 3 else value
    item = value[0] if isinstance(value, list) and value else value
    if not isinstance(item, dict) or len(item) < FIELDS:
        return False
    ids = [name for name in item if name in ("id", "_id") or name.endswith(("Id", "_id"))]
    nulls = sum(child is None for child in item.values()) / len(item)
    return len(ids) >= IDS or nulls >= NULL_SHARE or len(item) >= MANY_FIELDS
