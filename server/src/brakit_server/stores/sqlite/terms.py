"""Terms: which values of which fields occur in which segment, so that only segments that may hold a match are read."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from brakit_server.records import Entry
from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.sqlite.kinds import CHECK, ERROR, FETCH, JOB, LOG, MARK, OTHER, QUERY, REQUEST, SPAN
from brakit_server.stores.totals import finite, group_key

FIELDS: dict[int, dict[str, str]] = {
    REQUEST: {"method": "method", "route": "route", "status": "status_code"},
    QUERY: {"operation": "operation", "table": "table", "shape": "shape_hash", "system": "system", "source": "source"},
    MARK: {"operation": "transaction_mark"},
    FETCH: {"method": "method", "status": "status_code", "source": "source"},
    LOG: {"level": "level", "logger": "logger"},
    ERROR: {"name": "name", "handled": "handled", "mechanism": "mechanism"},
    CHECK: {"provider": "provider", "result": "result"},
    SPAN: {"name": "name"},
    JOB: {"endpoint": "name", "status": "status", "source": "source", "queue": "queue"},
    OTHER: {},
}
"""Field → attribute of the record, by kind. Besides, every kind has `service`, `run` and `kind` (an empty text), requests have
`endpoint`, errors `group`, and queries, fetches, spans and jobs have `failed` = 1 where there is an `error`."""

EVERY = {"service": "service", "run": "run"}
FAILING = (QUERY, FETCH, SPAN, JOB)
TIMED = (REQUEST, QUERY, FETCH, SPAN, JOB)

TEXT = 200
"""Characters of a value that count."""

VALUES = 256
"""Values of one field in one segment; where there are more, `MANY` stands for all of them."""

MANY = "\0many"

Found = dict[tuple[str, str], tuple[int, float]]
"""Field and text → in how many events, and the longest duration among them in milliseconds."""

NAMES = {number: (*fields, *EVERY) for number, fields in FIELDS.items()}
_GETTERS: dict[int, Callable[[Any], tuple[object, ...]]] = {
    number: attrgetter(*fields.values(), *EVERY.values()) for number, fields in FIELDS.items()
}


def text_of(value: object) -> str:
    """A value as it stands among the words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:03}" if isinstance(value, int) else str(value)[:TEXT]


Groups = dict[tuple[object, ...], list[int]]
"""Values of the fields of a kind → the places of the records that have them."""


def grouped(number: int, entries: Sequence[Entry]) -> Groups:
    """Records of one kind by the values of its fields, in the order of `NAMES`."""
    groups: Groups = {}
    get = groups.get
    for place, key in enumerate(map(_GETTERS[number], entries)):
        known = get(key)
        if known is None:
            groups[key] = [place]
        else:
            known.append(place)
    return groups


def found_in(number: int, entries: Sequence[Entry], groups: Groups, endpoint_of: EndpointOf) -> Found:
    """The words of some records of one kind, which are `grouped`."""
    timed = number in TIMED
    times: list[float] = [entry.duration_ms for entry in entries] if timed else []  # type: ignore[attr-defined]
    if timed and not -1e300 < sum(times) < 1e300:
        times = [finite(ms) for ms in times]
    words: dict[tuple[str, object], list[float]] = {}
    _add(words, ("kind", ""), len(entries), max(times) if timed else 0.0)
    for key, group in groups.items():
        longest = max([times[place] for place in group]) if timed else 0.0
        for field, value in zip(NAMES[number], key, strict=True):
            if value is not None:
                _add(words, (field, value), len(group), longest)
    derived: Iterable[tuple[str, object, int]] = ()
    if number == REQUEST:
        ends: dict[str, list[float]] = defaultdict(list)
        for entry, ms in zip(entries, times, strict=True):
            ends[endpoint_of(entry)].append(ms)  # type: ignore[arg-type]
        for endpoint, some in ends.items():
            _add(words, ("endpoint", endpoint), len(some), max(some))
    elif number == ERROR:
        derived = (("group", group_key(entry), place) for place, entry in enumerate(entries))  # type: ignore[arg-type]
    elif number in FAILING:
        failed = [place for place, entry in enumerate(entries) if entry.error]  # type: ignore[attr-defined]
        derived = (("failed", 1, place) for place in failed)
    for field, value, place in derived:
        _add(words, (field, value), 1, times[place] if timed else 0.0)
    return _bounded(words)


def _add(words: dict[tuple[str, object], list[float]], word: tuple[str, object], count: int, longest: float) -> None:
    known = words.get(word)
    if known is None:
        words[word] = [count, longest]
    else:
        known[0] += count
        known[1] = max(known[1], longest)


def _bounded(words: dict[tuple[str, object], list[float]]) -> Found:
    values: dict[str, int] = defaultdict(int)
    for field, _ in words:
        values[field] += 1
    found: Found = {}
    for (field, value), (count, longest) in words.items():
        word = (field, text_of(value) if values[field] <= VALUES else MANY)
        before = found.get(word, (0, 0.0))
        found[word] = (before[0] + int(count), max(before[1], longest))
    return found


Fragment = tuple[str, list[object]]
"""A condition on the segment `segment`, and its parameters: true of every segment that may hold a match."""

_HOLDS = (
    "EXISTS (SELECT 1 FROM posting WHERE posting.segment = segment.id AND posting.term IN (SELECT id FROM word WHERE kind = ? "
)
_LONG = " AND posting.ms > ?)"


def has(kind: int, field: str, texts: Sequence[str]) -> Fragment:
    """An event of the kind has one of the values, as `text_of` writes them."""
    marks = ", ".join("?" * len(texts))
    return _HOLDS + "AND field = ? AND text IN (?, " + marks + ")))", [kind, field, MANY, *(text[:TEXT] for text in texts)]


def between(kind: int, field: str, low: str, high: str) -> Fragment:
    """An event of the kind has a value from `low` to `high`, as texts are ordered."""
    return _HOLDS + "AND field = ? AND (text = ? OR text BETWEEN ? AND ?)))", [kind, field, MANY, low, high]


def slower(kind: int, ms: float) -> Fragment:
    """An event of the kind took longer than `ms`."""
    return _HOLDS + "AND field = 'kind')" + _LONG, [kind, ms]


def count(connection: sqlite3.Connection, end: int, kind: int, field: str, low: str, high: str) -> int | None:
    """In how many events of the segments before `end` a value from `low` to `high` occurs; None where only a look at them tells."""
    if len(low) >= TEXT or _word(connection, kind, field, MANY) is not None:
        return None
    found: int = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM posting WHERE segment < ? AND term IN "
        "(SELECT id FROM word WHERE kind = ? AND field = ? AND text BETWEEN ? AND ?)",
        (end, kind, field, low, high),
    ).fetchone()[0]
    return found


def _word(connection: sqlite3.Connection, kind: int, field: str, text: str) -> int | None:
    found = connection.execute("SELECT id FROM word WHERE kind = ? AND field = ? AND text = ?", (kind, field, text)).fetchone()
    return found[0] if found else None
