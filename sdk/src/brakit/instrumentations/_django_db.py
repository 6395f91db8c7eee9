"""Django's database cursors: one record a statement, with the rows that were read of it, whichever backend and driver lie below."""

from __future__ import annotations

import sys
from itertools import count

from brakit import callsite, errors, guard
from brakit.context import covered, new_span_id
from brakit.instrumentations._dbapi import Query, plain_sql, row_count
from brakit.instrumentations._jobs import is_quiet
from brakit.record import clock, plain_params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SYSTEMS = {"oracle": "oracle.db", "microsoft": "microsoft.sql_server"}
"""Vendors whose name is not OpenTelemetry's `db.system.name`."""
MAX_UP = 12
"""Frames between a statement and the compiler that made it: cursors of others, wrappers of the app's."""


class OrmQuery(Query):
    """A statement, with the model that it was made for."""

    __slots__ = ("model",)

    model: str | None

    @property
    def data(self) -> dict[str, object]:  # type: ignore[override]
        return {**super().data, "model": self.model}


class Link:
    """What is known of one connection to a database."""

    __slots__ = ("connection_id", "system", "transaction_id")

    def __init__(self, connection_id: str, system: str) -> None:
        self.connection_id = connection_id
        self.system = system
        self.transaction_id: str | None = None


def arm(patch: Patches) -> None:
    probes = Probes(patch.client)
    patch.when("django.db.backends.utils", "django.db.backends.utils:CursorWrapper", cursors, patch, probes)
    patch.when("django.db.backends.base.base", "django.db.backends.base.base:BaseDatabaseWrapper", connections, patch, probes)
    patch.when("django.db.models.sql.compiler", "django.db.models.sql.compiler:SQLCompiler", compilers, probes)


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


def connections(patch: Patches, probes: Probes) -> None:
    wrapper = sys.modules["django.db.backends.base.base"].BaseDatabaseWrapper
    place = "django.db.backends.base.base:BaseDatabaseWrapper."
    patch.hook(wrapper, "connect", place + "connect", probes.connecting)
    patch.hook(wrapper, "set_autocommit", place + "set_autocommit", probes.switching, probes.switched)
    for name in ("commit", "rollback"):
        patch.hook(wrapper, name, place + name, probes.linked, probes.begun)


def compilers(probes: Probes) -> None:
    module = sys.modules["django.db.models.sql.compiler"]
    probes.compilers = frozenset((module.SQLCompiler.execute_sql.__code__, module.SQLInsertCompiler.execute_sql.__code__))


class Probes:
    """What is written down before and after the calls of one client; numbers connections and transactions."""

    def __init__(self, client: Client) -> None:
        self.buffer = client.buffer
        self.failures = client.failures
        # A client that comes later in this process counts anew.
        self.key = f"brakit.link.{new_span_id()}"
        self.connections = count(1)
        self.transactions = count(1)
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
        link = self.link(cursor.db)
        query = OrmQuery(
            "django",
            sql if type(sql) is str else plain_sql(sql),
            None if many else plain_params(() if params is None else params),
            (len(params) if type(params) in (list, tuple) else None) if many else None,
            link.system,
            link.connection_id,
            link.transaction_id,
        )
        query.model = None
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

    def trace(self, query: OrmQuery, frame: FrameType | None) -> None:
        """The app's line, and the model whose compiler has made the statement."""
        if frame is not None and frame.f_code is not self.outermost:
            # Wrappers of the app's lie between; the line that is looked for is not theirs.
            frame = outside(frame, self.outermost)
        query.site = callsite.find(frame)
        for _ in range(MAX_UP):
            if frame is None:
                return
            if frame.f_code in self.compilers:
                model = frame.f_locals["self"].query.model
                query.model = type.__getattribute__(model, "__name__") if isinstance(model, type) else None
                return
            frame = frame.f_back

    def executed(self, query: OrmQuery, cursor: Any, _result: Any) -> None:
        query.ended = clock()
        covered.set(query.outer)
        query.running = False
        if query.sql.startswith("BEGIN"):
            # SQLite's, whose cursor nobody closes.
            self.end(cursor)
        else:
            query.hold(self.buffer)

    def failed(self, query: OrmQuery, cursor: Any, error: BaseException) -> None:
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

    # Connections and transactions.

    def link(self, connection: Any) -> Link:
        link: Link | None = connection.__dict__.get(self.key)
        return self.connecting(connection) if link is None else link

    def connecting(self, connection: Any) -> Any:
        vendor = connection.vendor
        alias = connection.alias if type(connection.alias) is str else "?"
        link = connection.__dict__[self.key] = Link(f"{alias}-{next(self.connections)}", SYSTEMS.get(vendor, vendor))
        return link

    def switching(self, connection: Any, autocommit: Any, *_: Any, **__: Any) -> Any:
        """Before autocommit is switched; opening the connection, which may be part of it, switches too."""
        transaction_id = None if autocommit else str(next(self.transactions))
        self.link(connection).transaction_id = transaction_id
        return (transaction_id,)

    def switched(self, state: tuple[str | None], connection: Any, _result: Any) -> None:
        self.link(connection).transaction_id = state[0]

    def linked(self, connection: Any) -> Link | None:
        link: Link | None = connection.__dict__.get(self.key)
        return link if link is not None and link.transaction_id is not None else None

    def begun(self, link: Link, _connection: Any, _result: Any) -> None:
        """What comes after a commit or a rollback, while autocommit stays off, is a transaction of its own."""
        link.transaction_id = str(next(self.transactions))


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
