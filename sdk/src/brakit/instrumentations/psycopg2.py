"""psycopg2: statements of the cursors of connections that `psycopg2.connect` opens while we are there.

The types of psycopg2 are C types, which cannot be changed and which its functions insist on, so `connect` makes a subclass of the
connection class, and that makes a subclass of the cursor class: of psycopg2's own or of the app's `connection_factory` and
`cursor_factory` (`RealDictCursor` and its like). `isinstance` holds; `quote_ident` and `register_default_jsonb` take them. Named
cursors count the rows as the app reads them; the others have all of them after `execute`. COPY through `copy_from`, `copy_to` and
`copy_expert` is one record; its data is not looked at. The transaction is the one that the server's status tells of; `commit`,
`rollback` and the end of `with connection:` are records of their own. A pool does not wait: that it has no connection left is a span
with that error.

Not recorded: what factories make that are no classes or have a metaclass; connections made by calling a connection class; two-phase
commits; what a pool resets; asynchronous connections (`async_=True`).
"""

from __future__ import annotations

import sys

from brakit import guard
from brakit.context import covered
from brakit.instrumentations._driver import Driver
from brakit.instrumentations._pools import Refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._dbapi import Query
    from brakit.instrumentations._driver import Link
    from brakit.patch import Patches

SUPPORTS = ">=2.8"


def instrument(patch: Patches) -> None:
    classes = Classes(Psycopg2(patch.client, "psycopg2", "postgresql"))
    patch.probe("psycopg2:connect", classes.connect)
    patch.when("psycopg2.pool", "psycopg2.pool:AbstractConnectionPool", pools, patch)


def pools(patch: Patches) -> None:
    library = sys.modules["psycopg2.pool"]
    waits = Refusals(patch.client, "psycopg2", "postgresql", library.PoolError)
    place = "psycopg2.pool:AbstractConnectionPool."
    for pool in (library.SimpleConnectionPool, library.ThreadedConnectionPool):
        patch.hook(pool, "getconn", place + "getconn", waits.before, waits.after, waits.failed)
        patch.hook(pool, "putconn", place + "putconn", resetting, reset, reset)


def resetting(*_: Any, **__: Any) -> tuple[str | None]:
    """What a pool rolls back is not the app's."""
    before = covered.get()
    covered.set("db.query")
    return (before,)


def reset(state: tuple[str | None], *_: Any) -> None:
    covered.set(state[0])


class Psycopg2(Driver):
    names = ("query", "vars")

    def inside(self, connection: Any) -> bool:
        # 1 active, 2 in a transaction, 3 in a failed one (`psycopg2.extensions`).
        return connection.closed == 0 and connection.get_transaction_status() in (1, 2, 3)

    def pending(self, link: Link, connection: Any) -> bool:
        # With autocommit the methods do nothing, not even where the app has sent BEGIN.
        return super().pending(link, connection) and connection.autocommit is False

    def lazy(self, cursor: Any) -> bool:
        return cursor.name is not None

    def written(self, query: Query, cursor: Any) -> None:
        """The text of a statement that was composed, as it went to the server, with the values in it."""
        if query.sql[:1] == "<" and type(cursor.query) is bytes:
            query.sql = cursor.query.decode("utf-8", "replace")

    def executed(self, query: Query, cursor: Any, result: Any) -> None:
        self.written(query, cursor)
        super().executed(query, cursor, result)

    def failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        self.written(query, cursor)
        super().failed(query, cursor, error)

    def copy(self, cursor: Any, statement: Any = None, *_: Any, **named: Any) -> Query | None:
        if covered.get() == "db.query":
            return None
        return self.start(cursor.connection, named.get("sql", statement), None)

    def copy_from(self, cursor: Any, _file: Any = None, table: Any = None, *_: Any, **named: Any) -> Query | None:
        return self.copy_table(cursor, named.get("table", table), "FROM STDIN")

    def copy_to(self, cursor: Any, _file: Any = None, table: Any = None, *_: Any, **named: Any) -> Query | None:
        return self.copy_table(cursor, named.get("table", table), "TO STDOUT")

    def copy_table(self, cursor: Any, table: Any, direction: str) -> Query | None:
        name = table if type(table) is str else self.text(table)
        return self.copy(cursor, f'COPY "{name}" {direction}')


