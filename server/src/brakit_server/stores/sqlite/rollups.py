"""Rollups in the file: figures of endpoints and processes by minute, ten minutes, hour, six hours and day, in tables of their own.

Every stretch is kept at all five lengths, so that a week is read as a few days, hours and minutes and not as ten thousand minutes.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Collection, Iterable
from typing import NamedTuple

from brakit_server.sketch import Sketch
from brakit_server.stores.rollups import MINUTE_MS, Asked, Rollup, RollupKey, Told, endpoint_id

ROLLUPS = (
    """CREATE TABLE rollup_endpoint (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        service TEXT,
        endpoint TEXT NOT NULL
    )""",
    "CREATE TABLE rollup_source (id INTEGER PRIMARY KEY, run TEXT NOT NULL, revision TEXT, UNIQUE (run, revision))",
    # By endpoint first: one endpoint over a week, and all of them over an hour, are both a few ranges of this.
    """CREATE TABLE rollup (
        level INTEGER NOT NULL,
        endpoint INTEGER NOT NULL,
        start INTEGER NOT NULL,
        source INTEGER NOT NULL,
        count INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        queries INTEGER NOT NULL,
        query_ms REAL NOT NULL,
        fetches INTEGER NOT NULL,
        fetch_ms REAL NOT NULL,
        app_ms REAL NOT NULL,
        size_bytes INTEGER NOT NULL,
        timed INTEGER NOT NULL,
        total_ms REAL NOT NULL,
        largest_ms REAL NOT NULL,
        durations BLOB NOT NULL,
        PRIMARY KEY (level, endpoint, start, source)
    ) WITHOUT ROWID""",
)
"""Part of a migration in schema.py."""

TABLES = ("rollup_endpoint", "rollup_source", "rollup")

LEVELS = (1, 10, 60, 360, 1440)
"""Minutes of a stretch, by level."""

ENDPOINTS = 2_000
SOURCES = 5_000
"""Endpoints and processes that are told apart; what comes beyond is added up as one."""

OTHERS = "(others)"
ALL = ""
"""All endpoints of a kind and service together: what is not asked by endpoint is read from there."""

MINUTES_KEPT = 200_000
"""Stretches of a minute that are kept; beyond, those older than a day go, and hours stand for them."""

DAY = 1440

_SUMS = (
    "sum(count), sum(errors), sum(refused), sum(queries), sum(query_ms), sum(fetches), sum(fetch_ms), sum(app_ms), "
    "sum(size_bytes), sum(total_ms), max(largest_ms)"
)
_GET = "SELECT durations FROM rollup WHERE level = ? AND endpoint = ? AND start = ? AND source = ?"
_PUT = """INSERT INTO rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (level, endpoint, start, source) DO UPDATE SET
    count = count + excluded.count, errors = errors + excluded.errors, refused = refused + excluded.refused,
    queries = queries + excluded.queries, query_ms = query_ms + excluded.query_ms, fetches = fetches + excluded.fetches,
    fetch_ms = fetch_ms + excluded.fetch_ms, app_ms = app_ms + excluded.app_ms, size_bytes = size_bytes + excluded.size_bytes,
    timed = timed + excluded.timed, total_ms = total_ms + excluded.total_ms, largest_ms = max(largest_ms, excluded.largest_ms),
    durations = excluded.durations"""
_MARK = "INSERT OR REPLACE INTO meta (name, value) VALUES ('rollups', ?)"


class Stretch(NamedTuple):
    """Whole stretches of one level: minutes since the epoch, the end not included."""

    level: int
    start: int
    end: int


def save(connection: sqlite3.Connection, cells: Collection[tuple[RollupKey, Rollup]], upto: int) -> None:
    """Add `cells` to what is there, and remember that all events up to the `seq` are now among them. Inside a transaction."""
    for key, rollup in (*cells, *_together(cells)):
        endpoint, source = _endpoint(connection, key), _source(connection, key)
        for level, minutes in enumerate(LEVELS):
            place = (level, endpoint, key.minute - key.minute % minutes, source)
            durations = rollup.durations
            known = connection.execute(_GET, place).fetchone()
            packed = durations.packed()
            if known is not None:
                packed = Sketch.merged((known[0], packed), 0.0, 0.0).packed() if durations.count else known[0]
            connection.execute(
                _PUT,
                (
                    *place,
                    rollup.count,
                    rollup.errors,
                    rollup.refused,
                    rollup.queries,
                    rollup.query_ms,
                    rollup.fetches,
                    rollup.fetch_ms,
                    rollup.app_ms,
                    rollup.size_bytes,
                    durations.count,
                    durations.total,
                    durations.largest,
                    packed,
                ),
            )
    connection.execute(_MARK, (upto,))


def _together(cells: Iterable[tuple[RollupKey, Rollup]]) -> Iterable[tuple[RollupKey, Rollup]]:
    found: dict[RollupKey, Rollup] = {}
    for key, rollup in cells:
        found.setdefault(key._replace(endpoint=ALL), Rollup()).add(rollup)
    return found.items()


def upto(connection: sqlite3.Connection) -> int:
    """`seq` of the newest event that is among the rollups."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'rollups'").fetchone()
    return int(found[0]) if found else 0


