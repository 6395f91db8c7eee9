"""What PyMySQL, aiomysql, asyncmy and mysqlclient have in common: they are written after each other."""

from __future__ import annotations

from brakit.instrumentations._driver import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.patch import Patches

IN_TRANSACTION, AUTOCOMMIT = 1, 2
"""Of https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html, SERVER_STATUS_flags_enum"""
STATEMENTS = ("execute", "executemany", "callproc")
MARKS = ("begin", "commit", "rollback")
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

    def system_of(self, connection: Any) -> str:
        return system_of(getattr(connection, "server_version", None))

    def instrument(
        self, patch: Patches, connection: type[Any], cursor: type[Any], unbuffered: type[Any], coroutines: bool
    ) -> None:
        self.unbuffered = unbuffered
        hooks = {**self.hooks(), **self.marks.hooks()}
        for holder, names in ((connection, MARKS), (cursor, STATEMENTS), (unbuffered, READS)):
            for name in names:
                place = f"{self.source}:{holder.__name__}.{name}"
                if coroutines:
                    patch.wrap(holder, name, place, self.probe(name))
                else:
                    patch.hook(holder, name, place, *hooks[name])


def system_of(version: object) -> str:
    """MariaDB says who it is in the version that it greets with: `5.5.5-10.11.6-MariaDB`."""
    text = version.decode("latin-1") if type(version) is bytes else version
    return "mariadb" if type(text) is str and "mariadb" in text.lower() else "mysql"
