"""PyMongo: every command, sync and async, through its own command monitoring (`pymongo.monitoring.register`).

Shown are the command, the collection and the names in its filter or pipeline, never a value:
`find users {"email": ?, "age": {"$gt": ?}}`. Each batch that a cursor fetches (`getMore`) is a round trip, and a record, of its own.
Clients that were made before brakit was imported are not seen: PyMongo gives its listeners to a client when it is made.

Not recorded: handshakes, authentication, heartbeats, `ping`, ends of sessions and cursors.
"""

from __future__ import annotations

import sys

from brakit import callsite, context, guard
from brakit.clocks import clock
from brakit.instrumentations._documents import leaves_of, names_of, written
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SUPPORTS = ">=4.0,<5"

MAX_RUNNING = 1000

_OPERATIONS = {
    "find": "SELECT", "aggregate": "SELECT", "count": "SELECT", "distinct": "SELECT", "getMore": "SELECT", "insert": "INSERT",
    "update": "UPDATE", "findAndModify": "UPDATE", "findandmodify": "UPDATE", "delete": "DELETE",
}  # fmt: skip
_SILENT = frozenset(
    ("hello", "isMaster", "ismaster", "ping", "buildInfo", "buildinfo", "endSessions", "killCursors", "saslStart", "saslContinue",
     "authenticate", "getnonce", "logout", "connectionStatus")
)  # fmt: skip


class Command(Record):
    """A command. Its texts are put together on the sender's thread, of names only."""

    __slots__ = ("batch", "collection", "connection", "error", "name", "names", "params", "rows")

    def __init__(self, name: str, collection: str, about: object, batch: int | None, connection: str) -> None:
        self.kind = "db.query"
        self.owner = context.current()
        self.site = None
        self.cost = 0
        self.emitted = False
        self.name = name
        self.collection = collection
        self.names = names_of(about)
        self.params = leaves_of(about)
        self.batch = batch
        self.connection = connection
        self.rows: int | None = None
        self.error: str | None = None
        self.started = self.ended = clock()

    @property
    def data(self) -> dict[str, object]:  # type: ignore[override]
        text = " ".join(
            part for part in (self.name, self.collection, written(self.names) if self.names is not None else "") if part
        )
        return {
            "operation": _OPERATIONS.get(self.name, "OTHER"),
            "table": self.collection,
            "sql": text,
            "shape": text,
            "source": "pymongo",
            "system": "mongodb",
            "params": self.params,
            "row_count": self.rows,
            "error": self.error,
            "batch_size": self.batch,
            "connection_id": self.connection,
        }


def instrument(patch: Patches) -> None:
    patch.when("pymongo.monitoring", "pymongo.monitoring:register", register, patch)


def register(patch: Patches) -> None:
    """Add our listener to those that every client gets. It has no place in a class of ours: its base is PyMongo's."""
    monitoring = sys.modules["pymongo.monitoring"]
    commands = Commands(patch.client)

    class Listener(monitoring.CommandListener):  # type: ignore[misc,name-defined]
        def started(self, event: Any) -> None:
            if commands.client.open:
                guard.run(commands.client.failures, "pymongo:started", commands.started, event, sys._getframe(1))

        def succeeded(self, event: Any) -> None:
            guard.run(commands.client.failures, "pymongo:succeeded", commands.succeeded, event)

        def failed(self, event: Any) -> None:
            guard.run(commands.client.failures, "pymongo:failed", commands.failed, event)

    listener = Listener()
    monitoring.register(listener)
    listeners = monitoring._LISTENERS.command_listeners
    patch.undo(lambda: listeners.remove(listener))


class Commands:
    """The commands under way of one client of ours."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.running: dict[tuple[int, object], Command] = {}

    def started(self, event: Any, frame: Any) -> None:
        name, command = event.command_name, event.command
        if name in _SILENT or not isinstance(command, dict):
            return
        collection = dict.get(command, "collection" if name == "getMore" else name)
        site = callsite.find(frame)
        if site is None and context.current() is None:
            return
        record = Command(
            name,
            collection if type(collection) is str else "",
            _described(command),
            _batch(command),
            ":".join(map(str, event.connection_id)),
        )
        record.site = site
        if len(self.running) >= MAX_RUNNING:
            self.running.clear()
        self.running[event.request_id, event.connection_id] = record

    def succeeded(self, event: Any) -> None:
        record = self.running.pop((event.request_id, event.connection_id), None)
        if record is not None:
            record.rows = _rows(event.reply)
            self._emit(record, event.duration_micros)

    def failed(self, event: Any) -> None:
        record = self.running.pop((event.request_id, event.connection_id), None)
        if record is not None:
            failure = event.failure
            name = failure.get("codeName") or failure.get("errtype") or "OperationFailure"
            record.error = f"{name}: {failure.get('errmsg', '')}"[:4096]
            self._emit(record, event.duration_micros)

    def _emit(self, record: Command, micros: int) -> None:
        record.ended = record.started + micros * 1000
        record.emit(self.client.buffer)


def _described(command: Any) -> Any:
    """The part of a command that says which documents it is about."""
    for key in ("filter", "query", "pipeline", "q"):
        if dict.__contains__(command, key):
            return dict.get(command, key)
    for key in ("updates", "deletes"):
        several = dict.get(command, key)
        if type(several) is list and several and isinstance(several[0], dict):
            return dict.get(several[0], "q")
    return None


def _batch(command: Any) -> int | None:
    for key in ("documents", "updates", "deletes"):
        several = dict.get(command, key)
        if type(several) is list and len(several) > 1:
            return len(several)
    return None


def _rows(reply: Any) -> int | None:
    if not isinstance(reply, dict):
        return None
    cursor = dict.get(reply, "cursor")
    if isinstance(cursor, dict):
        batch = dict.get(cursor, "firstBatch", dict.get(cursor, "nextBatch"))
        return len(batch) if type(batch) is list else None
    changed = dict.get(reply, "n")
    return changed if type(changed) is int else None
