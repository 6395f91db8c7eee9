"""psycopg_pool: the wait for a connection of a pool of psycopg 3, sync and async, is a span when it takes longer than a millisecond.

Django's option `"pool"` makes such pools. Statements are recorded by psycopg's own instrumentation.

Not recorded: what a pool does with the transaction that is open on a connection when it comes back, and its check that a connection
still works.
"""

from __future__ import annotations

import sys

from brakit.context import covered
from brakit.guard import Raised
from brakit.instrumentations._pools import Waits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=3.1"


def instrument(patch: Patches) -> None:
    waits = Waits(patch.client, "psycopg", "postgresql")
    library = sys.modules["psycopg_pool"]
    pool, async_pool = library.ConnectionPool, library.AsyncConnectionPool
    patch.hook(pool, "getconn", "psycopg_pool:ConnectionPool.getconn", waits.before, waits.after, waits.failed)
    patch.wrap(async_pool, "getconn", "psycopg_pool:AsyncConnectionPool.getconn", waits.probe)
    for holder in (pool, async_pool):
        for name in ("_reset_connection", "_check_connection"):
            if hasattr(holder, name):  # the check of each connection, with an empty statement, came with 3.2
                patch.wrap(holder, name, f"psycopg_pool:{holder.__name__}.{name}", resetting)


def resetting(_call: Call) -> Generator[None, Any, None]:
    before = covered.get()
    covered.set("db.query")
    try:
        yield
    except Raised:
        pass
    finally:
        covered.set(before)
