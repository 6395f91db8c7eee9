"""SQLAlchemy: every statement, through the dialect's `do_execute`, `do_executemany` and `do_execute_no_params`.

One wrapper there sees Core, ORM, raw driver SQL, sync and async engines, old and new ones, and costs a fraction of what the engine's
events cost. Rows are counted as the app reads them from the result; nothing is read ahead, and nothing of a driver is wrapped.

The driver's own instrumentation is silent below: `context.covered` says so around a statement, around a new connection's first words
and around the dialect's own calls. Statements of the app on a raw DBAPI connection are the driver's to record.

Not recorded: the pool's ping (`do_ping`), BEGIN, COMMIT and ROLLBACK, which do not pass there; calls that a dialect makes without an
execution context, which are its own housekeeping; what listeners of the pool do on a new connection.
"""

from __future__ import annotations

import sys
from itertools import count

from brakit import callsite, errors, guard
from brakit.context import covered, new_span_id
from brakit.instrumentations._dbapi import Query, plain_sql, row_count
from brakit.record import clock, plain_params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SUPPORTS = ">=2.0"

SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
"""Dialects whose name is not OpenTelemetry's `db.system.name`."""
HOUSEKEEPING = ("do_begin", "do_commit", "do_rollback", "do_ping", "do_close", "set_isolation_level", "reset_isolation_level")
"""What a dialect does on a connection of the driver's for itself."""

CONNECT = "_ConnectionRecord__connect"
"""Opens a connection and runs the listeners of the pool on it, the dialect's among them."""


def instrument(patch: Patches) -> None:
    from sqlalchemy.engine.base import Connection, Engine, RootTransaction
    from sqlalchemy.engine.cursor import CursorFetchStrategy, CursorResult
    from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext
    from sqlalchemy.engine.interfaces import ExecuteStyle
    from sqlalchemy.pool.base import _ConnectionRecord

    probes = Probes(patch.client, ExecuteStyle.INSERTMANYVALUES)

    def cover(dialect: type) -> None:
        """The methods of a dialect, wherever in its line of classes they are defined."""
        for holder in dialect.__mro__:
            for name, before in probes.statements.items():
                if name in vars(holder) and holder.__module__ != "sqlalchemy.engine.interfaces":
                    patch.hook(holder, name, f"sqlalchemy:{holder.__name__}.{name}", before, probes.executed, probes.failed)
            for name in HOUSEKEEPING:
                if name in vars(holder) and holder.__module__ != "sqlalchemy.engine.interfaces":
                    patch.hook(holder, name, f"sqlalchemy:{holder.__name__}.{name}", cover_up, uncover, uncover)

    def cover_all(dialect: type[Any]) -> None:
        cover(dialect)
        for subclass in dialect.__subclasses__():
            cover_all(subclass)

    def engine_made(_engine: Any, _pool: Any, dialect: Any, *_: Any, **__: Any) -> None:
        cover(type(dialect))

    # The slots: plain class attributes, so that reading one that was never set costs no exception.
    patch.replace(DefaultExecutionContext, "_brakit_query", None)
    patch.replace(Connection, "_brakit_transaction", None)
    cover_all(DefaultDialect)
    # Third-party dialects are loaded by `create_engine`, after us.
    patch.hook(Engine, "__init__", "sqlalchemy:Engine.__init__", engine_made)
    if hasattr(_ConnectionRecord, CONNECT):
        patch.hook(_ConnectionRecord, CONNECT, f"sqlalchemy:{CONNECT}", cover_up, uncover, uncover)
    patch.hook(RootTransaction, "__init__", "sqlalchemy:RootTransaction.__init__", probes.beginning, probes.begun)
    for name, before, after in (
        ("_fetchone_impl", probes.reading, probes.read_one),
        ("_fetchmany_impl", probes.reading, probes.read_many),
        ("_fetchall_impl", probes.reading, probes.read_all),
        ("_fetchiter_impl", probes.iterating, probes.iterated),
        ("_soft_close", probes.closing, None),
    ):
        patch.hook(CursorResult, name, f"sqlalchemy:CursorResult.{name}", before, after, probes.read_failed)
    patch.hook(CursorFetchStrategy, "handle_exception", "sqlalchemy:CursorFetchStrategy.handle_exception", probes.fetch_raised)
    if hasattr(DefaultExecutionContext, "fetchall_for_returning"):  # from 2.0.10 on
        place = "sqlalchemy:DefaultExecutionContext.fetchall_for_returning"
        patch.hook(DefaultExecutionContext, "fetchall_for_returning", place, probes.reading_batch, probes.read_batch)


def cover_up(*_: Any, **__: Any) -> tuple[str | None] | None:
    before = covered.get()
    if before == "db.query":
        return None
    covered.set("db.query")
    return (before,)


def uncover(state: tuple[str | None], *_: Any) -> None:
    covered.set(state[0])


