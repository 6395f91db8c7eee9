"""Falcon, WSGI and ASGI: every request and WebSocket connection, from outside of its middleware, with the template of its route.

`App.__call__` is what the server calls. Exceptions that none of the app's handlers takes are seen where Falcon looks for a handler; one
for `Exception` only makes the page of what nobody has handled.
"""

from __future__ import annotations

import sys

from brakit import errors
from brakit.instrumentations import _asgi, _wsgi
from brakit.instrumentations._exchange import KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=3.1"
FRAMEWORK = True


def instrument(patch: Patches) -> None:
    patch.when("falcon.app", "falcon.app:App.__call__", over_wsgi, patch)
    patch.when("falcon.asgi.app", "falcon.asgi.app:App.__call__", over_asgi, patch)
    patch.probe("falcon.app:App._get_responder", get_responder)
    patch.probe("falcon.app:App._handle_exception", handle_exception)
    patch.probe("falcon.asgi.app:App._handle_exception", handle_exception)


def over_wsgi(patch: Patches) -> None:
    app = sys.modules["falcon.app"].App
    patch.replace(app, "__call__", _wsgi.around(patch.client, app.__call__, "falcon"))


def over_asgi(patch: Patches) -> None:
    app = sys.modules["falcon.asgi.app"].App
    patch.replace(app, "__call__", _asgi.around(patch.client, app.__call__, "falcon", known))


def known(exchange: Exchange, _app: Any, scope: _asgi.Scope) -> None:
    exchange.framework = exchange.framework or "falcon"
    exchange.prefix = scope.get("root_path", "")


def get_responder(call: Call) -> Generator[None, Any, None]:
    _responder, _params, _resource, template = yield
    request = call.args[1]
    exchange: Exchange | None = (request.env if hasattr(request, "env") else request.scope).get(KEY)
    if exchange is not None:
        exchange.route = exchange.prefix + template if template else None


def handle_exception(call: Call) -> Generator[None, Any, None]:
    app, error = call.args[0], call.args[3]
    falcon = sys.modules["falcon"]
    if not isinstance(error, (falcon.HTTPError, falcon.HTTPStatus)) and _unhandled(app, type(error)):
        errors.capture(call.client, error, "falcon")
    yield


def _unhandled(app: Any, kind: type) -> bool:
    """Whether the app has no handler for exceptions of this kind, or only the one for all of them."""
    # Of classes, in the order of the method resolution, as Falcon looks for them.
    return next((base for base in kind.__mro__ if base in app._error_handlers), Exception) is Exception
