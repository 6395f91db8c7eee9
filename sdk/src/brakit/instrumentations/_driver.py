"""What the instrumentations of database drivers have in common: a statement from its call to its last row.

Nothing is written on the driver's objects and nothing is read from them but plain attributes: what we know of a connection or a cursor
stands beside it, by identity, for as long as it lives.
"""

from __future__ import annotations

import sys
from _weakref import ref
from itertools import count

from brakit import callsite, errors
from brakit.context import covered
from brakit.guard import Raised, run
from brakit.instrumentations._dbapi import Query, plain_sql, row_count
from brakit.instrumentations._marks import Marks
from brakit.instrumentations._orm import origin
from brakit.record import clock, plain_params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.instrumentations._marks import Hook


class Entry(ref):  # type: ignore[type-arg]
    """A weak reference to an object of the driver's, with what we know of it."""

    __slots__ = ("key", "value")
    key: int
    value: Any


class Beside:
    """Values of ours by foreign object. Neither `__hash__` nor `__eq__` of the objects is called."""

    def __init__(self, gone: Callable[[Any], None] | None = None) -> None:
        self.entries: dict[int, Entry] = {}

        def forget(entry: Entry) -> None:
            if self.entries.get(entry.key) is entry:
                del self.entries[entry.key]
                if gone is not None:
                    gone(entry.value)

        self.forget = forget

    def get(self, holder: object) -> Any:
        entry = self.entries.get(id(holder))
        return entry.value if entry is not None and entry() is holder else None

    def set(self, holder: object, value: object) -> None:
        entry = Entry(holder, self.forget)
        entry.key = id(holder)
        entry.value = value
        self.entries[entry.key] = entry

    def pop(self, holder: object) -> Any:
        entry = self.entries.get(id(holder))
        if entry is None or entry() is not holder:
            return None
        self.entries.pop(entry.key, None)
        return entry.value


class Link:
    """A connection: its name, the database that it leads to, and the transaction that is open on it."""

    __slots__ = ("id", "system", "transaction")

    def __init__(self, id: str, system: str) -> None:
        self.id = id
        self.system = system
        self.transaction: str | None = None


