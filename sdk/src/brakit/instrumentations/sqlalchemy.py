"""SQLAlchemy: every statement, through the dialect's `do_execute`, `do_executemany` and `do_execute_no_params`.

One wrapper there sees Core, ORM, raw driver SQL, sync and async engines, old and new ones, and costs a fraction of what the engine's
events cost. Rows are counted as the app reads them from the result; nothing is read ahead, and nothing of a driver is wrapped.

The driver's own instrumentation is silent below: `context.covered` says so around a statement, around a new connection's first words
and around the dialect's own calls. Statements of the app on a raw DBAPI connection are the driver's to record.

Commits, rollbacks, savepoints and the steps of two-phase transactions are records of their own when a statement of the app's has run in
the transaction. A statement of the ORM's names the class that it asks for, except within a flush, and one that the first use of an
attribute issues names class and attribute. The wait for a connection of a pool is a span when it takes longer than a millisecond.

Not recorded: the begin of a transaction; the rollback of one that is closed without a word; the pool's ping and reset; calls that a
dialect makes without an execution context, which are its own housekeeping; what a dialect and listeners do on a new connection.
"""

from __future__ import annotations

import sys

from brakit import callsite, errors, guard
from brakit.context import covered
from brakit.instrumentations import _sqlalchemy_loads
from brakit.instrumentations._dbapi import Query, plain_sql, row_count
from brakit.instrumentations._orm import name_of
from brakit.instrumentations._sqlalchemy_loads import attribute_of, loading
from brakit.instrumentations._sqlalchemy_transactions import BEGUN, OPEN, Names, Transactions
from brakit.record import clock, plain_params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SUPPORTS = ">=1.4"

HOUSEKEEPING = (
    *("do_begin", "do_commit", "do_rollback", "do_ping", "do_close", "set_isolation_level", "reset_isolation_level"),
    *("do_begin_twophase", "do_prepare_twophase", "do_commit_twophase", "do_rollback_twophase"),
)
"""What a dialect does on a connection of the driver's for itself."""

READING = "{self}.context._brakit_query is not None"
CLOSING = "{self}.context._brakit_query is not None and not {self}.context._brakit_query.running"
"""Where a result is of interest: most are closed after their rows have been read, and once more on behalf of the ORM."""

CONNECT = "_ConnectionRecord__connect"
"""Opens a connection and runs the listeners of the pool on it, the dialect's among them."""


