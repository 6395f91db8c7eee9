"""asyncpg: statements of connections, pools and prepared statements, cursors and COPY, through the methods that all of them end in.

`pool.fetch` is one record, as `connection.fetch` and `statement.fetch` are. A cursor is one record that counts the rows which have come
from the server so far. The data of a COPY is not looked at. A `prepare` that fails is a failed statement. The wait for a connection of
a pool is a span when it takes longer than a millisecond. The transaction is the one that the server's status tells of; BEGIN, COMMIT,
ROLLBACK and savepoints of `transaction()` are records of their own.

Not recorded: what a pool does to reset a connection; the lookups of types; LISTEN and UNLISTEN of listeners.
"""

from __future__ import annotations

import sys

from brakit import context, errors, guard
from brakit.context import covered
from brakit.guard import Raised
from brakit.instrumentations._driver import Driver, size
from brakit.instrumentations._pools import Waits
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._dbapi import Query
    from brakit.patch import Patches

    Step = Generator[None, Any, None]

SUPPORTS = ">=0.25"

CHECKED = ("PreparedStatement.executemany", "PreparedStatement.fetchmany")
"""Plain functions that check the connection and return a coroutine."""


def instrument(patch: Patches) -> None:
    driver = Asyncpg(patch.client, "asyncpg", "postgresql")
    for target, probe in (
        ("connection:Connection._execute", driver.query),
        ("connection:Connection._executemany", driver.query_many),
        ("connection:Connection.execute", driver.script),
        ("connection:Connection.prepare", driver.prepare),
        ("connection:Connection.copy_from_query", driver.copy_query),
        ("connection:Connection._copy_in", driver.copy),
        ("connection:Connection._copy_out", driver.copy),
        ("connection:Connection.copy_records_to_table", driver.copy_records),
        ("connection:Connection.reset", driver.quiet),
        ("connection:Connection._process_notification", driver.notified),
        ("connection:Connection.add_listener", driver.quiet),
        ("connection:Connection.remove_listener", driver.quiet),
        ("prepared_stmt:PreparedStatement._PreparedStatement__bind_execute", driver.prepared),
        ("prepared_stmt:PreparedStatement.executemany", driver.prepared_many),
        ("prepared_stmt:PreparedStatement.fetchmany", driver.prepared_many),
        ("cursor:BaseCursor._bind_exec", driver.cursor),
        ("cursor:BaseCursor._bind", driver.cursor),
        ("cursor:BaseCursor._exec", driver.cursor_read),
        ("transaction:Transaction._Transaction__commit", driver.ending),
        ("transaction:Transaction._Transaction__rollback", driver.ending),
        ("pool:Pool._acquire", Waits(patch.client, "asyncpg", "postgresql").probe),
    ):
        module, _, path = target.partition(":")
        holder = getattr(sys.modules[f"asyncpg.{module}"], path.partition(".")[0])
        name = path.partition(".")[2]
        # `PreparedStatement.fetchmany` came with 0.30.
        if name in vars(holder):
            place = f"asyncpg:{path}"
            patch.wrap(holder, name, place, driver.awaited(place, probe) if path in CHECKED else probe)
    patch.hook(sys.modules["asyncpg.cursor"].BaseCursor, "__del__", "asyncpg:BaseCursor.__del__", driver.cursor_gone)


