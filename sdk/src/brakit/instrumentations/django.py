"""Django: every request, over WSGI, ASGI and the test client, from outside of all middleware, with the template of the route that it
took; the statements of every database backend; management commands as jobs; checks of who may do what.

Requests pass `WSGIHandler.__call__` and `ASGIHandler.__call__`, static files too; the route is what `BaseHandler.resolve_request`
found; an exception that becomes a 500 page is told by the signal `got_request_exception`. Statements pass `CursorWrapper._execute`
and `_executemany`, inside of the app's own `execute_wrapper`s: one of ours would lie among them, and be lost where a connection is
opened inside of one of them. Rows are counted as they are read. Commits and rollbacks, those of `atomic` too, are records of their own
where a statement has run in the transaction. A statement that the first use of an attribute sends has its class and attribute.
Commands pass `BaseCommand.execute`. Checks are logins and failed ones, by their signals, the decorators and mixins of
`django.contrib.auth`, `LoginRequiredMiddleware`, and `has_perm` where the app calls it.

Not recorded: the BEGIN that a driver sends by itself; statements on a raw DBAPI connection, but for what the driver's instrumentation
sees; commands that run until they are stopped, that talk to a person, or that run tests. Views that were decorated before brakit was
imported have no check, relations that were used before have no lazy loads of many.
"""

from __future__ import annotations

import sys

from brakit import context, errors, guard
from brakit.instrumentations import _asgi, _django_auth, _django_client, _django_commands, _django_db, _wsgi
from brakit.instrumentations._django_routes import template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=4.2,<7"
FRAMEWORK = True


def instrument(patch: Patches) -> None:
    patch.when("django.core.handlers.wsgi", "django.core.handlers.wsgi:WSGIHandler.__call__", over_wsgi, patch)
    patch.when("django.core.handlers.asgi", "django.core.handlers.asgi:ASGIHandler.__call__", over_asgi, patch)
    patch.when("django.core.handlers.base", "django.core.handlers.base:BaseHandler.resolve_request", resolving, patch)
    patch.when("django.core.signals", "django.core.signals:got_request_exception", listening, patch)
    _django_client.arm(patch)
    _django_db.arm(patch)
    _django_commands.arm(patch)
    _django_auth.arm(patch)


def over_wsgi(patch: Patches) -> None:
    handler = sys.modules["django.core.handlers.wsgi"].WSGIHandler
    patch.replace(handler, "__call__", _wsgi.around(patch.client, handler.__call__, "django"))


def over_asgi(patch: Patches) -> None:
    handler = sys.modules["django.core.handlers.asgi"].ASGIHandler
    patch.replace(handler, "__call__", _asgi.around(patch.client, handler.__call__, "django", known))


def known(exchange: Exchange, _handler: Any, scope: _asgi.Scope) -> None:
    exchange.framework = exchange.framework or "django"
    root = scope.get("root_path") or ""
    # Servers disagree on whether the path has the prefix in it.
    exchange.prefix = root if scope["path"].startswith(root) else ""


def resolving(patch: Patches) -> None:
    handler = sys.modules["django.core.handlers.base"].BaseHandler
    patch.hook(handler, "resolve_request", "django.core.handlers.base:BaseHandler.resolve_request", resolve, resolved)


def resolve(_handler: Any, _request: Any) -> Exchange | None:
    owner = context.current()
    root = owner.root if owner is not None else None
    return root.exchange if root is not None else None


def resolved(exchange: Exchange, _handler: Any, match: Any) -> None:
    route = match.route
    if type(route) is str:
        exchange.route = f"{exchange.prefix.rstrip('/')}/{template(route)}"


def listening(patch: Patches) -> None:
    """An exception that no middleware took becomes a page, and does not leave the handler."""
    client = patch.client
    signal = sys.modules["django.core.signals"].got_request_exception

    def raised(**_: Any) -> None:
        error = sys.exc_info()[1]
        if client.open and error is not None:
            guard.run(client.failures, "django:got_request_exception", errors.capture, client, error, "django")

    signal.connect(raised, weak=False)
    patch.undo(lambda: signal.disconnect(raised))
