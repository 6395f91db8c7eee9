"""A DB-API connection whose types cannot be changed, watched: for `brakit.dbapi`, and for drivers written in C.

What comes back passes everything on to the driver's: same methods, same results, same exceptions; `isinstance` holds. So do the cursors
that it gives. The rows of those that do not know their number after `execute` are counted as the app reads them. What the driver does
below, where it is instrumented itself, is not recorded again.

Transactions have no name: DB-API has no way to ask without asking the server. `commit` and `rollback` after a statement are records of
their own; those of a `with connection:` are not, since drivers differ in what they do there.
"""

from __future__ import annotations

from brakit import guard
from brakit.context import covered
from brakit.instrumentations._driver import Driver
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from brakit.client import Client
    from brakit.instrumentations._dbapi import Query
    from brakit.instrumentations._driver import Link
    from brakit.instrumentations._marks import Hook

SHORTCUTS = ("execute", "executemany")
"""Methods of a cursor that some drivers give their connections too, which then return a new cursor or themselves."""


class AnyDriver(Driver):
    ends: tuple[str, ...] = ("commit", "rollback")
    """Methods of a connection that end its transaction."""

    def connection(self, cursor: Any) -> Any:
        return cursor if cursor._brakit_outer is None else cursor._brakit_outer

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

    def execute(self, cursor: Any, statement: Any = None, params: Any = None, *_: Any, **named: Any) -> Query | None:
        query = super().execute(cursor, statement, params, **named)
        if query is not None:
            query.outer = covered.get()
            covered.set("db.query")
        return query

    def executed(self, query: Query, cursor: Any, result: Any) -> None:
        covered.set(query.outer)
        # A connection's shortcut has made the cursor.
        super().executed(query, result if issubclass(type(result), Proxy) else cursor, result)

    def failed(self, query: Query, cursor: Any, error: BaseException) -> None:
        covered.set(query.outer)
        super().failed(query, cursor, error)

    def executed_many(self, query: Query, cursor: Any, result: Any) -> None:
        covered.set(query.outer)
        super().executed_many(query, result if issubclass(type(result), Proxy) else cursor, result)

    def counted(self, cursor: Any, number: int, spent: int, error: BaseException | None) -> None:
        """What an iteration has read; without an error there may be more."""
        query = self.reading(cursor)
        if query is None:
            return
        query.rows += number  # type: ignore[operator]  # `wait` has set it
        query.read_ns += spent
        query.running = False
        if error is not None:
            self.read_failed(query, cursor, error)


def watch(client: Client, connection: Any, system: str = "other_sql", source: str = "") -> Any:
    """`connection`, watched. `system` is OpenTelemetry's `db.system.name`; `source` the driver's name, of its module if not given."""
    kind = type(connection)
    if issubclass(kind, Proxy) or not hasattr(kind, "cursor"):
        return connection
    source = source or kind.__module__.partition(".")[0].lstrip("_")
    watcher = client.watchers.get((source, system))
    if watcher is None:
        watcher = client.watchers[source, system] = Watcher(client, AnyDriver(client, source, system))
    return watcher.connection(connection)


class Proxy:
    """Passes on what it has not itself."""

    __slots__ = ("__weakref__", "_brakit_inner", "_brakit_outer")

    def __init__(self, inner: Any, outer: Any = None) -> None:
        object.__setattr__(self, "_brakit_inner", inner)
        object.__setattr__(self, "_brakit_outer", outer)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What `isinstance` asks for where the type is another one."""
        return type(self._brakit_inner)

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

    def __exit__(self, *exc_info: Any) -> Any:
        return self._brakit_inner.__exit__(*exc_info)


class Cursor(Proxy):
    __slots__ = ()

    @property
    def connection(self) -> Any:
        return self._brakit_outer

    def __next__(self) -> Any:
        return next(self._brakit_inner)


class Watcher:
    """Makes the classes of one driver's connections and cursors; each has the methods that the driver's has, with hooks around them."""

    def __init__(self, client: Client, driver: AnyDriver, cursors: dict[str, Hook] | None = None) -> None:
        self.client = client
        self.driver = driver
        self.cursor_hooks: dict[str, Hook] = {**driver.hooks(), **(cursors or {})}
        self.connection_hooks: dict[str, Hook] = {
            **{name: hook for name, hook in driver.hooks().items() if name != "close"},
            **{name: driver.marks.hooks()[name] for name in driver.ends},
        }
        self.classes: dict[tuple[type, type], type[Any]] = {}

    def connection(self, inner: Any) -> Any:
        return self.made(type(inner), Proxy)(inner)

    def cursor(self, inner: Any, outer: Any) -> Any:
        return self.made(type(inner), Cursor)(inner, outer)

    def made(self, kind: type[Any], base: type[Any]) -> type[Any]:
        if (kind, base) not in self.classes:
            self.classes[kind, base] = self.cursor_class(kind) if base is Cursor else self.connection_class(kind)
        return self.classes[kind, base]

    def cursor_class(self, kind: type[Any]) -> type[Any]:
        methods = self.hooked(kind, Cursor, self.cursor_hooks, passing)
        client, driver = self.client, self.driver

        def read(self: Any) -> Any:
            # Whose rows are all counted is read without us.
            query = guard.run(client.failures, f"{driver.source}:rows", driver.open.get, self)
            return iter(self._brakit_inner) if query is None else counted(self)

        def counted(self: Any) -> Iterator[Any]:
            now = clock
            number = spent = 0
            mark = now()
            error: BaseException | None = StopIteration()
            try:
                for row in self._brakit_inner:
                    spent += now() - mark
                    number += 1
                    yield row
                    mark = now()
            except GeneratorExit:
                error = None
                raise
            except BaseException as theirs:
                error = theirs
                raise
            finally:
                guard.run(client.failures, f"{driver.source}:rows", driver.counted, self, number, spent, error)

        return type("Cursor", (Cursor,), {"__slots__": (), "__iter__": read, **methods})

    def connection_class(self, kind: type[Any]) -> type[Any]:
        watcher = self

        def shortcut(name: str) -> Callable[..., Any]:
            plain = passing(name)

            def method(self: Any, *args: Any, **kwargs: Any) -> Any:
                result = plain(self, *args, **kwargs)
                if result is self or not hasattr(type(result), "fetchone"):
                    return result
                cursor = guard.run(watcher.client.failures, f"{watcher.driver.source}:cursor", watcher.cursor, result, self)
                return result if cursor is None else cursor

            method.__name__ = name
            return method

        methods = self.hooked(kind, Proxy, self.connection_hooks, lambda name: (shortcut if name in SHORTCUTS else passing)(name))
        return type("Connection", (Proxy,), {"__slots__": (), "cursor": shortcut("cursor"), **methods})

    def hooked(
        self, kind: type[Any], base: type[Any], hooks: dict[str, Hook], make: Callable[[str], Callable[..., Any]]
    ) -> dict[str, Any]:
        return {
            name: guard.around(
                self.client, f"{self.driver.source}:{kind.__name__}.{name}", vars(base).get(name) or make(name), *hook
            )
            for name, hook in hooks.items()
            if hasattr(kind, name)
        }


def passing(name: str) -> Callable[..., Any]:
    """A method that calls the driver's of that name; what returns itself there returns itself here."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self._brakit_inner, name)(*args, **kwargs)
        return self if result is self._brakit_inner else result

    method.__name__ = name
    return method
