"""Tortoise ORM: statements of models, querysets and `connections.get()`, on SQLite, PostgreSQL and MySQL, through their clients.

The driver below records each of them once, with its connection, transaction and rows, and with the line that awaits it; Tortoise is
named as its source, with the model. The queries of `prefetch_related`, which are tasks of their own, have the line of what they are
part of. Tortoise loads nothing by itself: `await order.items` and `fetch_related` are asked for, so there are no lazy loads.

Not recorded: savepoints on MySQL, which go to the server past the driver's methods; what goes through drivers that have no
instrumentation here (asyncodbc); the wait for the one connection of SQLite, which is part of no statement.
"""

from __future__ import annotations

import sys

from brakit import callsite
from brakit.instrumentations._orm import Origin, name_of, origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=0.21"
DISTRIBUTION = "tortoise-orm"

BACKENDS = ("asyncpg", "base_postgres", "mssql", "mysql", "odbc", "oracle", "psycopg", "sqlite")
STATEMENTS = ("execute_insert", "execute_many", "execute_query", "execute_query_dict", "execute_script")
TRANSACTIONS = ("begin", "commit", "rollback", "savepoint", "savepoint_rollback", "release_savepoint")
MAX_UP = 8
"""Frames between a client and what knows the model."""


def instrument(patch: Patches) -> None:
    for backend in BACKENDS:
        module = f"tortoise.backends.{backend}.client"
        patch.when(module, module, cover, patch, module)
    patch.probe("tortoise.backends.base.executor:BaseExecutor._execute_prefetch_queries", prefetch)


def cover(patch: Patches, name: str) -> None:
    """The methods of the clients of one backend, those in a transaction too."""
    base = sys.modules["tortoise.backends.base.client"].BaseDBAsyncClient
    for holder in list(vars(sys.modules[name]).values()):
        # To `isinstance`, `dict[str, int]` is a type on Python 3.10.
        if issubclass(type(holder), type) and issubclass(holder, base) and holder.__module__ == name:
            for method in (*STATEMENTS, *TRANSACTIONS):
                if method in vars(holder):
                    patch.wrap(holder, method, f"{name}:{holder.__name__}.{method}", statement)


def statement(_call: Call) -> Generator[None, Any, None]:
    before = origin.get()
    # A client's method may call another one of it.
    origin.set(before or Origin("tortoise", model_of(sys._getframe(1))))
    try:
        yield
    finally:
        origin.set(before)


def model_of(frame: FrameType | None) -> str | None:
    """The model of the queryset or the executor that awaits the client."""
    for _ in range(MAX_UP):
        if frame is None or callsite.is_own(frame.f_code.co_filename):
            return None
        if frame.f_globals.get("__name__") in ("tortoise.queryset", "tortoise.backends.base.executor"):
            return name_of(getattr(frame.f_locals.get("self"), "model", None))
        frame = frame.f_back
    return None


def prefetch(call: Call) -> Generator[None, Any, None]:
    """Its queries are gathered: what they find at the end of their stack is the event loop."""
    executor = call.args[0]
    if not executor.prefetch_map and not executor._prefetch_queries:
        return
    before = callsite.handed.get()
    callsite.handed.set(callsite.find(sys._getframe(1)))
    try:
        yield
    finally:
        callsite.handed.set(before)
