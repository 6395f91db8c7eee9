"""psycopg: statements of every cursor of psycopg 3, sync and async, through the generators that both share.

`Connection.execute`, `Cursor.execute`, client-side, raw and server-side cursors, `stream`, `executemany` and COPY are one record each;
in a pipeline a statement's record ends when its result arrives, and carries the error that arrives instead. A server-side cursor and a
stream count the rows that have come from the server so far. The duration of a COPY reaches to its end, the app's own work on the data
included; its data is not looked at. The transaction is the one that the server's status tells of; `commit`, `rollback`, the end of
`with connection:`, and BEGIN, COMMIT, ROLLBACK and savepoints of `transaction()` are records of their own.

Not recorded: the BEGIN that goes out with a first statement; the FETCHes of a cursor, which are part of its statement; notifications.
In a pipeline, how long a COMMIT of `transaction()` took and whether it failed: its answer comes with the end of the pipeline.
"""

from __future__ import annotations

import sys

from brakit import guard
from brakit.context import covered
from brakit.instrumentations._dbapi import row_count
from brakit.instrumentations._driver import Beside, Driver, size
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from brakit.instrumentations._dbapi import Query
    from brakit.instrumentations._driver import Link
    from brakit.patch import Patches

SUPPORTS = ">=3.1"

COMMANDS = ("SAVEPOINT ", "RELEASE ", "ROLLBACK TO ", "PREPARE TRANSACTION ", "COMMIT PREPARED ", "ROLLBACK PREPARED ")
ACTIVE, IN_TRANSACTION, IN_ERROR = 1, 2, 3
"""Of https://www.postgresql.org/docs/current/libpq-status.html#LIBPQ-PQTRANSACTIONSTATUS"""


def instrument(patch: Patches) -> None:
    driver = Psycopg(patch.client, "psycopg", "postgresql")
    library = sys.modules["psycopg"]
    for kind, name, before, after in (
        (library.Cursor, "_execute_gen", driver.execute, driver.run),
        (library.Cursor, "_stream_send_gen", driver.execute, driver.run_lazily),
        (library.Cursor, "_stream_fetchone_gen", driver.reading, driver.read_streamed),
        (library.Cursor, "_start_copy_gen", driver.execute, driver.run_lazily),
        (library.ServerCursor, "_declare_gen", driver.execute, driver.run_lazily),
        (library.ServerCursor, "_fetch_gen", driver.fetching, driver.read_fetched),
        (library.ServerCursor, "_close_gen", driver.closing, None),
        (library.Connection, "_exec_command", driver.command, driver.commanded),
        (library.Connection, "_commit_gen", driver.commits, driver.commanded),
        (library.Connection, "_rollback_gen", driver.rolls_back, driver.commanded),
    ):
        # The base that the synchronous and the asynchronous class share, which has moved between modules.
        holder = next(line for line in kind.__mro__ if name in vars(line))
        patch.hook(holder, name, f"psycopg:{holder.__name__}.{name}", before, after)
    pipeline = library.Pipeline.__mro__[1]
    patch.hook(pipeline, "_process_results", "psycopg:_process_results", driver.arriving, driver.arrived, driver.not_arrived)
    many, many_done, many_failed = driver.hooks()["executemany"]
    patch.hook(library.Cursor, "executemany", "psycopg:Cursor.executemany", many, many_done, many_failed)
    patch.probe("psycopg:AsyncCursor.executemany", driver.probe("executemany"))
    patch.hook(library.Copy, "finish", "psycopg:Copy.finish", driver.copying, driver.copied, driver.copy_failed)
    patch.wrap(library.AsyncCopy, "finish", "psycopg:AsyncCopy.finish", driver.copy_finish)


