"""Lists of one kind: which segments may hold a match, which records are one, how many there are, and one page of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from brakit_server.records import Entry, Error, Fetch, Job, Log, Query, Request
from brakit_server.stores import Page, Stored, Where
from brakit_server.stores.matching import Matches, matcher, position, status_range
from brakit_server.stores.sqlite import filtering, search, terms
from brakit_server.stores.sqlite.kinds import ERROR, FETCH, JOB, LOG, QUERY, REQUEST
from brakit_server.stores.sqlite.packing import Sought
from brakit_server.stores.sqlite.terms import Fragment
from brakit_server.stores.sqlite.view import EVERYWHERE, View

LISTED: dict[int, type[Entry]] = {REQUEST: Request, QUERY: Query, FETCH: Fetch, LOG: Log, ERROR: Error, JOB: Job}

COUNTED = 1_000
"""Records that are looked at to count on behind a page."""

PACE = 64
"""Records between two looks at the clock."""

SECONDS = 2.0
"""How long records are looked at to fill a page."""

_PLAIN = re.compile(rb"[ !#-\[\]-~]+")
"""What JSON writes as it is: ASCII without control characters, quotes and backslashes."""

_ENCODE = msgspec.json.Encoder().encode

E = TypeVar("E", bound=Entry)
T = TypeVar("T")


class Conditions:
    """What a list asks for: of segments, and of records."""

    def __init__(
        self,
        fragments: list[Fragment],
        matches: Matches,
        sought: Sought | None,
        term: tuple[str, str, str] | None,
        everything: bool,
    ) -> None:
        self.fragment: Fragment = EVERYWHERE
        if fragments:
            self.fragment = (" AND ".join(f"({sql})" for sql, _ in fragments), [each for _, some in fragments for each in some])
        self.matches = matches
        self.sought = sought
        """What stands in every record that is in the list."""
        self.term = term
        """Field, first and last text, where nothing else is asked for: how many there are is then known."""
        self.everything = everything


def conditions(view: View, number: int, where: Where) -> Conditions:
    """What must hold for an event to be in the list; the page's own bounds are not among it."""
    kind = LISTED[number]
    fragments: list[Fragment] = []
    words = _words(number, where)
    for field, text in words:
        fragments.append(terms.has(number, field, [text]))
    others = 0
    ranges: list[tuple[str, str, str]] = []
    if where.request_id is not None:
        others += 1
        fragments.append(view.owner_fragment(where.request_id))
    if where.endpoint is not None and number not in (REQUEST, JOB):
        others += 1
        fragments.append(view.around_endpoint(where.endpoint))
    if where.status is not None and number in (REQUEST, FETCH):
        low, high = status_range(where.status)
        ranges.append(("status", terms.text_of(low), terms.text_of(high)))
        fragments.append(terms.between(number, "status", terms.text_of(low), terms.text_of(high)))
    if where.since is not None:
        others += 1
        fragments.append(("segment.at_max >= ?", [where.since]))
    if where.search:
        others += 1
        fragments.append(search.fragment(view, number, where.search))
    if where.filter is not None:
        others += 1
        fragments.append(filtering.fragment(view, number, where.filter))
    matches = matcher(kind, where, view.endpoint_of, view.endpoint, view.process, view.now)
    ranges += [(field, text, text) for field, text in words]
    single = ranges[0] if len(ranges) == 1 and not others else None
    return Conditions(fragments, matches, _sought(number, where), single, not ranges and not others)


def _sought(number: int, where: Where) -> Sought | None:
    if where.search and (text := where.search.lower().encode()) and _PLAIN.fullmatch(text) and number != REQUEST:
        return Sought(text, folded=True)
    if where.request_id is not None and number != JOB:
        return Sought(_ENCODE(where.request_id))
    equal = {
        "shapeHash": where.shape_hash if number == QUERY else None,
        "level": where.level if number == LOG else None,
        "status": where.status if number == JOB else None,
        "method": where.method if number in (REQUEST, FETCH) else None,
        "service": where.service,
    }
    for name, value in equal.items():
        if value is not None:
            return Sought(b'"%s":%s' % (name.encode(), _ENCODE(value)))
    if where.status is not None and number in (REQUEST, FETCH):
        low, high = status_range(where.status)
        digits = str(low) if low == high else str(low)[:1]
        return Sought(b'"statusCode":' + digits.encode()) if low <= high else None
    return None


