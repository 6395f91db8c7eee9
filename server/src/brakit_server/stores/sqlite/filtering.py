"""Lists of what fits a filter: decided record by record, newest first, for a limited time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

import msgspec

from brakit_server.answers import Run
from brakit_server.filters import Matcher
from brakit_server.records import Entry
from brakit_server.stores import Where
from brakit_server.stores.sqlite.lists import Conditions, conditions
from brakit_server.stores.sqlite.rows import kind_of, readable, record

SEARCH_SECONDS = 1.5
"""How long the records of a list are looked at."""

COUNT_SECONDS = 0.3
"""The same, once there is a full page: what fits beyond it is only counted."""


class Found(msgspec.Struct):
    """What a search came to."""

    entries: list[Entry]
    total: int = 0
    """All that fit among those that were looked at."""
    next: int | None = None
    """Where the page ends; without one, there is nothing behind it."""
    complete: bool = True
    """Whether all were looked at."""


def search(connection: sqlite3.Connection, number: int, where: Where) -> Found:
    """One page of what fits `where.filter` and all else that `where` asks."""
    started = time.monotonic()
    limit, offset = max(0, where.limit), max(0, where.offset)
    before = where.before or ""
    end = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    found = Found(entries=[])
    behind = 0
    for seq, entry in _fitting(connection, number, where, ("event.seq < ?", end) if end is not None else None):
        if entry is not None:
            found.total += 1
            behind += 1
            if behind > offset and len(found.entries) < limit:
                found.entries.append(entry)
                found.next = seq if len(found.entries) == limit else None
        if time.monotonic() - started > (SEARCH_SECONDS if len(found.entries) < limit else COUNT_SECONDS):
            found.complete = False
            found.next = found.next or seq
            return found
    if end is not None:
        # What is before the page is counted last: going on from page to page must not begin anew each time.
        for _, entry in _fitting(connection, number, where, ("event.seq >= ?", end)):
            found.total += entry is not None
            if time.monotonic() - started > COUNT_SECONDS:
                found.complete = False
                break
    return found


def fitting(connection: sqlite3.Connection, number: int, where: Where, most: int) -> list[int]:
    """The numbers of the newest `most` events that fit, as far as the time goes."""
    deadline = time.monotonic() + SEARCH_SECONDS
    found = []
    for seq, entry in _fitting(connection, number, where):
        if entry is not None:
            found.append(seq)
        if len(found) >= most or time.monotonic() > deadline:
            break
    return found


def narrowed(connection: sqlite3.Connection, number: int, where: Where, most: int) -> Conditions:
    """The conditions of a list, the filter among them: of the newest `most` that fit it."""
    found = conditions(connection, number, where)
    if where.filter is not None:
        numbers = msgspec.json.encode(fitting(connection, number, where, most)).decode()
        found.add("event.seq IN (SELECT value FROM json_each(?))", numbers)
    return found


def _fitting(
    connection: sqlite3.Connection, number: int, where: Where, bound: tuple[str, int] | None = None
) -> Iterator[tuple[int, Entry | None]]:
    """Every event that meets the other conditions, newest first: its number, and itself where it fits."""
    assert where.filter is not None
    runs: dict[str | None, Run] = {
        run.run: run for run in readable(connection.execute("SELECT CAST(json AS BLOB) FROM run"), Run)
    }
    kind = kind_of(number)
    holds = Matcher(where.filter, time.time() * 1000, lambda run: runs.get(run))
    if holds.of(kind) is False:
        return
    found = conditions(connection, number, where)
    if bound is not None:
        found.add(*bound)
    tables = found.event + " JOIN body USING (seq)"
    read = "SELECT event.seq, CAST(body.json AS BLOB) FROM " + tables + " WHERE " + found.sql() + " ORDER BY event.seq DESC"
    for seq, json in connection.execute(read, found.parameters):
        entry = record(number, json)
        yield seq, entry if entry is not None and holds(kind, entry) else None
