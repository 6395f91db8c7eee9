"""The running totals in the file: changed with the segment that they come from, in the same transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from brakit_server.stores.sqlite.folding import Digest
from brakit_server.stores.sqlite.kinds import ERROR, QUERY
from brakit_server.stores.totals import ErrorTotal, Missing, ShapeTotal

KNOWN = 2_000
"""Totals remembered before they are read anew."""

WAITING = 10_000
"""Owners that are waited for."""

MOST = 20_000
"""Totals of one kind in the file; the one unheard of for longest goes first."""

_SHAPES = msgspec.msgpack.Decoder(ShapeTotal)
_ERRORS = msgspec.msgpack.Decoder(ErrorTotal)
_ENCODE = msgspec.msgpack.Encoder().encode
_READ = "SELECT data FROM total WHERE kind = ? AND name = ? AND service = ?"
_WRITE = "INSERT OR REPLACE INTO total (kind, name, service, seq, ms, data) VALUES (?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM total WHERE kind = ? AND name = ? AND service = ?"

Key = tuple[str, str]


class Sums:
    """Totals as the writer's thread knows them."""

    def __init__(self) -> None:
        self._shapes: dict[Key, ShapeTotal] = {}
        self._errors: dict[Key, ErrorTotal] = {}
        self._waiting_shapes: Missing = {}
        self._waiting_errors: Missing = {}
        """Owners that are in no segment yet: they come last, and may come into the next one."""

    def forget(self) -> None:
        """They may not be what stands in the file."""
        self._shapes.clear()
        self._errors.clear()

    def clear(self) -> None:
        """Nothing is stored any more."""
        self.forget()
        self._waiting_shapes.clear()
        self._waiting_errors.clear()

    def add(self, connection: sqlite3.Connection, digest: Digest) -> None:
        """Count what a segment brings."""
        changed_shapes = {key: self._with_shape(connection, key, shape) for key, shape in digest.shapes.items()}
        changed_errors = {key: self._with_error(connection, key, error) for key, error in digest.errors.items()}
        for id, (_, endpoint) in digest.owners.endpoints.items():
            for key, times in self._waiting_shapes.pop(id, ()):
                shape = self._shapes.get(key) or read_shape(connection, key)
                if shape is not None:
                    shape.ran_at(endpoint, times)
                    self._shapes[key] = changed_shapes[key] = shape
            for key, times in self._waiting_errors.pop(id, ()):
                error = self._errors.get(key) or read_error(connection, key)
                if error is not None:
                    error.ran_at(endpoint, times)
                    self._errors[key] = changed_errors[key] = error
        rows: list[tuple[object, ...]] = [
            (QUERY, *key, shape.last_seq, shape.total_ms, _ENCODE(shape)) for key, shape in changed_shapes.items()
        ]
        rows += [(ERROR, *key, error.last_seq, 0.0, _ENCODE(error)) for key, error in changed_errors.items()]
        connection.executemany(_WRITE, rows)
        self._wait(digest)
        for known in (self._shapes, self._errors):
            if len(known) > KNOWN:
                known.clear()

    def _with_shape(self, connection: sqlite3.Connection, key: Key, more: ShapeTotal) -> ShapeTotal:
        known = self._shapes.get(key) or read_shape(connection, key)
        if known is None:
            known = more
        else:
            known.merge(more)
        self._shapes[key] = known
        return known

    def _with_error(self, connection: sqlite3.Connection, key: Key, more: ErrorTotal) -> ErrorTotal:
        known = self._errors.get(key) or read_error(connection, key)
        if known is None:
            known = more
        else:
            known.merge(more)
        self._errors[key] = known
        return known

    def _wait(self, digest: Digest) -> None:
        for waiting, more in ((self._waiting_shapes, digest.waiting_shapes), (self._waiting_errors, digest.waiting_errors)):
            waiting.update(more)
            while len(waiting) > WAITING:
                del waiting[next(iter(waiting))]

    def remove(self, connection: sqlite3.Connection, digest: Digest) -> None:
        """Count what a segment had no more."""
        self.forget()
        for key, shape in digest.shapes.items():
            known = read_shape(connection, key)
            if known is not None:
                known.remove(shape)
                self._write(connection, QUERY, key, known, known.total_ms)
        for key, error in digest.errors.items():
            before = read_error(connection, key)
            if before is not None:
                before.remove(error)
                self._write(connection, ERROR, key, before, 0.0)

    def _write(self, connection: sqlite3.Connection, kind: int, key: Key, total: ShapeTotal | ErrorTotal, ms: float) -> None:
        if total.count:
            connection.execute(_WRITE, (kind, *key, total.last_seq, ms, _ENCODE(total)))
        else:
            connection.execute(_DELETE, (kind, *key))


def bound(connection: sqlite3.Connection) -> None:
    """Keep no more than `MOST` of each kind."""
    for kind in (QUERY, ERROR):
        connection.execute(
            "DELETE FROM total WHERE kind = ?1 AND seq < (SELECT seq FROM total WHERE kind = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (kind, MOST),
        )


def read_shape(connection: sqlite3.Connection, key: Key) -> ShapeTotal | None:
    """One total of a shape in a service."""
    found = connection.execute(_READ, (QUERY, *key)).fetchone()
    return _SHAPES.decode(found[0]) if found else None


def read_error(connection: sqlite3.Connection, key: Key) -> ErrorTotal | None:
    """One total of a group in a service."""
    found = connection.execute(_READ, (ERROR, *key)).fetchone()
    return _ERRORS.decode(found[0]) if found else None


def shapes(connection: sqlite3.Connection, name: str | None, service: str | None, limit: int) -> list[ShapeTotal]:
    """Totals of one shape or all, of one service or all, most time first."""
    return [_SHAPES.decode(data) for data in _rows(connection, QUERY, name, service, limit, "ms DESC")]


def errors(connection: sqlite3.Connection, service: str | None, limit: int) -> list[ErrorTotal]:
    """Totals of one service or all, newest first."""
    return [_ERRORS.decode(data) for data in _rows(connection, ERROR, None, service, limit, "seq DESC")]


def _rows(
    connection: sqlite3.Connection, kind: int, name: str | None, service: str | None, limit: int, order: str
) -> Sequence[bytes]:
    sql, parameters = "SELECT data FROM total WHERE kind = ?", [kind]
    more: list[object] = [*parameters]
    if name is not None:
        sql += " AND name = ?"
        more.append(name)
    if service is not None:
        sql += " AND service = ?"
        more.append(service)
    return [data for (data,) in connection.execute(sql + " ORDER BY " + order + " LIMIT ?", [*more, limit])]
