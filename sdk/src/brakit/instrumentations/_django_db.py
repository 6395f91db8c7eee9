"""Django's database cursors: one record a statement, with the rows that were read of it, whichever backend and driver lie below."""

from __future__ import annotations

import sys

from brakit import callsite, errors, guard
from brakit.context import covered
from brakit.instrumentations._dbapi import Query, plain_sql, row_count
from brakit.instrumentations._django_loads import Loads
from brakit.instrumentations._django_transactions import Transactions
from brakit.instrumentations._jobs import is_quiet
from brakit.instrumentations._orm import name_of
from brakit.record import clock, plain_params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

MAX_UP = 12
"""Frames between a statement and the compiler that made it: cursors of others, wrappers of the app's."""


def arm(patch: Patches) -> None:
    probes = Probes(patch.client)
    patch.when("django.db.backends.utils", "django.db.backends.utils:CursorWrapper", cursors, patch, probes)
    base = "django.db.backends.base.base"
    patch.when(base, f"{base}:BaseDatabaseWrapper", probes.transactions.instrument, patch)
    patch.when("django.db.models.sql.compiler", "django.db.models.sql.compiler:SQLCompiler", compilers, probes)
    probes.loads.arm(patch)


def cursors(patch: Patches, probes: Probes) -> None:
    wrapper = sys.modules["django.db.backends.utils"].CursorWrapper
    place = "django.db.backends.utils:CursorWrapper."
    probes.outermost = wrapper._execute_with_wrappers.__code__
    # The slot: a plain class attribute. What a cursor does not have itself, it would ask the driver's for.
    patch.replace(wrapper, "_brakit_query", None)
    for name, before in (("_execute", probes.execute), ("_executemany", probes.executemany), ("callproc", probes.callproc)):
        patch.hook(wrapper, name, place + name, before, probes.executed, probes.failed)
    patch.hook(wrapper, "__iter__", place + "__iter__", probes.iterating, probes.iterated)
    # The rest are the driver's own methods, handed out by `__getattr__`.
    for name, before, after in (
        ("fetchone", probes.reading, probes.read_one),
        ("fetchmany", probes.reading, probes.read_many),
        ("fetchall", probes.reading, probes.read_all),
        ("close", probes.closing, None),
    ):
        stand_in = guard.around(patch.client, place + name, handed(name), before, after, probes.read_failed)
        patch.replace(wrapper, name, stand_in)