def instrument(patch: Patches) -> None:
    from sqlalchemy.engine import interfaces
    from sqlalchemy.engine.base import Connection, Engine
    from sqlalchemy.engine.cursor import CursorFetchStrategy, CursorResult
    from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext
    from sqlalchemy.pool.base import _ConnectionRecord

    names = Names()
    probes = Probes(patch.client, names, interfaces, vars(Connection)["execute"].__code__)

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

    # A plain class attribute, so that reading one that was never set costs no exception.
    patch.replace(DefaultExecutionContext, "_brakit_query", None)
    Transactions(patch.client, names).instrument(patch)
    patch.when("sqlalchemy.orm.attributes", "sqlalchemy.orm.attributes", _sqlalchemy_loads.instrument, patch)
    cover_all(DefaultDialect)
    # Third-party dialects are loaded by `create_engine`, after us.
    patch.hook(Engine, "__init__", "sqlalchemy:Engine.__init__", engine_made)
    if hasattr(_ConnectionRecord, CONNECT):
        patch.hook(_ConnectionRecord, CONNECT, f"sqlalchemy:{CONNECT}", cover_up, uncover, uncover)
    for name, before, after, interest in (
        ("_fetchone_impl", probes.reading, probes.read_one, READING),
        ("_fetchmany_impl", probes.reading, probes.read_many, READING),
        ("_fetchall_impl", probes.reading, probes.read_all, READING),
        ("_fetchiter_impl", probes.iterating, probes.iterated, READING),
        ("_soft_close", probes.closing, None, CLOSING),
    ):
        failed = probes.read_failed if after is not None else None
        patch.hook(CursorResult, name, f"sqlalchemy:CursorResult.{name}", before, after, failed, takes=1, interest=interest)
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
    """What is written down before and after the statements of one client."""

    def __init__(self, client: Client, names: Names, interfaces: Any, called: CodeType) -> None:
        self.called = called
        self.buffer = client.buffer
        self.failures = client.failures
        self.names = names
        # 1.4 has no such batches.
        self.batched = interfaces.ExecuteStyle.INSERTMANYVALUES if hasattr(interfaces, "ExecuteStyle") else None
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
        outer = covered.get()
        if context is None or outer == "db.query":
            # The dialect itself, or one of its methods calls up the line, or all of this is another instrumentation's to record.
            return None
        if self.names.leaves_async and dialect.is_async:
            return None
        before = context._brakit_query
        if before is not None:
            # A batch before this one, or the fetch of a default: nobody will close it.
            if before.rows is None:
                before.rows = row_count(cursor.rowcount)
            before.over = True
            before.release(self.buffer)
        if batch is None and context.execute_style is self.batched:
            part = sys._getframe(up - 2).f_locals.get("imv_batch")
            # Before 2.0.10 nobody tells how many there are, and the rows of all batches are read in one.
            batch = part.current_batch_size if part is not None else 0
        connection = context.root_connection
        link = connection._brakit_link
        if link is None or link.pooled is not context._dbapi_connection:
            link = connection._brakit_link = self.names.link(context._dbapi_connection, dialect)
        transaction = connection._brakit_transaction
        if transaction is BEGUN:
            transaction = connection._brakit_transaction = str(next(self.names.transactions))
        query = Query(
            "sqlalchemy",
            statement if type(statement) is str else plain_sql(statement),
            plain_params(parameters) if batch is None else None,
            batch or None,
            link.system,
            link.name,
            transaction,
        )
        clause = context.invoked_statement
        if clause is None:
            query.site = callsite.find(sys._getframe(up))
        else:
            query.site = callsite.find(self.outside(sys._getframe(up + 2)) or sys._getframe(up))
            subject = clause._propagate_attrs.get("plugin_subject")
            if subject is not None:
                query.model = name_of(subject.class_)
        load = loading.get()
        if load is not None:
            query.lazy_load = attribute_of(load, context)
        context._brakit_query = query if batch != 0 else None
        if link.listens:
            query.outer = outer
            covered.set("db.query")
        else:
            query.outer = OPEN
        query.started = clock()
        return query

    def outside(self, frame: FrameType) -> FrameType | None:
        """Who has called `Connection.execute`, where `frame` is that: none of the frames that are passed over can be the app's."""
        return frame.f_back if frame.f_code is self.called else None

    def executemany(self, dialect: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> Query | None:
        return self.execute(dialect, cursor, statement, None, context, len(parameters), 5)

    def bare(self, dialect: Any, cursor: Any, statement: Any, context: Any = None) -> Query | None:
        return self.execute(dialect, cursor, statement, (), context, None, 5)

    def executed(self, query: Query, _dialect: Any, _result: Any) -> None:
        query.ended = clock()
        if query.outer is not OPEN:
            covered.set(query.outer)
        query.running = False
        query.hold(self.buffer)

    def failed(self, query: Query, _dialect: Any, error: BaseException) -> None:
        query.ended = clock()
        if query.outer is not OPEN:
            covered.set(query.outer)
        query.running = False
        query.error = errors.text_of(error)
        query.emit(self.buffer)

    # Its rows.

    def reading(self, result: Any) -> Query:
        query: Query = result.context._brakit_query
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

    def iterating(self, result: Any) -> Query:
        query: Query = result.context._brakit_query
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

    def closing(self, result: Any) -> None:
        context = result.context
        query = context._brakit_query
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
