"""PyMySQL: statements of every cursor, through `Cursor.execute`, `executemany` and `callproc`.

What `executemany` makes of its sets of parameters is one record. The rows of `SSCursor` are counted as the app reads them; other
cursors have all of them after `execute`. The transaction is the one that the server's status tells of; `begin`, `commit` and `rollback`
are records of their own.

Not recorded: `ping`, and statements that go to `Connection.query` directly.
"""

from __future__ import annotations

import sys

from brakit.instrumentations._mysql import MySQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.patch import Patches

SUPPORTS = ">=1.0"


def instrument(patch: Patches) -> None:
    cursors = sys.modules["pymysql.cursors"]
    connection = sys.modules["pymysql.connections"].Connection
    MySQL(patch.client, "pymysql", "mysql").instrument(patch, connection, cursors.Cursor, cursors.SSCursor, coroutines=False)
