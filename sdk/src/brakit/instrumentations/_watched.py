"""Any DB-API driver whose types cannot be changed (pyodbc, and what has no file of its own): `watch(connection)`, asked for by the app.

The connection that comes back passes everything on to the driver's: same methods, same results, same exceptions. It is not of the
driver's type, so nothing is watched that the app has not asked for. The rows of cursors that do not know their number after `execute`
are counted as the app reads them. Transactions have no name: DB-API has no way to ask without asking the server. `commit` and
`rollback` after a statement are records of their own; those of a `with connection:` are not.
"""

from __future__ import annotations

from brakit import guard
from brakit.instrumentations._driver import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from brakit.client import Client
    from brakit.instrumentations._dbapi import Query
    from brakit.instrumentations._driver import Link


class AnyDriver(Driver):
    def inside(self, connection: Any) -> bool:  # noqa: ARG002
        return False

    def settle(self, query: Query, connection: Any) -> None:  # noqa: ARG002
        link: Link | None = self.links.get(connection)
        if link is not None:
            link.transaction = ""

    def pending(self, link: Link, connection: Any) -> bool:  # noqa: ARG002
        return link.transaction is not None

    def lazy(self, cursor: Any) -> bool:
        return cursor.description is not None and cursor.rowcount == -1


def watch(client: Client, connection: Any, system: str = "other_sql", source: str = "") -> Any:
    """`connection`, watched. `system` is OpenTelemetry's `db.system.name`; `source` the driver's name, of its module if not given."""
    driver = AnyDriver(client, source or type(connection).__module__.partition(".")[0], system)
    return connection_class(client, driver)(connection)


class Proxy:
    """Passes on what it has not itself."""

    __slots__ = ("__weakref__", "_brakit_inner", "_brakit_outer")

    def __init__(self, inner: Any, outer: Any = None) -> None:
        object.__setattr__(self, "_brakit_inner", inner)
        object.__setattr__(self, "_brakit_outer", outer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._brakit_inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._brakit_inner, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._brakit_inner, name)

    def __repr__(self) -> str:
        return repr(self._brakit_inner)

    def __enter__(self) -> Any:
        entered = self._brakit_inner.__enter__()
        return self if entered is self._brakit_inner else entered

    def __exit__(self, *exc_info: object) -> Any:
        return self._brakit_inner.__exit__(*exc_info)


class Cursor(Proxy):
    __slots__ = ()

    @property
    def connection(self) -> Any:
        return self._brakit_outer

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._brakit_inner)


def connection_class(client: Client, driver: AnyDriver) -> type[Proxy]:
    """A class of connections, whose cursors are watched by `driver`."""
    methods = {
        name: guard.around(client, f"{driver.source}:Cursor.{name}", vars(Cursor).get(name) or passing(name), *hook)
        for name, hook in driver.hooks().items()
    }
    cursor_class = type("Cursor", (Cursor,), {"__slots__": (), **methods})

    marks = {
        name: guard.around(client, f"{driver.source}:Connection.{name}", passing(name), *driver.marks.hooks()[name])
        for name in ("commit", "rollback")
    }

    class Connection(Proxy):
        __slots__ = ()
        commit, rollback = marks["commit"], marks["rollback"]

        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            return cursor_class(self._brakit_inner.cursor(*args, **kwargs), self)

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._brakit_inner, name)
            if name in ("execute", "executemany"):
                # Some drivers have it, as a shortcut for a new cursor's.
                return lambda *args, **kwargs: getattr(self.cursor(), name)(*args, **kwargs)
            return found

    return Connection


def passing(name: str) -> Callable[..., Any]:
    """A method that calls the driver's of that name; a cursor that returns itself returns ours."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self._brakit_inner, name)(*args, **kwargs)
        return self if result is self._brakit_inner else result

    method.__name__ = name
    return method