class Driver:
    """What is written down before and after the calls of one driver.

    A driver with other ways than DB-API's overrides `connection`, `inside`, `rows`, `lazy` or `system_of`; its file says which
    functions are hooked.
    """

    names = ("query", "params")
    """What the driver calls the two parameters of `execute`, for calls that pass them by name."""

    def __init__(self, client: Client, source: str, system: str) -> None:
        self.client = client
        self.buffer = client.buffer
        self.source = source
        self.system = system
        self.links = Beside()
        self.marks = Marks(self)
        self.open = Beside(self.forgotten)
        self.connections = count(1)
        self.transactions = count(1)

    # What differs from driver to driver.

    def connection(self, cursor: Any) -> Any:
        """The connection of a cursor."""
        return cursor.connection

    def inside(self, connection: Any) -> bool:
        """Whether a transaction is open on the connection, as far as the client knows. Asks nobody."""
        raise NotImplementedError

    def rows(self, cursor: Any) -> int | None:
        """Rows that a statement has read or changed, once it has been executed."""
        return row_count(cursor.rowcount)

    def lazy(self, cursor: Any) -> bool:  # noqa: ARG002
        """Whether the rows come only as the app reads them."""
        return False

    def pending(self, link: Link, connection: Any) -> bool:
        """Whether a statement of the app's has run in the transaction that is open on the connection."""
        return link.transaction is not None and self.inside(connection)

    def system_of(self, connection: Any) -> str:  # noqa: ARG002
        """The database at the other end. Asks nobody."""
        return self.system

    def text(self, statement: Any) -> str:
        return statement.decode("utf-8", "replace") if type(statement) is bytes else plain_sql(statement)

    # A statement.

    def start(self, connection: Any, statement: Any, params: Any, batch: int | None = None, many: bool = False) -> Query:
        link: Link | None = self.links.get(connection)
        if link is None:
            link = Link(f"{self.source}-{next(self.connections)}", self.system_of(connection))
            self.links.set(connection, link)
        if not self.inside(connection):
            link.transaction = None
        elif link.transaction is None:
            link.transaction = f"{self.source}-{next(self.transactions)}"
        query = Query(
            self.source,
            statement if type(statement) is str else self.text(statement),
            plain_params(params) if params is not None and not many else None if many else (),
            batch,
            link.system,
            link.id,
            link.transaction,
        )
        query.site = callsite.find(sys._getframe(2))
        above = origin.get()
        if above is not None:
            above.sign(query)
        query.started = clock()
        return query

    def settle(self, query: Query, connection: Any) -> None:
        """The transaction that the statement has begun, or was the last of."""
        link: Link | None = self.links.get(connection)
        if link is None:
            return
        if not self.inside(connection):
            link.transaction = None
        elif link.transaction is None:
            link.transaction = query.transaction_id = f"{self.source}-{next(self.transactions)}"

    def ended(self, connection: Any, *_: Any) -> None:
        """A transaction has ended or begun where no statement of the app's tells."""
        link: Link | None = self.links.get(connection)
        if link is not None:
            link.transaction = None

    def finish(self, query: Query, connection: Any, rows: int | None) -> None:
        """All is known."""
        query.running = False
        query.rows = rows
        query.over = True
        self.settle(query, connection)
        query.emit(self.buffer)

    def wait(self, query: Query, connection: Any, cursor: Any) -> None:
        """All is known but the rows, which are to come through `cursor`."""
        query.running = False
        query.rows = 0
        self.settle(query, connection)
        self.open.set(cursor, query)
        query.hold(self.buffer)

    def fail(self, query: Query, connection: Any, error: BaseException) -> None:
        query.ended = clock()
        query.running = False
        query.error = errors.text_of(error)
        self.settle(query, connection)
        self.over(query)

    # Hooks around a cursor's methods.

    def execute(self, cursor: Any, statement: Any = None, params: Any = None, *_: Any, **named: Any) -> Query | None:
        connection = self.connection(cursor)
        if connection is None or covered.get() == "db.query":
            return None
        self.closing(cursor)
        if named:
            statement = named.get(self.names[0], statement)
            params = named.get(self.names[1], params)
        return self.start(connection, statement, params)

    def executemany(self, cursor: Any, statement: Any = None, params: Any = None, *_: Any, **named: Any) -> Query | None:
        """What the driver does for its many sets of parameters is one record: its own `execute` is covered meanwhile."""
        connection = self.connection(cursor)
        if connection is None or covered.get() == "db.query":
            return None
        self.closing(cursor)
        if named:
            statement = named.get(self.names[0], statement)
            params = named.get(self.names[1], params)
        number = size(params)
        if number == 0:
            # Nothing is sent.
            return None
        query = self.start(connection, statement, None, number, many=True)
        query.outer = covered.get()
        covered.set("db.query")
        return query

    def callproc(self, cursor: Any, name: Any = None, params: Any = None, *_: Any, **named: Any) -> Query | None:
        connection = self.connection(cursor)
        if connection is None or covered.get() == "db.query":
            return None
        self.closing(cursor)
        name = named.get("procname", name)
        query = self.start(connection, f"CALL {name if type(name) is str else self.text(name)}", params)
        query.outer = covered.get()
        covered.set("db.query")
        return query

    def executed(self, query: Query, cursor: Any, _result: Any) -> None:
        query.ended = clock()
        connection = self.connection(cursor)
        if not self.lazy(cursor):
            self.finish(query, connection, self.rows(cursor))
        else:
            self.wait(query, connection, cursor)

    def failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        self.fail(query, self.connection(cursor), error)

    def executed_many(self, query: Query, cursor: Any, _result: Any) -> None:
        covered.set(query.outer)
        query.ended = clock()
        self.finish(query, self.connection(cursor), self.rows(cursor))

    def failed_many(self, query: Query, cursor: Any, error: BaseException) -> None:
        covered.set(query.outer)
        self.failed(query, cursor, error)

    def over(self, query: Query) -> None:
        """No more rows will be read."""
        query.over = True
        query.release(self.buffer)

    def forgotten(self, query: Query) -> None:
        """Its cursor has gone; called by a weak reference, where nobody catches anything."""
        run(self.client.failures, f"{self.source}:forgotten", self.over, query)

    # Its rows, where they come only as the app reads them.

    def reading(self, cursor: Any, *_: Any, **__: Any) -> Query | None:
        query: Query | None = self.open.get(cursor)
        if query is None or query.running:
            # The driver's `fetchall` may call its own `fetchone`.
            return None
        query.running = True
        query.mark = clock()
        return query

    def read_one(self, query: Query, cursor: Any, row: Any) -> None:
        query.read_ns += clock() - query.mark
        query.running = False
        if row is None:
            self.closing(cursor)
        else:
            query.rows += 1  # type: ignore[operator]  # `executed` has set it

    def read_many(self, query: Query, cursor: Any, rows: Any) -> None:
        query.read_ns += clock() - query.mark
        query.running = False
        number = size(rows)
        if number:
            query.rows += number  # type: ignore[operator]
        else:
            self.closing(cursor)

    def read_all(self, query: Query, cursor: Any, rows: Any) -> None:
        self.read_many(query, cursor, rows)
        self.closing(cursor)

    def read_failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        """The end of an iteration, or a statement that fails only while its rows are read."""
        query.read_ns += clock() - query.mark
        query.running = False
        if not isinstance(error, (StopIteration, StopAsyncIteration)):
            query.error = errors.text_of(error)
        self.closing(cursor)

    def closing(self, cursor: Any, *_: Any, **__: Any) -> None:
        query = self.open.pop(cursor)
        if query is not None:
            self.over(query)

    # The same hooks by the name of what they are put around; and as a probe, for coroutines.

    def hooks(self) -> dict[str, Hook]:
        """Before, after and failed for each method of a DB-API cursor; an instrumentation takes those that it needs."""
        return {
            "execute": (self.execute, self.executed, self.failed),
            "executemany": (self.executemany, self.executed_many, self.failed_many),
            "callproc": (self.callproc, self.executed_many, self.failed_many),
            "fetchone": (self.reading, self.read_one, self.read_failed),
            "fetchmany": (self.reading, self.read_many, self.read_failed),
            "fetchall": (self.reading, self.read_all, self.read_failed),
            "__next__": (self.reading, self.read_one, self.read_failed),
            "close": (self.closing, None, None),
        }

    def probe(self, name: str) -> Callable[[Call], Generator[None, Any, None]]:
        """The hooks of one name, around a coroutine function."""
        before, after, failed = {**self.hooks(), **self.marks.hooks()}[name]

        def step(call: Call) -> Generator[None, Any, None]:
            cursor = call.args[0]
            query = before(*call.args, **call.kwargs)
            if query is None:
                return
            try:
                result = yield
            except Raised as raised:
                if failed is not None:
                    failed(query, cursor, raised.error)
            else:
                if after is not None:
                    after(query, cursor, result)

        return step


def calling_library(frame: Any) -> str:
    """The package that called `connect`."""
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "brakit":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).partition(".")[0] if frame is not None else ""


def size(items: Any) -> int | None:
    """How many there are, of what can be counted without running anybody's code."""
    return len(items) if type(items) in (list, tuple) else None
