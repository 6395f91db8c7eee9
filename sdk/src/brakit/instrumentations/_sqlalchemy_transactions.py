"""SQLAlchemy: what ends a transaction of the app's, and the wait for a connection of a pool.

A commit or rollback is one record with the duration and the error of its own, when a statement of the app's has run in the transaction.
Savepoints are statements of SQLAlchemy's and come with those.
"""

from __future__ import annotations

import sys
from itertools import count

from brakit import callsite, errors
from brakit.context import covered, new_span_id
from brakit.guard import Raised
from brakit.instrumentations._dbapi import Query
from brakit.instrumentations._pools import Waits
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

SYSTEMS = {"mssql": "microsoft.sql_server", "mysql": "mysql", "oracle": "oracle.db"}
"""Dialects whose name is not always OpenTelemetry's `db.system.name`."""
OPEN: Any = ""
"""Stands for what was covered before a statement that covers nothing: below it nobody listens."""
BEGUN: Any = object()
"""Stands for the name of a transaction until its first statement; one without a statement needs none."""
IN_TASKS = (
    ("sqlalchemy.ext.asyncio.engine", "AsyncEngine._trans_ctx"),  # of 1.4
    ("sqlalchemy.ext.asyncio.session", "_AsyncSessionContextManager"),
)
"""Blocks of asynchronous apps that end in a task of SQLAlchemy's, which no cancellation reaches, and no line of the app's either."""


def follow(patch: Patches, module: str, path: str) -> None:
    holder: Any = sys.modules[module]
    for part in path.split("."):
        holder = getattr(holder, part, None)
    if holder is not None:
        patch.wrap(holder, "__aexit__", f"{module}:{path}.__aexit__", leaving)


def leaving(_call: Call) -> Generator[None, Any, None]:
    """The line that is left waits for the task; it is the one that has led to what the task does."""
    before = callsite.handed.get()
    callsite.handed.set(callsite.find(sys._getframe()))
    try:
        yield
    except Raised:
        pass
    finally:
        callsite.handed.set(before)


class Link:
    """What is the same for all statements on one connection of the pool, beside the connection of SQLAlchemy's that holds it.

    `listens` says that the driver below may have an instrumentation of its own, which has to be told to keep quiet.
    """

    __slots__ = ("listens", "name", "pooled", "system")

    def __init__(self, pooled: Any, name: str, system: str, listens: bool) -> None:
        self.pooled = pooled
        self.name = name
        self.system = system
        self.listens = listens


class Names:
    """Numbers the connections and the transactions of one client.

    `leaves_async` is True for early releases of 1.4: their asynchronous engines run in a copy of the context, so that the driver does
    not see that it is covered. It records what there is, then, and we nothing.
    """

    def __init__(self) -> None:
        self.leaves_async = hasattr(sys.modules.get("sqlalchemy.util._concurrency_py3k"), "_copy_context")
        # A client that comes later in this process counts anew.
        self.key = f"brakit.connection.{new_span_id()}"
        self.connections = count(1)
        self.transactions = count(1)

    def connection(self, pooled: Any) -> str:
        # `info` lives as long as the DBAPI connection. That of the pool's entry is there from a dialect's first look at a server on.
        info = (pooled._connection_record or pooled).info
        name: str | None = info.get(self.key)
        if name is None:
            name = info[self.key] = str(next(self.connections))
        return name

    def link(self, pooled: Any, dialect: Any) -> Link:
        # The standard library's own class is not watched, and no dialect of SQLAlchemy's calls itself on a connection of that.
        kind = type(getattr(pooled, "dbapi_connection", None))
        quiet = kind is getattr(sys.modules.get("sqlite3"), "Connection", None) and type(dialect).__module__.startswith(
            "sqlalchemy."
        )
        return Link(pooled, self.connection(pooled), system_of(dialect), not quiet)


