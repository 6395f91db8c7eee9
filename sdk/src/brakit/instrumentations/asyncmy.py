"""asyncmy: statements as they go to the server, through `Connection.query`, of connections and pools.

Its cursors are compiled types that cannot be changed, and they put the values into the text: it is recorded with its literals masked,
and without parameters. What an `executemany` sends is recorded as it is sent: one INSERT with many rows is one record. The
transaction is the one that the server's status tells of; `begin`, `commit` and `rollback` are records of their own. The wait for a
connection of a pool is a span when it takes longer than a millisecond.

Not recorded: `ping`; the number of rows that an unbuffered cursor (`SSCursor`) reads.
"""

from __future__ import annotations

import sys

from brakit.context import covered
from brakit.guard import Raised
from brakit.instrumentations._dbapi import row_count
from brakit.instrumentations._mysql import MARKS, MySQL
from brakit.instrumentations._pools import Waits
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=0.2.9"


def instrument(patch: Patches) -> None:
    driver = AsyncMy(patch.client, "asyncmy", "mysql")
    connection = sys.modules["asyncmy.connection"].Connection
    patch.wrap(connection, "query", "asyncmy:Connection.query", driver.query)
    for name in MARKS:
        patch.wrap(connection, name, f"asyncmy:Connection.{name}", driver.probe(name))
    patch.probe("asyncmy.pool:Pool._acquire", Waits(patch.client, "asyncmy", "mysql").probe)


class AsyncMy(MySQL):
    def query(self, call: Call) -> Generator[None, Any, None]:
        """`query(sql, unbuffered=False)`; the driver's own changes are SET and SELECT in it, too."""
        connection, *args = call.args
        if covered.get() == "db.query":
            return
        unbuffered = call.kwargs.get("unbuffered", args[1] if len(args) > 1 else False)
        query = self.start(connection, args[0] if args else call.kwargs.get("sql"), None)
        try:
            number = yield
        except Raised as raised:
            self.fail(query, connection, raised.error)
        else:
            query.ended = clock()
            self.finish(query, connection, None if unbuffered else row_count(number))