class Classes:
    """Our subclass of each class of connections and of cursors, made once."""

    def __init__(self, driver: Psycopg2) -> None:
        self.driver = driver
        self.client = driver.client
        extensions = sys.modules["psycopg2.extensions"]
        self.plain_connection: type[Any] = extensions.connection
        self.plain_cursor: type[Any] = extensions.cursor
        self.connection = subclass((self.plain_connection,), self.connection_methods())
        self.connections = {self.plain_connection: self.connection}
        self.cursors: dict[type[Any], type[Any]] = {}

    def connect(self, call: Call) -> Generator[None, Any, None]:
        factory = call.arg("connection_factory") or self.plain_connection
        if ordinary(factory, self.plain_connection) and not (call.kwargs.get("async_") or call.kwargs.get("async")):
            if factory not in self.connections:
                # Ours is behind the app's: the class of cursors is known once `cursor` comes to it.
                self.connections[factory] = subclass((factory, self.connection), {})
            call.replace("connection_factory", self.connections[factory])
        yield

    def connection_methods(self) -> dict[str, Any]:
        """`with connection:` calls the other two by name."""
        plain, hooks = self.plain_connection, self.driver.marks.hooks()
        return {
            "cursor": self.cursor_method(),
            **{
                name: guard.around(self.client, f"psycopg2:connection.{name}", getattr(plain, name), *hooks[name])
                for name in ("commit", "rollback")
            },
        }

    def cursor_method(self) -> Any:
        client, plain = self.client, self.plain_connection.cursor

        def cursor(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if client.open:
                kwargs = guard.run(client.failures, "psycopg2:cursor", self.watch, connection, args, kwargs) or kwargs
            return plain(connection, *args, **kwargs)

        cursor.__doc__ = plain.__doc__
        return cursor

    def watch(self, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments of `connection.cursor`, with our class instead of that which would be made."""
        factory = kwargs.get("cursor_factory") or connection.cursor_factory or self.plain_cursor
        if len(args) > 1 or not ordinary(factory, self.plain_cursor):
            return None
        if factory not in self.cursors:
            self.cursors[factory] = subclass((factory,), self.cursor_methods(factory))
        return {**kwargs, "cursor_factory": self.cursors[factory]}

    def cursor_methods(self, factory: type[Any]) -> dict[str, Any]:
        driver = self.driver
        hooks: dict[str, tuple[Any, Any, Any]] = {
            **driver.hooks(),
            "copy_expert": (driver.copy, driver.executed, driver.failed),
            "copy_from": (driver.copy_from, driver.executed, driver.failed),
            "copy_to": (driver.copy_to, driver.executed, driver.failed),
        }
        return {
            name: guard.around(self.client, f"psycopg2:cursor.{name}", getattr(factory, name), *hook)
            for name, hook in hooks.items()
        }


def ordinary(factory: Any, base: type[Any]) -> bool:
    """Whether making a subclass of it runs none of the app's code."""
    return (
        type(factory) is type
        and issubclass(factory, base)
        and not any("__init_subclass__" in vars(line) for line in factory.__mro__[:-1])
    )


def subclass(bases: tuple[type[Any], ...], methods: dict[str, Any]) -> type[Any]:
    """A subclass with the names of the first of its bases."""
    first = bases[0]
    names = {"__module__": first.__module__, "__qualname__": first.__qualname__, "__doc__": first.__doc__, "__slots__": ()}
    return type(first.__name__, bases, {**names, **methods})
