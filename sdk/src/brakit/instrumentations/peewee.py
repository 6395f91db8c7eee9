"""Peewee: statements that go through `Database.execute_sql`, of models and queries, on SQLite, PostgreSQL and MySQL, and with asyncio.

The driver below records each of them once, with its connection, transaction and rows; Peewee is named as its source, with the model,
and with the attribute whose first use has loaded it (`Tweet.user`, `User.tweets`). BEGIN, COMMIT and ROLLBACK are Peewee's own
statements. With asyncio (`playhouse.pwasyncio`) the line is that of the app's code inside of `db.run`. The wait for a connection of a
pool that has none left is a span. A lazy load is known for the plain attribute: `user.tweets` that is filtered or
counted is a query of its own.

Not recorded: what goes through drivers that have no instrumentation here (APSW, SQLCipher, cysqlite, psycopg2cffi); whom a write of
`SqliteQueueDatabase` belongs to, since a thread of its own does it; the model of `iterate` with asyncio, which is the driver's alone.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit import callsite
from brakit.instrumentations._driver import Beside
from brakit.instrumentations._orm import Origin, name_of, origin
from brakit.instrumentations._pools import Waits
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType, FrameType
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

    State = tuple[Origin | None]

SUPPORTS = ">=3.16"

MAX_UP = 16
"""Frames between a statement and the attribute of the app's that has asked for it."""
TRANSACTIONS = ("begin", "commit", "rollback")


def instrument(patch: Patches) -> None:
    module = sys.modules["peewee"]
    probes = Probes(module)
    patch.hook(module.Database, "execute_sql", "peewee:Database.execute_sql", probes.statement, leave, leave)
    cover(patch, module)
    for accessor in (module.BackrefAccessor, module.ManyToManyFieldAccessor):
        patch.hook(accessor, "__get__", f"peewee:{accessor.__name__}.__get__", probes.asked, probes.handed_out)
    patch.when("playhouse.cockroachdb", "playhouse.cockroachdb", cover_module, patch, "playhouse.cockroachdb")
    patch.when("playhouse.pool", "playhouse.pool", with_pools, patch)
    patch.when("playhouse.pwasyncio", "playhouse.pwasyncio", with_asyncio, patch, probes)


def cover_module(patch: Patches, name: str) -> None:
    cover(patch, sys.modules[name])


def cover(patch: Patches, module: Any) -> None:
    """BEGIN and the ends of a transaction, wherever a kind of database has them."""
    for holder in list(vars(module).values()):
        if issubclass(type(holder), type) and issubclass(holder, sys.modules["peewee"].Database):
            for name in TRANSACTIONS:
                if name in vars(holder):
                    patch.hook(holder, name, f"{module.__name__}:{holder.__name__}.{name}", enter, leave, leave)


def with_asyncio(patch: Patches, probes: Probes) -> None:
    mixin = sys.modules["playhouse.pwasyncio"].AsyncDatabaseMixin
    patch.hook(mixin, "execute_sql", "playhouse.pwasyncio:AsyncDatabaseMixin.execute_sql", probes.bridged, leave, leave)
    patch.probe("playhouse.pwasyncio:AsyncDatabaseMixin.aexecute_sql", probes.awaited)


def with_pools(patch: Patches) -> None:
    module = sys.modules["playhouse.pool"]
    waits = PoolWaits(patch.client, module.MaxConnectionsExceeded)
    place = "playhouse.pool:PooledDatabase."
    patch.hook(module.PooledDatabase, "connect", place + "connect", waits.before, waits.after, waits.failed)
    patch.hook(module.PooledDatabase, "_connect", place + "_connect", waits.asking, None, waits.refused)


def enter(*_: Any, **__: Any) -> State:
    before = origin.get()
    origin.set(Origin("peewee"))
    return (before,)


def leave(state: State, *_: Any) -> None:
    origin.set(state[0])


