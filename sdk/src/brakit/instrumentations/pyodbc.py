"""pyodbc: statements of the cursors of connections that `pyodbc.connect` opens while we are there, whichever ODBC driver lies below.

pyodbc's types are C types that cannot be changed and have no subclasses, so `connect` returns an object around the connection, which
passes everything on, and so do its cursors: `isinstance` holds, attributes are read and set on pyodbc's own. `commit`, `rollback` and
the end of `with` are records of their own; without autocommit there is always a transaction. The rows of a statement whose number the
ODBC driver does not tell at once are counted as the app reads them. The database is named as the ODBC driver names it.

Not recorded: connections of a `connect` that was imported by name before us, and those of SQLAlchemy and Django, which have records of
their own; `tables`, `columns` and the other functions that ask for the catalogue; a BEGIN of the app's own under autocommit names no
transaction; the line that awaits a statement of aioodbc, whose threads know only the request. `type(connection)` is not
`pyodbc.Connection`.
"""

from __future__ import annotations

import sys

from brakit.instrumentations._dbapi import row_count
from brakit.instrumentations._driver import Driver, calling_library
from brakit.instrumentations._watched import AnyDriver, Watcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._dbapi import Query
    from brakit.instrumentations._marks import Hook
    from brakit.patch import Patches

SUPPORTS = ">=4.0.34"

SYSTEMS = {
    "mysql": "mysql",
    "mariadb": "mariadb",
    "postgresql": "postgresql",
    "sqlite": "sqlite",
    "microsoft sql server": "microsoft.sql_server",
    "oracle": "oracle.db",
    "firebird": "firebirdsql",
}
"""What ODBC drivers call their database (SQL_DBMS_NAME), in OpenTelemetry's words."""
ABOVE = frozenset(("sqlalchemy", "django", "mssql"))
"""Libraries whose connections are left as they are: they have instrumentations of their own, `mssql` is Django's."""


def instrument(patch: Patches) -> None:
    library = sys.modules["pyodbc"]
    watchers: dict[str, Watcher] = {}

    def connect(_call: Call) -> Generator[None, Any, Any]:
        above = calling_library(sys._getframe(1)) in ABOVE
        connection = yield
        if above or type(connection) is not library.Connection:
            return None
        system = system_of(connection.getinfo(library.SQL_DBMS_NAME))
        if system not in watchers:
            driver = ODBC(patch.client, "pyodbc", system)
            watchers[system] = Watcher(patch.client, driver, driver.more())
        return watchers[system].connection(connection)

    patch.wrap(library, "connect", "pyodbc:connect", connect)


def system_of(name: object) -> str:
    text = name.lower() if type(name) is str else ""
    if text.startswith("db2"):
        return "ibm.db2"
    return SYSTEMS.get(text, "other_sql")


class ODBC(AnyDriver):
    names = ("sql", "params")
    ends = ("commit", "rollback", "__exit__")

    def inside(self, connection: Any) -> bool:
        plain = connection._brakit_inner
        return not plain.closed and not plain.autocommit

    settle = Driver.settle
    pending = Driver.pending

    def lazy(self, cursor: Any) -> bool:
        # SQLite's ODBC driver says 0 of a SELECT.
        return cursor.description is not None and cursor.rowcount <= 0

    def rows(self, cursor: Any) -> int | None:
        return row_count(cursor.rowcount)

    def execute(self, cursor: Any, statement: Any = None, *params: Any, **named: Any) -> Query | None:
        """`execute(sql, 1, 2)` is `execute(sql, (1, 2))`."""
        one = len(params) == 1 and type(params[0]) in (tuple, list)
        return super().execute(cursor, statement, params[0] if one else params, **named)

    def more(self) -> dict[str, Hook]:
        """What a cursor of pyodbc has beyond DB-API's: the connection's commit and rollback among them."""
        marks = self.marks

        def commits(cursor: Any) -> Query | None:
            return marks.commits(cursor._brakit_outer)

        def rolls_back(cursor: Any) -> Query | None:
            return marks.rolls_back(cursor._brakit_outer)

        def leaves(cursor: Any, error_type: Any = None, *_: Any) -> Query | None:
            # After an error it leaves the transaction open.
            return marks.commits(cursor._brakit_outer) if error_type is None else None

        def ended(query: Query, cursor: Any, result: Any) -> None:
            marks.ended(query, cursor._brakit_outer, result)

        def failed(query: Query, cursor: Any, error: BaseException) -> None:
            marks.failed(query, cursor._brakit_outer, error)

        return {
            "commit": (commits, ended, failed),
            "rollback": (rolls_back, ended, failed),
            "__exit__": (leaves, ended, failed),
            "fetchval": (self.reading, self.read_one, self.read_failed),
        }