class Psycopg(Driver):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.failures = self.client.failures
        self.piped = Beside(self.forsaken)
        connection = sys.modules["psycopg"].Connection
        self.starting = connection._start_query.__code__

    def inside(self, connection: Any) -> bool:
        status = connection.pgconn.transaction_status
        if status != ACTIVE:
            return status in (IN_TRANSACTION, IN_ERROR)
        if connection._autocommit is False:
            return True
        # In a pipeline the server has not yet said; what was open still is.
        link: Link | None = self.links.get(connection)
        return connection._pipeline is not None and link is not None and link.transaction is not None

    def rows(self, cursor: Any) -> int | None:
        # In a pipeline the results of a batch have not all arrived.
        return None if cursor._conn._pipeline is not None else row_count(cursor.rowcount)

    def written(self, query: Query, cursor: Any) -> None:
        """The text of a statement that was composed, as it went to the server."""
        if query.sql[:1] == "<" and cursor._query is not None:
            text = cursor._query.query.decode("utf-8", "replace")
            query.sql = text.partition(" FOR ")[2] if text.startswith("DECLARE ") else text

    # What the library sends for itself, and for the app's transactions.

    def command(self, connection: Any, command: Any, *_: Any, **__: Any) -> tuple[Query, Any, Any] | None:
        if type(command) is bytes and command[:5] == b"BEGIN" and sys._getframe(2).f_code is self.starting:
            self.ended(connection)
            return None
        text, marks = self.text(command), self.marks
        if text in ("COMMIT", "ROLLBACK"):
            query = marks.close(connection, text)
            return None if query is None else (query, marks.ended, marks.failed)
        if text.startswith("BEGIN"):
            query = marks.open(connection, text)
            return None if query is None else (query, self.began, marks.began_not)
        if covered.get() == "db.query" or not text.startswith(COMMANDS):
            return None
        return marks.cover(self.start(connection, text, None)), marks.began, marks.began_not

    def commits(self, connection: Any) -> tuple[Query, Any, Any] | None:
        return self.command(connection, "COMMIT")

    def rolls_back(self, connection: Any) -> tuple[Query, Any, Any] | None:
        return self.command(connection, "ROLLBACK")

    def commanded(self, state: tuple[Query, Any, Any], connection: Any, steps: Any) -> Generator[Any, Any, Any]:
        # On a connection that is lost the library may make the generator and never run it.
        covered.set(state[0].outer)
        return self.commanding(state, connection, steps)

    def commanding(self, state: tuple[Query, Any, Any], connection: Any, steps: Any) -> Generator[Any, Any, Any]:
        query, after, failed = state
        covered.set("db.query")
        try:
            result = yield from steps
        except BaseException as error:
            guard.run(self.failures, "psycopg:transaction", failed, query, connection, error)
            raise
        guard.run(self.failures, "psycopg:transaction", after, query, connection, result)
        return result

    def began(self, query: Query, connection: Any, result: Any) -> None:
        if connection._pipeline is not None:
            # The server's status comes later, but before the next statement's.
            link: Link = self.links.get(connection)
            link.transaction = query.transaction_id = f"{self.source}-{next(self.transactions)}"
            self.marks.ended(query, connection, result)
        else:
            self.marks.began(query, connection, result)

    # A statement, whose generator is run by whoever waits for the server.

    def run(self, query: Query, cursor: Any, steps: Any) -> Generator[Any, Any, Any]:
        return self.steps(query, cursor, steps, self.executed)

    def run_lazily(self, query: Query, cursor: Any, steps: Any) -> Generator[Any, Any, Any]:
        return self.steps(query, cursor, steps, self.begun)

    def steps(self, query: Query, cursor: Any, steps: Any, after: Callable[..., None]) -> Generator[Any, Any, Any]:
        guard.run(self.failures, "psycopg:pipe", self.pipe, query, cursor)
        query.started = clock()
        try:
            result = yield from steps
        except BaseException as error:
            guard.run(self.failures, "psycopg:failed", self.failed, query, cursor, error)
            raise
        guard.run(self.failures, "psycopg:executed", after, query, cursor, result)
        return result

    def executed(self, query: Query, cursor: Any, result: Any) -> None:
        self.written(query, cursor)
        if cursor._conn._pipeline is None:
            super().executed(query, cursor, result)
        elif not query.emitted:
            query.ended = clock()
            self.settle(query, cursor._conn)
            query.hold(self.buffer)

    def executed_many(self, query: Query, cursor: Any, result: Any) -> None:
        covered.set(query.outer)
        self.written(query, cursor)
        super().executed_many(query, cursor, result)

    def begun(self, query: Query, cursor: Any, _result: Any) -> None:
        query.ended = clock()
        self.written(query, cursor)
        self.wait(query, cursor._conn, cursor)

    def failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        waiting = self.piped.get(cursor)
        if waiting is not None and query in waiting:
            queue = cursor._conn._pipeline.result_queue if cursor._conn._pipeline is not None else ()
            if any(entry is not None and entry[0] is cursor for entry in queue):
                # It has been sent: the error is that of another statement, whose result came back meanwhile.
                query.hold(self.buffer)
                return
            waiting.remove(query)
        if not query.emitted:
            self.written(query, cursor)
            super().failed(query, cursor, error)

    # A pipeline.

    def pipe(self, query: Query, cursor: Any) -> None:
        if cursor._conn._pipeline is None:
            return
        waiting = self.piped.get(cursor)
        if waiting is None:
            waiting = []
            self.piped.set(cursor, waiting)
        waiting.append(query)

    def arriving(self, _pipeline: Any, queued: Any, *_: Any, **__: Any) -> Any:
        waiting = self.piped.get(queued[0]) if queued is not None else None
        return (waiting.pop(0), queued[0]) if waiting else None

    def arrived(self, state: Any, _pipeline: Any, _result: Any) -> None:
        query, cursor = state
        query.ended = clock()
        query.rows = row_count(cursor.rowcount)
        self.over(query)

    def not_arrived(self, state: Any, _pipeline: Any, error: BaseException) -> None:
        query, cursor = state
        self.fail(query, cursor._conn, error)

    def forsaken(self, waiting: Any) -> None:
        for query in waiting:
            self.over(query)

    # Rows of a stream and of a server-side cursor, as they come from the server.

    def read_streamed(self, query: Query, cursor: Any, steps: Any) -> Generator[Any, Any, Any]:
        return self.fetched(query, cursor, steps, lambda result: None if result is None else result.ntuples)

    def fetching(self, cursor: Any, number: Any = None, *_: Any) -> Any:
        query = self.reading(cursor)
        return None if query is None else (query, number)

    def read_fetched(self, state: Any, cursor: Any, steps: Any) -> Generator[Any, Any, Any]:
        query, number = state

        def count(rows: Any) -> int | None:
            got = size(rows) or 0
            if number is None or got < number:
                query.rows += got
                return None
            return got

        return self.fetched(query, cursor, steps, count)

    def fetched(self, query: Query, cursor: Any, steps: Any, count: Callable[[Any], int | None]) -> Generator[Any, Any, Any]:
        query.mark = clock()
        try:
            result = yield from steps
        except BaseException as error:
            guard.run(self.failures, "psycopg:read", self.read_failed, query, cursor, error)
            raise
        guard.run(self.failures, "psycopg:read", self.read, query, cursor, result, count)
        return result

    def read(self, query: Query, cursor: Any, result: Any, count: Callable[[Any], int | None]) -> None:
        query.read_ns += clock() - query.mark
        query.running = False
        number = count(result)
        if number is None:
            self.closing(cursor)
        else:
            query.rows += number  # type: ignore[operator]

    # COPY.

    def copying(self, copy: Any, *_: Any, **__: Any) -> Query | None:
        query: Query | None = self.open.pop(copy.cursor)
        return query

    def copied(self, query: Query, copy: Any, _result: Any) -> None:
        query.ended = clock()
        results = copy.cursor._results
        number = results[0].command_tuples if results else None
        query.rows = row_count(copy.cursor.rowcount if number is None else number)
        self.over(query)
        self.settle(query, copy.connection)

    def copy_failed(self, query: Query, copy: Any, error: BaseException) -> None:
        self.fail(query, copy.connection, error)

    def copy_finish(self, call: Any) -> Generator[None, Any, None]:
        copy = call.args[0]
        query = self.copying(copy)
        if query is None:
            return
        try:
            yield
        except guard.Raised as raised:
            self.copy_failed(query, copy, raised.error)
        else:
            self.copied(query, copy, None)
