"""What PyMySQL, aiomysql, asyncmy and mysqlclient have in common: they are written after each other."""

from __future__ import annotations

from brakit.instrumentations._driver import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

IN_TRANSACTION, AUTOCOMMIT = 1, 2
"""Of https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html, SERVER_STATUS_flags_enum"""
STATEMENTS = ("execute", "executemany", "callproc")
READS = ("fetchone", "fetchmany", "fetchall", "close")


class MySQL(Driver):
    """`unbuffered` is the class of cursors whose rows come only as the app reads them."""

    names = ("query", "args")
    unbuffered: type[Any]

    def inside(self, connection: Any) -> bool:
        # What the server said last. A SELECT does not say it everywhere: without autocommit there is always a transaction.
        status = connection.server_status
        return type(status) is int and (status & IN_TRANSACTION != 0 or status & AUTOCOMMIT == 0)

    def lazy(self, cursor: Any) -> bool:
        return isinstance(cursor, self.unbuffered) and cursor.description is not None

    def ending(self, call: Call) -> Generator[None, Any, None]:
        self.ended(call.args[0])
        yield

    def instrument(
        self, patch: Patches, connection: type[Any], cursor: type[Any], unbuffered: type[Any], coroutines: bool
    ) -> None:
        self.unbuffered = unbuffered
        for name in ("commit", "rollback", "begin"):
            place = f"{self.source}:Connection.{name}"
            if coroutines:
                patch.wrap(connection, name, place, self.ending)
            else:
                patch.hook(connection, name, place, self.ended)
        for holder, names in ((cursor, STATEMENTS), (unbuffered, READS)):
            for name in names:
                place = f"{self.source}:{holder.__name__}.{name}"
                if coroutines:
                    patch.wrap(holder, name, place, self.probe(name))
                else:
                    patch.hook(holder, name, place, *self.hooks()[name])
