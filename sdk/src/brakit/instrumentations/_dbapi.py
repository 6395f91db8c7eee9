"""What the instrumentations of databases have in common: the record of a statement, counted on while its rows are read."""

from __future__ import annotations

from brakit.context import current
from brakit.record import MAX_HELD, Record, clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.buffer import Buffer

SPARE = 8
"""Queries of a request that are kept though they may have gone out: most are read to their end before the next one begins."""
LARGE = 4096
"""Characters from which a statement's text counts against the buffer's bytes; shorter ones are mostly shared by all their records."""


class Query(Record):
    """A statement whose rows may still be on their way to the app.

    `data` is put together when it is asked for, on the sender's thread.
    """

    __slots__ = (
        "batch",
        "connection_id",
        "error",
        "lazy_load",
        "mark",
        "model",
        "outer",
        "over",
        "params",
        "read_ns",
        "rows",
        "running",
        "source",
        "sql",
        "system",
        "transaction_id",
    )
    lazy_load: str | None
    model: str | None

    def __init__(
        self,
        source: str,
        sql: str,
        params: tuple[object, ...] | None,
        batch: int | None,
        system: str,
        connection_id: str,
        transaction_id: str | None,
    ) -> None:
        # All fields of a record are set here, `super` would cost a tenth of what a query may. ORMs set `model` and `lazy_load`.
        self.kind = "db.query"
        self.owner = current()
        self.site = None
        self.cost = len(sql) if len(sql) > LARGE else 0
        self.emitted = False
        self.source = source
        self.sql = sql
        self.params = params
        self.batch = batch
        self.system = system
        self.connection_id = connection_id
        self.transaction_id = transaction_id
        self.error: str | None = None
        self.rows: int | None = None
        self.read_ns = 0
        self.mark = 0
        # What `context.covered` said before.
        self.outer: str | None = None
        self.over = False
        # True within execute and within a fetch; a nested call of a dialect's `super()` and the closing of an exhausted result see it.
        self.running = True
        self.started = self.ended = clock()

    def hold(self, buffer: Buffer) -> None:
        """As that of a record, without the trouble of taking out what is over: that falls out by and by."""
        owner = self.owner
        root = owner if owner is None or owner.outermost else owner.outer
        if root is None or root.finished:
            self.emit(buffer)
            return
        reading = root.reading
        if len(reading) >= SPARE:
            _look_through(reading)
            if len(reading) >= MAX_HELD:
                self.emit(buffer)
                return
        reading.append(self)

    def release(self, buffer: Buffer) -> None:
        self.emit(buffer)

    @property
    def data(self) -> dict[str, object]:  # type: ignore[override]
        # Outside a request it may go out while the app still reads: half a count would be a wrong one.
        known = self.over or (self.owner is not None and self.owner.root is not None)
        return {
            "sql": self.sql,
            "source": self.source,
            "params": self.params,
            "row_count": self.rows if known else None,
            "error": self.error,
            "fetch_ms": round(self.read_ns / 1e6, 3) if known and self.mark else None,
            "batch_size": self.batch,
            "connection_id": self.connection_id,
            "transaction_id": self.transaction_id,
            "system": self.system,
            "model": getattr(self, "model", None),
            "lazy_load": getattr(self, "lazy_load", None),
        }


def _look_through(reading: list[Record]) -> None:
    """Take out the two oldest; what has not gone out yet is the newest from now on. About half have gone out at most."""
    for _ in (1, 2):
        try:
            oldest = reading.pop(0)
        except IndexError:
            # Another thread of the request has been faster.
            return
        if not oldest.emitted:
            reading.append(oldest)


def row_count(number: object) -> int | None:
    """A driver's row count; -1 and whatever else is no count say that it does not know."""
    return number if type(number) is int and number >= 0 else None


HELD = {"psycopg.sql": "_obj", "psycopg2.sql": "_wrapped"}
"""Where the parts of a statement that is put together from objects keep what they stand for."""
MAX_PARTS = 1000


def plain_sql(statement: object) -> str:
    """A statement that is no plain string: of a subclass the string in it, without running the subclass's code."""
    if isinstance(statement, str):
        return str.__str__(statement)
    if type(statement).__module__ in HELD:
        return _composed(statement, HELD[type(statement).__module__])
    return f"<{type(statement).__name__}>"


def _composed(part: Any, held: str, depth: int = 0) -> str:
    """The text of a part of a statement, its literals left out. The part itself is not asked: it would ask the server's encoding."""
    kind, value = type(part).__name__, getattr(part, "__dict__", {}).get(held)
    if kind == "Composed" and type(value) is list and depth < 10:
        return "".join([_composed(one, held, depth + 1) for one in value[:MAX_PARTS]])
    if kind == "SQL" and type(value) is str:
        return value
    if kind == "Identifier" and type(value) is tuple:
        return ".".join([f'"{name}"' for name in value if type(name) is str])
    if kind == "Placeholder":
        return f"%({value})s" if type(value) is str and value else "%s"
    return "?"
