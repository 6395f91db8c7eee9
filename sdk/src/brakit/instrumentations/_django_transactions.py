"""Django's connections to databases: their names, and the transactions on them, with their commits and rollbacks.

What `atomic` does comes to `BaseDatabaseWrapper.commit`, `rollback` and `set_autocommit`, whichever driver lies below; savepoints, and
the BEGIN of SQLite, are statements of cursors.
"""

from __future__ import annotations

import sys
from itertools import count

from brakit import callsite, errors
from brakit.context import covered, new_span_id
from brakit.instrumentations._dbapi import Query
from brakit.instrumentations._jobs import is_quiet
from brakit.instrumentations._mysql import system_of
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SYSTEMS = {"oracle": "oracle.db", "microsoft": "microsoft.sql_server"}
"""Vendors whose name is not OpenTelemetry's `db.system.name`."""


class Link:
    """What is known of one connection to a database. `used` says that a statement of the app's has run since the last commit."""

    __slots__ = ("connection_id", "system", "transaction_id", "used")

    def __init__(self, connection_id: str, system: str) -> None:
        self.connection_id = connection_id
        self.system = system
        self.transaction_id: str | None = None
        self.used = False


class Transactions:
    """What is written down before and after the calls of one client; numbers connections and transactions."""

    def __init__(self, client: Client) -> None:
        self.buffer = client.buffer
        # A client that comes later in this process counts anew.
        self.key = f"brakit.link.{new_span_id()}"
        self.connections = count(1)
        self.numbers = count(1)

    def instrument(self, patch: Patches) -> None:
        wrapper = sys.modules["django.db.backends.base.base"].BaseDatabaseWrapper
        place = "django.db.backends.base.base:BaseDatabaseWrapper."
        patch.hook(wrapper, "connect", place + "connect", self.connecting, self.connected)
        patch.hook(wrapper, "set_autocommit", place + "set_autocommit", self.switching, self.switched)
        patch.hook(wrapper, "commit", place + "commit", self.commits, self.ended, self.failed)
        patch.hook(wrapper, "rollback", place + "rollback", self.rolls_back, self.ended, self.failed)

    def connecting(self, connection: Any) -> Link:
        vendor = connection.vendor
        alias = connection.alias if type(connection.alias) is str else "?"
        link = Link(f"{alias}-{next(self.connections)}", SYSTEMS.get(vendor, vendor))
        connection.__dict__[self.key] = link
        self.connected(link, connection)
        return link

    def connected(self, link: Link, connection: Any, _result: Any = None) -> None:
        """Once it is connected, Django has asked a MySQL for its version, and keeps the answer."""
        server = connection.__dict__.get("mysql_server_data") if link.system == "mysql" else None
        if type(server) is dict:
            link.system = system_of(server.get("version"))

    def switching(self, connection: Any, autocommit: Any, *_: Any, **__: Any) -> tuple[str | None]:
        """Before autocommit is switched; opening the connection, which may be part of it, switches too."""
        transaction_id = None if autocommit else str(next(self.numbers))
        link: Link | None = connection.__dict__.get(self.key)
        link = self.connecting(connection) if link is None else link
        link.transaction_id = transaction_id
        link.used = False
        return (transaction_id,)

    def switched(self, state: tuple[str | None], connection: Any, _result: Any) -> None:
        connection.__dict__[self.key].transaction_id = state[0]

    def commits(self, connection: Any) -> tuple[Query, Link] | None:
        return self.end(connection, "COMMIT")

    def rolls_back(self, connection: Any) -> tuple[Query, Link] | None:
        return self.end(connection, "ROLLBACK")

    def end(self, connection: Any, text: str) -> tuple[Query, Link] | None:
        """None where nothing of the app's is sent, or nothing at all: Django allows neither call inside of `atomic`."""
        link: Link | None = connection.__dict__.get(self.key)
        if link is None or not link.used or link.transaction_id is None:
            return None
        outer = covered.get()
        if outer == "db.query" or is_quiet() or connection.in_atomic_block or connection.connection is None:
            return None
        query = Query("django", text, (), None, link.system, link.connection_id, link.transaction_id)
        query.site = callsite.find(sys._getframe(3))
        query.outer = outer
        covered.set("db.query")
        query.started = clock()
        return query, link

    def ended(self, state: tuple[Query, Link], _connection: Any, _result: Any) -> None:
        """What comes next, while autocommit stays off, is a transaction of its own."""
        query, link = state
        covered.set(query.outer)
        query.ended = clock()
        query.running = False
        query.over = True
        query.emit(self.buffer)
        link.used = False
        link.transaction_id = str(next(self.numbers))

    def failed(self, state: tuple[Query, Link], connection: Any, error: BaseException) -> None:
        """With most databases the transaction has ended all the same; SQLite leaves it open."""
        query, link = state
        query.error = errors.text_of(error)
        before = link.transaction_id
        self.ended(state, connection, None)
        if link.system == "sqlite":
            link.used, link.transaction_id = True, before
