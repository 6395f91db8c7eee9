"""mysql: MySQL Connector/Python (`mysql.connector`), the pure one, the one in C and the asynchronous one, through all kinds of cursors.

`execute`, `executemany` and `callproc` are one record each, whatever the driver makes of them. Rows of unbuffered cursors, which are
the ordinary ones, are counted as the app reads them. The transaction is the one that the server's status tells of; `start_transaction`,
`commit` and `rollback` are records of their own. A pool does not wait: that it has no connection left is a span with that error.

Not recorded: `cmd_query` and `info_query` called directly; what `start_transaction` sets before it starts one.
"""

from __future__ import annotations

import sys

from brakit.context import covered
from brakit.instrumentations._driver import Driver
from brakit.instrumentations._mysql import system_of
from brakit.instrumentations._pools import Refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.instrumentations._dbapi import Query
    from brakit.patch import Patches

SUPPORTS = ">=8.0.32"
DISTRIBUTION = "mysql-connector-python"
"""`mysql` itself is an empty package."""


def instrument(patch: Patches) -> None:
    driver = Connector(patch.client, "mysql.connector", "mysql")
    for module in ("cursor", "cursor_cext", "aio.cursor"):
        name = f"mysql.connector.{module}"
        patch.when(name, name, cursors, patch, driver, name)
    for module in ("connection", "connection_cext", "abstracts", "aio.connection", "aio.abstracts"):
        name = f"mysql.connector.{module}"
        patch.when(name, name, connections, patch, driver, name)
    for module in ("pooling", "aio.pooling"):
        name = f"mysql.connector.{module}"
        patch.when(name, name, pools, patch, name)


def cursors(patch: Patches, driver: Connector, module: str) -> None:
    """Every class of cursors has some methods of its own."""
    hooks = driver.hooks()
    for holder in list(vars(sys.modules[module]).values()):
        if isinstance(holder, type) and holder.__module__ == module:
            for name in hooks:
                if name in vars(holder):
                    place = f"mysql.connector:{holder.__name__}.{name}"
                    if ".aio." in module:
                        patch.wrap(holder, name, place, driver.probe(name))
                    else:
                        patch.hook(holder, name, place, *hooks[name])


def connections(patch: Patches, driver: Connector, module: str) -> None:
    for holder in list(vars(sys.modules[module]).values()):
        if isinstance(holder, type) and holder.__module__ == module:
            for name in ("commit", "rollback", "start_transaction"):
                if name in vars(holder) and not getattr(vars(holder)[name], "__isabstractmethod__", False):
                    place = f"mysql.connector:{holder.__name__}.{name}"
                    if ".aio." in module:
                        patch.wrap(holder, name, place, driver.probe(name))
                    else:
                        patch.hook(holder, name, place, *driver.marks.hooks()[name])


def pools(patch: Patches, module: str) -> None:
    pool = sys.modules[module].MySQLConnectionPool
    waits = Refusals(patch.client, "mysql.connector", "mysql", sys.modules["mysql.connector.errors"].PoolError)
    if ".aio." in module:
        patch.wrap(pool, "get_connection", f"{module}:MySQLConnectionPool.get_connection", waits.probe)
    else:
        patch.hook(
            pool, "get_connection", f"{module}:MySQLConnectionPool.get_connection", waits.before, waits.after, waits.failed
        )


class Connector(Driver):
    names = ("operation", "params")

    def connection(self, cursor: Any) -> Any:
        """The connection itself: cursors have a weak proxy for it, under two names over the years."""
        connection = cursor._connection if hasattr(cursor, "_connection") else getattr(cursor, "_cnx", None)
        try:
            return connection.get_self() if connection is not None else None
        except ReferenceError:
            return None

    def inside(self, connection: Any) -> bool:
        # In C there is nobody to ask before it is connected and after it is closed.
        if getattr(connection, "_cmysql", connection) is None:
            return False
        # A number in older versions.
        state = connection.in_transaction
        return type(state) in (bool, int) and state != 0

    def system_of(self, connection: Any) -> str:
        greeting = connection._handshake
        return system_of(greeting.get("server_version_original") if type(greeting) is dict else None)

    def lazy(self, cursor: Any) -> bool:
        return cursor.description is not None and not any("Buffered" in line.__name__ for line in type(cursor).__mro__)

    def execute(self, cursor: Any, statement: Any = None, params: Any = None, *_: Any, **named: Any) -> Query | None:
        """The statements by which the driver prepares one or asks for its warnings belong to it."""
        query = super().execute(cursor, named.pop("operation", statement), named.pop("params", params))
        if query is not None:
            query.outer = covered.get()
            covered.set("db.query")
        return query

    def executed(self, query: Query, cursor: Any, result: Any) -> None:
        covered.set(query.outer)
        super().executed(query, cursor, result)

    def failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        covered.set(query.outer)
        super().failed(query, cursor, error)