class Probes:
    """What is known of a statement when it is sent: the query's model, and the attribute that it is asked for by."""

    def __init__(self, module: Any) -> None:
        self.execute: CodeType = module.Database.execute.__code__
        # What `count`, `exists` and `get` of a query are called through: their statements have no model of their own.
        self.bound: CodeType = module.SelectBase.count.__code__
        self.follow: CodeType = module.ForeignKeyAccessor.get_rel_instance.__code__
        # Queries that attributes have handed out, with the names of those.
        self.lazy = Beside()

    def statement(self, *_: Any, **__: Any) -> State:
        before = origin.get()
        origin.set(self.traced(sys._getframe(2)))
        return (before,)

    def bridged(self, *_: Any, **__: Any) -> State:
        """The driver runs on the stack of the coroutine; the app's line is on this one."""
        before = origin.get()
        frame = sys._getframe(2)
        traced = self.traced(frame)
        traced.site = callsite.find(frame)
        origin.set(traced)
        return (before,)

    def awaited(self, _call: Call) -> Generator[None, Any, None]:
        before = origin.get()
        origin.set(before or Origin("peewee"))
        try:
            yield
        finally:
            origin.set(before)

    def traced(self, frame: FrameType | None) -> Origin:
        """Up the frames of Peewee's to the app's."""
        found = Origin("peewee")
        for _ in range(MAX_UP):
            if frame is None or callsite.is_own(frame.f_code.co_filename):
                break
            if frame.f_code is self.execute:
                query = frame.f_locals["query"]
                found.model = model_of(query)
                found.lazy_load = self.lazy.get(query)
            elif frame.f_code is self.bound and found.model is None:
                found.model = model_of(frame.f_locals["self"])
            elif frame.f_code is self.follow:
                accessor, instance = frame.f_locals["self"], frame.f_locals["instance"]
                found.lazy_load = attribute(instance, accessor.name)
                break
            frame = frame.f_back
        return found

    def asked(self, accessor: Any, instance: Any = None, *_: Any, **__: Any) -> tuple[str | None] | None:
        if instance is None:
            return None
        return (attribute(instance, accessor.name if hasattr(accessor, "name") else accessor.field.backref),)

    def handed_out(self, name: tuple[str | None], _accessor: Any, query: Any) -> None:
        if name[0] is not None and hasattr(query, "_cursor_wrapper"):
            self.lazy.set(query, name[0])


def model_of(query: Any) -> str | None:
    model = getattr(query, "__dict__", {}).get("model")
    # An alias has the model in it.
    return name_of(model) or name_of(getattr(model, "__dict__", {}).get("model"))


def attribute(instance: Any, name: Any) -> str | None:
    return f"{name_of(type(instance))}.{name}" if type(name) is str else None


waiting: ContextVar[int | None] = ContextVar("brakit_waiting", default=None)
"""Since when a pool has had no connection to give."""


class PoolWaits(Waits):
    """A pool that has no connection left raises an error of its own, upon which it waits and asks again, or gives up."""

    def __init__(self, client: Client, error: type[BaseException]) -> None:
        super().__init__(client, "peewee", "")
        self.error = error
        module = sys.modules["peewee"]
        self.systems = (
            (module.SqliteDatabase, "sqlite"),
            (module.PostgresqlDatabase, "postgresql"),
            (module.MySQLDatabase, "mysql"),
        )

    def before(self, *_: Any, **__: Any) -> int | None:
        waiting.set(None)
        return clock()

    def asking(self, *_: Any) -> bool:
        return True

    def refused(self, _state: bool, _database: Any, error: BaseException) -> None:
        if isinstance(error, self.error) and waiting.get() is None:
            waiting.set(clock())

    def after(self, _started: int, database: Any, _connection: Any) -> None:
        self.waited(database, None)

    def failed(self, _started: int, database: Any, error: BaseException) -> None:
        self.waited(database, error)

    def waited(self, database: Any, error: BaseException | None) -> None:
        since = waiting.get()
        if since is not None:
            system = next((system for kind, system in self.systems if isinstance(database, kind)), "other_sql")
            self.attributes = {"system": system, "source": "peewee"}
            self.record(since, error)