def _words(number: int, where: Where) -> list[tuple[str, str]]:
    words = []
    if where.endpoint is not None and number in (REQUEST, JOB):
        words.append(("endpoint", where.endpoint))
    if where.service is not None:
        words.append(("service", where.service))
    if where.method is not None and number in (REQUEST, FETCH):
        words.append(("method", where.method))
    if where.level is not None and number == LOG:
        words.append(("level", where.level))
    if where.shape_hash is not None and number == QUERY:
        words.append(("shape", where.shape_hash))
    if where.status is not None and number == JOB:
        words.append(("status", where.status))
    return words


def matching(view: View, number: int, found: Conditions, before: int | None) -> Iterator[tuple[Stored, bool]]:
    """Records of the kind, newest first, and whether each is in the list."""
    matches = found.matches
    return ((one, matches(one.entry)) for one in view.newest(number, found.fragment, before, found.sought))


def pace_of(where: Where) -> int:
    """Records between two looks at the clock: a regular expression may take long over one."""
    return 1 if where.filter is not None else PACE


def timely(found: Iterator[T], where: Where) -> Iterator[T]:
    """As much as is found in the time that a list takes."""
    deadline, pace = time.monotonic() + SECONDS, pace_of(where)
    for seen, one in enumerate(found, 1):
        yield one
        if not seen % pace and time.monotonic() > deadline:
            return


def page(view: View, number: int, kind: type[E], where: Where, clock: Callable[[], float] = time.monotonic) -> Page[E]:
    """One page of a list, newest first."""
    found = conditions(view, number, where)
    limit, offset = max(0, where.limit), max(0, where.offset)
    before = position(where.before)
    known = _known(view, number, found)
    deadline = clock() + SECONDS
    pace = pace_of(where)
    entries: list[E] = []
    last = 0
    passed = more = looked = 0
    complete = counted = True
    for seen, (one, fits) in enumerate(matching(view, number, found, before), 1):
        if fits and isinstance(one.entry, kind):
            if passed < offset:
                passed += 1
            elif len(entries) < limit:
                entries.append(one.entry)
                last = one.seq
            else:
                more += 1
        full = len(entries) >= limit
        looked += full
        if full and (known is not None or looked > COUNTED):
            counted = False
            break
        if not seen % pace and clock() > deadline:
            complete = counted = False
            last = last if full else one.seq
            break
    next = str(last) if not complete or (entries and len(entries) == limit) else None
    if known is not None:
        return Page(total=known, entries=entries, next=next, complete=complete)
    total = passed + len(entries) + more
    exact = counted
    if before is not None:
        above, all_of_them = _above(view, number, found, before, lambda looked: not looked % pace and clock() > deadline)
        total += above
        exact = exact and all_of_them
    return Page(total=total, entries=entries, next=next, at_least=not exact, complete=complete)


def _known(view: View, number: int, found: Conditions) -> int | None:
    if found.everything:
        return view.counts.get(number, 0)
    if found.term is None:
        return None
    count = terms.count(view.connection, view.end, number, *found.term)
    if count is None:
        return None
    return count + sum(number == kind and found.matches(each.entry) for each, kind in zip(view.stored, view.numbers, strict=True))


def _above(view: View, number: int, found: Conditions, before: int, late: Callable[[int], bool]) -> tuple[int, bool]:
    """How many match from `before` on, and whether these are all."""
    count = 0
    for looked, (one, fits) in enumerate(matching(view, number, found, None), 1):
        if one.seq < before:
            break
        count += fits
        if looked > COUNTED or late(looked):
            return count, False
    return count, True