class Transactions:
    """What is written down before and after the calls that begin and end transactions."""

    def __init__(self, client: Client, names: Names) -> None:
        self.client = client
        self.buffer = client.buffer
        self.names = names

    def instrument(self, patch: Patches) -> None:
        base: Any = sys.modules["sqlalchemy.engine.base"]
        pool: Any = sys.modules["sqlalchemy.pool"]
        Connection, RootTransaction = base.Connection, base.RootTransaction  # noqa: N806

        # A plain class attribute, so that reading one that was never set costs no exception.
        patch.replace(Connection, "_brakit_transaction", None)
        patch.replace(Connection, "_brakit_link", None)
        patch.hook(RootTransaction, "__init__", "sqlalchemy:RootTransaction.__init__", self.beginning, self.begun)
        for holder, name, before, after in (
            (RootTransaction, "_do_commit", self.committing, self.ended),
            (RootTransaction, "_do_rollback", self.rolling_back, self.ended),
            (RootTransaction, "_do_deactivate", self.rolling_back, self.ended),  # by a transaction within it, before 2.0
            (base.TwoPhaseTransaction, "prepare", self.preparing, self.done),
            (Connection, "commit_prepared", self.committing_prepared, self.done),
            (Connection, "rollback_prepared", self.rolling_back_prepared, self.done),
        ):
            if name in vars(holder):
                patch.hook(holder, name, f"sqlalchemy:{holder.__name__}.{name}", before, after, self.failed)
        if "autocommit" in Connection._commit_impl.__code__.co_varnames:
            # Before 2.0 there are statements outside of any transaction.
            place = "sqlalchemy:Connection._commit_impl"
            patch.hook(Connection, "_commit_impl", place, self.autocommitting, self.done, self.failed)
            patch.hook(RootTransaction, "_do_close", "sqlalchemy:RootTransaction._do_close", self.closing)
        patch.hook(pool.QueuePool, "_do_get", "sqlalchemy:QueuePool._do_get", self.waiting, self.waited, self.waited_in_vain)
        for module, path in IN_TASKS:
            patch.when(module, f"{module}:{path}", follow, patch, module, path)

    # Its begin and its end.

    def beginning(self, _transaction: Any, connection: Any) -> Any:
        return connection

    def begun(self, connection: Any, _transaction: Any, _result: Any) -> None:
        connection._brakit_transaction = None if autocommits(connection) else BEGUN

    def committing(self, transaction: Any) -> Query | None:
        return self.ending(transaction, "COMMIT")

    def rolling_back(self, transaction: Any) -> Query | None:
        return self.ending(transaction, "ROLLBACK")

    def closing(self, transaction: Any) -> None:
        """Without a word: of what is still open then, the pool would get rid as well."""
        transaction.connection._brakit_transaction = None

    def ending(self, transaction: Any, sql: str) -> Query | None:
        connection = transaction.connection
        name = connection._brakit_transaction
        # One that has failed to commit, or has lost its connection, sends nothing when it is rolled back.
        if name is None or name is BEGUN or not transaction.is_active or connection.invalidated:
            connection._brakit_transaction = None
            return None
        return self.mark(connection, sql + " PREPARED" if getattr(transaction, "_is_prepared", False) else sql, name)

    def preparing(self, transaction: Any) -> Query | None:
        name = transaction.connection._brakit_transaction
        if name is None or name is BEGUN or not transaction.is_active:
            return None
        return self.mark(transaction.connection, "PREPARE TRANSACTION", name)

    def committing_prepared(self, connection: Any, *_: Any, **__: Any) -> Query | None:
        return self.mark(connection, "COMMIT PREPARED", None)

    def rolling_back_prepared(self, connection: Any, *_: Any, **__: Any) -> Query | None:
        return self.mark(connection, "ROLLBACK PREPARED", None)

    def autocommitting(self, connection: Any, autocommit: bool = False) -> Query | None:
        """What 1.4 says after a statement that changes something outside of any transaction."""
        return self.mark(connection, "COMMIT", None) if autocommit else None

    def mark(self, connection: Any, sql: str, name: str | None) -> Query | None:
        pooled, dialect = connection._dbapi_connection, connection.dialect
        if pooled is None or covered.get() == "db.query" or (self.names.leaves_async and dialect.is_async):
            return None
        query = Query("sqlalchemy", sql, (), None, system_of(dialect), self.names.connection(pooled), name)
        query.site = callsite.find(sys._getframe(3))
        query.started = clock()
        return query

    def ended(self, query: Query, transaction: Any, result: Any) -> None:
        self.done(query, transaction, result)
        transaction.connection._brakit_transaction = None

    def done(self, query: Query, _holder: Any, _result: Any) -> None:
        query.ended = clock()
        query.over = True
        query.emit(self.buffer)

    def failed(self, query: Query, _holder: Any, error: BaseException) -> None:
        query.ended = clock()
        query.over = True
        query.error = errors.text_of(error)
        query.emit(self.buffer)

    # A pool whose connections are all in use.

    def waiting(self, pool: Any) -> int | None:
        """Where it may open one more it does not wait; where another is faster it comes here again."""
        if -1 < pool._max_overflow <= pool._overflow and covered.get() != "db.query":
            return clock()
        return None

    def waited(self, started: int, pool: Any, entry: Any) -> None:
        self.waits(pool).after(started, pool, entry)

    def waited_in_vain(self, started: int, pool: Any, error: BaseException) -> None:
        self.waits(pool).failed(started, pool, error)

    def waits(self, pool: Any) -> Waits:
        # A pool that the app has made itself knows no dialect.
        return Waits(self.client, "sqlalchemy", system_of(pool._dialect) if hasattr(pool._dialect, "name") else "other_sql")


def system_of(dialect: Any) -> str:
    name: str = dialect.name
    return "mariadb" if name == "mysql" and getattr(dialect, "is_mariadb", False) else SYSTEMS.get(name, name)


def autocommits(connection: Any) -> bool:
    # Early releases of 1.4 have another name for it.
    ask = getattr(connection, "_is_autocommit_isolation", None) or connection._is_autocommit
    return bool(ask())