class Probes:
    """What is written down before and after the calls of one client; numbers connections and transactions."""

    def __init__(self, client: Client, batched: object) -> None:
        self.buffer = client.buffer
        self.failures = client.failures
        self.batched = batched
        # A client that comes later in this process counts anew.
        self.key = f"brakit.connection.{new_span_id()}"
        self.connections = count(1)
        self.transactions = count(1)
        self.statements: dict[str, Callable[..., Any]] = {
            "do_execute": self.execute,
            "do_executemany": self.executemany,
            "do_execute_no_params": self.bare,
        }

    # A statement. Frames above: our wrapper, then at least two of SQLAlchemy's; the search for the app's line starts behind them.

    def execute(
        self,
        dialect: Any,
        cursor: Any,
        statement: Any,
        parameters: Any,
        context: Any = None,
        batch: int | None = None,
        up: int = 4,
    ) -> Query | None:
        if context is None:
            return None
        before = context._brakit_query
        if before is not None:
            if before.running:
                return None
            # A batch before this one, or the fetch of a default: nobody will close it.
            if before.rows is None:
                before.rows = row_count(cursor.rowcount)
            before.over = True
            before.release(self.buffer)
        if batch is None and context.execute_style is self.batched:
            part = sys._getframe(up - 2).f_locals.get("imv_batch")
            batch = part.current_batch_size if part is not None else None
        # `info` lives as long as the DBAPI connection. That of the pool's entry is there from a dialect's first look at a server on.
        pooled = context._dbapi_connection
        info = (pooled._connection_record or pooled).info
        connection_id = info.get(self.key)
        if connection_id is None:
            connection_id = info[self.key] = str(next(self.connections))
        connection = context.root_connection
        query = Query(
            "sqlalchemy",
            statement if type(statement) is str else plain_sql(statement),
            plain_params(parameters) if batch is None else None,
            batch,
            SYSTEMS.get(dialect.name, dialect.name),
            connection_id,
            connection._brakit_transaction if connection._transaction is not None else None,
        )
        query.site = callsite.find(sys._getframe(up))
        context._brakit_query = query
        query.outer = covered.get()
        covered.set("db.query")
        query.started = clock()
        return query

    def executemany(self, dialect: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> Query | None:
        return self.execute(dialect, cursor, statement, None, context, len(parameters), 5)

    def bare(self, dialect: Any, cursor: Any, statement: Any, context: Any = None) -> Query | None:
        return self.execute(dialect, cursor, statement, (), context, None, 5)

    def executed(self, query: Query, _dialect: Any, _result: Any) -> None:
        query.ended = clock()
        covered.set(query.outer)
        query.running = False
        query.hold(self.buffer)

    def failed(self, query: Query, _dialect: Any, error: BaseException) -> None:
        query.ended = clock()
        covered.set(query.outer)
        query.running = False
        query.error = errors.text_of(error)
        query.emit(self.buffer)

    # Its rows.

    def reading(self, result: Any, *_: Any, **__: Any) -> Query | None:
        query: Query | None = result.context._brakit_query
        if query is not None:
            if query.rows is None:
                query.rows = 0
            query.running = True
            query.mark = clock()
        return query

    def read_one(self, query: Query, result: Any, row: Any) -> None:
        query.read_ns += clock() - query.mark
        query.running = False
        if row is not None:
            query.rows += 1  # type: ignore[operator]  # `reading` has set it
        if row is None or result._soft_closed:
            self.end(result.context)

    def read_many(self, query: Query, result: Any, rows: Any) -> None:
        query.read_ns += clock() - query.mark
        query.running = False
        query.rows += len(rows)  # type: ignore[operator]
        if result._soft_closed:
            self.end(result.context)

    def read_all(self, query: Query, result: Any, rows: Any) -> None:
        query.read_ns += clock() - query.mark
        query.rows += len(rows)  # type: ignore[operator]
        query.running = False
        query.over = True
        result.context._brakit_query = None
        query.release(self.buffer)

    def read_failed(self, query: Query, result: Any, _error: BaseException) -> None:
        query.running = False
        self.end(result.context)

    def iterating(self, result: Any) -> Query | None:
        query: Query | None = result.context._brakit_query
        return query

    def iterated(self, query: Query, result: Any, rows: Iterator[Any]) -> Iterator[Any]:
        return self.counted(query, result, rows)

    def counted(self, query: Query, result: Any, rows: Iterator[Any]) -> Iterator[Any]:
        """`rows` as they are. Counts in local variables: this is what an app does most often of all that we see."""
        now = clock
        number = spent = 0
        query.running = True
        query.mark = mark = now()
        try:
            for row in rows:
                spent += now() - mark
                number += 1
                yield row
                mark = now()
        finally:
            guard.run(self.failures, "sqlalchemy:rows", self.counted_out, query, result, number, spent)

    def counted_out(self, query: Query, result: Any, number: int, spent: int) -> None:
        query.running = False
        query.rows = (query.rows or 0) + number
        query.read_ns += spent
        if result._soft_closed or query.error is not None:
            self.end(result.context)

    def fetch_raised(self, _strategy: Any, result: Any, _cursor: Any, error: BaseException) -> None:
        """Drivers that step through rows lazily meet a statement's error only here."""
        query = result.context._brakit_query
        if query is not None:
            query.error = errors.text_of(error)
            if not query.running:
                self.end(result.context)

    def closing(self, result: Any, *_: Any, **__: Any) -> None:
        context = result.context
        query = context._brakit_query
        if query is None or query.running:
            return
        if query.rows is None and not result._metadata.returns_rows:
            query.rows = row_count(context.rowcount)
        self.end(context)

    def end(self, context: Any) -> None:
        query, context._brakit_query = context._brakit_query, None
        if query is not None:
            query.over = True
            query.release(self.buffer)

    # The rows that a batch of an INSERT … RETURNING gives back, read by SQLAlchemy before the next batch.

    def reading_batch(self, context: Any, *_: Any, **__: Any) -> Query | None:
        query: Query | None = context._brakit_query
        return query

    def read_batch(self, query: Query, context: Any, rows: Any) -> None:
        query.rows = len(rows)
        self.end(context)

    # Transactions.

    def beginning(self, _transaction: Any, connection: Any) -> Any:
        return connection

    def begun(self, connection: Any, _transaction: Any, _result: Any) -> None:
        connection._brakit_transaction = None if connection._is_autocommit_isolation() else str(next(self.transactions))
