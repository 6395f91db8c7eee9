"""mysqlclient (imported as `MySQLdb`): statements of every cursor, through `Cursor.execute`, `executemany` and `callproc`.

What `executemany` makes of its sets of parameters is one record. The rows of `SSCursor` are counted as the app reads them; other
cursors have all of them after `execute`. Its connection is a C type that does not show what the server says of the transaction: without
autocommit there is always one, with autocommit there is one from the BEGIN that the app sends to its COMMIT or ROLLBACK. `begin`,
`commit` and `rollback` are records of their own.

Not recorded: `ping`, statements that go to `Connection.query` directly, and the end of a transaction under autocommit that a CREATE or
the like brings about.
"""

from __future__ import annotations

import sys

from brakit.instrumentations._driver import Beside
from brakit.instrumentations._mysql import READS, MySQL, system_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client
    from brakit.instrumentations._driver import Link
    from brakit.patch import Patches

SUPPORTS = ">=2.1"
DISTRIBUTION = "mysqlclient"


def instrument(patch: Patches) -> None:
    if sys.modules["MySQLdb"].__name__ == "MySQLdb":  # and not what `pymysql.install_as_MySQLdb()` has put there
        patch.when("MySQLdb.connections", "MySQLdb.connections", instrument_connections, patch)


def instrument_connections(patch: Patches) -> None:
    cursors = sys.modules["MySQLdb.cursors"]
    connection = sys.modules["MySQLdb.connections"].Connection
    driver = MySQLClient(patch.client, "MySQLdb", "mysql")
    driver.instrument(patch, connection, cursors.BaseCursor, cursors.SSCursor, coroutines=False)
    # A sibling of SSCursor, and not a child as it is in PyMySQL.
    for name in READS:
        patch.hook(cursors.SSDictCursor, name, f"MySQLdb:SSDictCursor.{name}", *driver.hooks()[name])
    patch.hook(connection, "query", "MySQLdb:Connection.query", driver.sent, driver.answered)
    driver.lazies = (cursors.SSCursor, cursors.SSDictCursor)


class MySQLClient(MySQL):
    def __init__(self, client: Client, source: str, system: str) -> None:
        super().__init__(client, source, system)
        # Connections on which the app has sent BEGIN.
        self.begun = Beside()
        self.lazies: tuple[type[Any], ...] = ()

    def lazy(self, cursor: Any) -> bool:
        return isinstance(cursor, self.lazies) and cursor.description is not None

    def inside(self, connection: Any) -> bool:
        if connection.open == 0:
            return False
        # What the client library remembers of the server's last answer; in an extension type, so no code of the app's runs.
        return not connection.get_autocommit() or self.begun.get(connection) is not None

    def sent(self, _connection: Any, statement: Any = None) -> tuple[str] | None:
        """Every statement on its way to the server, that of `begin` too; only those that matter here are looked at again."""
        start = bytes(statement[:17]).upper() if type(statement) in (bytes, bytearray) else b""
        if start.startswith((b"BEGIN", b"START TRANSACTION")):
            return ("begin",)
        if start.startswith((b"COMMIT", b"ROLLBACK")) and not start.startswith(b"ROLLBACK TO"):
            return ("end",)
        return None

    def answered(self, what: tuple[str], connection: Any, _result: Any) -> None:
        if what[0] == "begin":
            self.begun.set(connection, True)
        else:
            self.begun.pop(connection)

    def pending(self, link: Link, connection: Any) -> bool:
        if super().pending(link, connection):
            return True
        self.begun.pop(connection)
        return False

    def system_of(self, connection: Any) -> str:
        return system_of(connection.get_server_info())

    def ended(self, connection: Any, *_: Any) -> None:
        self.begun.pop(connection)
        super().ended(connection)
