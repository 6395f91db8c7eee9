"""aiosqlite: statements of connections and cursors, through `Connection._execute`, which hands every one of them to the thread.

Durations include the wait for the connection's thread; the line is that of the coroutine. Rows are counted as the app reads them.
`execute_insert` is one record. The sqlite3 connection in the thread is left as it is. `commit` and `rollback` are records of their own.

Not recorded: closing; a chunk that an iteration reads is part of its statement.
"""

from __future__ import annotations

from brakit.context import covered
from brakit.guard import Raised
from brakit.instrumentations._driver import Driver, size
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._dbapi import Query
    from brakit.patch import Patches

SUPPORTS = ">=0.17"

EXECUTES = frozenset(("execute", "executemany", "executescript", "_execute_insert", "_execute_fetchall"))
MARKS = frozenset(("commit", "rollback"))
READS = frozenset(("fetchone", "fetchmany", "fetchall", "close"))


def instrument(patch: Patches) -> None:
    driver = AioSQLite(patch.client, "aiosqlite", "sqlite")
    patch.probe("aiosqlite.core:Connection._execute", driver.step)


class AioSQLite(Driver):
    """`connection` is aiosqlite's; a cursor is the one of sqlite3 that its statement made, in the thread."""

    def inside(self, connection: Any) -> bool:
        plain = connection._connection
        return plain is not None and plain.in_transaction is True

    def step(self, call: Call) -> Generator[None, Any, None]:
        connection, function, *args = call.args
        name = getattr(function, "__name__", "")
        if name in EXECUTES and covered.get() != "db.query":
            self.closing(function.__self__)
            params = args[1] if len(args) > 1 else None
            many = name == "executemany"
            query = self.start(connection, args[0] if args else None, params, size(params) if many else None, many)
            try:
                result = yield
            except Raised as raised:
                self.fail(query, connection, raised.error)
            else:
                self.end(query, connection, name, result)
        elif name in MARKS:
            yield from self.mark(connection, *self.marks.hooks()[name])
        elif name in READS:
            before, after, failed = self.hooks()[name]
            reading = before(function.__self__)
            if reading is None:
                return
            try:
                result = yield
            except Raised as raised:
                failed(reading, function.__self__, raised.error)  # type: ignore[misc]  # only `close` has none
            else:
                after(reading, function.__self__, result)  # type: ignore[misc]

    def mark(self, connection: Any, before: Any, after: Any, failed: Any) -> Generator[None, Any, None]:
        query = before(connection)
        if query is None:
            return
        try:
            result = yield
        except Raised as raised:
            failed(query, connection, raised.error)
        else:
            after(query, connection, result)

    def end(self, query: Query, connection: Any, name: str, result: Any) -> None:
        query.ended = clock()
        if name == "_execute_insert":
            self.finish(query, connection, None)
        elif name == "_execute_fetchall":
            self.finish(query, connection, size(result))
        elif result.description is None:
            self.finish(query, connection, self.rows(result))
        else:
            self.wait(query, connection, result)
