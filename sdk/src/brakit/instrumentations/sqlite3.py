"""sqlite3: statements of connections that `sqlite3.connect` opens while we are there, through a subclass of Connection and of Cursor.

The classes of sqlite3 are immutable, so `connect` (in `sqlite3` and `sqlite3.dbapi2`) gets our `factory` where the app passes none:
`isinstance`, `row_factory`, `backup`, `iterdump` and the context manager are those of the library. Rows are counted as the app reads
them; the transaction is the one that `in_transaction` tells of. `commit`, `rollback` and the end of `with connection:` are records of
their own.

Not recorded: statements on a connection or cursor of the app's own `factory`, on `sqlite3.Connection(...)` called directly, of a
`connect` that was imported by name before us; the commit of what an `executescript` finds open; and what aiosqlite, SQLAlchemy and
Django do with connections of their own making, which have records of their own.
"""

from __future__ import annotations

import sys

from brakit import guard
from brakit.context import covered
from brakit.instrumentations._driver import Driver, calling_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.instrumentations._dbapi import Query
    from brakit.instrumentations._driver import Link
    from brakit.patch import Patches

SUPPORTS = ""

ABOVE = frozenset(("aiosqlite", "django", "sqlalchemy"))
"""Libraries whose connections are left as they are, where their own instrumentation is active."""
FACTORY = 5
"""Position of `factory` among the parameters of `connect`."""


class SQLite(Driver):
    names = ("sql", "parameters")

    def inside(self, connection: Any) -> bool:
        try:
            return connection.in_transaction is True
        except sys.modules["sqlite3"].ProgrammingError:
            # It is closed, or another thread's; the statement will fail for the same reason.
            return False

    def pending(self, link: Link, connection: Any) -> bool:
        # From 3.12 on: with `autocommit=True` the methods do nothing, not even where the app has sent BEGIN.
        return super().pending(link, connection) and getattr(connection, "autocommit", None) is not True

    def lazy(self, cursor: Any) -> bool:
        return cursor.description is not None

    def script(self, cursor: Any, statement: Any = None, *_: Any, **named: Any) -> Query | None:
        return (
            None if covered.get() == "db.query" else self.start(self.connection(cursor), named.get("sql_script", statement), None)
        )


def instrument(patch: Patches) -> None:
    library = sys.modules["sqlite3"]
    factory = connection_class(patch.client, library)
    versions = patch.versions

    def connect(call: Call) -> Generator[None, Any, None]:
        if len(call.args) <= FACTORY and "factory" not in call.kwargs:
            caller = calling_library(sys._getframe(1))
            if caller not in ABOVE or "not supported" in versions.get(caller, "not supported"):
                call.kwargs = {**call.kwargs, "factory": factory}
        yield

    patch.wrap(library, "connect", "sqlite3:connect", connect)
    patch.wrap(sys.modules["sqlite3.dbapi2"], "connect", "sqlite3.dbapi2:connect", connect)


def connection_class(client: Client, library: Any) -> type[Any]:
    """Subclasses of the library's own, with its names."""
    driver = SQLite(client, "sqlite3", "sqlite")
    original = library.Connection
    methods: dict[str, Any] = {"__module__": "sqlite3", "__slots__": (), "__doc__": library.Cursor.__doc__}
    hooks = {**driver.hooks(), "executescript": (driver.script, driver.executed, driver.failed)}
    del hooks["callproc"]
    for name, (before, after, failed) in hooks.items():
        methods[name] = guard.around(client, f"sqlite3:Cursor.{name}", getattr(library.Cursor, name), before, after, failed)
    cursor_class = type("Cursor", (library.Cursor,), methods)
    make = original.cursor

    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or not client.open:
            return make(self, *args, **kwargs)
        return make(self, cursor_class)

    methods = {"__module__": "sqlite3", "__doc__": original.__doc__, "cursor": dress(cursor, make)}
    for name in ("execute", "executemany", "executescript"):
        methods[name] = dress(shortcut(client, name, getattr(original, name)), getattr(original, name))
    for name in ("commit", "rollback", "__exit__"):
        methods[name] = guard.around(client, f"sqlite3:Connection.{name}", getattr(original, name), *driver.marks.hooks()[name])
    return type("Connection", (original,), methods)


def shortcut(client: Client, name: str, plain: Any) -> Any:
    """The connection's `execute` and its like: a cursor, and that method of it, as the library describes them."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not client.open:
            return plain(self, *args, **kwargs)
        return getattr(self.cursor(), name)(*args, **kwargs)

    return method


def dress(method: Any, plain: Any) -> Any:
    method.__name__, method.__qualname__, method.__doc__ = plain.__name__, plain.__qualname__, plain.__doc__
    return method
