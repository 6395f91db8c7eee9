"""Queries by shape and errors by place: running totals where they answer the question, else sums over the newest that match."""

from __future__ import annotations

import msgspec

from brakit_server.answers import ErrorGroup, QueryShape
from brakit_server.records import Error, Query
from brakit_server.stores import Where, totals
from brakit_server.stores.sqlite import sums
from brakit_server.stores.sqlite.kinds import ERROR, QUERY
from brakit_server.stores.sqlite.lists import conditions, matching, timely
from brakit_server.stores.sqlite.view import View

SAMPLE = 20_000
"""Newest events that sums are of where no totals are kept."""

MOST = 4
"""Services of one shape that its place among the first allows for."""


def query_shapes(view: View, where: Where) -> list[QueryShape]:
    """Most total time first, at most `where.limit`."""
    if not _kept(where):
        return totals.query_shapes(totals.shapes(_queries(view, where), view.endpoint).values(), where.limit)
    kept = {
        (total.shape_hash, total.service or ""): total
        for total in sums.shapes(view.connection, where.shape_hash, where.service, where.limit * MOST)
    }
    fresh = totals.shapes(
        (
            (each.seq, each.entry)
            for each, number in zip(view.stored, view.numbers, strict=True)
            if number == QUERY and isinstance(each.entry, Query) and _asked(where, each.entry)
        ),
        view.endpoint,
    )
    for key, total in fresh.items():
        before = kept.get(key) or sums.read_shape(view.connection, key)
        if before is None:
            kept[key] = total
        elif before.last_seq < total.last_seq:
            before.merge(total)
            kept[key] = before
    return totals.query_shapes(kept.values(), where.limit)


def _asked(where: Where, query: Query) -> bool:
    return where.shape_hash in (None, query.shape_hash) and where.service in (None, query.service)


def error_groups(view: View, where: Where) -> list[ErrorGroup]:
    """Newest first, at most `where.limit`."""
    if not _kept(where) or where.shape_hash is not None:
        found = totals.errors(_errors(view, where), view.endpoint).values()
        return totals.error_groups(found, view.is_job, where.limit)
    kept = {(total.key, total.service or ""): total for total in sums.errors(view.connection, where.service, where.limit)}
    fresh = totals.errors(
        (
            (each.seq, each.entry)
            for each, number in zip(view.stored, view.numbers, strict=True)
            if number == ERROR and isinstance(each.entry, Error) and where.service in (None, each.entry.service)
        ),
        view.endpoint,
    )
    for key, total in fresh.items():
        before = kept.get(key) or sums.read_error(view.connection, key)
        if before is None:
            kept[key] = total
        elif before.last_seq < total.last_seq:
            before.merge(total)
            kept[key] = before
    return totals.error_groups(kept.values(), view.is_job, where.limit)


def _kept(where: Where) -> bool:
    """Whether nothing is asked for but what totals are kept by."""
    return where == msgspec.structs.replace(Where(), shape_hash=where.shape_hash, service=where.service, limit=where.limit)


def _queries(view: View, where: Where) -> list[tuple[int, Query]]:
    found = conditions(view, QUERY, where)
    newest: list[tuple[int, Query]] = []
    for one, fits in timely(matching(view, QUERY, found, None), where):
        if fits and isinstance(one.entry, Query):
            newest.append((one.seq, one.entry))
            if len(newest) >= SAMPLE:
                break
    newest.reverse()
    return newest


def _errors(view: View, where: Where) -> list[tuple[int, Error]]:
    found = conditions(view, ERROR, where)
    newest: list[tuple[int, Error]] = []
    for one, fits in timely(matching(view, ERROR, found, None), where):
        if fits and isinstance(one.entry, Error):
            newest.append((one.seq, one.entry))
            if len(newest) >= SAMPLE:
                break
    newest.reverse()
    return newest