class Asyncpg(Driver):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # By identity, until `__del__`: asyncpg's cursors take no weak references.
        self.cursors: dict[int, Query] = {}

    def inside(self, connection: Any) -> bool:
        protocol = connection._protocol
        return protocol is not None and protocol.is_in_transaction() is True

    def run(self, connection: Any, query: Query, rows: Callable[[Any], int | None]) -> Step:
        """The user's call, on behalf of which the library's own calls below are part of this record."""
        before = covered.get()
        covered.set("db.query")
        try:
            result = yield
        except Raised as raised:
            self.fail(query, connection, raised.error)
        else:
            query.ended = clock()
            self.finish(query, connection, rows(result))
        finally:
            covered.set(before)

    def awaited(self, place: str, probe: Callable[[Call], Step]) -> Callable[[Call], Generator[None, Any, Any]]:
        """`probe` around the coroutine that a plain function returns."""

        def step(call: Call) -> Generator[None, Any, Any]:
            coroutine = yield

            async def run(*_: Any, **__: Any) -> Any:
                return await coroutine

            return guard.bracket(self.client, place, run, probe)(*call.args, **call.kwargs)

        return step

    def query(self, call: Call) -> Step:
        """`_execute(query, args, limit, timeout, …)`, where fetch, fetchrow, fetchval and execute with arguments end."""
        connection = call.args[0]
        if covered.get() != "db.query":
            query = self.start(connection, call.arg("query"), call.arg("args"))
            yield from self.run(connection, query, rows_of)

    def query_many(self, call: Call) -> Step:
        connection, params = call.args[0], call.arg("args")
        number = size(params)
        if covered.get() != "db.query" and number != 0:
            query = self.start(connection, call.arg("query"), None, number, many=True)
            yield from self.run(connection, query, size)

    def script(self, call: Call) -> Step:
        """`execute` without arguments; with arguments it comes to `query`."""
        connection = call.args[0]
        if len(call.args) < 3 and covered.get() != "db.query":
            query = self.start(connection, call.arg("query"), None)
            yield from self.run(connection, query, rows_of_status)

    def prepare(self, call: Call) -> Step:
        connection = call.args[0]
        if covered.get() == "db.query":
            return
        query = self.start(connection, call.arg("query"), None)
        try:
            yield
        except Raised as raised:
            self.fail(query, connection, raised.error)

    def prepared(self, call: Call) -> Step:
        """`__bind_execute(args, limit, timeout)`"""
        statement = call.args[0]
        connection = statement._connection
        if covered.get() != "db.query":
            query = self.start(connection, statement._query, call.arg("args"))
            yield from self.run(connection, query, size)

    def prepared_many(self, call: Call) -> Step:
        statement = call.args[0]
        params = call.args[1] if len(call.args) > 1 else call.kwargs.get("args")
        connection = statement._connection
        number = size(params)
        if covered.get() != "db.query" and number != 0:
            query = self.start(connection, statement._query, None, number, many=True)
            yield from self.run(connection, query, size)

    def copy(self, call: Call) -> Step:
        connection = call.args[0]
        if covered.get() != "db.query":
            query = self.start(connection, call.arg("copy_stmt"), None)
            yield from self.run(connection, query, rows_of_status)

    def copy_query(self, call: Call) -> Step:
        """With arguments asyncpg asks the server to quote them first."""
        connection, text = call.args[0], call.arg("query")
        if covered.get() != "db.query":
            query = self.start(connection, f"COPY ({text if type(text) is str else self.text(text)}) TO STDOUT", call.args[2:])
            yield from self.run(connection, query, rows_of_status)

    def copy_records(self, call: Call) -> Step:
        connection = call.args[0]
        if covered.get() != "db.query":
            names = [name for name in (call.kwargs.get("schema_name"), call.arg("table_name")) if type(name) is str]
            table = ".".join(['"' + name.replace('"', '""') + '"' for name in names])
            query = self.start(connection, f"COPY {table} FROM STDIN (FORMAT binary)", None)
            yield from self.run(connection, query, rows_of_status)

    def quiet(self, _call: Call) -> Step:
        """The library's own housekeeping."""
        before = covered.get()
        covered.set("db.query")
        try:
            yield
        except Raised:
            pass
        finally:
            covered.set(before)

    def ending(self, call: Call) -> Step:
        """`transaction()` sends its statements through `execute`. Where the BEGIN was a library's above, so is the end."""
        link = self.links.get(call.args[0]._connection)
        if link is None or link.transaction is None:
            yield from self.quiet(call)

    def notified(self, _call: Call) -> Step:
        """What listeners do belongs to nobody: the context here is that in which the connection was opened."""
        owner, before = context.enter(None), covered.get()
        covered.set(None)
        try:
            yield
        except Raised:
            pass
        finally:
            covered.set(before)
            context.enter(owner)

    # Cursors.

    def cursor(self, call: Call) -> Step:
        """`_bind_exec(n, timeout)` of an iteration, `_bind(timeout)` of a cursor that is awaited."""
        cursor = call.args[0]
        connection = cursor._connection
        if covered.get() == "db.query":
            return
        query = self.start(connection, cursor._query, cursor._args)
        try:
            rows = yield
        except Raised as raised:
            self.fail(query, connection, raised.error)
            return
        query.ended = clock()
        query.running = False
        query.rows = size(rows) or 0
        self.settle(query, connection)
        if cursor._exhausted:
            self.finish(query, connection, query.rows)
        else:
            self.cursors[id(cursor)] = query
            query.hold(self.buffer)

    def cursor_read(self, call: Call) -> Step:
        """`_exec(n, timeout)`"""
        cursor = call.args[0]
        query = self.cursors.get(id(cursor))
        if query is None:
            return
        query.mark = mark = clock()
        try:
            rows = yield
        except Raised as raised:
            query.error = errors.text_of(raised.error)
            self.cursor_gone(cursor)
            return
        query.read_ns += clock() - mark
        number = size(rows) or 0
        query.rows = (query.rows or 0) + number
        if cursor._exhausted or number == 0:
            self.cursor_gone(cursor)

    def cursor_gone(self, cursor: Any) -> None:
        query = self.cursors.pop(id(cursor), None)
        if query is not None:
            self.over(query)


def rows_of(result: Any) -> int | None:
    """A list of records, or records, status and whether that was all."""
    if type(result) is tuple and len(result) == 3:
        number = rows_of_status(result[1].decode("latin-1") if type(result[1]) is bytes else None)
        return number if number is not None else size(result[0]) or None
    return size(result)


def rows_of_status(status: Any) -> int | None:
    """The number at the end of `INSERT 0 2`; `CREATE TABLE` has none."""
    last = status.rpartition(" ")[2] if type(status) is str else ""
    return int(last) if last.isascii() and last.isdigit() else None