def tell(connection: sqlite3.Connection, asked: Asked, now: float) -> Told:
    """What is asked for. `now`: epoch milliseconds."""
    first, end = whole(asked, now)
    condition, parameters = _condition(asked)
    by_endpoint, by_source = "endpoint" in asked.by, "run" in asked.by
    step = asked.step
    groups = [
        "endpoint" if by_endpoint else "0",
        "source" if by_source else "0",
        f"start - start % {step:d}" if step else "0",
    ]
    grouped = ", ".join(groups)
    sums: dict[tuple[int, int, int], tuple[float, ...]] = {}
    packed: dict[tuple[int, int, int], list[bytes]] = {}
    for stretch in stretches(first, end, step):
        where = " FROM rollup WHERE level = ? AND endpoint IN (SELECT id FROM rollup_endpoint WHERE " + condition[0]
        where += ") AND start >= ? AND start < ?" + condition[1]
        values = (stretch.level, *parameters[0], stretch.start, stretch.end, *parameters[1])
        for row in connection.execute("SELECT " + grouped + ", " + _SUMS + where + " GROUP BY 1, 2, 3", values):
            place, new = row[:3], row[3:]
            before = sums.get(place)
            sums[place] = new if before is None else (*map(operator.add, before[:-1], new[:-1]), max(before[-1], new[-1]))
        for a, b, c, durations in connection.execute("SELECT " + grouped + ", durations" + where, values):
            packed.setdefault((a, b, c), []).append(durations)
    return Told(since=first * MINUTE_MS, upto=upto(connection), rows=_rows(connection, sums, packed))