def handed(name: str) -> Callable[..., Any]:
    """The method `name` of a cursor as it is found when the class has none."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.__getattr__(name)(*args, **kwargs)

    method.__name__ = name
    return method


def compilers(probes: Probes) -> None:
    module = sys.modules["django.db.models.sql.compiler"]
    probes.compilers = frozenset((module.SQLCompiler.execute_sql.__code__, module.SQLInsertCompiler.execute_sql.__code__))


class Probes:
    """What is written down before and after the calls of one client."""

    def __init__(self, client: Client) -> None:
        self.buffer = client.buffer
        self.failures = client.failures
        self.transactions = Transactions(client)
        self.loads = Loads()
        self.key = self.transactions.key
        self.outermost: CodeType | None = None
        self.compilers: frozenset[CodeType] = frozenset()

    # A statement.

    def execute(
        self, cursor: Any, sql: Any, params: Any, *_: Any, many: bool = False, frame: FrameType | None = None
    ) -> Query | None:
        outer = covered.get()
        if outer == "db.query" or is_quiet():
            return None
        if cursor._brakit_query is not None:
            self.end(cursor)
        link = cursor.db.__dict__.get(self.key)
        if link is None:
            link = self.transactions.connecting(cursor.db)
        link.used = True
        query = Query(
            "django",
            sql if type(sql) is str else plain_sql(sql),
            None if many else plain_params(() if params is None else params),
            (len(params) if type(params) in (list, tuple) else None) if many else None,
            link.system,
            link.connection_id,
            link.transaction_id,
        )
        query.outer = outer
        self.trace(query, sys._getframe(2) if frame is None else frame)
        cursor._brakit_query = query
        covered.set("db.query")
        query.started = clock()
        return query

    def executemany(self, cursor: Any, sql: Any, params: Any, *_: Any) -> Query | None:
        return self.execute(cursor, sql, params, many=True, frame=sys._getframe(2))

    def callproc(self, cursor: Any, procname: Any, params: Any = None, *_: Any, **__: Any) -> Query | None:
        name = f"CALL {procname}" if type(procname) is str else procname
        return self.execute(cursor, name, params, frame=sys._getframe(2))

    def trace(self, query: Query, frame: FrameType | None) -> None:
        """The app's line, the model whose compiler has made the statement, and the attribute that it loads."""
        if frame is not None and frame.f_code is not self.outermost:
            # Wrappers of the app's lie between; the line that is looked for is not theirs.
            frame = outside(frame, self.outermost)
        query.site = callsite.find(frame)
        for _ in range(MAX_UP):
            if frame is None:
                return
            if frame.f_code in self.compilers:
                made = frame.f_locals["self"].query
                query.model = name_of(made.model)
                label = self.loads.label(made)
                if label is not None:
                    query.lazy_load = label
                return
            frame = frame.f_back

    def executed(self, query: Query, cursor: Any, _result: Any) -> None:
        query.ended = clock()
        covered.set(query.outer)
        query.running = False
        if query.sql.startswith("BEGIN"):
            # SQLite's, whose cursor nobody closes.
            self.end(cursor)
        else:
            query.hold(self.buffer)

    def failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        query.ended = clock()
        covered.set(query.outer)
        query.running = False
        query.error = errors.text_of(error)
        cursor._brakit_query = None
        query.emit(self.buffer)

    # Its rows.

    def reading(self, cursor: Any, *_: Any, **__: Any) -> Query | None:
        query: Query | None = cursor._brakit_query
        if query is not None:
            if query.rows is None:
                query.rows = 0
            query.mark = clock()
        return query

    def read_one(self, query: Query, cursor: Any, row: Any) -> None:
        query.read_ns += clock() - query.mark
        if row is None:
            self.end(cursor)
        else:
            query.rows += 1  # type: ignore[operator]  # `reading` has set it

    def read_many(self, query: Query, cursor: Any, rows: Any) -> None:
        query.read_ns += clock() - query.mark
        if type(rows) is list or type(rows) is tuple:
            if not rows:
                self.end(cursor)
            query.rows += len(rows)  # type: ignore[operator]

    def read_all(self, query: Query, cursor: Any, rows: Any) -> None:
        self.read_many(query, cursor, rows)
        self.end(cursor)

    def read_failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        # SQLite steps through its rows: an error of the statement may come up here.
        if isinstance(error, Exception):
            query.error = errors.text_of(error)
        self.end(cursor)

    def iterating(self, cursor: Any) -> Query | None:
        query: Query | None = cursor._brakit_query
        return query

    def iterated(self, query: Query, cursor: Any, rows: Iterator[Any]) -> Iterator[Any]:
        return self.counted(query, cursor, rows)

    def counted(self, query: Query, cursor: Any, rows: Iterator[Any]) -> Iterator[Any]:
        """`rows` as they are."""
        now = clock
        number = spent = 0
        mark = now()
        try:
            for row in rows:
                spent += now() - mark
                number += 1
                yield row
                mark = now()
        finally:
            guard.run(self.failures, "django:rows", self.counted_out, query, cursor, number, spent)

    def counted_out(self, query: Query, cursor: Any, number: int, spent: int) -> None:
        query.rows = (query.rows or 0) + number
        query.read_ns += spent
        query.mark = query.mark or query.started
        if cursor._brakit_query is query:
            self.end(cursor)

    def closing(self, cursor: Any, *_: Any, **__: Any) -> None:
        if cursor._brakit_query is not None:
            self.end(cursor)

    def end(self, cursor: Any) -> None:
        query, cursor._brakit_query = cursor._brakit_query, None
        if query is None:
            return
        if query.rows is None and query.error is None:
            driver = cursor.cursor
            if driver.description is None:
                query.rows = row_count(driver.rowcount)
        query.over = True
        query.release(self.buffer)


def outside(frame: FrameType, code: CodeType | None) -> FrameType | None:
    """The frame of `code` around `frame`; `frame` itself where there is none."""
    at: FrameType | None = frame
    for _ in range(callsite.MAX_DEPTH):
        if at is None:
            return frame
        if at.f_code is code:
            return at
        at = at.f_back
    return frame
