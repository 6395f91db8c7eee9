"""The public functions. Every one does nothing when brakit is switched off, and none raises for what the app hands in."""

from __future__ import annotations

import sys

from brakit import callsite, client, context, errors
from brakit.guard import run
from brakit.record import plain_value
from brakit.scrub import scrubbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, TypeVar

    from brakit.client import Client
    from brakit.context import Owner
    from brakit.record import Record

    App = TypeVar("App", bound=Callable[..., Any])
    Connection = TypeVar("Connection")
    Scrub = TypeVar("Scrub", bound=Callable[[dict[str, Any]], dict[str, Any] | None])


def capture_error(error: BaseException | None = None) -> None:
    """Report an exception that the app has handled; without one, that which is being handled now."""
    active = client.current()
    error = sys.exc_info()[1] if error is None else error
    if active is not None and issubclass(type(error), BaseException):
        run(active.failures, "capture_error", errors.capture, active, error, "capture_error", True)


def auth_check(provider: str, result: str | None = None, *, subject_kind: str | None = None, checked: str | None = None) -> None:
    """Report that an authentication or permission check ran.

    `provider` says who checked (`session`, `jwt`), `result` what came out (`allowed`, `denied`, `anonymous`), `subject_kind` what was
    checked for (`user`, `service`; never who), `checked` the scope, permission or role that was asked for.
    """
    active = client.current()
    if active is not None:
        data = {"provider": provider, "result": result, "subject_kind": subject_kind, "checked": checked}
        run(active.failures, "auth_check", _auth_check, active, sys._getframe(1), data)


def _auth_check(active: Client, frame: FrameType, data: dict[str, str | None]) -> None:
    record = active.record("auth.check", **{name: plain_value(value) for name, value in data.items()})
    record.site = callsite.find(frame)
    record.emit(active.buffer)


class span:  # noqa: N801, it is used like a function
    """A named stretch of work: `with brakit.span("render", pages=3):`, in sync and in async code.

    What happens inside belongs to it. Attributes are names with plain values; they are sent as text, scrubbed.
    """

    def __init__(self, name: str, **attributes: object) -> None:
        self._name = name
        self._attributes = attributes
        self._record: Record | None = None
        self._before: Owner | None = None

    def __enter__(self) -> None:
        active = client.current()
        if active is not None:
            run(active.failures, "span", self._open, active, sys._getframe(1))

    def _open(self, active: Client, frame: FrameType | None) -> None:
        owner = context.span_owner()
        attributes = {key: plain_value(value) for key, value in self._attributes.items()}
        record = active.record("span", name=plain_value(self._name), span_id=owner.id, attributes=attributes or None)
        record.site = callsite.find(frame)
        self._record = record
        self._before = context.enter(owner)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        record, self._record = self._record, None
        if record is None:
            return
        context.enter(self._before)
        active = client.current()
        if active is not None:
            text = None if error is None else run(active.failures, "span", errors.text_of, error)
            run(active.failures, "span", record.finish, active.buffer, error=text)

    async def __aenter__(self) -> None:
        active = client.current()
        if active is not None:
            run(active.failures, "span", self._open, active, sys._getframe(1))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def asgi(app: App) -> App:
    """An ASGI 3 app whose requests are to be seen where no framework that is known and no uvicorn calls it: `app = brakit.asgi(app)`.

    What comes back does all that `app` does; it is `app` itself when brakit is switched off. Requests that a framework inside records
    too are recorded once.
    """
    return _outermost(app, "asgi")


def wsgi(app: App) -> App:
    """The same for a WSGI app: `app = brakit.wsgi(app)`."""
    return _outermost(app, "wsgi")


def _outermost(app: App, interface: str) -> App:
    active = client.current()
    made = run(active.failures, interface, _wrap, active, app, interface) if active is not None and callable(app) else None
    return app if made is None else made


def _wrap(active: Client, app: object, interface: str) -> object:
    from brakit.instrumentations import _asgi, _wsgi

    return (_asgi if interface == "asgi" else _wsgi).outermost(active, app)


def dbapi(connection: Connection, system: str = "other_sql", source: str = "") -> Connection:
    """A DB-API connection of a driver that is not known, whose statements are to be seen: `connection = brakit.dbapi(connection)`.

    `system` is the database (`duckdb`, `ibm.db2`), as in OpenTelemetry's `db.system.name`; `source` the driver, which is its module
    if not given. What comes back does all that `connection` does, and so do its cursors: same results, same exceptions, and
    `isinstance` holds. A function written in C that insists on the driver's own object needs `connection`. It is `connection` itself
    when brakit is switched off. Statements of a driver that is known are recorded once.
    """
    active = client.current()
    made = run(active.failures, "dbapi", _watch, active, connection, system, source) if active is not None else None
    return connection if made is None else made


def _watch(active: Client, connection: object, system: object, source: object) -> object:
    from brakit.instrumentations._watched import watch

    return watch(active, connection, str(plain_value(system)), str(plain_value(source)))


def scrub(function: Scrub) -> Scrub:
    """Have `function` see every event before it leaves, after our own masking: as a decorator or called once at start-up.

    It gets the event as it would be sent, a dict in the form of docs/protocol.md, and returns it, changed or as it is, or None to leave
    it out. It runs on a thread of ours, and what it does is not recorded. An event for which it raises is dropped, counted and never
    sent.
    """
    if function not in scrubbers:
        scrubbers.append(function)
    return function


def flush(timeout: float = 2.0) -> bool:
    """Send what is captured so far; True when all of it has arrived within `timeout` seconds (or nothing was to be sent)."""
    active = client.current()
    return True if active is None else active.flush(timeout)


def shutdown(timeout: float = 0.5) -> None:
    """Put back everything that was patched and send what is captured so far, for at most `timeout` seconds."""
    client.shutdown(timeout)
