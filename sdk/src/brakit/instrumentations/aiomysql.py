"""aiomysql: statements of every cursor, through `Cursor.execute`, `executemany` and `callproc`, of connections and pools.

What `executemany` makes of its sets of parameters is one record. The rows of `SSCursor` are counted as the app reads them; other
cursors have all of them after `execute`. The transaction is the one that the server's status tells of; `begin`, `commit` and `rollback`
are records of their own. The wait for a connection of a pool is a span when it takes longer than a millisecond.

Not recorded: `ping`, and statements that go to `Connection.query` directly.
"""

from __future__ import annotations

import sys

from brakit.instrumentations._mysql import MySQL
from brakit.instrumentations._pools import Waits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.patch import Patches

SUPPORTS = ">=0.1"


def instrument(patch: Patches) -> None:
    cursors = sys.modules["aiomysql.cursors"]
    connection = sys.modules["aiomysql.connection"].Connection
    MySQL(patch.client, "aiomysql", "mysql").instrument(patch, connection, cursors.Cursor, cursors.SSCursor, coroutines=True)
    patch.probe("aiomysql.pool:Pool._acquire", Waits(patch.client, "aiomysql", "mysql").probe)