def whole(asked: Asked, now: float) -> tuple[int, int]:
    """First minute and the one after the last of what is asked for."""
    first, end = int(asked.since // MINUTE_MS), int(asked.until // MINUTE_MS) + 1
    if first < int(now // MINUTE_MS) - DAY:
        first -= first % 60
    if asked.step:
        first -= first % asked.step
    return first, max(first, end)


def stretches(first: int, end: int, step: int = 0) -> list[Stretch]:
    """As few and as long ones as make up the minutes from `first` until `end`; with a `step`, none that lies in two steps."""
    found: list[Stretch] = []

    def cut(level: int, first: int, end: int) -> None:
        minutes = LEVELS[level]
        if level == 0:
            if first < end:
                found.append(Stretch(0, first, end))
            return
        low, high = -(-first // minutes) * minutes, end // minutes * minutes
        if low >= high:
            cut(level - 1, first, end)
            return
        cut(level - 1, first, low)
        found.append(Stretch(level, low, high))
        cut(level - 1, high, end)

    cut(max(level for level, minutes in enumerate(LEVELS) if step % minutes == 0), first, end)
    return found


def expire(connection: sqlite3.Connection, max_age_days: float, now: float) -> None:
    """Delete what is too old, once an hour. `now`: epoch seconds. Not inside a transaction."""
    hour = int(now // 3600)
    done = connection.execute("SELECT value FROM meta WHERE name = 'rollups_expired'").fetchone()
    if done is not None and done[0] == hour:
        return
    minute = int(now // 60)
    oldest = int(minute - max_age_days * DAY)
    connection.execute("BEGIN IMMEDIATE")
    for level, minutes in enumerate(LEVELS):
        connection.execute("DELETE FROM rollup WHERE level = ? AND start <= ?", (level, oldest - minutes))
    if connection.execute("SELECT count(*) FROM rollup WHERE level = 0").fetchone()[0] > MINUTES_KEPT:
        connection.execute("DELETE FROM rollup WHERE level = 0 AND start < ?", (minute - DAY - 60,))
    # All that is kept in minutes is kept in days too: what is not among these is nowhere.
    connection.execute(
        "DELETE FROM rollup_source WHERE id NOT IN (SELECT source FROM rollup WHERE level = ?)", (len(LEVELS) - 1,)
    )
    connection.execute(
        "DELETE FROM rollup_endpoint WHERE id NOT IN (SELECT endpoint FROM rollup WHERE level = ?)", (len(LEVELS) - 1,)
    )
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('rollups_expired', ?)", (hour,))
    connection.execute("COMMIT")


def delete_all(connection: sqlite3.Connection, seq: int) -> None:
    """Forget everything up to the `seq`. Inside a transaction."""
    for statement in ("DELETE FROM rollup", "DELETE FROM rollup_endpoint", "DELETE FROM rollup_source"):
        connection.execute(statement)
    connection.execute(_MARK, (seq,))


def _rows(
    connection: sqlite3.Connection,
    sums: dict[tuple[int, int, int], tuple[float, ...]],
    packed: dict[tuple[int, int, int], list[bytes]],
) -> list[tuple[RollupKey, Rollup]]:
    endpoints = {id: rest for id, *rest in connection.execute("SELECT id, kind, service, endpoint FROM rollup_endpoint")}
    sources = {id: (run, revision) for id, run, revision in connection.execute("SELECT id, run, revision FROM rollup_source")}
    rows = []
    for (endpoint, source, start), values in sums.items():
        kind, service, name = endpoints.get(endpoint, ("", None, ""))
        run, revision = sources.get(source, ("", None))
        count, errors, refused, queries, query_ms, fetches, fetch_ms, app_ms, size, total, largest = values
        rollup = Rollup(
            count=int(count),
            errors=int(errors),
            refused=int(refused),
            queries=int(queries),
            query_ms=query_ms,
            fetches=int(fetches),
            fetch_ms=fetch_ms,
            app_ms=app_ms,
            size_bytes=int(size),
            durations=Sketch.merged(packed[endpoint, source, start], total, largest),
        )
        rows.append((RollupKey(kind, service, name, run, revision, start), rollup))
    return rows


def _condition(asked: Asked) -> tuple[tuple[str, str], tuple[list[object], list[object]]]:
    together = "endpoint" not in asked.by and asked.endpoint is None and asked.id is None
    of_endpoint, of_source = ["endpoint = ''" if together else "endpoint <> ''"], []
    parameters: tuple[list[object], list[object]] = ([], [])
    for column, value in (("kind", asked.kind), ("service", asked.service), ("endpoint", asked.endpoint), ("key", asked.id)):
        if value is not None:
            of_endpoint.append(column + " = ?")
            parameters[0].append(value)
    for column, value in (("run", asked.run), ("revision", asked.revision)):
        if value is not None:
            of_source.append(column + " = ?")
            parameters[1].append(value)
    source = " AND source IN (SELECT id FROM rollup_source WHERE " + " AND ".join(of_source) + ")" if of_source else ""
    return (" AND ".join(of_endpoint), source), parameters


def _endpoint(connection: sqlite3.Connection, key: RollupKey) -> int:
    text = endpoint_id(key.kind, key.service, key.endpoint)
    find = "SELECT id FROM rollup_endpoint WHERE key = ?"
    found = connection.execute(find, (text,)).fetchone()
    if found is not None:
        return int(found[0])
    if (
        key.endpoint not in (OTHERS, ALL)
        and connection.execute("SELECT count(*) FROM rollup_endpoint WHERE endpoint <> ''").fetchone()[0] >= ENDPOINTS
    ):
        return _endpoint(connection, key._replace(endpoint=OTHERS))
    insert = "INSERT INTO rollup_endpoint (key, kind, service, endpoint) VALUES (?, ?, ?, ?)"
    made = connection.execute(insert, (text, key.kind, key.service, key.endpoint)).lastrowid
    assert made is not None
    return made


def _source(connection: sqlite3.Connection, key: RollupKey) -> int:
    find = "SELECT id FROM rollup_source WHERE run = ? AND revision IS ?"
    found = connection.execute(find, (key.run, key.revision)).fetchone()
    if found is not None:
        return int(found[0])
    if key.run != OTHERS and connection.execute("SELECT count(*) FROM rollup_source").fetchone()[0] >= SOURCES:
        return _source(connection, key._replace(run=OTHERS, revision=None))
    made = connection.execute("INSERT INTO rollup_source (run, revision) VALUES (?, ?)", (key.run, key.revision)).lastrowid
    assert made is not None
    return made
